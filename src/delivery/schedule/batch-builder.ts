// Batch builder: assembles the body of one request from text that was serialised once. The size is known before
// the body is built.

import type { Block } from '../../entry/entry';
import { blockText, utf8Bytes } from '../../entry/serialise';
import { documentedRequestLimits } from './request-limits';
import { sentExpiration, type PendingBlock } from '../pending/pending-entry';
import type { User } from '../pending/user';

export interface PackedUser {
  readonly user: User;
  readonly blocks: readonly PendingBlock[];
}

const open = '{"rt_segment":[';
const close = ']}';
/** After a user, unless it is the last one. */
const closeBeforeNext = ']},';

export class BatchBuilder {
  readonly users: PackedUser[] = [];
  private readonly parts: string[] = [open];
  private bytes = open.length + close.length;

  constructor(
    readonly nowMonoMs: number,
    private readonly limitBytes = documentedRequestLimits.maxBodyBytes,
  ) {}

  get size(): number {
    return this.users.length;
  }

  /** Bytes of the body so far. */
  get bodyBytes(): number {
    return this.bytes;
  }

  /** Adds a user with as many of the blocks as fit. Returns their number; 0 when none fits. */
  add(user: User, wanted: readonly PendingBlock[]): number {
    const fitting = this.fit(wanted);
    if (fitting === 0) return 0;
    const blocks = fitting === wanted.length ? wanted : wanted.slice(0, fitting);
    const { userHead, userHeadBytes } = blocks[blocks.length - 1]!.entry.checked;
    const { parts } = this;
    parts.push(userHead);
    let bytes = userHeadBytes + close.length + (this.users.length === 0 ? 0 : 1);
    for (let i = 0; i < blocks.length; i += 1) {
      const block = blocks[i]!;
      const { head, headBytes, expiration, text } = block.segBlock;
      const minutes = sentExpiration(block, this.nowMonoMs);
      block.sentExpired = minutes === -1 && expiration !== -1;
      if (i > 0) parts.push(',');
      parts.push(minutes === expiration ? text : blockText(head, minutes));
      bytes += headBytes + slotBytes(block.segBlock, minutes) + (i === 0 ? 0 : 1);
    }
    parts.push(closeBeforeNext);
    this.bytes += bytes;
    this.users.push({ user, blocks });
    return fitting;
  }

  /**
   * Returns the finished body. Throws when its size differs from the counted size, since a limit could be
   * exceeded unnoticed.
   */
  body(): string {
    const { parts } = this;
    parts[parts.length - 1] = this.size === 0 ? open + close : close + close;
    const body = parts.join('');
    const bytes = utf8Bytes(body);
    if (bytes !== this.bytes) throw new Error(`packed ${this.bytes} bytes, built ${bytes}`);
    return body;
  }

  /** How many of the first blocks fit into the remaining bytes. */
  private fit(blocks: readonly PendingBlock[]): number {
    let left = this.limitBytes - 1 - this.bytes - close.length - (this.users.length === 0 ? 0 : 1);
    let headBytes = 0;
    for (let i = 0; i < blocks.length; i += 1) {
      const block = blocks[i]!;
      headBytes = Math.max(headBytes, block.entry.checked.userHeadBytes);
      const minutes = sentExpiration(block, this.nowMonoMs);
      left -= block.segBlock.headBytes + slotBytes(block.segBlock, minutes) + (i === 0 ? 0 : 1);
      if (left < headBytes) return i;
    }
    return blocks.length;
  }
}

/** Bytes of the expiration and the brace that closes the block. */
function slotBytes({ head, expiration, text }: Block, minutes: number | null): number {
  if (minutes === expiration) return text.length - head.length;
  if (minutes === null) return 1;
  return ',"expiration":}'.length + digits(minutes);
}

function digits(minutes: number): number {
  if (minutes < 0) return 2;
  let count = 1;
  for (let rest = minutes; rest >= 10; rest = Math.floor(rest / 10)) count += 1;
  return count;
}

// Batch builder: assembles the body of one request from text that was serialised once. The size is known before
// the body is built.

import type { Block } from '../../entry/entry';
import { blockText, userHead, utf8Bytes } from '../../entry/serialise';
import { documentedRequestLimits } from './request-limits';
import { sentExpiration, type PendingBlock } from '../pending/pending-entry';
import type { User } from '../pending/user';

/** Of a class for the reason given at `Checked` in entry/check.ts. */
export class PackedUser {
  constructor(
    readonly user: User,
    readonly blocks: readonly PendingBlock[],
  ) {}
}

const open = '{"rt_segment":[';
const close = ']}';

export class BatchBuilder {
  readonly users: PackedUser[] = [];
  /** One for each user. */
  private readonly parts: string[] = [];
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
    const { checked } = blocks[blocks.length - 1]!.entry;
    let texts = '';
    let bytes = checked.headBytes + close.length + (this.users.length === 0 ? 0 : 1);
    for (let i = 0; i < blocks.length; i += 1) {
      const block = blocks[i]!;
      const { head, headBytes, expiration, text } = block.segBlock;
      const minutes = sentExpiration(block, this.nowMonoMs);
      block.sentExpired = minutes === -1 && expiration !== -1;
      if (i > 0) texts += ',';
      texts += minutes === expiration ? text : blockText(head, minutes);
      bytes += headBytes + slotBytes(block.segBlock, minutes) + (i === 0 ? 0 : 1);
    }
    // Most users have one entry with one block, which is sent as it came.
    const isWhole = checked.blocks.length === 1 && texts === checked.blocks[0]!.text;
    this.parts.push(isWhole ? checked.body : userHead(checked) + texts + close);
    this.bytes += bytes;
    this.users.push(new PackedUser(user, blocks));
    return fitting;
  }

  /**
   * Returns the finished body. Throws when its size differs from the counted size, since a limit could be
   * exceeded unnoticed.
   */
  body(): string {
    const body = open + this.parts.join(',') + close;
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
      headBytes = Math.max(headBytes, block.entry.checked.headBytes);
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

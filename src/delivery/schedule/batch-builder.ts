// Batch builder: assembles the body of one request from text that was serialised once. The size is known before
// the body is built.

import { blockText, utf8Bytes } from '../../entry/serialise';
import { documentedRequestLimits } from './request-limits';
import { sentExpiration, type Cell } from '../pending/item';
import type { User } from '../pending/user';

export interface PackedUser {
  readonly user: User;
  readonly cells: readonly Cell[];
}

const open = '{"rt_segment":[';
const close = ']}';

export class BatchBuilder {
  readonly users: PackedUser[] = [];
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
  add(user: User, wanted: readonly Cell[]): number {
    const fitting = this.fit(wanted);
    if (fitting === 0) return 0;
    const cells = fitting === wanted.length ? wanted : wanted.slice(0, fitting);
    const { userHead, userHeadBytes } = cells[cells.length - 1]!.item.entry;
    const { parts } = this;
    if (this.users.length > 0) parts.push(',');
    parts.push(userHead);
    let bytes = userHeadBytes + close.length + (this.users.length === 0 ? 0 : 1);
    for (let i = 0; i < cells.length; i += 1) {
      const cell = cells[i]!;
      const { head, headBytes, expiration, text } = cell.block;
      const minutes = sentExpiration(cell, this.nowMonoMs);
      cell.sentExpired = minutes === -1 && expiration !== -1;
      if (i > 0) parts.push(',');
      parts.push(minutes === expiration ? text : blockText(head, minutes));
      bytes += headBytes + slotBytes(minutes) + (i === 0 ? 0 : 1);
    }
    parts.push(close);
    this.bytes += bytes;
    this.users.push({ user, cells });
    return fitting;
  }

  /**
   * Returns the finished body. Throws when its size differs from the counted size, since a limit could be
   * exceeded unnoticed.
   */
  body(): string {
    const body = open + this.parts.join('') + close;
    const bytes = utf8Bytes(body);
    if (bytes !== this.bytes) throw new Error(`packed ${this.bytes} bytes, built ${bytes}`);
    return body;
  }

  /** How many of the first cells fit into the remaining bytes. */
  private fit(cells: readonly Cell[]): number {
    let left = this.limitBytes - 1 - this.bytes - close.length - (this.users.length === 0 ? 0 : 1);
    let headBytes = 0;
    for (let i = 0; i < cells.length; i += 1) {
      const cell = cells[i]!;
      headBytes = Math.max(headBytes, cell.item.entry.userHeadBytes);
      left -= cell.block.headBytes + slotBytes(sentExpiration(cell, this.nowMonoMs)) + (i === 0 ? 0 : 1);
      if (left < headBytes) return i;
    }
    return cells.length;
  }
}

/** Bytes of the expiration and the brace that closes the block. */
function slotBytes(minutes: number | null): number {
  if (minutes === null) return 1;
  return ',"expiration":}'.length + digits(minutes);
}

function digits(minutes: number): number {
  if (minutes < 0) return 2;
  let count = 1;
  for (let rest = minutes; rest >= 10; rest = Math.floor(rest / 10)) count += 1;
  return count;
}

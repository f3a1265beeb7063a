// Whose entries a queue took since it was opened, so that an older entry from another queue never goes after a newer one.

import type { CheckedEntry } from '../audience/entry';
import { hashUserKey } from '../audience/keys';
import type { Row } from '../outbox/outbox';

/** 256 KiB, however many users there are. */
const bitCount = 2 ** 21;

/**
 * Two bits for each user. Some users share both with others that were taken, and count as taken: of 50,000 users two in a
 * thousand, of 500,000 one in seven.
 */
export class RecentUsers {
  private readonly words = new Uint32Array(bitCount / 32);

  /** @param sinceWallMs epoch ms: what the queue took before is not known */
  constructor(private sinceWallMs: number) {}

  /** Nothing was taken before either. */
  isNew(): void {
    this.sinceWallMs = -Infinity;
  }

  took(entries: readonly CheckedEntry[]): void {
    for (const { userKey } of entries)
      for (const bit of bitsOf(hashUserKey(userKey))) this.words[bit >>> 5]! |= 1 << (bit & 31);
  }

  /** Whether nothing newer of the row's user can have been taken. */
  allows({ userHash, takenWallMs }: Pick<Row, 'userHash' | 'takenWallMs'>): boolean {
    return takenWallMs >= this.sinceWallMs && bitsOf(userHash).some((bit) => !this.has(bit));
  }

  private has(bit: number): boolean {
    return (this.words[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }
}

/** Of a hash of 53 bits, the lower 21 and the next. */
function bitsOf(userHash: number): readonly [number, number] {
  return [userHash % bitCount, Math.floor(userHash / bitCount) % bitCount];
}

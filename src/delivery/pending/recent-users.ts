// Whose entries a queue took lately, so that an older entry from another queue never goes after a newer one.
//
// What is known is saved when the queue is parked, with the number that its log had reached: after a crash, or when
// something was taken since, the numbers differ, and nothing that is older than the start may be moved.

import type { CheckedEntry } from '../../entry/entry';
import { hashUserKey } from '../../entry/keys';
import type { Row } from '../../queue/store';

/** 256 KiB, however many users there are. */
const bitCount = 2 ** 21;
const wordCount = bitCount / 32;

interface Saved {
  /** How far the log went. */
  readonly lastSeq: number;
  /** Epoch ms; null for never. */
  readonly unknown: number | null;
  readonly recorded: number | null;
  readonly last: number | null;
  /** Base64; null when users were not recorded. */
  readonly users: string | null;
}

type Moved = Pick<Row, 'userHash' | 'takenWallMs'>;

/**
 * Two bits for each user. Some users share both with others that were taken, and count as taken: of 50,000 users two in a
 * thousand, of 500,000 one in seven.
 */
export class RecentUsers {
  /** Null while users are not recorded. */
  private words: Uint32Array | null = null;
  /** Epoch ms: what the queue took until then is not known. */
  private unknownWallMs = Infinity;
  /** Whom it took until then is not in the bits. */
  private recordedWallMs = -Infinity;
  private lastWallMs = -Infinity;
  /** Rows that were moved here: not to be moved again by a later process, when they are still in their queue. */
  private moved: Uint32Array | null = null;
  private movedWallMs = -Infinity;

  /** @param startedWallMs epoch ms: what an earlier process took, it took before */
  constructor(private readonly startedWallMs: number) {}

  /** @param saved what `text` gave an earlier process, if anything */
  opened(lastSeq: number, saved: string | null): void {
    const { unknown, recorded, last, users } = lastSeq === 0 ? nothingTaken : this.read(saved, lastSeq);
    this.unknownWallMs = unknown ?? -Infinity;
    const recordedWallMs = users === null ? last : recorded;
    this.recordedWallMs = Math.max(this.recordedWallMs, recordedWallMs ?? -Infinity);
    this.lastWallMs = Math.max(this.lastWallMs, last ?? -Infinity);
    if (users !== null && this.words !== null) merge(this.words, wordsOf(users));
  }

  private read(text: string | null, lastSeq: number): Saved {
    const unknown = { ...nothingTaken, unknown: this.startedWallMs };
    try {
      const saved = text === null ? null : (JSON.parse(text) as Saved);
      return saved?.lastSeq === lastSeq ? saved : unknown;
    } catch {
      // Damaged: the queue works without it.
      return unknown;
    }
  }

  /** From now on. */
  record(): void {
    if (this.words !== null) return;
    this.words = new Uint32Array(wordCount);
    this.recordedWallMs = this.lastWallMs;
  }

  took(entries: readonly CheckedEntry[], wallMs: number): void {
    this.lastWallMs = Math.max(this.lastWallMs, wallMs);
    if (this.words === null) return;
    for (const { userKey } of entries) add(this.words, hashUserKey(userKey));
  }

  tookMoved(rows: readonly Moved[]): void {
    this.moved ??= new Uint32Array(wordCount);
    for (const { userHash, takenWallMs } of rows) {
      add(this.moved, userHash);
      this.movedWallMs = Math.max(this.movedWallMs, takenWallMs);
    }
  }

  /** Whether nothing newer of the row's user can have been taken. */
  allows({ userHash, takenWallMs }: Moved): boolean {
    if (takenWallMs <= this.unknownWallMs) return false;
    if (takenWallMs > this.lastWallMs) return true;
    return this.words !== null && takenWallMs > this.recordedWallMs && !has(this.words, userHash);
  }

  /** For the next process. */
  text(lastSeq: number): string {
    const { words, moved } = this;
    const saved: Saved = {
      lastSeq,
      unknown: finite(this.unknownWallMs),
      recorded: finite(this.recordedWallMs),
      last: finite(Math.max(this.lastWallMs, this.movedWallMs)),
      users: words === null ? null : textOf(moved === null ? words : merge(new Uint32Array(words), moved)),
    };
    return JSON.stringify(saved);
  }
}

const nothingTaken: Saved = { lastSeq: 0, unknown: null, recorded: null, last: null, users: null };

function finite(wallMs: number): number | null {
  return wallMs === -Infinity ? null : wallMs;
}

function add(words: Uint32Array, userHash: number): void {
  for (const bit of bitsOf(userHash)) words[bit >>> 5]! |= 1 << (bit & 31);
}

function has(words: Uint32Array, userHash: number): boolean {
  return bitsOf(userHash).every((bit) => (words[bit >>> 5]! & (1 << (bit & 31))) !== 0);
}

function merge(words: Uint32Array, others: Uint32Array): Uint32Array {
  others.forEach((word, at) => (words[at]! |= word));
  return words;
}

/** Of a hash of 53 bits, the lower 21 and the next. */
function bitsOf(userHash: number): readonly [number, number] {
  return [userHash % bitCount, Math.floor(userHash / bitCount) % bitCount];
}

function textOf(words: Uint32Array): string {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('base64');
}

function wordsOf(text: string): Uint32Array {
  return new Uint32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}

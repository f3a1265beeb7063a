// Recent users of a queue: prevents that an older entry from another queue is moved behind a newer one of its
// user.
//
// The state is saved with the last sequence number when the queue is parked. After a crash, or when the queue
// grew since, the numbers differ; then no entry older than the start may be moved.

import { hashUserKey } from '../../entry/keys';
import type { Row } from '../../queue/store';
import { checkedOf, type Submission } from '../submission';

/** 256 KiB, independent of the number of users. */
const bitCount = 2 ** 21;
const wordCount = bitCount / 32;

interface Saved {
  /** Last sequence number of the queue. */
  readonly lastSeq: number;
  /** Epoch ms; null for never. */
  readonly unknown: number | null;
  readonly recorded: number | null;
  readonly last: number | null;
  /** Base64; null when users were not recorded. */
  readonly users: string | null;
}

type Moved = Pick<Row, 'userHash' | 'appendedWallMs'>;

/**
 * Bloom filter with two bits for each user. Some users share both bits with others and count as recent: two in
 * a thousand for 50,000 recent users, one in seven for 500,000.
 */
export class RecentUsers {
  /** Null while users are not recorded. */
  private words: Uint32Array | null = null;
  /** Epoch ms; the users of entries accepted until then are unknown. */
  private unknownWallMs = Infinity;
  /** Epoch ms; the users of entries accepted until then are not in the filter. */
  private recordedWallMs = -Infinity;
  private lastWallMs = -Infinity;
  /**
   * Users of rows that were moved here. A later process must not move them again while they are still in their
   * old queue.
   */
  private moved: Uint32Array | null = null;
  private movedWallMs = -Infinity;

  /** @param startedWallMs epoch ms of the start; entries of earlier processes are older */
  constructor(private readonly startedWallMs: number) {}

  /** @param saved text that an earlier process saved, or null */
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
      // Damaged state counts as unknown; the queue works without it.
      return unknown;
    }
  }

  get records(): boolean {
    return this.words !== null;
  }

  /** Starts recording. */
  record(): void {
    if (this.words !== null) return;
    this.words = new Uint32Array(wordCount);
    this.recordedWallMs = this.lastWallMs;
  }

  appended(entries: Submission['entries'], wallMs: number): void {
    this.lastWallMs = Math.max(this.lastWallMs, wallMs);
    if (this.words === null) return;
    for (const { userKey } of checkedOf(entries)) add(this.words, hashUserKey(userKey));
  }

  appendedMoved(rows: readonly Moved[]): void {
    this.moved ??= new Uint32Array(wordCount);
    for (const { userHash, appendedWallMs } of rows) {
      add(this.moved, userHash);
      this.movedWallMs = Math.max(this.movedWallMs, appendedWallMs);
    }
  }

  /** Whether no newer entry of the row's user can be in the queue. */
  allows({ userHash, appendedWallMs }: Moved): boolean {
    if (appendedWallMs <= this.unknownWallMs) return false;
    if (appendedWallMs > this.lastWallMs) return true;
    return this.words !== null && appendedWallMs > this.recordedWallMs && !has(this.words, userHash);
  }

  /** State for the next process, as JSON. */
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

/** Two bit positions from a 53-bit hash: its lowest 21 bits and the next 21. */
function bitsOf(userHash: number): readonly [number, number] {
  return [userHash % bitCount, Math.floor(userHash / bitCount) % bitCount];
}

function textOf(words: Uint32Array): string {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('base64');
}

function wordsOf(text: string): Uint32Array {
  return new Uint32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}

// The rows of one lane in memory: ordered by number, packed into chunks of columns, a few bytes beside each body.

import type { NewRow, Row, RowState } from './outbox';
import { stateCodes, statesByCode } from './row-codes';

/** A chunk is repacked when fewer than a quarter of its rows are left. */
const repackBelow = 0.25;
/** Neighbours are packed into one chunk while together they fill no more than this of one. */
const mergeUpTo = 0.5;

const gone = 3;

/** Rows side by side, a column each: an object a row would cost five times as much beside the body. */
class Chunk {
  length = 0;
  live = 0;
  shields = 0;
  readonly seq: Float64Array;
  readonly userHash: Float64Array;
  readonly bornWallMs: Float64Array;
  readonly bornMonoMs: Float64Array;
  readonly takenWallMs: Float64Array;
  readonly source: Uint32Array;
  readonly state: Uint8Array;
  readonly body: (string | undefined)[] = [];

  constructor(readonly capacity: number) {
    this.seq = new Float64Array(capacity);
    this.userHash = new Float64Array(capacity);
    this.bornWallMs = new Float64Array(capacity);
    this.bornMonoMs = new Float64Array(capacity);
    this.takenWallMs = new Float64Array(capacity);
    this.source = new Uint32Array(capacity);
    this.state = new Uint8Array(capacity);
  }

  push(row: NewRow, source: number): void {
    const at = this.length++;
    this.live++;
    this.seq[at] = row.seq;
    this.userHash[at] = row.userHash;
    this.bornWallMs[at] = row.bornWallMs;
    this.bornMonoMs[at] = row.bornMonoMs;
    this.takenWallMs[at] = row.takenWallMs;
    this.source[at] = source;
    this.state[at] = stateCodes.waiting;
    this.body[at] = row.body;
  }

  /** Takes over the rows of `from` that are left; there must be room. */
  pushLive(from: Chunk): void {
    for (let at = 0; at < from.length; at++) {
      if (from.state[at] === gone) continue;
      const to = this.length++;
      this.seq[to] = from.seq[at]!;
      this.userHash[to] = from.userHash[at]!;
      this.bornWallMs[to] = from.bornWallMs[at]!;
      this.bornMonoMs[to] = from.bornMonoMs[at]!;
      this.takenWallMs[to] = from.takenWallMs[at]!;
      this.source[to] = from.source[at]!;
      this.state[to] = from.state[at]!;
      this.body[to] = from.body[at];
    }
    this.live += from.live;
    this.shields += from.shields;
  }

  clear(): void {
    this.length = 0;
    this.live = 0;
    this.shields = 0;
    this.body.length = 0;
  }

  /** Index of the row with this number, or -1. */
  indexOf(seq: number): number {
    const at = this.firstAbove(seq - 1);
    return at < this.length && this.seq[at] === seq && this.state[at] !== gone ? at : -1;
  }

  /** Index of the first row with a number above `seq`. */
  firstAbove(seq: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.seq[middle]! > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** What the rest of the memory store needs to know of a row that changed or went. */
export interface Touched {
  readonly seq: number;
  readonly userHash: number;
  readonly before: RowState;
  readonly bodyChars: number;
}

/** One lane. Sources are numbers here; `rowAt` gets them as objects from `sources`. */
export class LaneRows {
  #chunks: Chunk[] = [];

  constructor(
    private readonly lane: Row['lane'],
    private readonly sources: readonly Row['source'][],
    private readonly chunkRows = 1024,
  ) {}

  /** The row's number must be above every number of this lane. */
  push(row: NewRow, source: number): void {
    let last = this.#chunks.at(-1);
    if (last === undefined || last.length === last.capacity) {
      last = new Chunk(this.chunkRows);
      this.#chunks.push(last);
    }
    last.push(row, source);
  }

  get(seq: number): Row | null {
    const chunk = this.#chunks[this.#chunkOf(seq)];
    const at = chunk?.indexOf(seq) ?? -1;
    return chunk === undefined || at < 0 ? null : this.#rowAt(chunk, at);
  }

  /** Null when the lane does not hold the row. */
  setState(seq: number, state: RowState): Touched | null {
    const chunk = this.#chunks[this.#chunkOf(seq)];
    const at = chunk?.indexOf(seq) ?? -1;
    if (chunk === undefined || at < 0) return null;
    const touched = touch(chunk, at);
    if (touched.before === 'shield') chunk.shields--;
    if (state === 'shield') chunk.shields++;
    chunk.state[at] = stateCodes[state];
    return touched;
  }

  /** Null when the lane does not hold the row. */
  remove(seq: number): Touched | null {
    const index = this.#chunkOf(seq);
    const chunk = this.#chunks[index];
    const at = chunk?.indexOf(seq) ?? -1;
    if (chunk === undefined || at < 0) return null;
    const touched = drop(chunk, at);
    this.#giveBack(index, chunk);
    return touched;
  }

  /** Removes the shields with a number up to `through`. Chunks without shields are passed over. */
  dropShieldsThrough(through: number): Touched[] {
    const dropped: Touched[] = [];
    let index = 0;
    while (index < this.#chunks.length) {
      const chunk = this.#chunks[index]!;
      if (chunk.length > 0 && chunk.seq[0]! > through) break;
      if (chunk.shields > 0) dropShields(chunk, through, dropped);
      // Repacking may take chunks away in front of or at this place; no shield hides in what moved.
      const before = this.#chunks.length;
      this.#giveBack(index, chunk);
      index += 1 - (before - this.#chunks.length);
    }
    return dropped;
  }

  /** The first `limit` rows with `after` < seq <= `through`, shields excepted unless they are asked for. */
  page(after: number, through: number, limit: number, shieldsToo = false): Row[] {
    const rows: Row[] = [];
    for (let index = Math.max(this.#chunkOf(after), 0); index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]!;
      if (chunk.live === (shieldsToo ? 0 : chunk.shields)) continue;
      for (let at = chunk.firstAbove(after); at < chunk.length; at++) {
        if (rows.length >= limit || chunk.seq[at]! > through) return rows;
        if (chunk.state[at] === gone || (!shieldsToo && chunk.state[at] === stateCodes.shield)) continue;
        rows.push(this.#rowAt(chunk, at));
      }
    }
    return rows;
  }

  firstWaiting(): Row | null {
    for (const chunk of this.#chunks) {
      const at = chunk.state.subarray(0, chunk.length).indexOf(stateCodes.waiting);
      if (at >= 0) return this.#rowAt(chunk, at);
    }
    return null;
  }

  /** Places for rows that are held, used or not. */
  get slots(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.capacity, 0);
  }

  /** Index of the chunk that holds `seq` if any does; -1 when it lies before the first. */
  #chunkOf(seq: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle]!;
      if (chunk.length > 0 && chunk.seq[0]! <= seq) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #giveBack(index: number, chunk: Chunk): void {
    const filling = index === this.#chunks.length - 1 && chunk.capacity === this.chunkRows;
    if (chunk.live === 0) {
      // An idle queue empties with every message: keep the chunk that is being filled.
      if (filling) chunk.clear();
      else this.#chunks.splice(index, 1);
    } else if (!filling && chunk.live < chunk.length * repackBelow) this.#repack(index, chunk);
  }

  #repack(index: number, chunk: Chunk): void {
    const before = this.#chunks[index - 1];
    const merge = before !== undefined && before.live + chunk.live <= this.chunkRows * mergeUpTo;
    const packed = new Chunk(chunk.live + (merge ? before.live : 0));
    if (merge) packed.pushLive(before);
    packed.pushLive(chunk);
    this.#chunks.splice(merge ? index - 1 : index, merge ? 2 : 1, packed);
  }

  #rowAt(chunk: Chunk, at: number): Row {
    return {
      seq: chunk.seq[at]!,
      lane: this.lane,
      state: statesByCode[chunk.state[at]!]!,
      userHash: chunk.userHash[at]!,
      source: this.sources[chunk.source[at]!]!,
      bornWallMs: chunk.bornWallMs[at]!,
      bornMonoMs: chunk.bornMonoMs[at]!,
      takenWallMs: chunk.takenWallMs[at]!,
      body: chunk.body[at]!,
    };
  }
}

function touch(chunk: Chunk, at: number): Touched {
  return {
    seq: chunk.seq[at]!,
    userHash: chunk.userHash[at]!,
    before: statesByCode[chunk.state[at]!]!,
    bodyChars: chunk.body[at]!.length,
  };
}

function drop(chunk: Chunk, at: number): Touched {
  const touched = touch(chunk, at);
  if (touched.before === 'shield') chunk.shields--;
  chunk.state[at] = gone;
  chunk.body[at] = undefined;
  chunk.live--;
  return touched;
}

function dropShields(chunk: Chunk, through: number, dropped: Touched[]): void {
  for (let at = 0; at < chunk.length && chunk.seq[at]! <= through; at++) {
    if (chunk.state[at] === stateCodes.shield) dropped.push(drop(chunk, at));
  }
}

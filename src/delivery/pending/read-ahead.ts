// Read-ahead: decides which part of the queue is in memory. Each lane has one cursor: every row up to it was
// loaded, later rows are only on disk.
//
// While a lane has unread rows, its new entries go to disk only and are read back in order, so that none
// overtakes another. One lane may overtake the other; of users that do, the older rows are read ahead of the cursor
// (older-rows.ts).

import { lanes, type Lane, type Opened, type QueueStore, type Row } from '../../queue/store';
import { OlderRows, type OlderRowsRead } from './older-rows';

interface LaneState {
  /** Every row of the lane with seq <= cursor was loaded. */
  cursor: number;
  /** Highest sequence number of the lane that went to disk only. */
  written: number;
  unread: boolean;
  /** From the call of `read` until its page is in memory. */
  reading: boolean;
  /** Entries of the lane in memory: the first of each user, and further entries of users. */
  loaded: number;
  further: number;
  /** Epoch ms; every unread row was accepted at or after it, as far as known. */
  nextAppendedWallMs: number;
  /** Rows beyond the cursor that have ended while a page is being read, which may still have them. */
  endedWhileReading: Set<number>;
}

export interface ReadPage {
  readonly kind: 'page';
  readonly lane: Lane;
  readonly rows: readonly Row[];
  readonly throughSeq: number;
  readonly full: boolean;
}

export type RowsRead = ReadPage | OlderRowsRead;

/**
 * Number of further entries of users in memory per entry of the high-water mark. Further entries coalesce and
 * need no quota of their own, so more of them are worth their memory.
 */
const furtherPerMark = 4;

/** Multiple of the high-water mark that may be read while nothing else can be sent. */
const stuckMarks = 10;

export class ReadAhead {
  readonly older: OlderRows;
  private readonly states: Record<Lane, LaneState> = {
    add: newLane(),
    removal: newLane(),
    bulk: newLane(),
  };
  /** Every row up to this sequence number is committed. */
  private tail = 0;
  /** The last row of earlier processes. */
  openedThroughSeq = 0;

  constructor(
    private readonly store: QueueStore,
    /** High-water mark: entries of one lane in memory, without further entries of the same users. */
    private readonly memoryMark: number,
    private readonly pageRows: number,
  ) {
    this.older = new OlderRows(store, this);
  }

  /** Initialises the cursors; after opening every row is unread. */
  opened(opened: Opened): void {
    this.tail = opened.lastSeq;
    this.openedThroughSeq = opened.lastSeq;
    for (const lane of lanes) {
      const state = this.states[lane];
      state.written = opened.lastSeq;
      state.unread = opened.lastSeq > 0;
      state.nextAppendedWallMs = opened.oldestAppendedWallMs ?? Infinity;
    }
  }

  /**
   * Returns whether a new entry stays in memory; otherwise it goes to disk only. `further`: its user has
   * entries in memory.
   */
  admits(lane: Lane, seq: number, further: boolean, appendedWallMs = Infinity): boolean {
    const state = this.states[lane];
    if (this.hasRoom(lane, further)) {
      state.cursor = seq;
      this.loaded(lane, further);
      return true;
    }
    this.wroteOnly(state, seq - 1, seq, appendedWallMs);
    return false;
  }

  /** Whether the next new entry stays in memory. */
  hasRoom(lane: Lane, further: boolean): boolean {
    const { unread, loaded, further: others } = this.states[lane];
    return !unread && (further ? others < furtherPerMark * this.memoryMark : loaded < this.memoryMark);
  }

  /** Another instance appended every row up to `seq`, in either lane. */
  appended(seq: number, appendedWallMs: number): void {
    for (const lane of lanes) this.wroteOnly(this.states[lane], this.tail, seq, appendedWallMs);
  }

  /** Rows of a lane after the first number, up to the second, are only in the store. */
  private wroteOnly(state: LaneState, afterSeq: number, throughSeq: number, appendedWallMs: number): void {
    if (!state.unread) {
      state.nextAppendedWallMs = appendedWallMs;
      state.cursor = Math.max(state.cursor, afterSeq);
    }
    state.unread = true;
    state.written = throughSeq;
  }

  /** A commit made every row up to `seq` readable. */
  committed(seq: number): void {
    this.tail = Math.max(this.tail, seq);
  }

  loaded(lane: Lane, further: boolean): void {
    this.states[lane][further ? 'further' : 'loaded'] += 1;
  }

  /** The entry with this number is no longer in memory. `further` as passed to `loaded`. */
  unloaded(lane: Lane, further: boolean, seq: number): void {
    this.states[lane][further ? 'further' : 'loaded'] -= 1;
    this.rowEnded(lane, seq);
  }

  rowEnded(lane: Lane, seq: number): void {
    const state = this.states[lane];
    if (state.reading && seq > state.cursor) state.endedWhileReading.add(seq);
  }

  /** Whether a lane may have unread rows up to this number. */
  hasUnreadIn(lane: Lane, throughSeq: number): boolean {
    return this.states[lane].unread && this.states[lane].cursor < throughSeq;
  }

  hasUnreadThrough(seq: number): boolean {
    return lanes.some((lane) => this.hasUnreadIn(lane, seq));
  }

  /** Every row up to this number was loaded. */
  get readThroughSeq(): number {
    let seq = Infinity;
    for (const lane of lanes) if (this.states[lane].unread) seq = Math.min(seq, this.states[lane].cursor);
    return seq;
  }

  /** Whether a row that was read has not been loaded before, as far as the cursor tells, and has not ended. */
  isNew({ lane, seq }: Row): boolean {
    const { unread, cursor, endedWhileReading } = this.states[lane];
    return unread && seq > cursor && !endedWhileReading.has(seq);
  }

  /** Epoch ms; every unread row that is not bulk was accepted at or after it. Infinity when no such row is unread. */
  get unreadAppendedWallMs(): number {
    let wallMs = Infinity;
    for (const lane of lanes)
      if (lane !== 'bulk' && this.states[lane].unread)
        wallMs = Math.min(wallMs, this.states[lane].nextAppendedWallMs);
    return wallMs;
  }

  /** Whether memory is full to the limit while rows are unread. */
  get isFull(): boolean {
    const most = stuckMarks * this.memoryMark;
    return lanes.some((lane) => this.states[lane].unread && this.states[lane].loaded > most);
  }

  get unreadAny(): boolean {
    return lanes.some((lane) => this.states[lane].unread);
  }

  /**
   * Starts the reads that are due. `failed` receives the error of a failed read, which may be started again.
   * `stuck`: every entry in memory is in a bisection or in a warm-up, which may last long and must not block
   * later rows; then more is read, up to a limit. `sendable`: an entry in memory can be sent, and so makes room.
   */
  request(
    arrived: (read: RowsRead) => void,
    failed: (error: unknown) => void,
    stuck = false,
    sendable = true,
  ): void {
    this.requestPages(arrived, failed, stuck);
    const most = furtherPerMark * this.memoryMark;
    const isFull = lanes.some((lane) => this.states[lane].further > most);
    this.older.request(arrived, failed, isFull ? (sendable ? 0 : 1) : Infinity);
  }

  private requestPages(
    arrived: (read: ReadPage) => void,
    failed: (error: unknown) => void,
    stuck: boolean,
  ): void {
    const mark = stuck ? stuckMarks * this.memoryMark : this.memoryMark / 2;
    for (const lane of lanes) {
      const state = this.states[lane];
      if (!state.unread || state.reading) continue;
      if (state.loaded > mark || state.further > furtherPerMark * mark) continue;
      const throughSeq = this.tail;
      if (throughSeq <= state.cursor) continue;
      state.reading = true;
      this.store.read(lane, state.cursor, throughSeq, this.pageRows).then(
        (rows) => {
          arrived({ kind: 'page', lane, rows, throughSeq, full: rows.length >= this.pageRows });
        },
        (error: unknown) => {
          state.reading = false;
          failed(error);
        },
      );
    }
  }

  /** The rows of a page are in memory. */
  admitted(read: ReadPage): void {
    const state = this.states[read.lane];
    state.reading = false;
    state.endedWhileReading.clear();
    const last = read.rows.at(-1);
    state.cursor = read.full && last !== undefined ? last.seq : read.throughSeq;
    if (last !== undefined) state.nextAppendedWallMs = last.appendedWallMs;
    // A full page may end with the last row. And rows may have been written since the read was started.
    state.unread = state.cursor < Math.max(read.throughSeq, state.written);
  }
}

function newLane(): LaneState {
  return {
    cursor: 0,
    written: 0,
    unread: false,
    reading: false,
    loaded: 0,
    further: 0,
    nextAppendedWallMs: Infinity,
    endedWhileReading: new Set(),
  };
}

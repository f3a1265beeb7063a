// Read-ahead: decides which part of the queue is in memory. Each lane has one cursor: every row up to it was
// loaded, later rows are only on disk.
//
// While a lane has unread rows, its new entries go to disk only and are read back in order, so that none
// overtakes another. One lane may overtake the other; tombstones protect the newer rows (see store.ts).

import { lanes, type Lane, type Opened, type QueueStore, type Page } from '../../queue/store';

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
  nextTakenWallMs: number;
}

export interface ReadPage {
  readonly lane: Lane;
  readonly page: Page;
  readonly throughSeq: number;
  readonly full: boolean;
}

/**
 * Number of further entries of users in memory per entry of the high-water mark. Further entries coalesce and
 * need no quota of their own, so more of them are worth their memory.
 */
const furtherPerMark = 4;

/** Multiple of the high-water mark that may be read while nothing else can be sent. */
const stuckMarks = 10;

export class ReadAhead {
  private readonly states: Record<Lane, LaneState> = { add: newLane(), removal: newLane() };
  /** Every row up to this sequence number is committed. */
  private tail = 0;

  constructor(
    private readonly store: QueueStore,
    /** High-water mark: entries of one lane in memory, without further entries of the same users. */
    private readonly memoryMark: number,
    private readonly pageRows: number,
  ) {}

  /** Initialises the cursors; after opening every row is unread. */
  opened(opened: Opened): void {
    this.tail = opened.lastSeq;
    for (const lane of lanes) {
      const state = this.states[lane];
      state.written = opened.lastSeq;
      state.unread = opened.lastSeq > 0;
      state.nextTakenWallMs = opened.oldestTakenWallMs ?? Infinity;
    }
  }

  /**
   * Returns whether a new entry stays in memory; otherwise it goes to disk only. `further`: its user has
   * entries in memory.
   */
  admits(lane: Lane, seq: number, further: boolean, takenWallMs = Infinity): boolean {
    const state = this.states[lane];
    const room = further ? state.further < furtherPerMark * this.memoryMark : state.loaded < this.memoryMark;
    if (!state.unread && room) {
      state.cursor = seq;
      this.loaded(lane, further);
      return true;
    }
    if (!state.unread) state.nextTakenWallMs = takenWallMs;
    state.unread = true;
    state.written = seq;
    return false;
  }

  /** Another instance appended every row up to `seq`, in either lane. */
  appended(seq: number, takenWallMs: number): void {
    for (const lane of lanes) {
      const state = this.states[lane];
      if (!state.unread) state.nextTakenWallMs = takenWallMs;
      state.unread = true;
      state.written = seq;
    }
  }

  /** A commit made every row up to `seq` readable. */
  committed(seq: number): void {
    this.tail = Math.max(this.tail, seq);
  }

  loaded(lane: Lane, further: boolean): void {
    this.states[lane][further ? 'further' : 'loaded'] += 1;
  }

  /** `further` as passed to `loaded`. */
  unloaded(lane: Lane, further: boolean): void {
    this.states[lane][further ? 'further' : 'loaded'] -= 1;
  }

  /** Whether an unread row may be older than the row with this number. */
  hasUnreadBefore(seq: number): boolean {
    const { removal, add } = this.states;
    return (removal.unread && removal.cursor < seq) || (add.unread && add.cursor < seq);
  }

  /** No unread row has a sequence number up to the returned one, so tombstones up to it can be dropped. */
  tombstoneFloor(lastSeq: number): number {
    let floor = lastSeq;
    for (const lane of lanes) if (this.states[lane].unread) floor = Math.min(floor, this.states[lane].cursor);
    return floor;
  }

  /** Whether a row of a lane has not been loaded. */
  isUnread(lane: Lane, seq: number): boolean {
    return this.states[lane].unread && seq > this.states[lane].cursor;
  }

  /** Epoch ms; every unread row was accepted at or after it. Infinity when no row is unread. */
  get unreadTakenWallMs(): number {
    let wallMs = Infinity;
    for (const lane of lanes)
      if (this.states[lane].unread) wallMs = Math.min(wallMs, this.states[lane].nextTakenWallMs);
    return wallMs;
  }

  /** Whether memory is full to the limit while rows are unread. */
  get isFull(): boolean {
    const most = stuckMarks * this.memoryMark;
    return lanes.some((lane) => this.states[lane].unread && this.states[lane].loaded > most);
  }

  get readingAny(): boolean {
    return lanes.some((lane) => this.states[lane].reading);
  }

  get unreadAny(): boolean {
    return lanes.some((lane) => this.states[lane].unread);
  }

  /**
   * Starts the reads that are due. `failed` receives the error of a failed read, which may be started again.
   * `stuck`: every entry in memory is in a bisection or in a warm-up, which may last long and must not block
   * later rows; then more is read, up to a limit.
   */
  request(arrived: (read: ReadPage) => void, failed: (error: unknown) => void, stuck = false): void {
    const mark = stuck ? stuckMarks * this.memoryMark : this.memoryMark / 2;
    for (const lane of lanes) {
      const state = this.states[lane];
      if (!state.unread || state.reading) continue;
      if (state.loaded > mark || state.further > furtherPerMark * mark) continue;
      const throughSeq = this.tail;
      if (throughSeq <= state.cursor) continue;
      state.reading = true;
      this.store.read(lane, state.cursor, throughSeq, this.pageRows).then(
        (page) => {
          arrived({ lane, page, throughSeq, full: page.rows.length >= this.pageRows });
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
    const last = read.page.rows.at(-1);
    state.cursor = read.full && last !== undefined ? last.seq : read.throughSeq;
    if (last !== undefined) state.nextTakenWallMs = last.takenWallMs;
    // Rows may have been written since the read was started.
    state.unread = read.full || state.written > read.throughSeq;
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
    nextTakenWallMs: Infinity,
  };
}

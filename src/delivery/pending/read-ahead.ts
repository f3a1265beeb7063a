// Which part of the log is in memory. Per lane one cursor: every row up to it was loaded, the rest is on disk only.
//
// While a lane has unread rows, its new entries go to disk only and are read back in order, so that nothing
// overtakes. The lanes may overtake each other: tombstones tell the slower one what went ahead (see store.ts).

import { lanes, type Lane, type Opened, type QueueStore, type Page } from '../../queue/store';

interface LaneState {
  /** Every row of the lane with seq <= cursor has been loaded. */
  cursor: number;
  /** Highest seq of the lane that went to disk only. */
  written: number;
  unread: boolean;
  /** From the request until its page is in memory. */
  reading: boolean;
  /** Entries of the lane in memory: the first of each user, and further ones. */
  loaded: number;
  further: number;
  /** Epoch ms before which no unread row was taken, as far as is known. */
  nextTakenWallMs: number;
}

export interface ReadPage {
  readonly lane: Lane;
  readonly page: Page;
  readonly throughSeq: number;
  readonly full: boolean;
}

/**
 * Further entries of users in memory, for each entry that the memory mark allows: they merge with what is there and
 * cost no place in the quota, so more of them are worth having.
 */
const furtherPerMark = 4;

/** With nothing else to send so many times the memory mark may be read. */
const stuckMarks = 10;

export class ReadAhead {
  private readonly states: Record<Lane, LaneState> = { add: newLane(), removal: newLane() };
  /** Every row up to it is committed. */
  private tail = 0;

  constructor(
    private readonly store: QueueStore,
    /** Entries of one lane kept in memory, further ones of the same users not counted. */
    private readonly memoryMark: number,
    private readonly pageRows: number,
  ) {}

  /** After opening everything is unread. */
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
   * Decides for a new entry: true when it stays in memory, false when it goes to disk only. `further`: its user has
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

  /** Another process appended every row up to `seq`, of whichever lane. */
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

  /** `further` as it was when it was loaded. */
  unloaded(lane: Lane, further: boolean): void {
    this.states[lane][further ? 'further' : 'loaded'] -= 1;
  }

  /** Whether a row with this number, now ended, may still be older than the news of something unread. */
  hasUnreadBefore(seq: number): boolean {
    const { removal, add } = this.states;
    return (removal.unread && removal.cursor < seq) || (add.unread && add.cursor < seq);
  }

  /** Tombstones up to here have nothing unread below them. */
  tombstoneFloor(lastSeq: number): number {
    let floor = lastSeq;
    for (const lane of lanes) if (this.states[lane].unread) floor = Math.min(floor, this.states[lane].cursor);
    return floor;
  }

  /** Whether a row of a lane has not come into memory yet. */
  isUnread(lane: Lane, seq: number): boolean {
    return this.states[lane].unread && seq > this.states[lane].cursor;
  }

  /** Epoch ms at or after which the unread rows were taken, Infinity when there is none. */
  get unreadTakenWallMs(): number {
    let wallMs = Infinity;
    for (const lane of lanes)
      if (this.states[lane].unread) wallMs = Math.min(wallMs, this.states[lane].nextTakenWallMs);
    return wallMs;
  }

  /** Whether as much as may be at all is in memory, and more waits on disk. */
  get brimful(): boolean {
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
   * Starts the reads that are due. A failed read is given to `failed` and may be tried again. `stuck` says that all
   * that is in memory is under search for what the service refused, or waits for something that others do not wait for:
   * that may stay for long and must not hide what lies behind it, so more is read, within bounds.
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

  /** The rows of a page are in memory now. */
  admitted(read: ReadPage): void {
    const state = this.states[read.lane];
    state.reading = false;
    const last = read.page.rows.at(-1);
    state.cursor = read.full && last !== undefined ? last.seq : read.throughSeq;
    if (last !== undefined) state.nextTakenWallMs = last.takenWallMs;
    // Rows may have been written since the page was asked for.
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

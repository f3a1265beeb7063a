// The outbox's contract: a numbered log of what was taken and is not yet settled, with one reader.
//
// Rows are numbered in the order in which they were taken. The engine appends, reads pages in order (one cursor
// per lane), and says in one commit what has ended. A store keeps rows until it is told; it never decides.

import { printable } from '../entry/foreign-text';

/** Rows with a removal are read ahead of the others, so that a buyer does not wait behind viewers. */
export type Lane = 'add' | 'removal';
export const lanes: readonly Lane[] = ['removal', 'add'];

/**
 * - `waiting`: taken, not ended.
 * - `tombstone`: ended, kept because something older of the same user is still unread or unsettled: it tells whoever
 *   reads the older row that a newer one has gone ahead. Never sent, never counted again.
 * - `repeat`: ended and reported, but to be sent once more (after a lost request that may still run). Read in
 *   order like a waiting row; never counted again.
 */
export type RowState = 'waiting' | 'tombstone' | 'repeat';

/** An outcome that the instance that appended the entry has to report. */
export interface OutcomeRow {
  readonly seq: number;
  readonly source: Source;
  readonly instance: string;
  /** JSON; the engine's own words. */
  readonly report: string;
}

/** Which node took an entry, through which account: both are needed to report and to send it after a restart. */
export interface Source {
  readonly node: string;
  readonly account: string;
  /** The process that took it, where several share a log. Stores do not keep it with the source: see `Row.instance`. */
  readonly instance?: string;
}

export interface NewRow {
  /** Number in the log, handed out by the engine: strictly increasing, continuing after `Opened.lastSeq`. */
  readonly seq: number;
  readonly lane: Lane;
  /** 53-bit hash of the user key; equal keys have equal hashes, the reverse is checked on the body. */
  readonly userHash: number;
  readonly source: Source;
  /** When the event happened, in epoch ms (used after a restart). */
  readonly eventWallMs: number;
  /** The same by the process's monotonic clock, in ms (used within the process). */
  readonly eventMonoMs: number;
  /** When it was taken, in epoch ms, for the age of the oldest. */
  readonly takenWallMs: number;
  /** The entry as JSON text (so without lone surrogates, which not every store can keep). */
  readonly body: string;
}

export interface Row extends NewRow {
  readonly state: RowState;
  /** The process that took it, where several share a log (see shared-log.ts). */
  readonly instance?: string;
}

/** Users whose request may have been on its way: hashes of their keys. */
export interface InFlightRecord {
  /** Number of the post within the engine's life, from 1 up; unique among open marks. */
  readonly post: number;
  readonly userHashes: readonly number[];
}

/**
 * One transaction. Every part is optional; an empty commit does nothing. Parts take effect in the order in which
 * they stand here, so that a row may be appended and ended in one commit. Unknown numbers are ignored everywhere.
 */
export interface Commit {
  readonly append?: readonly NewRow[];
  /** Ended rows to keep as tombstones. */
  readonly tombstone?: readonly number[];
  /** Rows that are to be sent once more. */
  readonly repeat?: readonly number[];
  /** Ended rows to delete. Runs of successive numbers are deleted at once. */
  readonly remove?: readonly number[];
  /** Deletes every tombstone with seq <= this. */
  readonly dropTombstonesThrough?: number;
  /** Posts about to leave. A post that is on its way already makes the commit fail. */
  readonly depart?: readonly InFlightRecord[];
  /** Posts that ended without a reply of the service's own: may run until `untilWallMs` (epoch ms). */
  readonly lost?: readonly { readonly post: number; readonly untilWallMs: number }[];
  /** Posts whose outcome is known: their marks are deleted. Takes the numbers of `Opened.flights` too. */
  readonly arrive?: readonly number[];
  /** What other instances have to report (see shared-log.ts). Other stores have none. */
  readonly outcomes?: readonly OutcomeRow[];
}

/** The mark of a post that an earlier process left behind. */
export interface LeftFlight {
  /** Below 0: `open` renumbers what it finds, so that a new process may count its posts from 1. */
  readonly post: number;
  readonly userHashes: readonly number[];
  /** Until when it may run (epoch ms); null when nobody recorded any outcome. */
  readonly untilWallMs: number | null;
}

/** What a store found when it was opened. */
export interface Opened {
  /** Highest number ever used, 0 in a new store. Survives the deletion of all rows. */
  readonly lastSeq: number;
  /** Rows that are `waiting`. */
  readonly waiting: number;
  /** Sum of the body lengths of all rows, in characters. */
  readonly bodyChars: number;
  /** Marks left over, oldest first. Each stays until a commit says `arrive` with its number. */
  readonly flights: readonly LeftFlight[];
  /** `takenWallMs` of the waiting row with the lowest number, or null. */
  readonly oldestTakenWallMs: number | null;
}

/** A page of rows in order of their numbers, with the tombstones that any of their users have. */
export interface Page {
  readonly rows: readonly Row[];
  /** Tombstones (any lane) whose userHash occurs in `rows` and whose seq is above the smallest seq in `rows`, in order. */
  readonly tombstones: readonly Row[];
}

/** Rows of some users, found by looking at every row. */
export interface UserRows {
  /** In order of their numbers, of any lane and state, tombstones too. */
  readonly rows: readonly Row[];
  /** The last number that was looked at; null when nothing comes after it. */
  readonly throughSeq: number | null;
}

/**
 * A store. Calls are carried out in the order in which they were made, and their results arrive in that order, so
 * that a page never misses a tombstone whose commit resolved before it.
 */
export interface QueueStore {
  /** Whether what a resolved commit wrote survives kill -9. */
  readonly durable: boolean;
  /** Rejects with a QueueError; may then be called again. Also after `close`. */
  open(): Promise<Opened>;
  /**
   * Resolves when the commit is durable; rejects with a QueueError and has then changed nothing. Once the cause
   * of a failure is gone the next commit works, except after `damaged`: then every call fails until `open`.
   */
  commit(commit: Commit): Promise<void>;
  /**
   * The first `limit` rows of a lane with seq > `afterSeq` and seq <= `throughSeq`, tombstones excepted. Fewer than
   * `limit` means that the lane has no more up to `throughSeq`: read on after `throughSeq`, as the rows in between
   * would be passed over again.
   */
  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<Page>;
  /**
   * Looks at the first `limit` rows with seq > `afterSeq` for those of the users with these hashes. There is no
   * index for it, as it is only for erasing somebody: ask again after `throughSeq` until that is null.
   */
  rowsOfUsers(userHashes: readonly number[], afterSeq: number, limit: number): Promise<UserRows>;
  /** Small values that outlive a restart, such as authentication times. Null when never set. */
  getMeta(key: string): Promise<string | null>;
  setMeta(key: string, value: string): Promise<void>;
  /** Carries out what was called before; later calls fail with `closed`. */
  close(): Promise<void>;
}

/** Why a store cannot work. `code` is stable; `message` says what, where and what to do. */
export class QueueError extends Error {
  constructor(
    readonly code:
      | 'damaged'
      | 'readonly'
      | 'full'
      | 'locked'
      | 'newer_version'
      /** Encrypted, and no secret at hand opens it. */
      | 'encrypted'
      | 'unavailable'
      | 'closed'
      | 'failed'
      /** The lease of a shared log is lost. */
      | 'fenced',
    message: string,
    options?: ErrorOptions,
  ) {
    // It quotes paths, databases and drivers.
    super(printable(message, 4_000), options);
    this.name = 'QueueError';
  }
}

// Queue store: the contract of a numbered log of pending entries with one reader.
//
// Rows are numbered in the order in which they were accepted. The engine appends, reads pages in order (one
// cursor per lane), and acknowledges rows in commits. A store decides nothing: it keeps each row until a commit
// removes it.

import { printable } from '../entry/foreign-text';
import type { MemberChange, SyncState, SyncStore } from './sync-store';

/**
 * Rows with a removal are read before the others, so that removals do not wait for a backlog of adds. `bulk`: rows of a
 * whole audience, adds and removals, which wait behind both.
 */
export type Lane = 'add' | 'removal' | 'bulk';
/** In the order in which they are sent. */
export const lanes: readonly Lane[] = ['removal', 'add', 'bulk'];

/**
 * - `waiting`: pending.
 * - `repeat`: ended and reported, but kept: it must be sent again after an ambiguous request that may still run, or after
 *   an older row of its user that is open. Read in order like a waiting row; never counted again.
 */
export type RowState = 'waiting' | 'repeat';

/** An outcome that the instance that appended the entry has to report. */
export interface OutcomeRow {
  readonly seq: number;
  readonly source: Source;
  readonly instance: string;
  /** JSON; only the engine reads it. */
  readonly report: string;
}

/** The node that accepted an entry, and its account: needed to report and to send the entry after a restart. */
export interface Source {
  readonly node: string;
  readonly account: string;
  /**
   * The instance that accepted it, in a shared queue. Stores do not keep it with the source: see
   * `Row.instance`.
   */
  readonly instance?: string;
}

export interface NewRow {
  /** Sequence number, assigned by the engine: strictly increasing, continuing after `Opened.lastSeq`. */
  readonly seq: number;
  readonly lane: Lane;
  /**
   * 53-bit hash of the user key. Equal keys have equal hashes; different keys may share a hash, so compare the
   * bodies.
   */
  readonly userHash: number;
  readonly source: Source;
  /** Epoch ms of the event (used after a restart). */
  readonly eventWallMs: number;
  /** The same by the process's monotonic clock, in ms (used within the process). */
  readonly eventMonoMs: number;
  /** Epoch ms when the entry was accepted, for the age of the oldest entry. */
  readonly appendedWallMs: number;
  /** The entry as JSON text (so without lone surrogates, which some stores cannot keep). */
  readonly body: string;
  /**
   * Whether the row is only in the store, not in memory: `rowsOfUsers` must find it. Once a store is opened again, it finds
   * every row.
   */
  cold?: boolean;
}

export interface Row extends Omit<NewRow, 'cold'> {
  readonly state: RowState;
  /** The instance that accepted it, in a shared queue (see shared-log.ts). */
  readonly instance?: string;
}

/** In-flight record: the users of a request that may be running, as hashes of their keys. */
export interface InFlightRecord {
  /** Number of the request within the engine's life, from 1 up; unique among the records in the store. */
  readonly post: number;
  readonly userHashes: readonly number[];
}

/**
 * One transaction. Every part is optional; an empty commit does nothing. Parts take effect in the order of this
 * declaration, so that a row may be appended and ended in one commit. Unknown numbers are ignored everywhere.
 */
export interface Commit {
  readonly append?: readonly NewRow[];
  /** Ended rows to keep. */
  readonly repeat?: readonly number[];
  /** Ended rows to delete. Runs of successive numbers are deleted at once. */
  readonly remove?: readonly number[];
  /** Requests about to be sent. The commit fails if one of them already has a record. */
  readonly begin?: readonly InFlightRecord[];
  /** Requests that were ambiguous: each may run until `untilWallMs` (epoch ms). */
  readonly unknown?: readonly { readonly post: number; readonly untilWallMs: number }[];
  /** Requests with a known outcome: their records are deleted. Accepts the numbers of `Opened.recovered` too. */
  readonly settle?: readonly number[];
  /** Outcomes that other instances have to report (see shared-log.ts). Only for shared logs. */
  readonly outcomes?: readonly OutcomeRow[];
  /** Members of synced segments, in order: those that this commit acknowledges. */
  readonly members?: readonly MemberChange[];
  /** States of syncs; ignored where the segment is not kept. */
  readonly syncStates?: readonly SyncState[];
}

/** Recovered in-flight request: the record of a request that an earlier process left. */
export interface RecoveredRecord {
  /** Below 0: `open` renumbers the records that it finds, so that a new process may count from 1. */
  readonly post: number;
  readonly userHashes: readonly number[];
  /** Epoch ms until which it may run; null when no outcome was recorded. */
  readonly untilWallMs: number | null;
}

/** State of a store when it is opened. */
export interface Opened {
  /** Highest number ever used, 0 in a new store. Survives the deletion of all rows. */
  readonly lastSeq: number;
  /** Number of `waiting` rows. */
  readonly waiting: number;
  /** Sum of the body lengths of all rows, in characters. */
  readonly bodyChars: number;
  /** Recovered in-flight requests, oldest first. Each stays until a commit settles its number. */
  readonly recovered: readonly RecoveredRecord[];
  /** `appendedWallMs` of the waiting row with the lowest number, or null. */
  readonly oldestAppendedWallMs: number | null;
}

/** The rows of one user with seq > `afterSeq` and seq <= `throughSeq`. */
export interface UserRange {
  readonly userHash: number;
  readonly afterSeq: number;
  readonly throughSeq: number;
}

/**
 * A store. Calls are carried out in the order in which they were made, and results arrive in that order, so
 * that a read never returns a row whose removal was committed before it.
 */
export interface QueueStore {
  /** Members of synced segments, and the runs that change them; absent where the store keeps none. */
  readonly sync?: SyncStore;
  /** Whether the content of a resolved commit survives kill -9. */
  readonly durable: boolean;
  /** Rejects with a QueueError; may then be called again. Also after `close`. */
  open(): Promise<Opened>;
  /**
   * Resolves when the commit is durable. Rejects with a QueueError and has then changed nothing. Once the cause
   * of a failure is gone the next commit works, except after `damaged`: then every call fails until `open`.
   */
  commit(commit: Commit): Promise<void>;
  /**
   * The first `limit` rows of a lane with seq > `afterSeq` and seq <= `throughSeq`, in order. Fewer than `limit`
   * rows mean that the lane has no more up to `throughSeq`: continue after `throughSeq`, so that the rows in
   * between are not scanned again.
   */
  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<readonly Row[]>;
  /**
   * For each range its first `limit` rows, of any lane and state, in order; fewer than `limit` rows mean that
   * there are no more. Cold rows for certain, others perhaps. The work grows with the length of the range, by an index.
   */
  rowsOfUsers(ranges: readonly UserRange[], limit: number): Promise<readonly (readonly Row[])[]>;
  /** Small values that survive a restart, such as login times. Null when never set. */
  getMeta(key: string): Promise<string | null>;
  setMeta(key: string, value: string): Promise<void>;
  /** Carries out earlier calls; later calls fail with `closed`. */
  close(): Promise<void>;
}

/** Why a store does not work. `code` is stable; `message` says what is wrong, where and what to do. */
export class QueueError extends Error {
  constructor(
    readonly code:
      | 'damaged'
      | 'readonly'
      | 'full'
      | 'locked'
      | 'newer_version'
      /** Encrypted, and no known secret decrypts it. */
      | 'encrypted'
      | 'unavailable'
      | 'closed'
      | 'failed'
      /** The lease of a shared log is lost. */
      | 'fenced',
    message: string,
    options?: ErrorOptions,
  ) {
    // The message quotes paths, databases and drivers.
    super(printable(message, 4_000), options);
    this.name = 'QueueError';
  }
}

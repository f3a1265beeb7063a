// Shared log: the contract of a queue with several instances (architecture.md 5). Every instance appends; only
// the active one, which holds the lease, reads and acknowledges. Its engine uses the queue as a QueueStore like
// any other.
//
// The store assigns sequence numbers without gaps, and rows become visible in their order: an instance that can
// read row 7 can read row 6 too. So a cursor never passes a row that is committed later. Times are by the
// store's clock, so that machines with different clocks agree; the store converts them to and from this
// machine's clock.

import type { NewRow, QueueStore } from './store';
import type { SyncState } from './sync-store';

/** One Node-RED process. */
export interface Instance {
  /** Random for each process, so that nothing of an earlier process is mistaken for its own. */
  readonly id: string;
  /** For people, such as the machine's name. */
  readonly name: string;
}

/** A row as an instance appends it; the store assigns its number. */
export type SharedRow = Omit<NewRow, 'seq' | 'eventMonoMs' | 'cold'>;

/**
 * Rows that one instance appends in one transaction. The producer id and the batch sequence make a repeated
 * append idempotent: the sequences of a producer increase (gaps are allowed), and a batch whose sequence is not
 * above the last one is not appended again.
 */
export interface Batch {
  readonly producerId: string;
  readonly batchSequence: number;
  /** Id of the instance that has to report the outcomes. At least one row; all or none are appended. */
  readonly instance: string;
  readonly rows: readonly SharedRow[];
  /**
   * States of syncs that change with the batch. Only the active instance has any: the batch is not appended once its fencing
   * token is over, and then rejects with `fenced`.
   */
  readonly sync?: { readonly fencingToken: number; readonly states: readonly SyncState[] };
  /** Limits of the whole queue. */
  readonly maxEntries: number;
  readonly maxChars: number;
}

export type Appended =
  /**
   * The rows have these sequence numbers, without gaps. Also the result when this batch was already the
   * producer's last.
   */
  | { readonly kind: 'appended'; readonly firstSeq: number; readonly lastSeq: number }
  /** The batch was appended before the producer's last one; the numbers of its rows are no longer known. */
  | { readonly kind: 'before' }
  /** Over a limit: nothing was appended. */
  | { readonly kind: 'full'; readonly waiting: number };

/** Result of a claim. */
export interface Claim {
  /** Fencing token: increases whenever the lease is won, also by the same holder. */
  readonly fencingToken: number;
  /** Null when nobody holds the lease and the caller did not want it. */
  readonly holder: Instance | null;
  /** Whether the caller holds the lease, for `leaseMs` from the call on. */
  readonly ours: boolean;
  /** Ms until the lease runs out, by the store's clock; only with a holder. */
  readonly leftMs: number;
  /** Last sequence number of the whole queue. */
  readonly lastSeq: number;
  readonly waiting: number;
  /** Instances that claimed within `aliveMs`, including the caller. */
  readonly instances: readonly Instance[];
  readonly control: Control;
  /** Whether the caller has outcomes to report: see `outcomes`. */
  readonly hasOutcomes: boolean;
}

/** Control state: requests of operators for the whole queue. */
export interface Control {
  readonly paused: boolean;
  /** Number of flushes that were requested. */
  readonly flushes: number;
  /** Increases when a deletion is requested and when one is carried out. */
  readonly deletions: number;
}

/** A purge, or an erasure of one user. */
export interface SharedDeletionRequest {
  /** Last sequence number that the deletion covers: the last row when it was requested. */
  readonly throughSeq: number;
  /** Epoch ms of the request, by the store's clock. In buffers it covers the entries accepted until then. */
  readonly askedMs: number;
  /** Null for a purge. */
  readonly user: { readonly keys: readonly string[]; readonly id: string } | null;
}

export interface SharedDeletion extends SharedDeletionRequest {
  /** `Control.deletions` right after the request. */
  readonly id: number;
  /** Null until the active instance has carried out the deletion. */
  readonly result: SharedDeletionResult | null;
}

/** See `Erased` in deletions.ts; a purge has no segments. */
export interface SharedDeletionResult {
  readonly entries: number;
  readonly inFlight: number;
  readonly segments: number;
}

/**
 * An instance without a sign of life for this time is gone. A deletion is kept for the same time after it is
 * carried out.
 */
export const aliveMs = 60_000;

/** Outcomes of one commit that one instance has to report. */
export interface StoredOutcomes {
  readonly id: number;
  /** JSON: an array of `{seq, node, account, report}`. */
  readonly text: string;
}

/** Notification about another instance. Notifications are hints: each may be missing, late or duplicated. */
export type News =
  | { readonly kind: 'rows' | 'outcomes' | 'control' | 'lease' }
  | { readonly kind: 'connected' | 'lost' };

export interface SharedLog {
  /** Connects and migrates the tables. Rejects with a QueueError; may then be called again. */
  open(): Promise<void>;
  /**
   * Appends a batch. May have been carried out even if it rejects with a QueueError: append the same batch
   * again.
   */
  append(batch: Batch): Promise<Appended>;
  /** Sequence of a producer's last batch; 0 for a new producer. */
  appendedThrough(producerId: string): Promise<number>;
  /**
   * Records that the instance is alive. If `wants`, takes or renews the lease for `leaseMs` by the store's
   * clock when the lease is free, has run out or is held by the caller, or when the connection of its holder has
   * ended. `fencingToken` is the caller's, or null: a lease that was lost in between is not renewed under its old
   * token, but won anew.
   */
  claim(instance: Instance, wants: boolean, fencingToken: number | null, leaseMs: number): Promise<Claim>;
  /** Releases the lease at once if it is still held under this token, and notifies the others. */
  release(instance: Instance, fencingToken: number): Promise<void>;
  /**
   * The queue as the lease holder uses it. `open` reads the in-flight records of the previous holder. Each
   * `commit` is carried out only while the lease is held under this token; otherwise it rejects with the code
   * `fenced` and changes nothing. A commit with new rows fails, because rows are appended with `append`.
   *
   * A commit whose result is unknown stays pending until it is known, also when the lease is lost meanwhile,
   * because this instance reports outcomes only then. `read` adds the `instance` to each row.
   */
  store(instance: Instance, fencingToken: number): QueueStore;
  /** Small values for every instance; an instance without the lease only reads the engine's values. */
  readonly meta: Pick<QueueStore, 'getMeta' | 'setMeta'> & {
    /** Sets the value if the current one is `before` (null: not set). Resolves to whether it did. */
    replaceMeta(key: string, before: string | null, value: string): Promise<boolean>;
  };
  /** Epoch ms by the store's clock, as last measured. */
  nowMs(): number;
  /**
   * Deletes the outcomes with the ids in `reported`, and reads up to `limit` others that this instance has to
   * report: those of entries that it appended, and while it holds the lease those of instances that are gone.
   */
  outcomes(
    instance: Instance,
    reported: readonly number[],
    limit: number,
  ): Promise<readonly StoredOutcomes[]>;
  setPaused(paused: boolean): Promise<void>;
  /** Requests a flush. */
  flush(): Promise<void>;
  /** Resolves to the deletion's id. */
  requestDeletion(request: SharedDeletionRequest): Promise<number>;
  /** All deletions that are not carried out, and those carried out within `aliveMs`. */
  deletions(): Promise<readonly SharedDeletion[]>;
  /** Records the result of a deletion. Does nothing if the lease is no longer held under this token. */
  finishDeletion(
    instance: Instance,
    fencingToken: number,
    id: number,
    result: SharedDeletionResult,
  ): Promise<void>;
  /** Sets the only listener, until `close`. */
  onNews(listener: (news: News) => void): void;
  /**
   * Records that the instance is gone, so that the active one reports its outcomes from then on, and closes the
   * connections. An `open` in progress rejects and leaves no connection.
   */
  close(instance: Instance): Promise<void>;
}

// One log for several processes: its contract. Every process appends; one at a time, the holder of the lease, reads
// and acknowledges. The engine sees the holder's side of it as an Outbox like any other.
//
// Numbers are the store's, without gaps, and become visible in their order: whoever sees row 7 sees row 6 too. So a
// cursor never passes a row that is committed later. Times are by the store's clock, so that machines whose clocks
// differ agree: a store converts them to and from this machine's clock.

import type { NewRow, QueueStore } from './store';

/** Which process. */
export interface Instance {
  /** Random, anew for each process, so that nothing of an earlier one is taken for its own. */
  readonly id: string;
  /** For people: the machine's name, say. */
  readonly name: string;
}

/** A row as a process hands it in; the store gives it its number. */
export type SharedRow = Omit<NewRow, 'seq' | 'eventMonoMs'>;

/**
 * What one process appends in one transaction. `stream` and `number` make it safe to hand in again when nobody knows
 * whether it was committed: a stream's batches have rising numbers (any gaps), and one that is not above the last of
 * its stream is not appended again.
 */
export interface Batch {
  readonly stream: string;
  readonly number: number;
  /** The process that took them, to be told of their ends. At least one row; all or none are appended. */
  readonly instance: string;
  readonly rows: readonly SharedRow[];
  /** The caps of the whole queue. */
  readonly maxEntries: number;
  readonly maxChars: number;
}

export type Appended =
  /** The numbers of its rows, one after the other. Also when this batch was the stream's last already. */
  | { readonly kind: 'appended'; readonly firstSeq: number; readonly lastSeq: number }
  /** An earlier batch of the stream than its last: its rows are in, their numbers are not known any more. */
  | { readonly kind: 'before' }
  /** Over a cap: nothing was appended. */
  | { readonly kind: 'full'; readonly waiting: number };

/** What a claim found. */
export interface Claim {
  /** Rises whenever the lease goes to another holder, or to the same anew. */
  readonly epoch: number;
  /** Null when nobody holds it, and it was not asked for. */
  readonly holder: Instance | null;
  /** Whether the caller holds it, from the call on for `leaseMs`. */
  readonly ours: boolean;
  /** Of the whole queue. */
  readonly lastSeq: number;
  readonly waiting: number;
  /** Processes that claimed within `aliveMs`, the caller too. */
  readonly instances: readonly Instance[];
  readonly control: Control;
  /** The caller has outcomes to report: see `outcomes`. */
  readonly hasOutcomes: boolean;
}

/** What operators asked of the whole queue. */
export interface Control {
  readonly paused: boolean;
  /** How often a flush was asked for. */
  readonly flushes: number;
  /** Rises when a deletion is asked for and when one is carried out. */
  readonly deletions: number;
}

/** A purge, or an erasure of one user. */
export interface SharedDeletionRequest {
  /** It reaches rows up to this number: those that were in the queue when it was asked for. */
  readonly throughSeq: number;
  /** When it was asked for, in epoch ms by the store's clock: of entries in a buffer it reaches those taken until then. */
  readonly askedMs: number;
  /** Null for a purge. */
  readonly user: { readonly keys: readonly string[]; readonly id: string } | null;
}

export interface SharedDeletion extends SharedDeletionRequest {
  /** `Control.deletions` right after it was asked for. */
  readonly id: number;
  /** Null until the active instance has carried it out. */
  readonly result: SharedDeletionResult | null;
}

/** See `Dismissed`. */
export interface SharedDeletionResult {
  readonly entries: number;
  readonly inFlight: number;
}

/** An instance that says nothing for so long is gone. A deletion is kept for as long once it is carried out. */
export const aliveMs = 60_000;

/** Outcomes of one commit that one instance has to report. */
export interface StoredOutcomes {
  readonly id: number;
  /** JSON: an array of `{seq, node, account, report}`. */
  readonly text: string;
}

/** What another process did. Hints: each may be missing, late or double. */
export type News =
  { readonly kind: 'rows' | 'outcomes' | 'control' | 'lease' } | { readonly kind: 'connected' | 'lost' };

export interface SharedLog {
  /** Connects and brings the tables up to date. Rejects with a QueueError; may then be called again. */
  open(): Promise<void>;
  /** Rejects with a QueueError, and may then have been carried out: hand it in again. */
  append(batch: Batch): Promise<Appended>;
  /** Number of the last batch of a stream, 0 for a new one. */
  streamThrough(stream: string): Promise<number>;
  /**
   * Says that the process is alive, and takes or renews the lease for `leaseMs` by the store's clock when it `wants` it
   * and it is free, has run out or is its own already. `epoch` is that under which it holds it, or null: a lease that
   * was lost in between is never renewed under its old number, but taken anew.
   */
  claim(instance: Instance, wants: boolean, epoch: number | null, leaseMs: number): Promise<Claim>;
  /** Gives the lease up at once, if it is still held under this epoch; tells the others. */
  release(instance: Instance, epoch: number): Promise<void>;
  /**
   * The holder's side. Its `open` reads what the holder before left; each `commit` is carried out only while the lease
   * is held under this epoch, else it rejects with the code `fenced` and changes nothing. `append` is not for it: a
   * commit with new rows fails. A commit whose fate is not known stays open until it is known, also when the lease is lost meanwhile: ends
   * that only this process is to be told of depend on it. `read` gives each row
   * its `instance`.
   */
  store(instance: Instance, epoch: number): QueueStore;
  /** Small values beside the queue, for any process; a process without the lease only reads those of the engine. */
  readonly meta: Pick<QueueStore, 'getMeta' | 'setMeta'> & {
    /** Sets the value only if it is `before` still (null: not set), and says whether it did. */
    replaceMeta(key: string, before: string | null, value: string): Promise<boolean>;
  };
  /** Epoch ms by the store's clock, as far as it is known here. */
  nowMs(): number;
  /**
   * Deletes the outcomes with the ids in `reported`, and reads at most `limit` others that this instance has to report:
   * those of entries that it appended, and while it holds the lease those of instances that are gone.
   */
  outcomes(
    instance: Instance,
    reported: readonly number[],
    limit: number,
  ): Promise<readonly StoredOutcomes[]>;
  setPaused(paused: boolean): Promise<void>;
  /** Counts a flush. */
  flush(): Promise<void>;
  /** Resolves to its id. */
  requestDeletion(request: SharedDeletionRequest): Promise<number>;
  /** All that are not carried out, and for `aliveMs` those that are. */
  deletions(): Promise<readonly SharedDeletion[]>;
  /** A deletion is carried out. Does nothing once the lease is not held under this epoch any more. */
  finishDeletion(instance: Instance, epoch: number, id: number, result: SharedDeletionResult): Promise<void>;
  /** One listener. Until `close`. */
  onNews(listener: (news: News) => void): void;
  /**
   * Says that the process is gone (the active one reports its outcomes from then on), and closes the connections. An opening under way
   * rejects and leaves none behind.
   */
  close(instance: Instance): Promise<void>;
}

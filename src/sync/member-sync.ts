// What src/sync needs of an engine: the tables beside its queue, and the bulk lane.

import type { CheckedEntry } from '../entry/entry';
import type { Source } from '../queue/store';
import type { SyncStore } from '../queue/sync-store';

export interface Chunk {
  readonly source: Source;
  readonly segment: string;
  readonly entries: readonly CheckedEntry[];
  /** Renewals, which never revive a user. */
  readonly refresh: boolean;
  /** State of the segment's sync, stored in the same commit. */
  readonly state: string | null;
  /** Of the read that gave the entries: see `beginRead`. */
  readonly readSince: number;
}

export interface EndedEntries {
  readonly accepted: number;
  readonly rejected: readonly {
    readonly entry: CheckedEntry;
    readonly code: string;
    readonly message: string;
  }[];
}

export interface MemberSync {
  readonly store: SyncStore;
  /** Resolves once the queue is open; until then calls of the store reject. Rejects if it is closed before. */
  readonly opened: Promise<void>;
  /** Resolves once the chunk is durable, with its state. Rejects with a QueueError or {code: 'queue_full'}. */
  append(chunk: Chunk): Promise<void>;
  /** Entries of the bulk lane of a segment that have not ended. */
  pending(segment: string): number;
  /** Called after commits in which entries of the segment's bulk lane ended; one listener for each segment. */
  onEnded(segment: string, listener: (ended: EndedEntries) => void): () => void;
  /** Call before a read of members whose result is appended: returns the `readSince` for `append`. */
  beginRead(): number;
  endRead(readSince: number): void;
  /** Starts to keep the members of a segment, from now on. Idempotent. */
  keep(segment: string): Promise<void>;
  forget(segment: string): Promise<void>;
}

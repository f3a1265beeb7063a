// Bulk entries that are pending, by segment, and who hears how they end.

import { readBody } from '../../entry/read-body';
import type { CheckedEntry } from '../../entry/entry';
import type { QueueStore } from '../../queue/store';
import type { PendingEntry } from '../pending/pending-entry';
import { endOf } from '../pending-messages';

/** How bulk entries of one segment ended. */
interface BulkEnded {
  /** Delivered, also as a removal because the expiration had passed. */
  accepted: number;
  /** Replaced by newer entries, or a refresh that is not due any more. */
  superseded: number;
  readonly rejected: {
    readonly entry: CheckedEntry;
    readonly code: string;
    readonly message: string;
  }[];
}

export type BulkListener = (ended: BulkEnded) => void;

const rowsPerRead = 2_000;

export class BulkEntries {
  private readonly pending = new Map<string, number>();
  private readonly listeners = new Map<string, BulkListener>();

  /** Counts those that an earlier process left. Rejects as the store does. */
  async count(store: Pick<QueueStore, 'read'>, lastSeq: number): Promise<void> {
    this.pending.clear();
    for (let afterSeq = 0; afterSeq < lastSeq;) {
      const rows = await store.read('bulk', afterSeq, lastSeq, rowsPerRead);
      for (const { body, state } of rows) {
        const entry = state === 'waiting' ? readBody(body) : null;
        if (entry !== null) this.add(segmentOf(entry), 1);
      }
      afterSeq = rows.length < rowsPerRead ? lastSeq : rows.at(-1)!.seq;
    }
  }

  of(segment: string): number {
    return this.pending.get(segment) ?? 0;
  }

  add(segment: string, entries: number): void {
    this.pending.set(segment, this.of(segment) + entries);
  }

  /** One listener for each segment. Returns a function that removes it. */
  listen(segment: string, listener: BulkListener): () => void {
    this.listeners.set(segment, listener);
    return () => {
      if (this.listeners.get(segment) === listener) this.listeners.delete(segment);
    };
  }

  /** Entries, bulk or not, have ended durably. */
  ended(entries: readonly PendingEntry[]): void {
    const bySegment = new Map<string, BulkEnded>();
    for (const entry of entries) {
      if (!entry.bulk) continue;
      const segment = segmentOf(entry.checked);
      this.add(segment, -1);
      const ended = bySegment.get(segment) ?? { accepted: 0, superseded: 0, rejected: [] };
      bySegment.set(segment, ended);
      if (entry.rejection !== null) ended.rejected.push({ entry: entry.checked, ...entry.rejection });
      else ended[endOf(entry) === 'superseded' ? 'superseded' : 'accepted'] += 1;
    }
    for (const [segment, ended] of bySegment) this.listeners.get(segment)?.(ended);
  }
}

/** A bulk entry has one block. */
function segmentOf({ blocks }: CheckedEntry): string {
  return blocks[0]!.key;
}

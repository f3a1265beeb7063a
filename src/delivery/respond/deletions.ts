// Deletions of entries by an operator: all pending entries (a purge), or all entries of one user (an erasure).
//
// A request in flight cannot be recalled. Its entries end with the service's reply, or end here if there is no
// reply. A row to repeat, which was reported and is sent again because an ambiguous request may still undo it,
// is no pending entry: it is sent first, since otherwise a removal might be undone.
//
// The rule, which also holds after any crash: the service has the state that results from applying, in order,
// all blocks of the entries that were not deleted, and some or none of the blocks of deleted entries that were
// sent before the deletion or a crash. If a newer entry is deleted in part, the older entries that it had
// replaced count on their own. A deleted block that was not sent before is never sent, with one exception: the
// rest of an entry that was sent in part, because the store keeps whole entries and a resend after a crash
// covers all blocks.
//
// The store does not record which blocks of an entry were accepted: after a crash an open entry counts as never
// sent. So an entry that ended by one of its blocks stays as a row to repeat while an older entry of the user
// is open or may run late. A row that an older entry in memory might undo is a row to repeat before that older entry
// can be sent.
//
// One gap is left: the rejected blocks of a row to repeat are known only in memory. After a crash such a block
// replaces older blocks of its segment until it is rejected again.

import { createHash } from 'node:crypto';
import { QueueError } from '../../queue/store';
import type { PendingEntry } from '../pending/pending-entry';
import { erasureNode } from '../sync/suppressions';

/** Why an entry was deleted; also the code of its rejection. */
export type Deletion = 'purged' | 'erased';

export const deletionTexts: Readonly<Record<Deletion, string>> = {
  purged: 'The queue was purged before this entry could be sent.',
  erased: 'This user was erased before this entry could be sent.',
};

export function isDeletion(code: string): code is Deletion {
  return Object.hasOwn(deletionTexts, code);
}

/** Result of a deletion. */
export interface Deleted {
  /** Number of entries that it has ended. */
  readonly entries: number;
  /** Number of entries in flight, which end with the service's reply. */
  readonly inFlight: number;
}

/** What the erasure of a user did. */
export interface Erased extends Deleted {
  /** Number of synced segments that the user leaves by a removal at the service. */
  readonly segments: number;
}

/** A deletion in a shared queue that reached the database or the local buffer, but not both. */
export class DeletedPartly extends QueueError {
  constructor(
    /** The part that was carried out. */
    readonly deleted: Deleted,
    /** Where entries may be left: in the database, or in this machine's store-and-forward buffer. */
    readonly missed: 'database' | 'kept',
    cause: QueueError,
  ) {
    const { entries } = deleted;
    const done =
      missed === 'database'
        ? `Deleted ${entries} entries in this machine's buffer, but none in the database.`
        : `Deleted ${entries} entries in the database, but none in this machine's buffer.`;
    super(cause.code, `${done} ${cause.message}`, { cause });
    this.name = 'DeletedPartly';
  }
}

/** An erasure in progress as the store keeps it, without the user key. */
export interface ErasureMark {
  /** 53-bit hash, as in the rows. */
  readonly hash: number;
  /** Distinguishes keys that share a hash. */
  readonly digest: string;
  readonly throughSeq: number;
}

/** Counts the entries that one purge, or one erasure, has ended. */
export interface DeletionCount {
  /** Null for a purge. */
  readonly userKeys: readonly string[] | null;
  readonly throughSeq: number;
  entries: number;
}

/** Digest of a user key; the key can only be found by trying. */
export function digestOf(userKey: string): string {
  return createHash('sha256').update(userKey).digest('base64url');
}

export class Deletions {
  private purgedThrough = 0;
  /** By user key. */
  private readonly erasures = new Map<string, ErasureMark>();
  /** Of those in progress, in the order in which they were asked for. */
  private readonly counts = new Set<DeletionCount>();

  /** Whether any deletion is in progress. */
  get any(): boolean {
    return this.purgedThrough > 0 || this.erasures.size > 0;
  }

  /** Returns the sequence number that all purges cover; an earlier purge may cover more. */
  purgeThrough(seq: number): number {
    this.purgedThrough = Math.max(this.purgedThrough, seq);
    return this.purgedThrough;
  }

  /**
   * Starts an erasure, also for a user whose erasure is in progress. Returns the sequence number that it
   * covers, at least that of the earlier erasure.
   */
  erase(userKey: string, hash: number, asked: number): number {
    const throughSeq = Math.max(asked, this.erasures.get(userKey)?.throughSeq ?? 0);
    this.erasures.set(userKey, { hash, digest: digestOf(userKey), throughSeq });
    return throughSeq;
  }

  /** The erasures that the next process must continue. */
  marks(): ErasureMark[] {
    return [...this.erasures.values()].map(({ hash, digest, throughSeq }) => ({ hash, digest, throughSeq }));
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sequence number up to which entries of this user are deleted. */
  throughSeq(userKey: string): number {
    return Math.max(this.purgedThrough, this.erasures.get(userKey)?.throughSeq ?? 0);
  }

  /** Why an open entry is deleted, or null. The removals of an earlier erasure stay, since the user has to leave the segments. */
  of({ open, seq, checked, source }: PendingEntry): Deletion | null {
    if (open === 0) return null;
    const erasure = this.erasures.size === 0 ? undefined : this.erasures.get(checked.userKey);
    if (erasure !== undefined && seq <= erasure.throughSeq && source.node !== erasureNode) return 'erased';
    return seq <= this.purgedThrough ? 'purged' : null;
  }

  /** Counts with `count` from now on, until `endCount`. */
  startCount(count: DeletionCount): void {
    this.counts.add(count);
  }

  endCount(count: DeletionCount): void {
    this.counts.delete(count);
  }

  /** An entry ended for this reason. The first deletion that covers it counts it. */
  ended({ seq, checked }: PendingEntry, why: Deletion): void {
    for (const count of this.counts) {
      const { userKeys, throughSeq } = count;
      const isOfKind = why === 'purged' ? userKeys === null : userKeys?.includes(checked.userKey) === true;
      if (!isOfKind || seq > throughSeq) continue;
      count.entries += 1;
      return;
    }
  }

  /** The erasures in progress. */
  erasing(): Iterable<readonly [userKey: string, erasure: ErasureMark]> {
    return this.erasures;
  }

  erasureOf(userKey: string): ErasureMark | undefined {
    return this.erasures.get(userKey);
  }

  /** Neither memory nor the store holds entries of the user any more. */
  forget(userKey: string): void {
    this.erasures.delete(userKey);
  }
}

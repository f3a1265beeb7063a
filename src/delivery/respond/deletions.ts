// Entries that an operator gives up: everything that waits (a purge), or all of one user (an erasure).
//
// What is on its way to the service cannot be recalled. It ends with the service's answer; when that is no answer, it
// ends here instead of being tried again. What was reported and is only to be repeated, because a lost request may
// still undo it, is no waiting entry: it is repeated first, since otherwise a removal might be undone.
//
// What holds after everything has settled, whatever crashed: the service has what these give, applied in order: all
// blocks of the entries that were not given up, and of those that were, such blocks as had left before (some or none of
// them; what left before a crash, too). An entry that shared the end of a newer one counts in its own place, too, should
// that newer one be given up for the rest of it. What was given up and had not left before is never sent, but for the
// rest of an entry that had left in part: the log keeps entries, so a repetition after a crash is of all of it.
//
// For that, the log does not say which blocks of an entry were accepted: after a crash one that is open counts as never
// sent. So what ended by one of its blocks stays to be repeated, while something older of the user is open or may run
// late. And an erasure leaves the repetitions in the log, and the tombstones above them. No other tombstone has anything to
// fear: one that something older in memory might undo is a repetition in the log before that can leave.
//
// One gap is left: which blocks of a tombstone were rejected is known in memory only. After a crash such a block hides what
// is older of its segment, which matters where that is a repetition since an earlier crash.

import { createHash } from 'node:crypto';
import { QueueError } from '../../queue/store';
import type { Item } from '../pending/item';

/** Why an entry was given up; also the code of its rejection. */
export type Deletion = 'purged' | 'erased';

export const deletionTexts: Readonly<Record<Deletion, string>> = {
  purged: 'The queue was purged before this entry could be sent.',
  erased: 'This user was erased before this entry could be sent.',
};

export function isDeletion(code: string): code is Deletion {
  return Object.hasOwn(deletionTexts, code);
}

/** What came of giving up. */
export interface Deleted {
  /** Entries that ended by it so far. */
  readonly entries: number;
  /** Entries on their way to the service, which end with its answer. */
  readonly inFlight: number;
}

/** A part of a shared queue was reached, and another was not. */
export class DeletedPartly extends QueueError {
  constructor(
    /** What was given up all the same. */
    readonly deleted: Deleted,
    /** Where nothing, or not everything, was given up: in the database, or in what this machine keeps for it. */
    readonly missed: 'database' | 'kept',
    cause: QueueError,
  ) {
    const { entries } = deleted;
    const done =
      missed === 'database'
        ? `What this machine had kept was given up (${entries} entries), but nothing in the database.`
        : `What was in the database was given up (${entries} entries), but not what this machine keeps.`;
    super(cause.code, `${done} ${cause.message}`, { cause });
    this.name = 'DeletedPartly';
  }
}

/** A user who is to be erased, without the key: how an erasure is kept while it is under way. */
export interface ErasureMark {
  /** 53 bits, as the rows have them. */
  readonly hash: number;
  /** Tells keys of one hash apart. */
  readonly digest: string;
  readonly throughSeq: number;
}

/** One user who is being erased. */
export interface Erasure extends ErasureMark {
  /** The log holds repetitions, which need the tombstones above them. */
  owesRepetitions: boolean;
  entries: number;
  /** Whether the log holds no unread row of the user any more, nor a tombstone. */
  searched: boolean;
  /** Rows that are tombstones, or became some during the search. */
  readonly tombstones: Set<number>;
}

/** Of a user key; no key can be had from it but by trying. */
function digestOf(userKey: string): string {
  return createHash('sha256').update(userKey).digest('base64url');
}

export class Deletions {
  private purgedThrough = 0;
  /** By user key. */
  private readonly erasures = new Map<string, Erasure>();
  /** Of an earlier process, by digest: nothing of these users has been met yet, so their keys are not known. */
  private readonly unmet = new Map<string, ErasureMark>();
  private readonly unmetHashes = new Set<number>();
  /** Ended on disk, unread; a page that was asked for before may still bring them. */
  private readonly goneRows = new Set<number>();
  /** Entries that ended by purges. */
  purged = 0;

  /** Whether anything is to be looked for at all. */
  get any(): boolean {
    return this.purgedThrough > 0 || this.erasures.size > 0 || this.unmet.size > 0;
  }

  /** Returns up to where all purges go: one that was asked for before may go further. */
  purgeThrough(seq: number): number {
    this.purgedThrough = Math.max(this.purgedThrough, seq);
    return this.purgedThrough;
  }

  /** A second erasure of the same user begins anew. Returns up to where it goes: as far as an earlier one, at least. */
  erase(userKey: string, hash: number, asked: number): number {
    const digest = digestOf(userKey);
    const earlier = this.erasures.get(userKey) ?? this.unmet.get(digest);
    const throughSeq = Math.max(asked, earlier?.throughSeq ?? 0);
    this.erasures.set(userKey, {
      hash,
      digest,
      throughSeq,
      owesRepetitions: false,
      entries: this.erasures.get(userKey)?.entries ?? 0,
      searched: false,
      tombstones: new Set(),
    });
    return throughSeq;
  }

  // ── Across restarts ─────────────────────────────────────────────────────────────────────────────────────────

  /** What goes on in the next process, should this one die. */
  marks(): ErasureMark[] {
    return [...this.unmet.values(), ...this.erasures.values()].map(({ hash, digest, throughSeq }) => ({
      hash,
      digest,
      throughSeq,
    }));
  }

  /** An erasure of an earlier process goes on. */
  resume(mark: ErasureMark): void {
    this.unmet.set(mark.digest, mark);
    this.unmetHashes.add(mark.hash);
  }

  /** Somebody comes into memory, or a row of theirs is found: perhaps one who is being erased. */
  meet(userKey: string, hash: number): void {
    if (!this.unmetHashes.has(hash)) return;
    const mark = this.unmet.get(digestOf(userKey));
    if (mark === undefined) return;
    this.unmet.delete(mark.digest);
    // Asked for again meanwhile: that one covers it.
    if (!this.erasures.has(userKey)) this.erase(userKey, hash, mark.throughSeq);
  }

  /** The log has nothing more of them. */
  allMet(): void {
    this.unmet.clear();
    this.unmetHashes.clear();
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Nothing of this user with a number above it is given up. */
  throughSeq(userKey: string): number {
    return Math.max(this.purgedThrough, this.erasures.get(userKey)?.throughSeq ?? 0);
  }

  /** Why an entry that has not ended is given up, or null. */
  of({ open, seq, entry }: Item): Deletion | null {
    if (open === 0) return null;
    const erasure = this.erasures.size === 0 ? undefined : this.erasures.get(entry.userKey);
    if (erasure !== undefined && seq <= erasure.throughSeq) return 'erased';
    return seq <= this.purgedThrough ? 'purged' : null;
  }

  /** An entry has ended for this reason. */
  ended({ entry }: Item, why: Deletion): void {
    if (why === 'purged') this.purged += 1;
    else this.erasures.get(entry.userKey)!.entries += 1;
  }

  /**
   * Whether an ended row need not stay as a tombstone, since nothing older of its user will be sent. That is so for an
   * erased user who is owed no repetition; a purge leaves repetitions, so it leaves tombstones. While the log is
   * still being searched for an erased user it has to, as a crash would bring older rows back, and a repetition may be
   * found; then it goes with the end of the search.
   */
  leavesNothing({ entry, seq }: Item): boolean {
    if (this.erasures.size === 0) return false;
    const erasure = this.erasures.get(entry.userKey);
    if (erasure === undefined || erasure.owesRepetitions || seq > erasure.throughSeq) return false;
    if (!erasure.searched) erasure.tombstones.add(seq);
    return erasure.searched;
  }

  // ── The search of the log ───────────────────────────────────────────────────────────────────────────────────

  /** The users who are being erased. */
  erasing(): Iterable<readonly [userKey: string, erasure: Erasure]> {
    return this.erasures;
  }

  erasureOf(userKey: string): Erasure | undefined {
    return this.erasures.get(userKey);
  }

  /** Nothing of the user is in memory or in the log any more. */
  forget(userKey: string): void {
    this.erasures.delete(userKey);
  }

  rowGone(seq: number): void {
    this.goneRows.add(seq);
  }

  /** Whether a row that a page brings has ended already. */
  isGone(seq: number): boolean {
    return this.goneRows.size > 0 && this.goneRows.has(seq);
  }

  /** No page from before their end is on its way any more. */
  forgetGoneRows(): void {
    this.goneRows.clear();
  }
}

// Entries that an operator gives up: everything that waits (a purge), or all of one user (an erasure).
//
// What is on its way to the service cannot be recalled. It ends with the service's answer; when that is no answer, it
// ends here instead of being tried again. What was reported and is only to be repeated, because a lost request may
// still undo it, is no waiting entry: it is repeated first, since otherwise a removal might be undone.

import type { Item } from './user';

/** Why an entry was given up; also the code of its rejection. */
export type Dismissal = 'purged' | 'erased';

export const dismissalTexts: Readonly<Record<Dismissal, string>> = {
  purged: 'The queue was purged before this entry could be sent.',
  erased: 'This user was erased before this entry could be sent.',
};

/** What came of giving up. */
export interface Dismissed {
  /** Entries that ended by it so far. */
  readonly entries: number;
  /** Entries on their way to the service, which end with its answer. */
  readonly inFlight: number;
}

/** One user who is being erased. */
interface Erasure {
  readonly throughSeq: number;
  /** A lost request of an earlier process may run: what was sent before the crash is repeated, and shields count. */
  readonly owesRepetitions: boolean;
  entries: number;
  /** Whether the log holds no unread row of the user any more, nor a shield. */
  searched: boolean;
  /** Rows that became shields during the search. */
  readonly shields: Set<number>;
}

export class Dismissals {
  private purgedThrough = 0;
  private readonly erasures = new Map<string, Erasure>();
  /** Ended on disk, unread; a page that was asked for before may still bring them. */
  private readonly goneRows = new Set<number>();
  /** Entries that ended by purges. */
  purged = 0;

  /** Whether anything is to be looked for at all. */
  get any(): boolean {
    return this.purgedThrough > 0 || this.erasures.size > 0;
  }

  purgeThrough(seq: number): void {
    this.purgedThrough = Math.max(this.purgedThrough, seq);
  }

  /** A second erasure of the same user begins anew. */
  erase(userKey: string, throughSeq: number, owesRepetitions: boolean): void {
    const entries = this.erasures.get(userKey)?.entries ?? 0;
    this.erasures.set(userKey, {
      throughSeq,
      owesRepetitions,
      entries,
      searched: false,
      shields: new Set(),
    });
  }

  /** Why an entry that has not ended is given up, or null. */
  of({ open, seq, entry }: Item): Dismissal | null {
    if (open === 0) return null;
    const erasure = this.erasures.size === 0 ? undefined : this.erasures.get(entry.userKey);
    if (erasure !== undefined && seq <= erasure.throughSeq) return 'erased';
    return seq <= this.purgedThrough ? 'purged' : null;
  }

  /** An entry has ended for this reason. */
  ended({ entry }: Item, why: Dismissal): void {
    if (why === 'purged') this.purged += 1;
    else this.erasures.get(entry.userKey)!.entries += 1;
  }

  /**
   * Whether an ended row need not stay as a shield, since nothing older of its user will be sent. That is so for an
   * erased user who is owed no repetition; a purge leaves repetitions, so it leaves shields. While the log is
   * still being searched for an erased user it has to, as a crash would bring older rows back; then it goes with the
   * end of the search.
   */
  leavesNothing({ entry, seq }: Item): boolean {
    if (this.erasures.size === 0) return false;
    const erasure = this.erasures.get(entry.userKey);
    if (erasure === undefined || erasure.owesRepetitions || seq > erasure.throughSeq) return false;
    if (!erasure.searched) erasure.shields.add(seq);
    return erasure.searched;
  }

  // ── The search of the log ───────────────────────────────────────────────────────────────────────────────────

  /** The users who are being erased. */
  erasing(): Iterable<readonly [string, Readonly<Erasure>]> {
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

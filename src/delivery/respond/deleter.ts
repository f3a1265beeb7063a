// Deleter: carries out purges and erasures, in memory at once, in the queue as rows are read.
//
// A purge covers every row up to a sequence number; rows that are only in the store end when they are read, without
// being sent. Of an erasure the rows of its user are read at once (older-rows.ts). Both begin in a turn in which every
// earlier message has been appended and committed.
//
// Deletions continue after a crash. Of erasures the store keeps only hashes, until they are complete.

import { hashUserKey } from '../../entry/keys';
import { parseBody } from '../../entry/read-body';
import type { QueueStore } from '../../queue/store';
import type { PendingUsers } from '../pending/pending-users';
import { digestOf, type Deleted, type DeletionCount, type Deletions, type ErasureMark } from './deletions';
import type { Loader } from '../loader';
import type { Producer } from '../producer';
import type { ReadAhead } from '../pending/read-ahead';

/** Key in the store: the sequence number that purges cover, so that a restart continues them. */
const purgedThroughKey = 'purged through';

/** Key in the store: the erasures in progress, as `[hash, digest, through seq]` of each user key. */
const erasuresKey = 'erasures';

/** Rows that are read at once to find the key of an erased user. */
const rowsPerRead = 100;

/** Called in the turn in which a deletion begins: nothing of what it covers, up to `throughSeq`, has ended by it yet. */
export type OnBegin = (throughSeq: number) => void;

interface Request {
  /** Null for a purge. */
  readonly userKeys: readonly string[] | null;
  readonly onBegin: OnBegin;
  readonly resolve: (deleted: Deleted) => void;
  readonly reject: (error: Error) => void;
  /** Null until every earlier message has been appended. */
  throughSeq: number | null;
}

type Begun = Request & DeletionCount;

/** The erasure of an earlier process, with the user's key. */
interface Resumed {
  readonly userKey: string;
  readonly hash: number;
  readonly throughSeq: number;
}

export interface Parts {
  readonly store: QueueStore;
  readonly readAhead: ReadAhead;
  readonly pendingUsers: PendingUsers;
  readonly producer: Pick<Producer<unknown>, 'mark'>;
  readonly loader: Loader;
  readonly deletions: Deletions;
  /** Forgets everything else that is remembered of a user. */
  readonly forgetUser: (userKeys: readonly string[]) => void;
  readonly askTurn: () => void;
  readonly failed: (error: unknown) => void;
}

export class Deleter {
  private closed = false;
  private asked: Request[] = [];
  private purges: Begun[] = [];
  private erasures: Begun[] = [];
  /** Carried out in the current turn; resolved once that is durable. */
  private done: Begun[] = [];

  /** Sequence number of a purge that the store has not recorded yet. */
  private unmarkedSeq: number | null = null;
  /** Whether the erasures in progress differ from those in the store. */
  private unmarkedErasures = false;
  /** Erasures of an earlier process, which begin with the first turn. */
  private resumed: readonly Resumed[] = [];
  /** Keys of suppressed users whose waiting adds end in the next turn. */
  private addsToEnd: string[] = [];

  constructor(private readonly parts: Parts) {}

  /**
   * Continues the deletions of an earlier process. A purge may cover numbers whose commit failed; numbers above
   * the store's last are used again for newer entries, so the purge ends there, also for the processes after this
   * one. Rejects as the store does.
   */
  async resume(lastSeq: number): Promise<void> {
    const { store, deletions } = this.parts;
    const markedSeq = Number((await store.getMeta(purgedThroughKey)) ?? 0);
    const purgedSeq = deletions.purgeThrough(Math.min(lastSeq, markedSeq));
    if (purgedSeq < markedSeq) this.unmarkedSeq = purgedSeq;
    const marks = readMarks(await store.getMeta(erasuresKey));
    const resumed: Resumed[] = [];
    for (const mark of marks) {
      const throughSeq = Math.min(lastSeq, mark.throughSeq);
      const userKey = await this.keyOf({ ...mark, throughSeq });
      if (userKey !== null) resumed.push({ userKey, hash: mark.hash, throughSeq });
    }
    this.resumed = resumed;
    this.unmarkedErasures = marks.length > 0;
  }

  /** The key of an erased user, from one of the rows that are left; null when none is left. */
  private async keyOf({ hash, digest, throughSeq }: ErasureMark): Promise<string | null> {
    for (let afterSeq = 0; afterSeq < throughSeq;) {
      const range = { userHash: hash, afterSeq, throughSeq };
      const rows = (await this.parts.store.rowsOfUsers([range], rowsPerRead))[0]!;
      // Other users may share the hash.
      for (const { body } of rows) {
        const userKey = userKeyIn(body);
        if (userKey !== null && digestOf(userKey) === digest) return userKey;
      }
      afterSeq = rows.length < rowsPerRead ? throughSeq : rows.at(-1)!.seq;
    }
    return null;
  }

  /**
   * Purges all entries of earlier messages; in a shared queue up to `mostSeq`, because other instances append
   * too.
   */
  purge(mostSeq: number): Promise<Deleted> {
    return this.ask(null, mostSeq, () => undefined);
  }

  /** Erases all entries of a user, with the same limits as `purge`. */
  erase(userKeys: readonly string[], mostSeq: number, onBegin: OnBegin): Promise<Deleted> {
    return this.ask(userKeys, mostSeq, onBegin);
  }

  /** Ends the adds of suppressed users that were submitted after the erasure, and wait. */
  endAdds(userKeys: readonly string[]): void {
    this.addsToEnd.push(...userKeys);
    this.parts.askTurn();
  }

  private ask(userKeys: readonly string[] | null, mostSeq: number, onBegin: OnBegin): Promise<Deleted> {
    if (this.closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const request: Request = { userKeys, onBegin, resolve, reject, throughSeq: null };
      this.asked.push(request);
      const { producer, loader } = this.parts;
      producer.mark(() => (request.throughSeq = Math.min(loader.lastSeq, mostSeq)));
      this.parts.askTurn();
    });
  }

  /** Whether rows on disk must still be purged. */
  get isPurging(): boolean {
    return this.purges.length > 0;
  }

  /** Rejects all deletions that are not complete. */
  close(): void {
    this.closed = true;
    const error = closedError();
    for (const { reject } of [...this.asked, ...this.purges, ...this.erasures, ...this.done]) reject(error);
    this.asked = [];
    this.purges = [];
    this.erasures = [];
    this.done = [];
  }

  // ── In a turn, before new messages are taken ────────────────────────────────────────────────────────────────

  turn(nowMs: number): void {
    if (this.resumed.length > 0) this.beginResumed(nowMs);
    if (this.asked.length > 0) this.begin(nowMs);
    for (const userKey of this.addsToEnd.splice(0)) this.parts.pendingUsers.endAdds(userKey, nowMs);
    if (this.unmarkedErasures) this.markErasures();
    if (this.unmarkedSeq !== null) this.markPurge(this.unmarkedSeq);
    if (this.purges.length > 0) this.endPurges();
    if (this.erasures.length > 0) this.endErasures();
  }

  private begin(nowMs: number): void {
    const due = this.asked.filter(({ throughSeq }) => throughSeq !== null);
    this.asked = this.asked.filter((request) => !due.includes(request));
    for (const request of due) {
      const begun = { ...request, throughSeq: request.throughSeq!, entries: 0 };
      this.parts.deletions.startCount(begun);
      begun.onBegin(begun.throughSeq);
      if (begun.userKeys === null) this.beginPurge(begun, nowMs);
      else this.beginErasure(begun, begun.userKeys, nowMs);
    }
  }

  private beginPurge(request: Begun, nowMs: number): void {
    const { deletions, pendingUsers } = this.parts;
    this.unmarkedSeq = deletions.purgeThrough(request.throughSeq);
    for (const user of [...pendingUsers.all()]) pendingUsers.update(user, nowMs);
    this.purges.push(request);
  }

  /** Runs before this turn's commit, so before any promise resolves. Repeated in a later turn when it fails. */
  private markPurge(throughSeq: number): void {
    const { store, failed } = this.parts;
    this.unmarkedSeq = null;
    store.setMeta(purgedThroughKey, String(throughSeq)).catch((error: unknown) => {
      this.unmarkedSeq = Math.max(this.unmarkedSeq ?? 0, throughSeq);
      failed(error);
    });
  }

  private beginErasure(request: Begun, userKeys: readonly string[], nowMs: number): void {
    this.parts.forgetUser(userKeys);
    for (const key of userKeys) this.eraseUser(key, hashUserKey(key), request.throughSeq, nowMs);
    this.erasures.push(request);
    this.unmarkedErasures = true;
  }

  private beginResumed(nowMs: number): void {
    for (const { userKey, hash, throughSeq } of this.resumed)
      this.eraseUser(userKey, hash, throughSeq, nowMs);
    this.resumed = [];
  }

  private eraseUser(userKey: string, hash: number, askedSeq: number, nowMs: number): void {
    const { deletions, pendingUsers } = this.parts;
    const throughSeq = deletions.erase(userKey, hash, askedSeq);
    pendingUsers.eraseUser(userKey, hash, throughSeq, nowMs);
  }

  /** Timing as in `markPurge`. */
  private markErasures(): void {
    const { store, deletions, failed } = this.parts;
    this.unmarkedErasures = false;
    const marks = deletions.marks().map(({ hash, digest, throughSeq }) => [hash, digest, throughSeq]);
    store.setMeta(erasuresKey, JSON.stringify(marks)).catch((error: unknown) => {
      this.unmarkedErasures = true;
      failed(error);
    });
  }

  private endPurges(): void {
    const unread = this.purges.filter(({ throughSeq }) => this.parts.readAhead.hasUnreadThrough(throughSeq));
    for (const request of this.purges) if (!unread.includes(request)) this.done.push(request);
    this.purges = unread;
  }

  private endErasures(): void {
    const unread = this.erasures.filter(
      ({ userKeys }) => userKeys?.every((key) => this.isRead(key)) === false,
    );
    for (const request of this.erasures) if (!unread.includes(request)) this.done.push(request);
    this.erasures = unread;
  }

  /** Whether no row that the user's erasure covers is only in the store. */
  private isRead(userKey: string): boolean {
    const { deletions, pendingUsers, readAhead } = this.parts;
    const user = pendingUsers.find(userKey);
    const { throughSeq = 0 } = deletions.erasureOf(userKey) ?? {};
    return user === undefined || readAhead.older.completeThroughSeq(user) >= throughSeq;
  }

  // ── After its commit ────────────────────────────────────────────────────────────────────────────────────────

  committed(): void {
    for (const request of this.done.splice(0)) {
      this.parts.deletions.endCount(request);
      request.resolve({ entries: request.entries, inFlight: this.inFlightOf(request) });
    }
    if (this.parts.deletions.any) this.forgetErased();
    // Every earlier message has been appended now.
    if (this.asked.length > 0) this.parts.askTurn();
  }

  /** Forgets erasures that are complete. */
  private forgetErased(): void {
    const { deletions, pendingUsers } = this.parts;
    for (const [key, { throughSeq }] of deletions.erasing()) {
      const first = pendingUsers.find(key)?.entries[0];
      if (!this.isRead(key) || (first !== undefined && first.seq <= throughSeq)) continue;
      deletions.forget(key);
      this.unmarkedErasures = true;
      this.parts.askTurn();
    }
  }

  /** Number of entries that it covers and that are still in memory, because they are in flight. */
  private inFlightOf({ userKeys, throughSeq }: Begun): number {
    const { deletions, pendingUsers } = this.parts;
    const users =
      userKeys === null ? pendingUsers.all() : userKeys.flatMap((key) => pendingUsers.find(key) ?? []);
    let count = 0;
    for (const { entries } of users)
      for (const entry of entries) if (entry.seq <= throughSeq && deletions.of(entry) !== null) count += 1;
    return count;
  }
}

function userKeyIn(body: string): string | null {
  try {
    return parseBody(body).userKey;
  } catch {
    return null;
  }
}

function closedError(): Error {
  return new Error('The queue was closed before this was done.');
}

/** Reads the stored marks; malformed content counts as empty. */
function readMarks(text: string | null): ErasureMark[] {
  const marks: ErasureMark[] = [];
  const json = text === null ? [] : parse(text);
  for (const mark of Array.isArray(json) ? (json as unknown[]) : []) {
    const [hash, digest, throughSeq] = Array.isArray(mark) ? (mark as unknown[]) : [];
    if (typeof hash === 'number' && typeof digest === 'string' && typeof throughSeq === 'number')
      marks.push({ hash, digest, throughSeq });
  }
  return marks;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Deleter: carries out purges and erasures, in memory at once, in the queue as rows are read or searched.
//
// A purge covers every row up to a sequence number; rows on disk end when they are read, without being sent. An
// erasure searches the whole queue for its user, a part each turn, because the user's rows may be far behind.
// Both begin in a turn in which every earlier message has been appended and committed.
//
// Deletions continue after a crash. Of erasures the store keeps only hashes, until they are complete.

import { hashUserKey } from '../../entry/keys';
import { bodyChars } from '../../entry/serialise';
import type { QueueStore, Row, UserRows } from '../../queue/store';
import type { PendingUsers } from '../pending/pending-users';
import { deletionTexts, type Deletions, type Deleted, type ErasureMark } from './deletions';
import type { Loader } from '../loader';
import type { Producer } from '../producer';
import type { CommitBuffer } from '../commit-buffer';
import type { ReadAhead } from '../pending/read-ahead';

/** Key in the store: the sequence number that purges cover, so that a restart continues them. */
const purgedThroughKey = 'purged through';

/** Key in the store: the erasures in progress, as `[hash, digest, through seq]` of each user key. */
const erasuresKey = 'erasures';

/** Rows per step of a search; a step takes some milliseconds. */
const rowsPerSearch = 5_000;

interface Request {
  /** Null for a purge. */
  readonly userKeys: readonly string[] | null;
  readonly resolve: (deleted: Deleted) => void;
  readonly reject: (error: Error) => void;
  /** Null until every earlier message has been appended. */
  throughSeq: number | null;
  /** Number of entries that earlier purges ended. */
  before: number;
}

type Begun = Request & { throughSeq: number };

interface Search {
  /** Null for a request of an earlier process. */
  readonly request: Begun | null;
  readonly throughSeq: number;
  readonly hashes: ReadonlySet<number>;
  afterSeq: number;
  reading: boolean;
  /** Result for the next turn. */
  found: UserRows | null;
}

export interface Parts {
  readonly store: QueueStore;
  readonly commitBuffer: CommitBuffer;
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
  private readonly searches: Search[] = [];
  /** Carried out in the current turn; resolved once that is durable. */
  private done: Begun[] = [];

  /** Sequence number of a purge that the store has not recorded yet. */
  private unmarkedSeq: number | null = null;
  /** Whether the erasures in progress differ from those in the store. */
  private unmarkedErasures = false;
  /** Erasures of an earlier process, which begin with the first turn. */
  private resumed: readonly ErasureMark[] = [];
  /**
   * Whether the search for users of an earlier process is complete; they are forgotten after the next commit.
   */
  private searchComplete = false;

  constructor(private readonly parts: Parts) {}

  /**
   * Continues the deletions of an earlier process. A purge may cover numbers whose commit failed; numbers above
   * the store's last are used again for newer entries, so the purge ends there. Rejects as the store does.
   */
  async resume(lastSeq: number): Promise<void> {
    const { store, deletions } = this.parts;
    deletions.purgeThrough(Math.min(lastSeq, Number((await store.getMeta(purgedThroughKey)) ?? 0)));
    this.resumed = readMarks(await store.getMeta(erasuresKey)).map((mark) => ({
      ...mark,
      throughSeq: Math.min(lastSeq, mark.throughSeq),
    }));
  }

  /**
   * Purges all entries of earlier messages; in a shared queue up to `mostSeq`, because other instances append
   * too.
   */
  purge(mostSeq: number): Promise<Deleted> {
    return this.ask(null, mostSeq);
  }

  /** Erases all entries of a user, with the same limits as `purge`. */
  erase(userKeys: readonly string[], mostSeq: number): Promise<Deleted> {
    return this.ask(userKeys, mostSeq);
  }

  private ask(userKeys: readonly string[] | null, mostSeq: number): Promise<Deleted> {
    if (this.closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const request: Request = { userKeys, resolve, reject, throughSeq: null, before: 0 };
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
    const searched = this.searches.splice(0).flatMap(({ request }) => request ?? []);
    for (const { reject } of [...this.asked, ...this.purges, ...searched, ...this.done]) reject(error);
    this.asked = [];
    this.purges = [];
    this.done = [];
  }

  // ── In a turn, before new messages are taken ────────────────────────────────────────────────────────────────

  turn(nowMs: number): void {
    if (this.resumed.length > 0) this.beginResumed();
    if (this.asked.length > 0) this.begin(nowMs);
    if (this.unmarkedErasures) this.markErasures();
    if (this.unmarkedSeq !== null) this.markPurge(this.unmarkedSeq);
    const search = this.searches[0];
    if (search !== undefined && search.found !== null) this.searched(search, search.found, nowMs);
    if (this.purges.length > 0) this.endPurges();
  }

  private begin(nowMs: number): void {
    const due = this.asked.filter(({ throughSeq }) => throughSeq !== null);
    this.asked = this.asked.filter((request) => !due.includes(request));
    for (const request of due) {
      const begun = { ...request, throughSeq: request.throughSeq! };
      if (begun.userKeys === null) this.beginPurge(begun, nowMs);
      else this.beginErasure(begun, begun.userKeys, nowMs);
    }
  }

  private beginPurge(request: Begun, nowMs: number): void {
    const { deletions, pendingUsers } = this.parts;
    request.before = deletions.purged;
    this.unmarkedSeq = deletions.purgeThrough(request.throughSeq);
    pendingUsers.deleteAll(nowMs);
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
    const { deletions, pendingUsers, forgetUser } = this.parts;
    const hashes = new Set<number>();
    let throughSeq = 0;
    for (const key of userKeys) {
      const hash = hashUserKey(key);
      hashes.add(hash);
      throughSeq = Math.max(throughSeq, deletions.erase(key, hash, request.throughSeq));
    }
    forgetUser(userKeys);
    for (const key of userKeys) pendingUsers.deleteUser(key, nowMs);
    this.search(request, throughSeq, hashes);
    this.unmarkedErasures = true;
  }

  /** No user is in memory yet; each is matched when a row of theirs is read or found. */
  private beginResumed(): void {
    const { deletions } = this.parts;
    const hashes = new Set<number>();
    let throughSeq = 0;
    for (const mark of this.resumed) {
      deletions.resume(mark);
      hashes.add(mark.hash);
      throughSeq = Math.max(throughSeq, mark.throughSeq);
    }
    this.search(null, throughSeq, hashes);
    this.resumed = [];
  }

  private search(request: Begun | null, throughSeq: number, hashes: ReadonlySet<number>): void {
    this.searches.push({ request, throughSeq, hashes, afterSeq: 0, reading: false, found: null });
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
    const unread = this.purges.filter(({ throughSeq }) => this.parts.readAhead.hasUnreadBefore(throughSeq));
    for (const request of this.purges) if (!unread.includes(request)) this.done.push(request);
    this.purges = unread;
  }

  private searched(search: Search, found: UserRows, nowMs: number): void {
    const { deletions, commitBuffer } = this.parts;
    search.found = null;
    for (const row of found.rows) this.foundRow(row, nowMs);
    const { request, hashes, throughSeq } = search;
    if (found.throughSeq !== null && found.throughSeq < throughSeq) {
      search.afterSeq = found.throughSeq;
      return;
    }
    if (request === null) this.searchComplete = true;
    for (const [, erasure] of deletions.erasing()) {
      // A newer erasure of the same user has a search of its own.
      if (erasure.throughSeq > throughSeq || !hashes.has(erasure.hash)) continue;
      erasure.searched = true;
      if (!erasure.hasRepeats) for (const seq of erasure.tombstones) commitBuffer.mark(seq, 'remove');
    }
    this.searches.shift();
    if (request !== null) this.done.push(request);
  }

  /** Ends a row that is only in the store. Entries in memory end there. */
  private foundRow(row: Row, nowMs: number): void {
    const { loader, pendingUsers, readAhead, deletions, commitBuffer } = this.parts;
    if (deletions.hasRowEnded(row.seq)) return;
    const item = loader.itemOf(row, nowMs);
    if (item === null) return;
    const { userKey } = item.entry;
    deletions.match(userKey, row.userHash);
    const erasure = deletions.erasureOf(userKey);
    if (erasure === undefined || row.seq > erasure.throughSeq || pendingUsers.has(userKey, row.seq)) return;
    if (row.state === 'tombstone') {
      erasure.tombstones.add(row.seq);
      return;
    }
    // A row that was read and is not in memory has ended since the search read it.
    if (!readAhead.isUnread(row.lane, row.seq)) return;
    if (row.state === 'repeat') {
      // The row is sent when it is read, and newer blocks that were sent before it are sent again after it.
      erasure.hasRepeats = true;
      return;
    }
    deletions.rowEnded(row.seq);
    commitBuffer.mark(row.seq, 'remove');
    pendingUsers.queuedChars -= bodyChars(item.entry);
    for (const cell of item.cells) pendingUsers.reject(cell, 'erased', deletionTexts.erased);
  }

  // ── After its commit ────────────────────────────────────────────────────────────────────────────────────────

  committed(): void {
    const { readAhead, deletions } = this.parts;
    if (!readAhead.readingAny) deletions.forgetEndedRows();
    for (const request of this.done.splice(0)) request.resolve(this.resultOf(request));
    if (this.searchComplete) this.forgetUnmatched();
    if (deletions.any) this.forgetErased();
    this.searchOn();
    // Every earlier message has been appended now.
    if (this.asked.length > 0) this.parts.askTurn();
  }

  /** Forgets erasures of an earlier process of whose users nothing was found. */
  private forgetUnmatched(): void {
    this.searchComplete = false;
    this.parts.deletions.allMatched();
    this.unmarkedErasures = true;
    this.parts.askTurn();
  }

  /** Forgets erasures that are complete. */
  private forgetErased(): void {
    const { deletions, pendingUsers } = this.parts;
    for (const [key, { searched, throughSeq }] of deletions.erasing()) {
      if (!searched || pendingUsers.hasUpTo(key, throughSeq)) continue;
      deletions.forget(key);
      this.unmarkedErasures = true;
      this.parts.askTurn();
    }
  }

  private resultOf({ userKeys, throughSeq, before }: Begun): Deleted {
    const { deletions, pendingUsers } = this.parts;
    if (userKeys === null)
      return { entries: deletions.purged - before, inFlight: pendingUsers.openUpTo(throughSeq, null) };
    let entries = 0;
    let inFlight = 0;
    for (const key of userKeys) {
      entries += deletions.erasureOf(key)?.entries ?? 0;
      inFlight += pendingUsers.openUpTo(throughSeq, key);
    }
    return { entries, inFlight };
  }

  private searchOn(): void {
    const search = this.searches[0];
    if (search === undefined || search.reading || search.found !== null) return;
    search.reading = true;
    this.parts.store.rowsOfUsers([...search.hashes], search.afterSeq, rowsPerSearch).then(
      (found) => {
        search.reading = false;
        search.found = found;
        this.parts.askTurn();
      },
      (error: unknown) => {
        search.reading = false;
        this.parts.failed(error);
      },
    );
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

// Log in SQLite, in a file or in memory. Synchronous: every call is carried out before it returns. One handle,
// one process.

import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';

import { checkAppend, isEmpty } from '../commit-parts';
import { lanesByCode, statesByCode } from '../row-codes';
import type { Commit, Lane, Opened, QueueError, RecoveredRecord, Row, UserRange } from '../store';
import { suppressionKeyNote } from '../suppression';
import { CommitWriter, type Steps, type Totals } from './commit-writer';
import type { EncryptionOptions } from './encryption';
import { prepareAll, type LogStatements } from './log-statements';
import { RowCipher } from './row-cipher';
import { Sources } from './sources';
import { checkContent } from './sqlite-check';
import { queueError, toOpenError, toQueueError } from './sqlite-errors';
import { openDatabase, pragma } from './sqlite-schema';
import { SyncTables, type SyncCallOf, type SyncMethod, type SyncMethods } from './sync-tables';

/** Free pages (8 KiB each) that are kept for later rows. */
const sparePages = 1024;
const largeWalBytes = 1_048_576;
/** Pages that one `tidy` frees; with its sync this takes about as long as a commit. */
const pagesPerTidy = 64;
/**
 * Pages after which a checkpoint truncates the file: often, because truncating hundreds of MB at once takes
 * tens of ms.
 */
const pagesPerCut = 2048;

/** Part of the index by user that fits into the cache: 64 buckets of about 80 KiB. */
const seqsPerLook = 2 ** 18;

interface EntryRecord {
  seq: number;
  lane: number;
  state: number;
  user: number;
  source: number;
  event_wall: number;
  event_mono: number;
  taken_wall: number;
  body: string;
}

/**
 * Opens a log; `path` may be `inMemory`. Throws QueueErrors. Without `cipher` nothing is encrypted, and nothing
 * encrypted can be read.
 */
export function openLog(path: string, cipher: EncryptionOptions | null = null): SqliteLog {
  return new SqliteLog(openDatabase(path), path, cipher);
}

export class SqliteLog {
  readonly #statements: LogStatements;
  readonly #sources: Sources;
  #totals: Totals;
  readonly #cipher: RowCipher;
  readonly #sync: SyncTables;
  readonly #writer: CommitWriter;
  /** Once the file is found damaged, it is neither read nor written. */
  #damage: QueueError | null = null;
  #isOpen = true;
  #pagesToCut = 0;
  /** Numbers up to which rows of an earlier process may not be cold; null when all of them are. */
  #warm: Totals['warmSeq'] | null;

  /** Takes over a handle from `openDatabase`, and closes it when the content is invalid. */
  constructor(
    private readonly db: DatabaseSync,
    private readonly path: string,
    encryption: EncryptionOptions | null = null,
  ) {
    try {
      this.#statements = prepareAll(db);
      this.#sources = new Sources(db);
      this.#totals = this.#readTotals();
      this.#warm = { ...this.#totals.warmSeq };
      this.#cipher = new RowCipher(db, path, encryption);
      this.#sync = new SyncTables(
        db,
        path,
        this.#cipher,
        () => this.getMeta(suppressionKeyNote),
        (work) => this.#transaction(work),
      );
      this.#writer = new CommitWriter(this.#statements, this.#sources, this.#cipher, this.#sync.members);
    } catch (error) {
      db.close();
      throw toOpenError(error, path);
    }
  }

  get totals(): Readonly<Totals> {
    return this.#totals;
  }

  /**
   * Call once per process, before anything else: gives recovered in-flight records numbers below 0. `checked`
   * checks the whole file first, unless it is large, because entries that a damaged page hides would not be
   * missed.
   */
  takeOver(checked = false): Opened {
    if (checked) this.#guard(() => checkContent(this.db, this.path, this.#totals.waiting));
    this.#guard(() => this.#transaction(() => this.#cipher.settle()));
    this.#warm = { ...this.#totals.warmSeq };
    return this.#guard(() => ({
      lastSeq: this.#totals.lastSeq,
      waiting: this.#totals.waiting,
      bodyChars: this.#totals.bodyChars,
      recovered: this.#takeOverRecords(),
      oldestAppendedWallMs: (this.#statements.oldest.get()?.taken_wall as number | undefined) ?? null,
    }));
  }

  /** Returns `commits` after the commit. On an error nothing has changed. */
  commit(commit: Commit): number {
    return allSteps(this.commitInSteps(commit, Infinity));
  }

  /**
   * The same in steps that append at most so many rows each. Everything takes effect with the last step; call
   * nothing else until then.
   */
  *commitInSteps(commit: Commit, rowsPerStep: number): Steps<number> {
    const totals = this.#guard(() => {
      checkAppend(commit, this.#totals.lastSeq);
      const { warmSeq, ...totals } = this.#totals;
      return { ...totals, warmSeq: { ...warmSeq }, commits: totals.commits + 1 };
    });
    if (isEmpty(commit)) return this.#totals.commits;
    try {
      yield* this.#inTransaction(() => this.#writer.apply(commit, totals, rowsPerStep));
    } catch (error) {
      throw this.#failed(error);
    }
    this.#totals = totals;
    return totals.commits;
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): readonly Row[] {
    return this.#guard(() => {
      const { readAdds, readRemovals, readBulk } = this.#statements;
      const statement = { add: readAdds, removal: readRemovals, bulk: readBulk }[lane];
      const found = statement.all(afterSeq, throughSeq, Math.min(limit, Number.MAX_SAFE_INTEGER));
      return found.map((record) => this.#rowOf(record));
    });
  }

  rowsOfUsers(ranges: readonly UserRange[], limit: number): readonly (readonly Row[])[] {
    return this.#guard(() => {
      if (this.#warm !== null) this.#makeCold(this.#warm);
      // There may be a long range without rows before the first one.
      const first = (this.#statements.firstSeq.get()?.first as number | null) ?? Infinity;
      const found = ranges.map((): Row[] => []);
      let after = Math.max(first - 1, Math.min(...ranges.map(({ afterSeq }) => afterSeq)));
      const last = Math.min(this.#totals.lastSeq, Math.max(...ranges.map(({ throughSeq }) => throughSeq)));
      // A part of the index after the other, for all users, so that its pages stay in the cache.
      for (; after < last; after += seqsPerLook) {
        ranges.forEach(({ userHash, afterSeq, throughSeq }, at) => {
          const [from, to] = [Math.max(after, afterSeq), Math.min(after + seqsPerLook, throughSeq)];
          const its = found[at]!;
          if (from < to && its.length < limit)
            its.push(...this.#rowsOf(userHash, from, to, limit - its.length));
        });
      }
      return found;
    });
  }

  #rowsOf(userHash: number, afterSeq: number, throughSeq: number, limit: number): Row[] {
    const most = Math.min(limit, Number.MAX_SAFE_INTEGER);
    const records = this.#cipher
      .namesOf(userHash)
      .flatMap((name) => this.#statements.rowsOf.all(afterSeq, throughSeq, name, most));
    const rows = records.map((record) => this.#rowOf(record));
    return rows.sort((a, b) => a.seq - b.seq).slice(0, most);
  }

  getMeta(key: string): string | null {
    return this.#guard(() => {
      const value = (this.#statements.getMeta.get(key)?.value as string | undefined) ?? null;
      return value === null ? null : this.#cipher.textIn(value, `the note "${key}"`);
    });
  }

  setMeta(key: string, value: string): void {
    this.#guard(() => this.#statements.setMeta.run(key, this.#cipher.noteOf(value)));
  }

  sync<M extends SyncMethod>(call: SyncCallOf<M>): ReturnType<SyncMethods[M]> {
    return this.#guard(() => this.#sync.carryOut(call) as ReturnType<SyncMethods[M]>);
  }

  /** Accounts of the rows that were ever appended. */
  get accounts(): readonly string[] {
    return this.#sources.accounts;
  }

  /** Removes every row; the last number, in-flight records and stored values stay. */
  clear(): void {
    this.#guard(() => {
      const totals = { ...this.#totals, waiting: 0, bodyChars: 0, commits: this.#totals.commits + 1 };
      this.#transaction(() => {
        this.db.exec('DELETE FROM entry');
        this.#writer.setTotals(totals);
      });
      this.#totals = totals;
    });
  }

  /**
   * Frees pages on disk, a few at a time. `idle` frees more, and empties a large -wal file at the end. Returns
   * whether there is more to do.
   */
  tidy(idle: boolean): boolean {
    return this.#guard(() => {
      // Of a process that ended while it forgot a segment.
      if (this.#sync.deleteForgotten()) return true;
      const spare = idle ? sparePages : Math.max(sparePages, Math.floor(pragma(this.db, 'page_count') / 4));
      const surplus = pragma(this.db, 'freelist_count') - spare;
      if (this.#pagesToCut >= pagesPerCut || (surplus <= 0 && this.#pagesToCut > 0)) {
        this.#cut();
        return true;
      }
      if (surplus > 0) {
        const pages = Math.min(surplus, pagesPerTidy);
        this.db.exec(`PRAGMA incremental_vacuum(${pages})`);
        this.#pagesToCut += pages;
        // The count does not fall if the file was rebuilt without auto_vacuum. Then it works, but only grows.
        return pragma(this.db, 'freelist_count') < surplus + spare;
      }
      if (idle && this.#walBytes() > largeWalBytes) this.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      return false;
    });
  }

  /** Empties and removes the -wal file. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.db.close();
  }

  #guard<T>(call: () => T): T {
    if (!this.#isOpen) throw queueError('closed', this.path, '');
    if (this.#damage !== null) throw this.#damage;
    try {
      return call();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): QueueError {
    const mapped = toQueueError(error, this.path);
    if (mapped.code === 'damaged') this.#damage = mapped;
    return mapped;
  }

  #walBytes(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  #transaction(work: () => void): void {
    const oneStep = (): [] => (work(), []);
    allSteps(this.#inTransaction(oneStep));
  }

  *#inTransaction(work: () => Iterable<undefined>): Steps<void> {
    try {
      this.db.exec('BEGIN IMMEDIATE');
      yield* work();
      this.db.exec('COMMIT');
      this.#sources.keep();
    } catch (error) {
      this.#sources.forget();
      this.#rollback();
      throw error;
    }
  }

  #rollback(): void {
    try {
      this.db.exec('ROLLBACK');
    } catch {
      // SQLite rolls back by itself on some errors, and then no transaction is open.
    }
  }

  #readTotals(): Totals {
    const found = this.db
      .prepare('SELECT last_seq, waiting, chars, warm_add, warm_removal, warm_bulk, commits FROM total')
      .get();
    if (found === undefined) throw queueError('damaged', this.path, 'its totals are missing');
    const highest = this.db.prepare('SELECT max(seq) AS seq FROM entry').get()?.seq as number | null;
    const totals = {
      lastSeq: found.last_seq as number,
      waiting: found.waiting as number,
      bodyChars: found.chars as number,
      warmSeq: {
        add: found.warm_add as number,
        removal: found.warm_removal as number,
        bulk: found.warm_bulk as number,
      },
      commits: found.commits as number,
    };
    if ((highest ?? 0) > totals.lastSeq || (highest === null && totals.waiting > 0)) {
      throw queueError('damaged', this.path, 'its entries do not match its totals');
    }
    return totals;
  }

  /**
   * Makes rows of an earlier process cold that were in its memory. Not before they are asked for: a start writes nothing,
   * and most of them are read soon.
   */
  #makeCold({ add, removal, bulk }: Totals['warmSeq']): void {
    this.#transaction(() => {
      this.#statements.coolAdds.run(add);
      this.#statements.coolRemovals.run(removal);
      this.#statements.coolBulk.run(bulk);
    });
    this.#warm = null;
  }

  #rowOf(record: object): Row {
    const entry = record as EntryRecord;
    const source = this.#sources.get(entry.source);
    const lane = lanesByCode[entry.lane];
    const state = statesByCode[entry.state];
    if (source === undefined || lane === undefined || state === undefined) {
      throw queueError('damaged', this.path, `entry ${entry.seq} is not valid`);
    }
    return {
      seq: entry.seq,
      lane,
      state,
      source,
      eventWallMs: entry.event_wall,
      eventMonoMs: entry.event_mono,
      appendedWallMs: entry.taken_wall,
      ...this.#cipher.openRow(entry),
    };
  }

  #takeOverRecords(): RecoveredRecord[] {
    const lowest = this.db.prepare('SELECT min(post) AS post FROM flight').get()?.post as number | null;
    const fresh = this.db.prepare('SELECT post FROM flight WHERE post > 0 ORDER BY post').all();
    if (fresh.length > 0) {
      const renumber = this.db.prepare('UPDATE flight SET post = ? WHERE post = ?');
      let next = Math.min(lowest ?? 0, 0);
      this.#transaction(() => {
        for (const { post } of fresh) renumber.run(--next, post as number);
      });
    }
    return this.db
      .prepare('SELECT post, users, until_wall FROM flight ORDER BY post DESC')
      .all()
      .map(({ post, users, until_wall }) => ({
        post: post as number,
        userHashes: this.#cipher.hashesIn(users as Uint8Array),
        untilWallMs: until_wall as number | null,
      }));
  }

  #cut(): void {
    this.db.exec('PRAGMA wal_checkpoint(PASSIVE)');
    this.#pagesToCut = 0;
  }
}

function allSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

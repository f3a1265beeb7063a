// Log in SQLite, in a file or in memory. Synchronous: every call is carried out before it returns. One handle,
// one process.

import { statSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { checkAppend, isEmpty, runsOf } from '../commit-parts';
import type { Commit, InFlightRecord, Lane, RecoveredRecord, NewRow, Opened, QueueError } from '../store';
import type { Row, Source, UserRange } from '../store';
import { bucketOf, logSql } from '../log-sql';
import { laneCodes, lanesByCode, statesByCode } from '../row-codes';
import { isEncrypted, type Cipher, type EncryptionOptions } from './encryption';
import { checkContent } from './sqlite-check';
import { queueError, toOpenError, toQueueError } from './sqlite-errors';
import { openDatabase, pragma } from './sqlite-schema';
import { dropCipher, hasCipher, newCipher, openCipher, cipherNotes } from './sqlite-encryption';

/** Rows per INSERT: measured a third faster than single rows, and no faster with more. */
const rowsPerInsert = 40;
const columnsPerRow = 10;
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

/** Work that may be interrupted. */
type Steps<T> = Generator<undefined, T>;

interface Totals {
  lastSeq: number;
  waiting: number;
  bodyChars: number;
  /** Highest number of each lane that was ever appended without being cold. */
  warmSeq: Record<Lane, number>;
  /**
   * Number of commits ever that changed something. After a crash of the thread it tells whether the last commit
   * was made.
   */
  commits: number;
}

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
  readonly #statements: ReturnType<typeof prepareAll>;
  readonly #sources: Sources;
  #totals: Totals;
  #cipher: Cipher | null;
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
    private readonly encryptionOptions: EncryptionOptions | null = null,
  ) {
    try {
      this.#statements = prepareAll(db);
      this.#sources = new Sources(db);
      this.#totals = this.#readTotals();
      this.#warm = { ...this.#totals.warmSeq };
      this.#cipher = encryptionOptions === null ? null : openCipher(db, path, encryptionOptions);
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
    this.#guard(() => this.#settleEncryption());
    this.#warm = { ...this.#totals.warmSeq };
    return this.#guard(() => ({
      lastSeq: this.#totals.lastSeq,
      waiting: this.#totals.waiting,
      bodyChars: this.#totals.bodyChars,
      recovered: this.#takeOverRecords(),
      oldestTakenWallMs: (this.#statements.oldest.get()?.taken_wall as number | undefined) ?? null,
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
      yield* this.#inTransaction(() => this.#apply(commit, totals, rowsPerStep));
    } catch (error) {
      throw this.#failed(error);
    }
    this.#totals = totals;
    return totals.commits;
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): readonly Row[] {
    return this.#guard(() => {
      const statement = lane === 'add' ? this.#statements.readAdds : this.#statements.readRemovals;
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
    const records = this.#namesOf(userHash).flatMap((name) =>
      this.#statements.rowsOf.all(afterSeq, throughSeq, name, most),
    );
    const rows = records.map((record) => this.#rowOf(record));
    return rows.sort((a, b) => a.seq - b.seq).slice(0, most);
  }

  getMeta(key: string): string | null {
    return this.#guard(() => {
      const value = (this.#statements.getMeta.get(key)?.value as string | undefined) ?? null;
      return value === null || !isEncrypted(value) ? value : this.#openText(value, `the note "${key}"`);
    });
  }

  setMeta(key: string, value: string): void {
    this.#guard(() => this.#statements.setMeta.run(key, this.#rowCipher?.cipher(value) ?? value));
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
        this.#setTotals(totals);
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
      .prepare('SELECT last_seq, waiting, chars, warm_add, warm_removal, commits FROM total')
      .get();
    if (found === undefined) throw queueError('damaged', this.path, 'its totals are missing');
    const highest = this.db.prepare('SELECT max(seq) AS seq FROM entry').get()?.seq as number | null;
    const totals = {
      lastSeq: found.last_seq as number,
      waiting: found.waiting as number,
      bodyChars: found.chars as number,
      warmSeq: { add: found.warm_add as number, removal: found.warm_removal as number },
      commits: found.commits as number,
    };
    if ((highest ?? 0) > totals.lastSeq || (highest === null && totals.waiting > 0)) {
      throw queueError('damaged', this.path, 'its entries do not match its totals');
    }
    return totals;
  }

  *#apply(commit: Commit, totals: Totals, rowsPerStep: number): Steps<void> {
    const { append = [] } = commit;
    for (let from = 0; from < append.length; from += rowsPerStep) {
      if (from > 0) yield;
      this.#append(append.length > rowsPerStep ? append.slice(from, from + rowsPerStep) : append, totals);
    }
    if (commit.repeat !== undefined) this.#repeat(commit.repeat, totals);
    if (commit.remove !== undefined) this.#remove(commit.remove, totals);
    for (const mark of commit.begin ?? []) this.#statements.beginRecord.run(mark.post, this.#blobOf(mark));
    for (const { post, untilWallMs } of commit.unknown ?? [])
      this.#statements.setRecordUnknown.run(untilWallMs, post);
    for (const post of commit.settle ?? []) this.#statements.settleRecord.run(post);
    this.#setTotals(totals);
  }

  #setTotals({ lastSeq, waiting, bodyChars, warmSeq, commits }: Totals): void {
    this.#statements.setTotals.run(lastSeq, waiting, bodyChars, warmSeq.add, warmSeq.removal, commits);
  }

  #append(rows: readonly NewRow[], totals: Totals): void {
    const whole = rows.length - (rows.length % rowsPerInsert);
    const values = new Array<number | string>(rowsPerInsert * columnsPerRow);
    for (let from = 0; from < whole; from += rowsPerInsert) {
      for (let at = 0; at < rowsPerInsert; at++) this.#fill(values, at * columnsPerRow, rows[from + at]!);
      this.#statements.insertMany.run(...values);
    }
    values.length = columnsPerRow;
    for (let at = whole; at < rows.length; at++) {
      this.#fill(values, 0, rows[at]!);
      this.#statements.insertOne.run(...values);
    }
    for (const { body, cold, lane, seq } of rows) {
      totals.bodyChars += body.length;
      if (cold !== true) totals.warmSeq[lane] = seq;
    }
    totals.waiting += rows.length;
    totals.lastSeq = rows.at(-1)?.seq ?? totals.lastSeq;
  }

  #fill(values: (number | string)[], at: number, row: NewRow): void {
    values[at] = row.seq;
    values[at + 1] = laneCodes[row.lane];
    const cipher = this.#rowCipher;
    values[at + 2] = cipher?.tagOf(row.userHash) ?? row.userHash;
    values[at + 3] = this.#sources.idOf(row.source);
    values[at + 4] = row.body.length;
    values[at + 5] = row.eventWallMs;
    values[at + 6] = row.eventMonoMs;
    values[at + 7] = row.takenWallMs;
    values[at + 8] = row.cold === true ? 1 : 0;
    values[at + 9] = cipher?.encryptRow(row.userHash, row.body) ?? row.body;
  }

  // ── The cipher ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Cipher for new rows; null when they are stored as plain text. */
  get #rowCipher(): Cipher | null {
    if (this.encryptionOptions?.isOn !== true) return null;
    if (this.#cipher === null) throw queueError('failed', this.path, 'its key is not there yet');
    return this.#cipher;
  }

  #settleEncryption(): void {
    const { encryptionOptions } = this;
    if (encryptionOptions === null || (!encryptionOptions.isOn && this.#cipher === null)) return;
    this.#transaction(() => {
      this.#cipher ??= newCipher(this.db, this.path, encryptionOptions);
      if (encryptionOptions.isOn) cipherNotes(this.db, this.#cipher);
      else if (dropCipher(this.db, this.#cipher)) this.#cipher = null;
    });
  }

  /**
   * Values of the user column for a user: plain hash and blind index, since rows may be from before encryption
   * was switched.
   */
  #namesOf(userHash: number): number[] {
    return this.#cipher === null ? [userHash] : [userHash, this.#cipher.tagOf(userHash)];
  }

  #openText(encrypted: string, what: string): string {
    this.#checkDecryptable();
    const text = this.#cipher?.open(encrypted) ?? null;
    if (text === null) throw queueError('damaged', this.path, `${what} cannot be opened`);
    return text;
  }

  /**
   * A row that was changed since it was encrypted is returned as it is; its reader finds that it is no entry.
   */
  #openRow({ user, body }: EntryRecord): { readonly userHash: number; readonly body: string } {
    const asItIs = { userHash: user, body };
    if (!isEncrypted(body)) return asItIs;
    this.#checkDecryptable();
    return this.#cipher?.openRow(body) ?? asItIs;
  }

  #checkDecryptable(): void {
    if (this.#cipher !== null) return;
    if (hasCipher(this.db)) throw queueError('encrypted', this.path, 'it was opened without a secret');
    throw queueError('damaged', this.path, 'its key is missing');
  }

  #blobOf({ userHashes }: InFlightRecord): Uint8Array {
    const cipher = this.#rowCipher;
    // Its length is never a multiple of eight, unlike that of plain hashes: an encrypted text is one character
    // longer than a multiple of four.
    if (cipher !== null) return Buffer.from(cipher.cipher(JSON.stringify(userHashes)), 'latin1');
    const view = new DataView(new ArrayBuffer(userHashes.length * 8));
    userHashes.forEach((hash, at) => view.setFloat64(at * 8, hash, true));
    return new Uint8Array(view.buffer);
  }

  #recordOf(record: Record<string, unknown>): RecoveredRecord {
    const users = record.users as Uint8Array;
    const [post, untilWallMs] = [record.post as number, record.until_wall as number | null];
    if (users.byteLength % 8 !== 0) {
      const text = this.#openText(Buffer.from(users).toString('latin1'), 'the mark of a post');
      return { post, userHashes: JSON.parse(text) as number[], untilWallMs };
    }
    const view = new DataView(users.buffer, users.byteOffset, users.byteLength);
    const hashes = Array.from({ length: users.byteLength / 8 }, (_, at) => view.getFloat64(at * 8, true));
    return { post, userHashes: hashes, untilWallMs };
  }

  /**
   * Makes rows of an earlier process cold that were in its memory. Not before they are asked for: a start writes nothing,
   * and most of them are read soon.
   */
  #makeCold({ add, removal }: Totals['warmSeq']): void {
    this.#transaction(() => {
      this.#statements.coolAdds.run(add);
      this.#statements.coolRemovals.run(removal);
    });
    this.#warm = null;
  }

  #repeat(seqs: readonly number[], totals: Totals): void {
    for (const [first, last] of runsOf(seqs))
      totals.waiting -= Number(this.#statements.repeatRun.run(first, last).changes);
  }

  #remove(seqs: readonly number[], totals: Totals): void {
    for (const [first, last] of runsOf(seqs)) {
      const sum = this.#statements.sumRun.get(first, last) as { waiting: number; chars: number };
      totals.waiting -= sum.waiting;
      totals.bodyChars -= sum.chars;
      this.#statements.removeRun.run(first, last);
    }
  }

  #rowOf(record: object): Row {
    const entry = record as EntryRecord;
    const source = this.#sources.get(entry.source);
    const lane = lanesByCode[entry.lane];
    const state = statesByCode[entry.state];
    if (source === undefined || lane === undefined || state === undefined) {
      throw queueError('damaged', this.path, `entry ${entry.seq} makes no sense`);
    }
    return {
      seq: entry.seq,
      lane,
      state,
      source,
      eventWallMs: entry.event_wall,
      eventMonoMs: entry.event_mono,
      takenWallMs: entry.taken_wall,
      ...this.#openRow(entry),
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
      .map((record) => this.#recordOf(record));
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

/** Sources by id; a new one is written in the transaction of its first row. */
class Sources {
  readonly #byId = new Map<number, Source>();
  readonly #idByKey = new Map<string, number>();
  readonly #insert: StatementSync;
  #added: number[] = [];
  #last: { readonly source: Source; readonly id: number } | null = null;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare('INSERT INTO source (id, node, account) VALUES (?, ?, ?)');
    for (const { id, node, account } of db.prepare('SELECT id, node, account FROM source').all()) {
      this.#learn(id as number, { node: node as string, account: account as string });
    }
  }

  get accounts(): readonly string[] {
    return [...new Set([...this.#byId.values()].map(({ account }) => account))];
  }

  get(id: number): Source | undefined {
    return this.#byId.get(id);
  }

  idOf(source: Source): number {
    if (this.#last?.source === source) return this.#last.id;
    const id = this.#idByKey.get(keyOf(source)) ?? this.#add(source);
    this.#last = { source, id };
    return id;
  }

  /** Call after a commit. */
  keep(): void {
    this.#added.length = 0;
  }

  /** Call after a rollback. */
  forget(): void {
    for (const id of this.#added) {
      this.#idByKey.delete(keyOf(this.#byId.get(id)!));
      this.#byId.delete(id);
    }
    this.#added = [];
    this.#last = null;
  }

  #add(source: Source): number {
    const id = this.#byId.size + 1;
    this.#insert.run(id, source.node, source.account);
    this.#added.push(id);
    this.#learn(id, { node: source.node, account: source.account });
    return id;
  }

  #learn(id: number, source: Source): void {
    this.#byId.set(id, source);
    this.#idByKey.set(keyOf(source), id);
  }
}

function keyOf(source: Source): string {
  return JSON.stringify([source.node, source.account]);
}

/** Lanes and states are literals, so that the partial indexes are used. */
function prepareAll(db: DatabaseSync) {
  const columns = 'seq, lane, state, user, source, event_wall, event_mono, taken_wall, body';
  const insert =
    'INSERT INTO entry (seq, lane, state, user, source, chars, event_wall, event_mono, taken_wall, cold, body)';
  const values = '(?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)';
  const sql = logSql({
    table: (name) => name,
    byNumber: 'NOT INDEXED',
    byIndex: (index) => `INDEXED BY ${index}`,
    at: () => '?',
    columns,
  });
  return {
    insertOne: db.prepare(`${insert} VALUES ${values}`),
    insertMany: db.prepare(`${insert} VALUES ${new Array(rowsPerInsert).fill(values).join(', ')}`),
    repeatRun: db.prepare('UPDATE entry SET state = 1 WHERE seq BETWEEN ? AND ? AND state = 0'),
    sumRun: db.prepare(
      'SELECT count(*) FILTER (WHERE state = 0) AS waiting, coalesce(sum(chars), 0) AS chars FROM entry WHERE seq BETWEEN ? AND ?',
    ),
    removeRun: db.prepare('DELETE FROM entry WHERE seq BETWEEN ? AND ?'),
    readAdds: db.prepare(sql.readAdds),
    readRemovals: db.prepare(sql.readRemovals),
    coolAdds: db.prepare('UPDATE entry NOT INDEXED SET cold = 1 WHERE seq <= ? AND cold = 0 AND lane = 0'),
    coolRemovals: db.prepare(
      'UPDATE entry INDEXED BY entry_removal SET cold = 1 WHERE lane = 1 AND seq <= ? AND cold = 0',
    ),
    // Bucket after bucket, so that the rows are in order.
    rowsOf: db.prepare(
      `WITH RECURSIVE bucket (n) AS (
        SELECT ${bucketOf('?1')} UNION ALL SELECT n + 1 FROM bucket WHERE n < ${bucketOf('?2')}
      )
      SELECT ${columns} FROM bucket CROSS JOIN entry INDEXED BY entry_cold
      WHERE ${bucketOf('seq')} = n AND user = ?3 AND cold = 1 AND seq > ?1 AND seq <= ?2 LIMIT ?4`,
    ),
    firstSeq: db.prepare(sql.firstSeq),
    oldest: db.prepare(sql.oldest),
    setTotals: db.prepare(
      'UPDATE total SET last_seq = ?, waiting = ?, chars = ?, warm_add = ?, warm_removal = ?, commits = ?',
    ),
    beginRecord: db.prepare('INSERT INTO flight (post, users) VALUES (?, ?)'),
    setRecordUnknown: db.prepare('UPDATE flight SET until_wall = ? WHERE post = ?'),
    settleRecord: db.prepare('DELETE FROM flight WHERE post = ?'),
    getMeta: db.prepare(sql.getMeta),
    setMeta: db.prepare(sql.setMeta),
  };
}

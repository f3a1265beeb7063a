// Schema of a queue file: creates it with its pages, permissions and tables, and migrates it; never replaces
// it.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
} from 'node:fs';
import { renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { threadId } from 'node:worker_threads';

import { bucketOf } from '../log-sql';
import { inMemory, queueError, toOpenError } from './sqlite-errors';

/** Application id of our files ("iaso"), so that another program's database is not mistaken for a queue. */
const applicationId = 0x6961736f;

/** Migrates a file from version n to n + 1, at index n. Released migrations never change. */
export type Migration = (db: DatabaseSync) => void;
export const migrations: readonly Migration[] = [
  (db) =>
    db.exec(`
      -- lane: 0 add, 1 removal, 2 bulk; state: 0 waiting, 1 repeat; chars: length of body in UTF-16 units; cold: 1 when the
      -- row was appended without being in memory, or left by an earlier process.
      CREATE TABLE entry (
        seq INTEGER PRIMARY KEY,
        lane INTEGER NOT NULL,
        state INTEGER NOT NULL,
        user INTEGER NOT NULL,
        source INTEGER NOT NULL,
        chars INTEGER NOT NULL,
        event_wall REAL NOT NULL,
        event_mono REAL NOT NULL,
        taken_wall REAL NOT NULL,
        cold INTEGER NOT NULL,
        body TEXT NOT NULL
      ) STRICT;
      CREATE INDEX entry_removal ON entry (lane) WHERE lane = 1;
      CREATE INDEX entry_bulk ON entry (lane) WHERE lane = 2;
      CREATE INDEX entry_cold ON entry (${bucketOf('seq')}, user) WHERE cold = 1;
      CREATE TABLE source (
        id INTEGER PRIMARY KEY,
        node TEXT NOT NULL,
        account TEXT NOT NULL
      ) STRICT;
      -- users: hashes as 64-bit floats, little-endian; post below 0: left by an earlier process.
      CREATE TABLE flight (post INTEGER PRIMARY KEY, users BLOB NOT NULL, until_wall REAL) STRICT;
      CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
      -- Running totals, one row: counting a million rows at the start would take seconds. warm_add, warm_removal,
      -- warm_bulk: the highest number of each lane that was ever appended without being cold.
      CREATE TABLE total (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        last_seq INTEGER NOT NULL,
        waiting INTEGER NOT NULL,
        chars INTEGER NOT NULL,
        warm_add INTEGER NOT NULL,
        warm_removal INTEGER NOT NULL,
        warm_bulk INTEGER NOT NULL,
        commits INTEGER NOT NULL
      ) STRICT;
      INSERT INTO total VALUES (1, 0, 0, 0, 0, 0, 0, 0);
      -- Synced segments. segment null: forgotten, and its members are being deleted; so ids are never used again.
      CREATE TABLE synced (id INTEGER PRIMARY KEY AUTOINCREMENT, segment TEXT UNIQUE, state TEXT) STRICT;
      -- key: the member key, or its blind index as a blob when it is encrypted; encrypted: then the member key. state: 0 member,
      -- 1 live, 2 rejected. since: epoch minutes; expiration: minutes.
      CREATE TABLE member (
        segment INTEGER NOT NULL,
        key ANY NOT NULL,
        state INTEGER NOT NULL,
        since INTEGER NOT NULL,
        value INTEGER,
        expiration INTEGER,
        encrypted BLOB,
        PRIMARY KEY (segment, key)
      ) STRICT, WITHOUT ROWID;
      -- Number of members by the epoch minute in which they run out; 0: never, -1: rejected. Counting ten million rows
      -- would take seconds.
      CREATE TABLE member_end (
        segment INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        members INTEGER NOT NULL,
        PRIMARY KEY (segment, ends)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE suppression (hash TEXT PRIMARY KEY, since_wall REAL NOT NULL) STRICT, WITHOUT ROWID;
    `),
];

/**
 * Opens the file for this process alone, and creates it if it does not exist. Throws QueueErrors; an existing
 * file is then neither changed nor kept open. A database in memory is always new.
 */
export function openDatabase(path: string, steps: readonly Migration[] = migrations): DatabaseSync {
  try {
    if (path === inMemory) return open(path, (db) => make(db, steps));
    if (!existsSync(path)) create(path, steps);
    checkAccess(path);
    return open(path, (db) => {
      checkIdentity(db, path, steps.length);
      // FULL for every write, also unimportant ones: the synced part must always be the whole beginning of the
      // -wal file, because SQLite's recovery ends at the first gap after a power cut.
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      // A moderate size, because a checkpoint is part of the commit that reaches it and blocks that long.
      db.exec('PRAGMA wal_autocheckpoint = 512; PRAGMA journal_size_limit = 8388608');
      migrate(db, steps);
    });
  } catch (error) {
    throw toOpenError(error, path);
  }
}

function open(path: string, prepare: (db: DatabaseSync) => void): DatabaseSync {
  // Not imported, because an import prints a warning that SQLite is experimental, even without a queue.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  const db = new DatabaseSync(path);
  try {
    // Exclusive: a second process fails at its first read, instead of sending the same entries twice.
    db.exec('PRAGMA busy_timeout = 100; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -8192');
    // Overwrites deleted content, so that sent or erased entries do not stay in free pages; measured, it costs
    // nothing.
    db.exec('PRAGMA secure_delete = ON');
    prepare(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Creates the complete file under another name first. So a file with the right name was always a queue: an
 * empty one is damaged and not a new queue.
 */
function create(path: string, steps: readonly Migration[]): void {
  if (existsSync(`${path}-wal`)) throw queueError('damaged', path, 'only its -wal file is left');
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.new-${process.pid}-${threadId}`;
  rmSync(draft, { force: true });
  closeSync(openSync(draft, 'wx', 0o600));
  try {
    open(draft, (db) => make(db, steps)).close();
    giveName(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

function make(db: DatabaseSync, steps: readonly Migration[]): void {
  // Both take effect only before the first table.
  db.exec('PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL');
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA application_id = ${applicationId}`);
  migrate(db, steps);
}

/** Never replaces a file that another process created meanwhile. */
function giveName(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch {
    // The file exists already, or the disk has no hard links.
    if (!existsSync(path)) renameSync(draft, path);
  }
  syncDirectory(dirname(path));
}

/** Makes the name survive a power cut like the content. Windows has no such call and needs none. */
export function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Checks the file only by its name: opening and closing it here would drop the locks that SQLite holds on it
 * elsewhere in this process (https://sqlite.org/howtocorrupt.html, section 2.2).
 */
function checkAccess(path: string): void {
  accessSync(path, constants.R_OK | constants.W_OK);
  accessSync(dirname(path), constants.W_OK);
  const found = statSync(path);
  if (found.isFile() && found.size === 0) throw queueError('damaged', path, 'the file is empty');
}

function checkIdentity(db: DatabaseSync, path: string, current: number): void {
  const version = pragma(db, 'user_version');
  if (pragma(db, 'application_id') !== applicationId) {
    throw queueError('damaged', path, 'it is a database of something else');
  }
  // A file gets its name only after it has a version.
  if (version < 1) throw queueError('damaged', path, `format ${version}`);
  if (version > current) {
    throw queueError('newer_version', path, `format ${version}; this version reads up to ${current}`);
  }
}

/** Runs all missing migrations in one transaction. */
function migrate(db: DatabaseSync, steps: readonly Migration[]): void {
  const version = pragma(db, 'user_version');
  if (version >= steps.length) return;
  db.exec('BEGIN IMMEDIATE');
  for (const step of steps.slice(version)) step(db);
  db.exec(`PRAGMA user_version = ${steps.length}; COMMIT`);
}

export function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

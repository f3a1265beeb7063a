// Staging of one run, in a thread of its own (sync.md, "Staging"): rows are appended to a file as they come; at the end they
// are sorted by key into another one, which the thread of the queue compares with the members.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { Cipher, memberNameOf, stampOf } from './encryption';
import { stagingError } from './sqlite-errors';
import { syncDirectory } from './sqlite-schema';
import { removeStaging, stagedIn, type StagingFiles } from './staging-files';
import type { PackedStagedRows } from './staged-rows';
import { unpackStaged } from './staged-rows';

/** Rows per INSERT, as in log-statements.ts. */
const rowsPerInsert = 40;

export class Staging {
  readonly #cipher: Cipher | null;
  #gathered: Gathered | null = null;

  constructor(
    private readonly files: StagingFiles,
    key: Uint8Array | null,
  ) {
    this.#cipher = key === null ? null : new Cipher(key);
  }

  begin(): null {
    return this.#guard(this.files.gathered, () => {
      this.#close();
      removeStaging(this.files);
      mkdirSync(dirname(this.files.gathered), { recursive: true, mode: 0o700 });
      this.#draft(
        `CREATE TABLE gathered (key ANY NOT NULL, value INTEGER, expiration INTEGER, encrypted BLOB) STRICT;`,
        this.files.gathered,
        () => undefined,
      );
      return null;
    });
  }

  stage(packed: PackedStagedRows): null {
    return this.#guard(this.files.gathered, () => {
      const { db, insertMany, insertOne } = this.#open();
      const rows = unpackStaged(packed).map(({ memberKey, value, expiration }) => {
        const { key, encrypted } = memberNameOf(this.#cipher, memberKey);
        return [key, value, expiration, encrypted] as const;
      });
      const whole = rows.length - (rows.length % rowsPerInsert);
      db.exec('BEGIN');
      try {
        for (let at = 0; at < whole; at += rowsPerInsert)
          insertMany.run(...rows.slice(at, at + rowsPerInsert).flat());
        for (const row of rows.slice(whole)) insertOne.run(...row);
        db.exec('COMMIT');
      } catch (error) {
        // A full disk may have ended it already.
        if (db.isTransaction) db.exec('ROLLBACK');
        throw error;
      }
      return null;
    });
  }

  /** Sorts the rows. Returns the number of users; the same when it is called again. */
  end(): number {
    const { gathered, sorted } = this.files;
    return this.#guard(gathered, () => {
      if (stagedIn(this.files) !== 'prepared') this.#sort();
      this.#close();
      // Only what is sorted is left.
      removeStaging({ ...this.files, sorted: this.files.draft });
      return usersIn(sorted);
    });
  }

  close(): void {
    this.#close();
  }

  #sort(): void {
    const { db } = this.#open();
    this.#draft(
      'CREATE TABLE staged (key ANY PRIMARY KEY, value INTEGER, expiration INTEGER, encrypted BLOB) STRICT, WITHOUT ROWID;',
      this.files.sorted,
      (draft) => {
        db.prepare('ATTACH ? AS sorted').run(draft);
        // It gets its name only when it is complete.
        db.exec('PRAGMA sorted.journal_mode = OFF; PRAGMA sorted.synchronous = OFF');
        try {
          // Of each user only the last row.
          const { changes } = db
            .prepare(
              `INSERT OR IGNORE INTO sorted.staged (key, value, expiration, encrypted)
               SELECT key, value, expiration, encrypted FROM gathered ORDER BY key, rowid DESC`,
            )
            .run();
          db.prepare('UPDATE sorted.run SET users = ?').run(changes);
        } finally {
          db.exec('DETACH sorted');
        }
      },
    );
  }

  /** Makes a complete file and only then gives it its name. */
  #draft(tables: string, path: string, fill: (draft: string) => void): void {
    const { draft } = this.files;
    removeStaging({ gathered: draft, sorted: draft, draft });
    closeSync(openSync(draft, 'wx', 0o600));
    const db = newDatabase(draft);
    try {
      db.exec(`PRAGMA page_size = 8192; PRAGMA journal_mode = OFF;
        CREATE TABLE run (stamp TEXT NOT NULL, users INTEGER) STRICT; ${tables}`);
      db.prepare('INSERT INTO run VALUES (?, NULL)').run(stampOf(this.#cipher));
    } finally {
      db.close();
    }
    fill(draft);
    const handle = openSync(draft, 'r+');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(draft, path);
    syncDirectory(dirname(path));
  }

  #open(): Gathered {
    return (this.#gathered ??= openGathered(this.files.gathered));
  }

  #close(): void {
    this.#gathered?.db.close();
    this.#gathered = null;
  }

  #guard<T>(path: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw stagingError(error, path);
    }
  }
}

interface Gathered {
  readonly db: DatabaseSync;
  readonly insertOne: StatementSync;
  readonly insertMany: StatementSync;
}

function openGathered(path: string): Gathered {
  if (!existsSync(path)) throw new Error('no run is open');
  const db = newDatabase(path);
  try {
    // The cache is also what the sort may use before it writes to temporary files. With more it is not faster.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192');
    const insert = 'INSERT INTO gathered (key, value, expiration, encrypted) VALUES';
    const values = '(?, ?, ?, ?)';
    return {
      db,
      insertOne: db.prepare(`${insert} ${values}`),
      insertMany: db.prepare(`${insert} ${new Array(rowsPerInsert).fill(values).join(', ')}`),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

function usersIn(path: string): number {
  const db = newDatabase(path);
  try {
    return db.prepare('SELECT users FROM run').get()?.users as number;
  } finally {
    db.close();
  }
}

function newDatabase(path: string): DatabaseSync {
  // As in sqlite-schema.ts.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA busy_timeout = 100; PRAGMA locking_mode = EXCLUSIVE');
  return db;
}

// The steps that nobody can leave out, without an engine: each array is checked, stored durably, posted and removed. It has no
// limits, no order of a user's entries, no retries and no outcomes.
import type { DatabaseSync } from 'node:sqlite';
import { source, type Feed } from './entries';
import { checked, SqliteStore } from './package';
import { postAll } from './post-all';
import { serve } from './serve';

/** Stores the entries of a message before it is posted, and removes them after. */
interface Queue {
  append(firstSeq: number, entries: readonly ReturnType<typeof checked>[], post: number): Promise<void>;
  remove(firstSeq: number, count: number, post: number): Promise<void>;
}

/** A table of numbers and bodies, in this thread. */
function bareTable(file: string): Queue {
  const { DatabaseSync: Database } = process.getBuiltinModule('node:sqlite');
  const db: DatabaseSync = new Database(file);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA locking_mode = EXCLUSIVE');
  db.exec('CREATE TABLE entry (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT');
  const rowsPerInsert = 40;
  const insert = db.prepare(`INSERT INTO entry VALUES ${new Array(rowsPerInsert).fill('(?, ?)').join(', ')}`);
  const remove = db.prepare('DELETE FROM entry WHERE seq BETWEEN ? AND ?');
  return {
    append(firstSeq, entries) {
      db.exec('BEGIN IMMEDIATE');
      for (let from = 0; from < entries.length; from += rowsPerInsert) {
        const values: (number | string)[] = [];
        for (let at = from; at < from + rowsPerInsert; at += 1) values.push(firstSeq + at, entries[at]!.body);
        insert.run(...values);
      }
      db.exec('COMMIT');
      return Promise.resolve();
    },
    remove(firstSeq, count) {
      remove.run(firstSeq, firstSeq + count - 1);
      return Promise.resolve();
    },
  };
}

/** The queue that the engine uses, with what it needs to know after a crash. */
async function packageQueue(file: string): Promise<Queue> {
  const store = new SqliteStore(file);
  await store.open();
  return {
    append(firstSeq, entries, post) {
      const nowMs = Date.now();
      const rows = entries.map(({ body }, at) => ({
        ...{ seq: firstSeq + at, lane: 'add' as const, userHash: firstSeq + at, source, body },
        ...{ eventWallMs: nowMs, eventMonoMs: 1, appendedWallMs: nowMs },
      }));
      return store.commit({
        append: rows,
        begin: [{ post, userHashes: rows.map(({ userHash }) => userHash) }],
      });
    },
    remove(firstSeq, count, post) {
      const remove = Array.from({ length: count }, (_, at) => firstSeq + at);
      return store.commit({ remove, settle: [post] });
    },
  };
}

let queue: Queue;
let lastSeq = 0;
let lastPost = 0;

export const operations = {
  async open(file: string, kind: 'bare' | 'package'): Promise<void> {
    queue = kind === 'package' ? await packageQueue(file) : bareTable(file);
  },
  /** See `postAll`. */
  post(url: string, feed: Feed, concurrent: number): Promise<number> {
    return postAll(url, feed, concurrent, async (message, postBody) => {
      const entries = message.map(checked);
      const firstSeq = lastSeq + 1;
      lastSeq += entries.length;
      const post = ++lastPost;
      await queue.append(firstSeq, entries, post);
      await postBody(`{"rt_segment":[${entries.map(({ body }) => body).join(',')}]}`);
      await queue.remove(firstSeq, entries.length, post);
    });
  },
};
serve(operations);

// Durable appends and reads: the store on disk, plain and encrypted, and a plain file, in turns, with the same bodies.
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { NewRow, QueueStore } from '../../src/queue/store';
import { nowMs } from '../support/process';
import { rowOf } from './entries';
import { SqliteStore } from './package';
import { serve } from './serve';

function rowsFrom(first: number, count: number): NewRow[] {
  const row = (at: number) => ({ ...rowOf(first + at), seq: first + at, eventMonoMs: 12_345.678 });
  return Array.from({ length: count }, (_, at) => row(at));
}

interface Times {
  readonly commitMs: number[];
  /** Of rows that are not in memory. */
  readonly coldMs: number[];
  readonly encryptedMs: number[];
  readonly writeMs: number[];
  /** Of reading all of it again, a page at a time. */
  readonly readMs: number[];
  readonly encryptedReadMs: number[];
}

const rowsPerPage = 2_000;

async function readAll(store: QueueStore, pageMs: number[]): Promise<void> {
  for (let after = 0; ;) {
    const startedMs = nowMs();
    const rows = await store.read('add', after, Infinity, rowsPerPage);
    const last = rows.at(-1);
    if (last === undefined) return;
    pageMs.push(nowMs() - startedMs);
    after = last.seq;
  }
}

export const operations = {
  /** Milliseconds of each commit and of each write with its fdatasync, then of each page that is read back. */
  async run(folder: string, commits: number, rowsPerCommit: number): Promise<Times> {
    const store = new SqliteStore(`${folder}/appends.sqlite`);
    const cipher = { isOn: true, secrets: ['a secret of the bench'] };
    const encrypted = new SqliteStore(`${folder}/appends-encrypted.sqlite`, { cipher });
    const backlog = new SqliteStore(`${folder}/appends-backlog.sqlite`);
    await store.open();
    await encrypted.open();
    await backlog.open();
    const file = openSync(`${folder}/appends.log`, 'w');
    const times: Times = {
      commitMs: [],
      coldMs: [],
      encryptedMs: [],
      writeMs: [],
      readMs: [],
      encryptedReadMs: [],
    };
    for (let commit = 0; commit < commits; commit += 1) {
      const rows = rowsFrom(1 + commit * rowsPerCommit, rowsPerCommit);
      const startedMs = nowMs();
      await store.commit({ append: rows });
      const committedMs = nowMs();
      writeSync(file, rows.map(({ body }) => body).join('\n'));
      fdatasyncSync(file);
      const writtenMs = nowMs();
      await encrypted.commit({ append: rows });
      times.commitMs.push(committedMs - startedMs);
      times.writeMs.push(writtenMs - committedMs);
      const encryptedMs = nowMs();
      times.encryptedMs.push(encryptedMs - writtenMs);
      await backlog.commit({ append: rows.map((row) => ({ ...row, cold: true })) });
      times.coldMs.push(nowMs() - encryptedMs);
    }
    closeSync(file);
    await readAll(store, times.readMs);
    await readAll(encrypted, times.encryptedReadMs);
    await store.close();
    await encrypted.close();
    await backlog.close();
    return times;
  },
};
serve(operations);

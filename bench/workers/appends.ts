// Durable appends and reads: the outbox on disk, plain and sealed, and a plain file, in turns, with the same bodies.
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { NewRow, Outbox } from '../../src/outbox/outbox';
import { nowMs } from '../support/now';
import { entryOf } from './entries';
import { SqliteOutbox } from './package';
import { serve } from './serve';

const source = { node: 'bench', account: 'bench' };

function rowsFrom(first: number, count: number): NewRow[] {
  return Array.from({ length: count }, (_, at) => ({
    seq: first + at,
    lane: 'add',
    userHash: ((first + at) * 2_654_435_761) % 2 ** 53,
    source,
    bornWallMs: 1_700_000_000_000.5,
    bornMonoMs: 12_345.678,
    takenWallMs: 1_700_000_000_000,
    body: JSON.stringify(entryOf(first + at)),
  }));
}

interface Times {
  readonly commitMs: number[];
  readonly sealedMs: number[];
  readonly writeMs: number[];
  /** Of reading all of it again, a page at a time. */
  readonly readMs: number[];
  readonly sealedReadMs: number[];
}

const rowsPerPage = 2_000;

async function readAll(outbox: Outbox, pageMs: number[]): Promise<void> {
  for (let after = 0; ;) {
    const startedMs = nowMs();
    const { rows } = await outbox.read('add', after, Infinity, rowsPerPage);
    const last = rows.at(-1);
    if (last === undefined) return;
    pageMs.push(nowMs() - startedMs);
    after = last.seq;
  }
}

export const operations = {
  /** Milliseconds of each commit and of each write with its fdatasync, then of each page that is read back. */
  async run(folder: string, commits: number, rowsPerCommit: number): Promise<Times> {
    const outbox = new SqliteOutbox(`${folder}/appends.sqlite`);
    const seal = { isOn: true, secrets: ['a secret of the bench'] };
    const sealed = new SqliteOutbox(`${folder}/appends-sealed.sqlite`, { seal });
    await outbox.open();
    await sealed.open();
    const file = openSync(`${folder}/appends.log`, 'w');
    const times: Times = { commitMs: [], sealedMs: [], writeMs: [], readMs: [], sealedReadMs: [] };
    for (let commit = 0; commit < commits; commit += 1) {
      const rows = rowsFrom(1 + commit * rowsPerCommit, rowsPerCommit);
      const startedMs = nowMs();
      await outbox.commit({ append: rows });
      const committedMs = nowMs();
      writeSync(file, rows.map(({ body }) => body).join('\n'));
      fdatasyncSync(file);
      const writtenMs = nowMs();
      await sealed.commit({ append: rows });
      times.commitMs.push(committedMs - startedMs);
      times.writeMs.push(writtenMs - committedMs);
      times.sealedMs.push(nowMs() - writtenMs);
    }
    closeSync(file);
    await readAll(outbox, times.readMs);
    await readAll(sealed, times.sealedReadMs);
    await outbox.close();
    await sealed.close();
    return times;
  },
};
serve(operations);

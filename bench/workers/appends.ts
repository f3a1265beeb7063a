// Durable appends: the outbox on disk against a plain file, in turns, with the same bodies.
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { NewRow } from '../../src/outbox/outbox';
import { nowMs } from '../support/now';
import { entryOf } from './entries';
import { openDurableOutbox } from './package';
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

export const operations = {
  /** Milliseconds of each commit and of each write with its fdatasync. */
  async run(
    folder: string,
    commits: number,
    rowsPerCommit: number,
  ): Promise<{ commitMs: number[]; writeMs: number[] }> {
    const outbox = openDurableOutbox(`${folder}/appends.sqlite`);
    await outbox.open();
    const file = openSync(`${folder}/appends.log`, 'w');
    const commitMs: number[] = [];
    const writeMs: number[] = [];
    for (let commit = 0; commit < commits; commit += 1) {
      const rows = rowsFrom(1 + commit * rowsPerCommit, rowsPerCommit);
      const startedMs = nowMs();
      await outbox.commit({ append: rows });
      const committedMs = nowMs();
      writeSync(file, rows.map(({ body }) => body).join('\n'));
      fdatasyncSync(file);
      commitMs.push(committedMs - startedMs);
      writeMs.push(nowMs() - committedMs);
    }
    closeSync(file);
    await outbox.close();
    return { commitMs, writeMs };
  },
};
serve(operations);

// kill -9 of a process during its commits: every reported commit is complete, and each other one complete or
// absent.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { compileStore, type Compiled } from './compiled';
import { readAll, seqs, temporaryFolder } from './rows';

const rowsPerCommit = 70;

/** Commits 70 rows at a time, deletes the 10 before them, and prints the last number of each commit. */
function childScript(directory: string, path: string): string {
  return `
    const { SqliteStore } = require(${JSON.stringify(join(directory, 'sqlite-store.js'))});
    const { writeSync } = require('node:fs');
    const store = new SqliteStore(${JSON.stringify(path)});
    const source = { node: 'out', account: 'account' };
    (async () => {
      let { lastSeq } = await store.open();
      for (;;) {
        const append = Array.from({ length: ${rowsPerCommit} }, (_, at) => ({
          seq: lastSeq + 1 + at, lane: at % 5 ? 'add' : 'removal', userHash: at, source,
          eventWallMs: 1, eventMonoMs: 1, appendedWallMs: 1, body: '{}' + ' '.repeat(at * 5),
        }));
        const remove = Array.from({ length: 10 }, (_, at) => lastSeq - at);
        await store.commit({ append, remove });
        lastSeq += ${rowsPerCommit};
        writeSync(1, lastSeq + '\\n');
      }
    })();`;
}

async function runAndKill(script: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  await once(child.stdout, 'data');
  await wait(afterMs);
  child.kill('SIGKILL');
  await once(child, 'close');
  const whole = printed.slice(0, printed.lastIndexOf('\n')).split('\n');
  return Number(whole.at(-1));
}

/** The sequence numbers in the queue after `commits` complete commits. */
function expected(lastSeq: number): number[] {
  return seqs(1, lastSeq).filter((seq) => {
    const at = (seq - 1) % rowsPerCommit;
    return seq > lastSeq - rowsPerCommit || at < rowsPerCommit - 10;
  });
}

describe('kill -9 in the middle of commits', () => {
  let compiled: Compiled;
  before(() => (compiled = compileStore()));
  after(() => compiled.remove());

  it('loses no reported commit and leaves none incomplete, five times in a row', async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, 'queue.db');
    try {
      for (const _round of seqs(1, 5)) {
        const reported = await runAndKill(childScript(compiled.directory, path), Math.random() * 60);
        const store = new compiled.SqliteStore(path);
        const { lastSeq, waiting } = await store.open();
        const there = (await readAll(store)).map((row) => row.seq);
        await store.close();
        assert.ok(
          lastSeq === reported || lastSeq === reported + rowsPerCommit,
          `${lastSeq} after ${reported}`,
        );
        assert.deepEqual(there, expected(lastSeq));
        assert.equal(waiting, there.length);
      }
    } finally {
      folder.remove();
    }
  });
});

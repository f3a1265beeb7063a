// kill -9 of a process in the middle of runs: what was staged is staged, and members and state agree.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import type { ComparedPage } from '../../src/queue/sync-store';
import { compileStore, type Compiled } from './compiled';
import { seqs, temporaryFolder } from './rows';

const usersPerStage = 200;
const stages = 5;
const users = usersPerStage * stages;
const rules = { nowMinutes: 100, refreshPercent: 0, removes: true, resends: false };

/** Run after run stages every user with the run's number as value, and acknowledges the changes in steps. */
function childScript(directory: string, path: string): string {
  return `
    const { SqliteStore } = require(${JSON.stringify(join(directory, 'sqlite-store.js'))});
    const { writeSync } = require('node:fs');
    const store = new SqliteStore(${JSON.stringify(path)});
    const report = (...words) => writeSync(1, words.join(' ') + '\\n');
    (async () => {
      await store.open();
      const { sync } = store;
      await sync.keep('i1');
      const [{ state }] = await sync.segments();
      for (let run = (state === null ? 0 : JSON.parse(state).run) + 1; ; run++) {
        await sync.beginStaging('i1');
        report('begun', run);
        for (let stage = 0; stage < ${stages}; stage++) {
          const rows = Array.from({ length: ${usersPerStage} }, (_, at) => ({
            memberKey: ':' + (stage * ${usersPerStage} + at), value: run, expiration: null,
          }));
          await sync.stage('i1', rows);
          report('staged', run, stage + 1);
        }
        await sync.endStaging('i1');
        report('ended', run);
        let done = 0;
        for (let after = null; ;) {
          const page = await sync.compare('i1', ${JSON.stringify(rules)}, after, 100, false);
          const members = page.changes.map(({ memberKey, value, expiration }) => ({
            segment: 'i1', memberKey, value, expiration, state: 'member', sinceMinutes: 1,
          }));
          done += members.length;
          await store.commit({ members, syncStates: [{ segment: 'i1', text: JSON.stringify({ run, done }) }] });
          report('done', run, done);
          after = page.through;
          if (after === null) break;
        }
      }
    })();`;
}

interface Report {
  readonly what: string;
  readonly run: number;
  readonly number: number;
}

async function runAndKill(script: string, afterMs: number): Promise<Report> {
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  await once(child.stdout, 'data');
  await wait(afterMs);
  child.kill('SIGKILL');
  await once(child, 'close');
  const [what, run, number] = printed.slice(0, printed.lastIndexOf('\n')).split('\n').at(-1)!.split(' ');
  return { what: what!, run: Number(run), number: Number(number ?? 0) };
}

describe('kill -9 in the middle of a run', () => {
  let compiled: Compiled;
  before(() => (compiled = compileStore()));
  after(() => compiled.remove());

  /** Checks what is there against what was reported last. */
  async function check(path: string, reported: Report): Promise<string> {
    const store = new compiled.SqliteStore(path);
    await store.open();
    const { sync } = store;
    try {
      const [segment] = await sync!.segments();
      const { run, done } = JSON.parse(segment?.state ?? '{"run":0,"done":0}') as {
        run: number;
        done: number;
      };
      const isNext = run === reported.run && done >= reported.number;
      if (reported.what === 'done') assert.ok(isNext || run > reported.run, `${run}, ${done}`);
      const staged = await sync!.staged('i1');
      if (reported.what === 'begun' || reported.what === 'staged') assert.notEqual(staged, 'none');
      if (reported.what === 'ended') assert.equal(staged, 'prepared');
      if (staged === 'none') return staged;
      const there = await sync!.endStaging('i1');
      if (staged === 'prepared') assert.equal(there, users);
      else {
        const least = reported.what === 'staged' ? reported.number * usersPerStage : 0;
        assert.equal(there % usersPerStage, 0);
        assert.ok(there >= least && there <= least + usersPerStage, `${there} after ${least}`);
      }
      const pages: ComparedPage[] = [];
      for (let after: string | null = null; pages.at(-1)?.through !== null; after = pages.at(-1)!.through)
        pages.push(await sync!.compare('i1', rules, after, 100, false));
      // Not those of users whose rows were not staged yet.
      const changes = pages.flatMap((page) => page.changes).filter(({ kind }) => kind !== 'remove');
      const unchanged = pages.reduce((sum, { counts }) => sum + counts.unchanged, 0);
      // Each run has its number as value; only that of the state is done in part.
      const itsRun = changes[0]?.value ?? run;
      assert.equal(unchanged, there > 0 && itsRun === run ? done : 0);
      assert.equal(unchanged + changes.length, there);
      return staged;
    } finally {
      await store.close();
    }
  }

  it('keeps what was staged, and members and state of the same moment, ten times in a row', async function () {
    this.timeout(120_000);
    const folder = temporaryFolder();
    const path = join(folder.path, 'queue.sqlite');
    try {
      for (const _round of seqs(1, 10)) {
        const reported = await runAndKill(childScript(compiled.directory, path), Math.random() * 400);
        await check(path, reported);
      }
    } finally {
      folder.remove();
    }
  });
});

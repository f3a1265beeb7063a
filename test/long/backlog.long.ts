// Promise 5 at full size: ten million entries wait on disk, the heap stays flat, and all of them arrive.
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';
import { systemClock } from '../../src/clock';
import { Engine } from '../../src/delivery/engine';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { retainedBy } from '../delivery/support/retained';
import { device, entryOf } from '../delivery/support/world';

const entries = Number(process.env.BACKLOG_ENTRIES ?? 10_000_000);
const perMessage = 1_000;
const memoryMark = 50_000;
const pageRows = 5_000;
const heapMb = 150;

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

/** Megabytes alive on the heap, after a full collection. */
function heapUsedMb(): number {
  collect();
  return process.memoryUsage().heapUsed / 1_048_576;
}

describe(`a backlog of ${entries} entries on disk`, function () {
  this.timeout(0);

  let folder = '';
  before(() => (folder = mkdtempSync(path.join(tmpdir(), 'backlog-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps the heap flat while it grows and while it drains, and arrives whole', async () => {
    const file = path.join(folder, 'queue.sqlite');
    const store = new SqliteStore(file);
    const arrived = new Uint8Array(entries);
    let posted = 0;
    const engine = new Engine({
      store,
      clock: systemClock,
      random: Math.random,
      limits: { postsPerSecond: 1_000_000, usersPerSecond: 100_000_000, maxConcurrent: 4 },
      queueMaxEntries: 2 * entries,
      queueMaxBytes: 1e11,
      memoryMark,
      pageRows,
    });
    engine.onRecovered('n', () => undefined);
    engine.attach({
      account: 'a',
      token: () => Promise.resolve({ kind: 'token', token: 'token' }),
      refused: () => undefined,
      post: (body) => {
        for (const { user_id: id } of (JSON.parse(body) as { rt_segment: { user_id: string }[] })
          .rt_segment) {
          arrived[parseInt(id.slice(0, 8), 16) - 1]! += 1;
          posted += 1;
        }
        return new Promise((resolve) =>
          setImmediate(resolve, { kind: 'accepted', warnings: [], counts: { users: null, segments: null } }),
        );
      },
      networkFloorMs: () => 0,
    });
    engine.pause();
    engine.start();
    const beforeMb = heapUsedMb();
    let mostMb = 0;
    const look = (what: string): void => {
      const mb = heapUsedMb() - beforeMb;
      mostMb = Math.max(mostMb, mb);
      const { items } = retainedBy(engine, [store]);
      assert.ok(items <= memoryMark + pageRows, `${items} entries in memory ${what}`);
      assert.ok(mb <= heapMb, `${mb.toFixed(0)} MB more than at the start ${what}`);
    };
    const submit = (from: number): Promise<string> =>
      new Promise((resolve) => {
        engine.submit({
          source: { node: 'n', account: 'a' },
          entries: Array.from({ length: perMessage }, (_, i) =>
            entryOf(device(from + i), [{ seg_id: 1 + (i % 50) }]),
          ),
          indexes: null,
          completeOn: 'queued',
          onEnd: ({ kind }) => resolve(kind),
        });
      });
    for (let from = 0; from < entries; from += perMessage) {
      assert.equal(await submit(from), 'queued');
      if (from % (entries / 10) === 0) look(`with ${from} queued`);
    }
    look('with all queued');
    assert.equal(engine.counters.waiting, entries);
    const fileMb = statSync(file).size / 1_048_576;
    engine.resume();
    for (let left = entries; left > 0; left = engine.counters.waiting) {
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      look(`with ${left} left`);
    }
    assert.equal(posted, entries);
    assert.ok(
      arrived.every((times) => times === 1),
      'not every entry arrived exactly once',
    );
    await engine.close();
    console.log(
      `      the heap grew by ${mostMb.toFixed(0)} MB at most, the file to ${fileMb.toFixed(0)} MB`,
    );
  });
});

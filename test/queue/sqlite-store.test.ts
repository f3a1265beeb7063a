// SQLite store: order of results, threads that die, resources after close, and the queue in memory.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';

import type { QueueStore } from '../../src/queue/store';
import { SqliteStore, type StoreClock } from '../../src/queue/sqlite/sqlite-store';
import { compileStore, type Compiled } from './compiled';
import { codeOf, errorOf, newRow, newRows, readAll, seqs, temporaryFolder } from './rows';

/** A clock whose timers are called by hand. */
function handClock(): StoreClock & { due(): number; run(): void } {
  const calls = new Set<() => void>();
  return {
    after(_delayMs, call) {
      calls.add(call);
      return () => calls.delete(call);
    },
    endOfTurn: (call) => void setImmediate(call),
    due: () => calls.size,
    run() {
      const due = [...calls];
      calls.clear();
      for (const call of due) call();
    },
  };
}

async function errorTextOf(call: () => Promise<unknown>): Promise<string> {
  return (await errorOf(call))?.message ?? 'none';
}

/** Makes many calls at once and returns the order in which their results arrived. */
async function orderOfResults(store: QueueStore, first: number, calls: number): Promise<string[]> {
  const order: string[] = [];
  const note = (call: Promise<unknown>, name: string) =>
    call.then(
      () => order.push(name),
      () => order.push(`${name} failed`),
    );
  await Promise.all(
    seqs(first, first + calls - 1).flatMap((seq) => [
      note(store.commit({ append: [newRow(seq)] }), `commit ${seq}`),
      note(store.read('add', 0, Infinity, 1), `read ${seq}`),
      note(store.commit({ append: [newRow(seq)] }), `commit ${seq} again`),
      note(store.setMeta('a', `${seq}`), `set ${seq}`),
      note(store.getMeta('a'), `get ${seq}`),
    ]),
  );
  return order;
}

function expectedOrder(first: number, calls: number): string[] {
  return seqs(first, first + calls - 1).flatMap((seq) => [
    `commit ${seq}`,
    `read ${seq}`,
    `commit ${seq} again failed`,
    `set ${seq}`,
    `get ${seq}`,
  ]);
}

describe('the store in SQLite', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  let compiled: Compiled;
  /** Threads created by a test, so that it can end them. */
  let threads: Worker[];
  const watchThreads = (worker: Worker) => void threads.push(worker);
  before(() => (compiled = compileStore()));
  after(() => compiled.remove());
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, 'queue.db');
    threads = [];
    process.on('worker', watchThreads);
  });
  afterEach(() => {
    process.off('worker', watchThreads);
    folder.remove();
  });

  it('returns results in the order of the calls', async () => {
    const store = new compiled.SqliteStore(path);
    await store.open();
    assert.deepEqual(await orderOfResults(store, 1, 50), expectedOrder(1, 50));
    await store.close();
  });

  it('carries out calls made before close, refuses later ones, and opens again', async () => {
    const store = new compiled.SqliteStore(path);
    await store.open();
    const last = store.commit({ append: newRows(1, 100) });
    const closed = store.close();
    assert.equal(await codeOf(() => store.commit({ append: [newRow(101)] })), 'closed');
    await Promise.all([last, closed, store.close()]);
    assert.equal((await store.open()).waiting, 100);
    await store.close();
  });

  it('leaves no thread, timer or lock after close', async () => {
    const clock = handClock();
    const resources = () => process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout');
    const before = resources();
    const store = new compiled.SqliteStore(path, { clock });
    await store.open();
    await store.commit({ append: [newRow(1)] });
    assert.equal(clock.due(), 1);
    await store.close();
    assert.equal(clock.due(), 0);
    assert.deepEqual(resources(), before);
    assert.ok(threads.every((thread) => thread.threadId === -1));
    const other = new compiled.SqliteStore(path);
    assert.equal((await other.open()).waiting, 1);
    await other.close();
  });

  it('can be opened after it was refused', async () => {
    const first = new compiled.SqliteStore(path);
    await first.open();
    const second = new compiled.SqliteStore(path);
    assert.equal(await codeOf(() => second.open()), 'locked');
    await first.close();
    assert.equal((await second.open()).lastSeq, 0);
    await second.close();
  });

  for (const where of ['memory', 'a file'])
    it(`takes several turns for a long commit, and carries out after it what is called meanwhile (in ${where})`, async () => {
      const store = new compiled.SqliteStore(where === 'memory' ? ':memory:' : path, { rowsPerStep: 10 });
      await store.open();
      let turns = 0;
      const count = (): void => {
        turns += 1;
        ticker = setImmediate(count);
      };
      let ticker = setImmediate(count);
      const long = store.commit({ append: newRows(1, 200) });
      const read = store.read('add', 0, Infinity, Infinity);
      const closed = store.close();
      await long;
      clearImmediate(ticker);
      assert.ok(turns >= 19, `${turns} turns for others`);
      const there = (await read).map(({ seq }) => seq);
      assert.deepEqual(there, seqs(1, 200));
      await closed;
    });

  it('runs its thread from source too', async () => {
    const store = new SqliteStore(path);
    assert.equal(store.durable, true);
    await store.open();
    await store.commit({ append: newRows(1, 3) });
    assert.equal((await readAll(store)).length, 3);
    assert.equal(threads.length, 1);
    await store.close();
  });

  it('reports when its thread cannot be started, and can be opened once it can', async () => {
    const broken = compileStore();
    const worker = join(broken.directory, 'sqlite-worker.js');
    const code = readFileSync(worker, 'utf8');
    writeFileSync(worker, 'throw new Error("no threads here")');
    const store = new broken.SqliteStore(path);
    assert.equal(
      await errorTextOf(() => store.open()),
      `The thread for the queue file ${path} did not start (no threads here).`,
    );
    writeFileSync(worker, code);
    assert.equal((await store.open()).lastSeq, 0);
    await store.close();
    broken.remove();
  });

  describe('whose thread dies', () => {
    it('reports for each pending commit correctly whether it was made, and continues', async () => {
      const store = new compiled.SqliteStore(path);
      await store.open();
      let next = 1;
      for (const round of seqs(1, 6)) {
        const made = new Set<number>();
        const failed = new Set<number>();
        const commits = seqs(next, next + 299).map((seq) =>
          store.commit({ append: [newRow(seq)] }).then(
            () => made.add(seq),
            () => failed.add(seq),
          ),
        );
        await Promise.all([...commits.slice(0, round * 10), threads.at(-1)!.terminate()]);
        await Promise.all(commits);
        const there = (await readAll(store)).map((row) => row.seq).filter((seq) => seq >= next);
        assert.deepEqual(there, [...made]);
        assert.equal(made.size + failed.size, 300);
        next += 300;
      }
      assert.ok(threads.length > 1, 'no thread died');
      await store.close();
    });

    for (const [when, made] of [
      ['before', []],
      ['after', [2]],
    ] as const) {
      it(`${when} it carried out a commit, but without a reply, reports that commit correctly`, async () => {
        const dying = compileStore();
        const worker = join(dying.directory, 'sqlite-worker.js');
        const end = 'if (request.append?.numbers[0] === 2) process.exit();';
        const code = readFileSync(worker, 'utf8');
        const call = /(?<=value: )carryOut\(log, call\)/;
        assert.match(code, call);
        const wrapped =
          made.length === 0
            ? `(() => { ${end} return $& })()`
            : `(() => { const done = $&; ${end} return done })()`;
        writeFileSync(worker, code.replace(call, wrapped));
        const store = new dying.SqliteStore(path);
        await store.open();
        const codes = await Promise.all(
          seqs(1, 4).map((seq) => codeOf(() => store.commit({ append: [newRow(seq)] }))),
        );
        assert.deepEqual(codes, ['none', made.length === 0 ? 'failed' : 'none', 'failed', 'failed']);
        assert.deepEqual(
          (await readAll(store)).map((row) => row.seq),
          [1, ...made],
        );
        await store.close();
        dying.remove();
      });
    }

    it('while it is idle is opened again for the next call', async () => {
      const store = new compiled.SqliteStore(path);
      await store.open();
      await store.commit({ append: [newRow(1)], begin: [{ post: 1, userHashes: [5] }] });
      await threads[0]!.terminate();
      // Its own requests keep their numbers: only `open` treats records as those of an earlier process.
      await store.commit({ append: [newRow(2)], settle: [1] });
      assert.equal((await readAll(store)).length, 2);
      await store.close();
      assert.deepEqual((await store.open()).recovered, []);
      await store.close();
    });
  });

  it('in memory rejects with the reason, starts no thread, and is empty when it is opened again', async () => {
    const store = new SqliteStore(':memory:');
    assert.equal(store.durable, false);
    assert.equal(
      await errorTextOf(() => store.commit({ append: [newRow(1)] })),
      'The queue in memory is closed.',
    );
    await store.open();
    await store.commit({ append: newRows(1, 3), begin: [{ post: 1, userHashes: [1] }] });
    assert.match(
      await errorTextOf(() => store.commit({ begin: [{ post: 1, userHashes: [2] }] })),
      /^The queue in memory could not be used \(UNIQUE/,
    );
    await store.close();
    const nothing = { lastSeq: 0, waiting: 0, bodyChars: 0, recovered: [], oldestAppendedWallMs: null };
    assert.deepEqual(await store.open(), nothing);
    await store.close();
    assert.equal(threads.length, 0);
  });

  it('frees disk space after the commits, and stops its timer when there is no more to do', async () => {
    const clock = handClock();
    const store = new SqliteStore(':memory:', { clock });
    await store.open();
    await store.commit({ append: newRows(1, 60_000, { body: JSON.stringify('x'.repeat(300)) }) });
    await store.commit({ remove: seqs(1, 60_000) });
    let turns = 0;
    while (clock.due() > 0 && turns < 5000) {
      turns++;
      clock.run();
      await Promise.resolve();
      await Promise.resolve();
    }
    assert.ok(turns > 3 && turns < 5000, `${turns} turns`);
    await store.close();
  });
});

// Contract of a shared log, tested on each of its stores.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Instance, News, SharedLog } from '../../src/queue/shared-log';
import { systemClock } from '../../src/clock';
import { LoginCount } from '../../src/service/login/login-count';
import { LoginTimes } from '../../src/service/login/login-times';
import type { AuthOutcome } from '../../src/service/reply/outcome';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { batchOf, codeOf, readAll, seqs, sharedRow } from './rows';
import { MemoryQueue, processNamed, TestDatabase, type SharedQueue } from './shared-stores';

const leaseMs = 5_000;
const [one, two, three] = [processNamed('one'), processNamed('two'), processNamed('three')];

function contract(fresh: () => SharedQueue): void {
  let queue: SharedQueue;
  let first: SharedLog;
  let second: SharedLog;
  beforeEach(async () => {
    queue = fresh();
    [first, second] = [await queue.log(), await queue.log()];
  });
  afterEach(() => queue.end());

  /** Rows of the whole queue, as the lease holder reads them. */
  async function rowsOf(log: SharedLog, holder = one) {
    const { fencingToken: token } = await log.claim(holder, true, null, leaseMs);
    const store = log.store(holder, token);
    await store.open();
    return { token, store, rows: await readAll(store) };
  }

  it('numbers rows in the order of the appends, whichever instance appended them', async () => {
    const appended = [
      await first.append(batchOf('one', 1, [sharedRow(1), sharedRow(2, { lane: 'removal' })])),
      await second.append(batchOf('two', 1, [sharedRow(3, { source: { node: 'ü"', account: 'x' } })])),
      await first.append(batchOf('one', 7, [sharedRow(1)])),
    ];
    assert.deepEqual(appended, [
      { kind: 'appended', firstSeq: 1, lastSeq: 2 },
      { kind: 'appended', firstSeq: 3, lastSeq: 3 },
      { kind: 'appended', firstSeq: 4, lastSeq: 4 },
    ]);
    const { rows } = await rowsOf(second, two);
    const common = { state: 'waiting', eventMonoMs: 0 };
    assert.deepEqual(rows, [
      { ...sharedRow(1), ...common, seq: 1, instance: 'one' },
      { ...sharedRow(2), ...common, seq: 2, instance: 'one', lane: 'removal' },
      { ...sharedRow(3), ...common, seq: 3, instance: 'two', source: { node: 'ü"', account: 'x' } },
      { ...sharedRow(1), ...common, seq: 4, instance: 'one' },
    ]);
    const { lastSeq, waiting } = await first.claim(one, false, null, leaseMs);
    assert.deepEqual([lastSeq, waiting], [4, 4]);
  });

  it('appends a batch once, however often it is repeated', async () => {
    const batch = batchOf('one', 3, [sharedRow(1), sharedRow(2)]);
    const appended = { kind: 'appended', firstSeq: 1, lastSeq: 2 };
    assert.deepEqual(await first.append(batch), appended);
    await second.append(batchOf('two', 3, [sharedRow(9)]));
    assert.deepEqual(await second.append(batch), appended);
    assert.equal(await second.appendedThrough('one'), 3);
    await first.append(batchOf('one', 4, [sharedRow(3)]));
    assert.deepEqual(await first.append(batch), { kind: 'before' });
    assert.equal((await rowsOf(first)).rows.length, 4);
    assert.equal(await first.appendedThrough('new'), 0);
  });

  it('appends a batch once when two connections append it at the same time', async () => {
    for (let number = 1; number <= 20; number++) {
      const batch = batchOf('one', number, [sharedRow(number), sharedRow(number)]);
      const appended = await Promise.all([first.append(batch), second.append(batch), first.append(batch)]);
      const expected = { kind: 'appended', firstSeq: number * 2 - 1, lastSeq: number * 2 };
      assert.deepEqual(appended, [expected, expected, expected]);
    }
    assert.equal((await rowsOf(first)).rows.length, 40);
  });

  it('appends nothing over a limit, and the same batch when there is room', async () => {
    const batch = batchOf('one', 1, [sharedRow(1), sharedRow(2)], { maxEntries: 2 });
    await second.append(batchOf('two', 1, [sharedRow(3)]));
    assert.deepEqual(await first.append(batch), { kind: 'full', waiting: 1 });
    assert.deepEqual(await first.append({ ...batch, maxEntries: 9, maxChars: 3 * 15 - 1 }), {
      kind: 'full',
      waiting: 1,
    });
    assert.equal(await first.appendedThrough('one'), 0);
    const { store } = await rowsOf(first);
    await store.commit({ remove: [1] });
    assert.deepEqual(await first.append(batch), { kind: 'appended', firstSeq: 2, lastSeq: 3 });
  });

  it('gives the lease to one of many that want it, and shows its holder to the others', async () => {
    const logs = [first, second, await queue.log(), await queue.log()];
    for (let round = 0; round < 5; round++) {
      const claims = await Promise.all(
        logs.map((log, at) => log.claim(processNamed(`${round} ${at}`), true, null, leaseMs)),
      );
      assert.equal(claims.filter(({ ours }) => ours).length, 1);
      const holder = processNamed(`${round} ${claims.findIndex(({ ours }) => ours)}`);
      for (const claim of claims) assert.deepEqual([claim.holder, claim.fencingToken], [holder, round + 1]);
      await queue.pass(leaseMs + 1);
    }
  });

  it('leaves the lease to its holder while it is renewed, and gives it to another once it has run out', async () => {
    const taken = await first.claim(one, true, null, leaseMs);
    assert.deepEqual([taken.ours, taken.fencingToken, taken.holder], [true, 1, one]);
    await queue.pass(leaseMs - 1_000);
    assert.equal((await first.claim(one, true, 1, leaseMs)).fencingToken, 1);
    await queue.pass(leaseMs - 1_000);
    const refused = await second.claim(two, true, null, leaseMs);
    assert.deepEqual([refused.ours, refused.fencingToken, refused.holder], [false, 1, one]);
    await queue.pass(1_001);
    assert.equal((await second.claim(two, false, null, leaseMs)).holder, null);
    const gained = await second.claim(two, true, null, leaseMs);
    assert.deepEqual([gained.ours, gained.fencingToken, gained.holder], [true, 2, two]);
    const lost = await first.claim(one, true, 1, leaseMs);
    assert.deepEqual([lost.ours, lost.fencingToken, lost.holder], [false, 2, two]);
  });

  it('renews a lease under its token when it has run out and nobody won it, and starts a new token after a gap', async () => {
    await first.claim(one, true, null, leaseMs);
    await queue.pass(leaseMs + 1);
    assert.equal((await first.claim(one, true, 1, leaseMs)).fencingToken, 1);
    assert.equal((await first.claim(one, true, null, leaseMs)).fencingToken, 2);
    assert.equal((await first.claim(one, true, 1, leaseMs)).fencingToken, 3);
  });

  it('grants a released lease at once, and never to an instance that does not want it', async () => {
    assert.deepEqual((await first.claim(one, false, null, leaseMs)).holder, null);
    const { fencingToken: token } = await first.claim(one, true, null, leaseMs);
    await second.release(two, token);
    await second.release(one, token + 1);
    assert.deepEqual((await second.claim(two, true, null, leaseMs)).holder, one);
    await first.release(one, token);
    assert.equal((await second.claim(two, true, null, leaseMs)).ours, true);
  });

  it('counts instances as alive for a minute, and those that said goodbye not at all', async () => {
    const third = await queue.log();
    await second.claim(two, false, null, leaseMs);
    await third.claim(three, false, null, leaseMs);
    const seen = async () =>
      (await first.claim(one, false, null, leaseMs)).instances.map(({ id }) => id).sort();
    assert.deepEqual(await seen(), ['one', 'three', 'two']);
    await queue.pass(50_000);
    await second.claim(two, false, null, leaseMs);
    await third.close(three);
    await queue.pass(16_000);
    assert.deepEqual(await seen(), ['one', 'two']);
    await queue.pass(66_000);
    assert.deepEqual(await seen(), ['one']);
  });

  it('carries out nothing for a holder that has lost the lease', async () => {
    await first.append(batchOf('one', 1, [sharedRow(1), sharedRow(2)]));
    const { token, store } = await rowsOf(first);
    await store.commit({ begin: [{ post: 1, userHashes: [1] }] });
    await store.setMeta('logins', 'old');
    await queue.pass(leaseMs + 1);
    await second.claim(two, true, null, leaseMs);
    const refused = [
      () => store.commit({ remove: [1], settle: [1], outcomes: [ended(1, 'two')] }),
      () => store.setMeta('logins', 'new'),
      () => first.store(one, token).open(),
    ];
    for (const call of refused) assert.equal(await codeOf(call), 'fenced');
    const next = await rowsOf(second, two);
    assert.equal(next.rows.length, 2);
    assert.equal(await next.store.getMeta('logins'), 'old');
    assert.deepEqual(await second.outcomes(two, [], 9), []);
    await first.release(one, token);
    await next.store.commit({ remove: [1] });
  });

  it('returns the previous holder’s in-flight records to a new holder, with their times', async () => {
    const { store } = await rowsOf(first);
    const untilWallMs = Date.now() + 7_000;
    await store.commit({
      begin: [
        { post: 1, userHashes: [1, 2 ** 53 - 1] },
        { post: 2, userHashes: [] },
      ],
      unknown: [{ post: 2, untilWallMs }],
    });
    await first.release(one, 1);
    const { fencingToken: token } = await second.claim(two, true, null, leaseMs);
    const next = second.store(two, token);
    const recovered = [
      { post: -1, userHashes: [1, 2 ** 53 - 1], untilWallMs: null },
      { post: -2, userHashes: [], untilWallMs },
    ];
    assert.deepEqual((await next.open()).recovered, recovered);
    await next.commit({ begin: [{ post: 1, userHashes: [5] }], settle: [-1] });
    await next.close();
    assert.deepEqual((await next.open()).recovered, [
      recovered[1],
      { post: -3, userHashes: [5], untilWallMs: null },
    ]);
  });

  it('keeps the time that a holder gives to a record of the one before, and settles it even if the commit also names a time', async () => {
    const { store } = await rowsOf(first);
    await store.commit({
      begin: [
        { post: 1, userHashes: [1] },
        { post: 2, userHashes: [2] },
      ],
    });
    await store.close();
    await store.open();
    const untilWallMs = Date.now() + 30_000;
    await store.commit({
      unknown: [
        { post: -1, untilWallMs },
        { post: -2, untilWallMs },
      ],
      settle: [-2],
    });
    await store.close();
    assert.deepEqual((await store.open()).recovered, [{ post: -1, userHashes: [1], untilWallMs }]);
  });

  it('accepts new rows only by append, and refuses a second record of a request in flight', async () => {
    const { store } = await rowsOf(first);
    const append = [{ ...sharedRow(1), seq: 1, eventMonoMs: 0 }];
    assert.equal(await codeOf(() => store.commit({ append })), 'failed');
    await store.commit({ begin: [{ post: 1, userHashes: [1] }] });
    const twice = { begin: [{ post: 1, userHashes: [1] }], outcomes: [ended(1, 'one')] };
    assert.equal(await codeOf(() => store.commit(twice)), 'failed');
    assert.deepEqual(await first.outcomes(one, [], 9), []);
    await store.commit({});
    await store.close();
    assert.equal(await codeOf(() => store.commit({})), 'closed');
  });

  it('keeps the outcomes that each instance has to report, in order, until it has reported them', async () => {
    await first.append(batchOf('one', 1, [sharedRow(1)]));
    await second.append(batchOf('two', 1, [sharedRow(2), sharedRow(3)]));
    const { store } = await rowsOf(first);
    await store.commit({ remove: [1, 2], outcomes: [ended(1, 'one'), ended(2, 'two')] });
    await store.commit({ remove: [3], outcomes: [ended(3, 'two')] });
    const { hasOutcomes } = await second.claim(two, false, null, leaseMs);
    const outcomes = await second.outcomes(two, [], 9);
    assert.deepEqual([hasOutcomes, ...outcomes.map(({ text }) => text)], [true, textOf(2), textOf(3)]);
    assert.deepEqual(await second.outcomes(two, [], 1), outcomes.slice(0, 1));
    assert.deepEqual(await second.outcomes(two, [outcomes[0]!.id], 9), outcomes.slice(1));
    assert.deepEqual(await second.outcomes(two, [outcomes[1]!.id], 9), []);
    assert.equal((await second.claim(two, false, null, leaseMs)).hasOutcomes, false);
    assert.deepEqual(await textsOf(first, one), [textOf(1)]);
  });

  it('gives outcomes of an instance that is gone to the active one, and none of those that live', async () => {
    const third = await queue.log();
    const { token, store } = await rowsOf(first);
    await second.claim(two, false, null, leaseMs);
    await third.claim(three, false, null, leaseMs);
    await store.commit({ outcomes: [ended(1, 'two')] });
    await store.commit({ outcomes: [ended(2, 'three')] });
    await store.commit({ outcomes: [ended(3, 'one'), ended(4, 'never seen')] });
    assert.deepEqual(await textsOf(first, one), [textOf(3), textOf(4)]);
    await third.close(three);
    assert.equal((await first.claim(one, true, token, leaseMs)).hasOutcomes, true);
    assert.deepEqual(await textsOf(first, one), [textOf(2), textOf(3), textOf(4)]);
    assert.deepEqual(await textsOf(second, two), [textOf(1)]);
    await queue.pass(70_000);
    await first.claim(one, true, token, leaseMs);
    assert.deepEqual(await textsOf(first, one), [1, 2, 3, 4].map(textOf));
    // The instance was asleep and is back: outcomes that were not reported are its own again.
    await second.claim(two, false, null, leaseMs);
    assert.deepEqual(await textsOf(first, one), [2, 3, 4].map(textOf));
    assert.deepEqual(await textsOf(second, two), [textOf(1)]);
  });

  it('counts an instance as alive that appends, though its claims do not get through', async () => {
    const { store } = await rowsOf(first);
    await second.append(batchOf('two', 1, [sharedRow(1)]));
    await store.commit({ remove: [1], outcomes: [ended(1, 'two')] });
    assert.deepEqual(await textsOf(first, one), []);
    assert.deepEqual(await textsOf(second, two), [textOf(1)]);
  });

  it('gives outcomes of instances that are gone only to the active one', async () => {
    const { token, store } = await rowsOf(first);
    await store.commit({ outcomes: [ended(1, 'gone')] });
    assert.equal((await second.claim(two, true, null, leaseMs)).hasOutcomes, false);
    assert.deepEqual(await textsOf(second, two), []);
    await first.release(one, token);
    assert.equal((await second.claim(two, true, null, leaseMs)).hasOutcomes, true);
    assert.deepEqual(await textsOf(second, two), [textOf(1)]);
    assert.deepEqual(await textsOf(first, one), []);
  });

  it('returns with each claim whether the queue is paused, and how often it was flushed', async () => {
    const controlOf = async () => (await second.claim(two, false, null, leaseMs)).control;
    assert.deepEqual(await controlOf(), { paused: false, flushes: 0, deletions: 0 });
    await first.setPaused(true);
    await Promise.all([first.flush(), second.flush()]);
    assert.deepEqual(await controlOf(), { paused: true, flushes: 2, deletions: 0 });
    await second.setPaused(false);
    assert.deepEqual(await controlOf(), { paused: false, flushes: 2, deletions: 0 });
  });

  it('keeps a deletion until the active instance has carried it out, and then until all have read it', async () => {
    const { fencingToken: token } = await first.claim(one, true, null, leaseMs);
    const versionOf = async () => (await second.claim(two, false, null, leaseMs)).control.deletions;
    const purge = { throughSeq: 7, askedMs: 1_234.5, user: null };
    const erasure = { throughSeq: 2 ** 50, askedMs: 0, user: { keys: ['ü"', 'k'], id: 'ü"' } };
    const ids = [await second.requestDeletion(purge), await first.requestDeletion(erasure)];
    assert.equal(ids[1], await versionOf());
    const asked = [
      { ...purge, id: ids[0], result: null },
      { ...erasure, id: ids[1], result: null },
    ];
    assert.deepEqual(await first.deletions(), asked);
    const result = { entries: 5, inFlight: 6, segments: 7 };
    await second.finishDeletion(two, token, ids[0]!, result);
    await first.finishDeletion(one, token + 1, ids[0]!, result);
    assert.deepEqual(await second.deletions(), asked);
    assert.equal(await versionOf(), ids[1]);
    await first.finishDeletion(one, token, ids[0]!, result);
    await first.finishDeletion(one, token, ids[0]!, { entries: 0, inFlight: 0, segments: 0 });
    assert.equal(await versionOf(), ids[1] + 1);
    assert.deepEqual(await second.deletions(), [{ ...asked[0], result }, asked[1]]);
    await queue.pass(70_000);
    await first.claim(one, true, token, leaseMs);
    assert.deepEqual(await second.deletions(), asked.slice(1));
  });

  it('keeps small values for every instance', async () => {
    assert.equal(await first.meta.getMeta('a'), null);
    await first.meta.setMeta('a', '{"ü":"\\u0000"}');
    assert.equal(await second.meta.getMeta('a'), '{"ü":"\\u0000"}');
    const { store } = await rowsOf(second, two);
    await store.setMeta('a', '2');
    assert.equal(await first.meta.getMeta('a'), '2');
  });

  it('replaces a small value only if it is unchanged, however many try at the same time', async () => {
    const replace = (before: string | null, value: string): Promise<boolean>[] =>
      [first, second, first, second].map(({ meta }, n) => meta.replaceMeta('a', before, `${value} ${n}`));
    const winners = (done: readonly boolean[]): number => done.filter((won) => won).length;
    assert.equal(winners(await Promise.all(replace(null, 'ü'))), 1);
    const then = await second.meta.getMeta('a');
    assert.match(then!, /^ü [0-3]$/);
    assert.equal(winners(await Promise.all(replace(null, 'late'))), 0);
    assert.equal(winners(await Promise.all(replace('other', 'wrong'))), 0);
    assert.equal(await first.meta.getMeta('a'), then);
    assert.equal(winners(await Promise.all(replace(then, 'next'))), 1);
    assert.match((await first.meta.getMeta('a'))!, /^next [0-3]$/);
  });

  it('grants ten logins to instances that want them at the same time, whatever their clocks say', async () => {
    const hourMs = 3_600_000;
    const skewed = [await queue.log(hourMs), await queue.log(-hourMs)];
    let given = 0;
    const logIn = (): Promise<AuthOutcome> => {
      given += 1;
      return Promise.resolve({ kind: 'token', token: 't' });
    };
    const counts = [first, second, ...skewed].map((log) => {
      const logStore = new LoginTimes(log.meta, () => log.nowMs());
      const count = new LoginCount('me', systemClock, () => [logStore]);
      return () => count.login(logIn, logStore);
    });
    const tries = Array.from({ length: 24 }, (_, n) => counts[n % counts.length]!());
    const outcomes = await Promise.all(tries);
    assert.equal(given, 10);
    assert.equal(outcomes.filter(({ kind }) => kind === 'token').length, 10);
    await queue.pass(100_000);
    assert.equal((await counts[3]!()).kind, 'wait');
  });

  it('sends notifications about rows, the lease, control state and its own outcomes, but not about outcomes of others', async () => {
    const heard: News['kind'][] = [];
    second.onNews(({ kind }) => heard.push(kind));
    await second.claim(two, false, null, leaseMs);
    // It receives no notification from before it listens.
    let batches = 0;
    await until(
      async () => {
        await first.append(batchOf('one', (batches += 1), [sharedRow(batches)]));
        return heard.includes('rows');
      },
      5_000,
      () => heard.join(),
    );
    const { token, store } = await rowsOf(first);
    await first.release(one, token);
    await until(
      () => Promise.resolve(heard.includes('lease')),
      5_000,
      () => heard.join(),
    );
    const { fencingToken: again } = await first.claim(one, true, null, leaseMs);
    const next = first.store(one, again);
    await next.open();
    await next.commit({ outcomes: [ended(1, 'three')] });
    await sleep(50);
    assert.ok(!heard.includes('outcomes') && !heard.includes('control'));
    await next.commit({ outcomes: [ended(1, 'two')] });
    await first.flush();
    await until(
      () => Promise.resolve(heard.includes('outcomes') && heard.includes('control')),
      5_000,
      () => heard.join(),
    );
    await store.close();
  });

  it('stores times by its own clock, so that machines with different clocks agree', async () => {
    const [fast, slow] = [await queue.log(90_000), await queue.log(-45_000)];
    for (const log of [fast, slow]) await log.claim(three, false, null, leaseMs);
    const nowMs = Date.now();
    await fast.append(
      batchOf('fast', 1, [sharedRow(1, { eventWallMs: nowMs + 90_000, appendedWallMs: nowMs + 90_001 })]),
    );
    const { store, rows } = await rowsOf(slow);
    near(rows[0]!.eventWallMs, nowMs - 45_000);
    near(rows[0]!.appendedWallMs, nowMs - 44_999);
    await store.commit({
      begin: [{ post: 1, userHashes: [] }],
      unknown: [{ post: 1, untilWallMs: nowMs - 45_000 + 20_000 }],
    });
    await slow.release(one, 1);
    const { fencingToken: token } = await fast.claim(two, true, null, leaseMs);
    const opened = await fast.store(two, token).open();
    near(opened.recovered[0]!.untilWallMs!, nowMs + 110_000);
    near(opened.oldestAppendedWallMs!, nowMs + 90_001);
  });

  it('shows a reader every row in order while three others append', async () => {
    const { store } = await rowsOf(first);
    const logs = [second, await queue.log(), await queue.log()];
    const batches = 40;
    const writers = logs.map(async (log, writer) => {
      for (let number = 1; number <= batches; number++) {
        const rows = Array.from({ length: 1 + ((number * 7 + writer) % 5) }, () =>
          sharedRow(number, { lane: number % 2 === 0 ? 'removal' : 'add' }),
        );
        const { kind } = await log.append(batchOf(`writer ${writer}`, number, rows));
        assert.equal(kind, 'appended');
      }
    });
    const all = Promise.all(writers).then(() => true);
    const read: number[] = [];
    for (let isDone = false; !isDone;) {
      isDone = await Promise.race([all, sleep(1, false)]);
      const { lastSeq } = await second.claim(two, false, null, leaseMs);
      // As the engine reads: each lane separately, up to a known number, and never back.
      const from = read.at(-1) ?? 0;
      const pages = [
        await store.read('add', from, lastSeq, 1e6),
        await store.read('removal', from, lastSeq, 1e6),
      ];
      const numbers = pages.flatMap((rows) => rows.map(({ seq }) => seq)).sort((a, b) => a - b);
      assert.deepEqual(numbers, seqs(from + 1, lastSeq));
      read.push(...numbers);
      // Rows that were read are removed at once, while others append.
      await store.commit({ remove: numbers });
    }
    const { waiting, lastSeq } = await second.claim(two, false, null, leaseMs);
    assert.deepEqual([waiting, lastSeq, read.length], [0, read.length, read.length]);
    assert.deepEqual(await store.close().then(() => store.open()), {
      lastSeq,
      waiting: 0,
      bodyChars: 0,
      recovered: [],
      oldestAppendedWallMs: null,
    });
  });
}

function ended(seq: number, instance: string) {
  return { seq, source: { node: 'out', account: 'account' }, instance, report: `end of ${seq}` };
}

function textOf(seq: number): string {
  return JSON.stringify([{ seq, node: 'out', account: 'account', report: `end of ${seq}` }]);
}

async function textsOf(log: SharedLog, instance: Instance): Promise<string[]> {
  const outcomes = await log.outcomes(instance, [], 99);
  return outcomes.flatMap(({ text }) => (JSON.parse(text) as object[]).map((one) => JSON.stringify([one])));
}

/** Clocks are read with an accuracy of a few milliseconds. */
function near(actualMs: number, expectedMs: number): void {
  assert.ok(Math.abs(actualMs - expectedMs) <= 100, `${actualMs} is not about ${expectedMs}`);
}

describe('a shared log', () => {
  describe('in memory', () => contract(() => new MemoryQueue()));

  describe('on PostgreSQL', () => {
    const ends = cleanUps();
    let database: TestDatabase;
    before(async function () {
      database = await TestDatabase.find(this, ends);
    });
    contract(() => database.queue());
  });
});

// Requests that an earlier process left: until when they count, also when others take over meanwhile.
import assert from 'node:assert/strict';
import { CommitBuffer } from '../../src/delivery/commit-buffer';
import { RecoveredRequests } from '../../src/delivery/schedule/recovered-requests';
import { startSandbox } from '../../src/sandbox/sandbox';
import { hold, TestDatabase } from '../queue/shared-stores';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { SharedProcess } from '../support/shared-process';
import { FakeClock } from './support/fake-clock';
import { device } from './support/world';

const marginMs = 32_000;

describe('recovered requests', () => {
  /** Those of three records, found by a process whose wall clock is ahead of its monotonic one. */
  function found(isShared: boolean) {
    const clock = new FakeClock();
    const requests = new RecoveredRequests(clock, marginMs, isShared);
    const leftMs = (ms: number): number => clock.wallMs() + ms;
    requests.found([
      { post: -1, userHashes: [1, 2], untilWallMs: null },
      { post: -2, userHashes: [2], untilWallMs: leftMs(5_000) },
      { post: -3, userHashes: [3], untilWallMs: leftMs(99_000) },
    ]);
    const left = (): object =>
      requests.quota().map((one) => ({ ...one, untilMs: one.untilMs - clock.monoMs() }));
    return { clock, requests, left, leftMs };
  }

  it('may run until the time that the shared queue has for each, and no longer than after a first takeover', () => {
    const { clock, requests, left } = found(true);
    assert.deepEqual(left(), [
      { users: 1, untilMs: 5_000 },
      { users: 2, untilMs: marginMs },
      { users: 1, untilMs: marginMs },
    ]);
    const nowMs = clock.monoMs();
    assert.deepEqual(
      [...requests.untilByUser].map(([hash, untilMs]) => [hash, untilMs - nowMs]).sort(),
      [1, 2, 3].map((hash) => [hash, marginMs]),
    );
  });

  it('are given a time in the shared queue unless they have one', () => {
    const { requests, leftMs } = found(true);
    const commitBuffer = new CommitBuffer(true);
    requests.note(commitBuffer);
    const untilWallMs = leftMs(marginMs);
    assert.deepEqual(commitBuffer.take(), {
      unknown: [
        { post: -1, untilWallMs },
        { post: -3, untilWallMs },
      ],
    });
  });

  it('of a local queue may run for the whole margin, since the wall clock may have been set', () => {
    const { requests, left } = found(false);
    assert.deepEqual(left(), [
      { users: 2, untilMs: marginMs },
      { users: 1, untilMs: marginMs },
      { users: 1, untilMs: marginMs },
    ]);
    const commitBuffer = new CommitBuffer(true);
    requests.note(commitBuffer);
    assert.ok(commitBuffer.isEmpty);
  });

  it('are settled each at its time, which the machine’s sleep puts off', async () => {
    const { clock, requests } = found(true);
    const commitBuffer = new CommitBuffer(true);
    requests.slept(1_000);
    await clock.advance(5_999);
    requests.end(clock.monoMs(), commitBuffer);
    assert.ok(commitBuffer.isEmpty);
    await clock.advance(1);
    requests.end(clock.monoMs(), commitBuffer);
    assert.deepEqual(commitBuffer.take(), { settle: [-2] });
    assert.deepEqual([...requests.untilByUser.keys()], [1, 2, 3]);
    await clock.advance(marginMs - 5_000);
    requests.end(clock.monoMs(), commitBuffer);
    assert.deepEqual(commitBuffer.take(), { settle: [-1, -3] });
    assert.equal(requests.untilByUser.size, 0);
    assert.deepEqual([...requests.userHashes].sort(), [1, 2, 3]);
    assert.equal(requests.nextEndMs, Infinity);
  });
});

describe('a request in flight in a shared queue in PostgreSQL', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  let database: TestDatabase;
  before(async function () {
    database = await TestDatabase.find(this, ends);
  });

  it('has until 32 s after the first takeover, whoever takes over then', async () => {
    const queue = database.queue();
    ends(() => queue.end());
    const sandbox = await startSandbox({});
    ends(() => sandbox.close());
    const log = await queue.log();
    const { store } = await hold(log);
    await store.commit({ begin: [{ post: 1, userHashes: [1] }] });
    await queue.pass(60_000);
    const times = new Set<number | null>();
    const tookOverMs = Date.now();
    for (const name of ['first', 'second', 'third']) {
      const process = await SharedProcess.start({ name, serviceUrl: sandbox.url, log: queue.closed() });
      try {
        // Accepted, so the sender's first commits are in the database.
        const body = JSON.stringify([{ user_id: device(1), domain: 'idfa', seg_block: [{ seg_id: 10001 }] }]);
        await fetch(process.eventsUrl, { method: 'POST', body });
        const posts = sandbox.operations().length;
        await until(
          () => Promise.resolve(sandbox.operations().length > posts),
          20_000,
          `a post of the ${name}`,
        );
        const [record] = await database.query<{ until_wall: number | null }>(
          `SELECT until_wall FROM ${queue.schema}.flight WHERE post = -1`,
        );
        times.add(record!.until_wall);
      } finally {
        await process.stop();
      }
    }
    const [untilMs] = times;
    assert.ok(times.size === 1 && typeof untilMs === 'number', JSON.stringify([...times]));
    const sinceMs = untilMs - tookOverMs - marginMs;
    assert.ok(sinceMs > -1_000 && sinceMs < 10_000, `32 s and ${sinceMs} ms after the first takeover`);
  });
});

// Reads of one host and member share a throttle, and wait as long as the service asks for.
import assert from 'node:assert/strict';
import { ServiceClient } from '../../src/service/client';
import type { ReadOutcome } from '../../src/service/outcome';
import { ReadThrottle, readThrottleOf } from '../../src/service/read-throttle';
import { login, sandboxes } from '../sandbox/helpers';

const done = { kind: 'read', value: 1 } as const;
const limited = (retryAfterMs: number): ReadOutcome<number> => ({
  kind: 'rateLimited',
  retryAfterMs,
  message: 'slower',
});
const settled = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A call that notes when it is made, and answers in turn. */
function calls(...answers: ReadOutcome<number>[]) {
  const atMs: number[] = [];
  const call = (): Promise<ReadOutcome<number>> => {
    atMs.push(performance.now());
    return Promise.resolve(answers.shift() ?? done);
  };
  return { atMs, call };
}

describe('the throttle of reads', () => {
  it('is one for a host and member in the process, and another for any other', () => {
    const one = readThrottleOf('http://a/', '7', 1_000);
    assert.equal(readThrottleOf('http://a/', '7', 1_000), one);
    for (const other of [
      readThrottleOf('http://a/', '8', 1_000),
      readThrottleOf('http://b/', '7', 1_000),
      readThrottleOf('http://a/', '7', 60_000),
    ])
      assert.notEqual(other, one);
  });

  it('stays the one of its member, however many others are read from, since somebody may hold it', () => {
    const held = readThrottleOf('http://a/', '7', 1_000);
    for (let other = 0; other < 200; other += 1) readThrottleOf('http://a/', `other ${other}`, 1_000);
    assert.equal(readThrottleOf('http://a/', '7', 1_000), held);
  });

  it('lets no more through in an interval than the limit, however many ask at once', async () => {
    const throttle = new ReadThrottle(300);
    const { atMs, call } = calls();
    await Promise.all(Array.from({ length: 8 }, () => throttle.run(3, call)));
    assert.equal(atMs.length, 8);
    for (let at = 3; at < atMs.length; at += 1) {
      const ms = atMs[at]! - atMs[at - 3]!;
      assert.ok(ms >= 300, `four within ${ms} ms`);
    }
  });

  it('gives each caller its share, where their limits differ', async () => {
    const throttle = new ReadThrottle(1_000);
    const small = calls();
    const large = calls();
    void throttle.run(2, small.call);
    for (let i = 0; i < 5; i += 1) void throttle.run(4, large.call);
    await settled(50);
    // Half of the interval is the first one's, a quarter is each of the others'.
    assert.deepEqual([small.atMs.length, large.atMs.length], [1, 2]);
  });

  it('makes no call before the time is over that the service asked for, and says how long that is', async () => {
    const throttle = new ReadThrottle(1);
    const { atMs, call } = calls(limited(400));
    assert.deepEqual(await throttle.run(100, call), limited(400));
    for (let i = 0; i < 3; i += 1) {
      const outcome = await throttle.run(100, call);
      assert.ok(outcome.kind === 'rateLimited');
      assert.ok(outcome.retryAfterMs > 0 && outcome.retryAfterMs <= 400);
    }
    assert.equal(atMs.length, 1);
    await settled(410);
    assert.deepEqual(await throttle.run(100, call), done);
    assert.equal(atMs.length, 2);
  });

  it('lets none through that had waited for its turn when the service asked to wait', async () => {
    const throttle = new ReadThrottle(1);
    const { atMs, call } = calls(done, limited(60_000));
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => throttle.run(2, call)));
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['read', 'rateLimited', 'rateLimited', 'rateLimited'],
    );
    assert.equal(atMs.length, 2);
  });
});

describe('the reads of several clients', () => {
  const start = sandboxes();

  it('share the limit of their member, and end when their client is closed', async () => {
    const sandbox = await start();
    const token = await login(sandbox.url);
    const { url } = sandbox;
    const client = (member: string): ServiceClient =>
      new ServiceClient({ authUrl: url, serviceUrl: url, member, readsPerSecond: 5 });
    const clients = [client('7'), client('7'), client('8')];
    const reads = clients.map((one) => Array.from({ length: 4 }, () => one.usage({}, token)));
    await Promise.all(reads[2]!);
    // Neither the other member nor another kind of read is held up by it.
    assert.equal((await clients[0]!.segments({}, token)).kind, 'read');
    await settled(100);
    assert.equal(sandbox.peaks().totals.gets, 5 + 4 + 1);
    await Promise.all(clients.map((one) => one.close()));
    const outcomes = await Promise.all(reads.flat());
    const codes = outcomes.map((outcome) => ('code' in outcome ? outcome.code : outcome.kind));
    assert.equal(codes.filter((code) => code === 'read').length, 9);
    assert.equal(codes.filter((code) => code === 'closed').length, 3);
    assert.equal(sandbox.peaks().totals.gets, 10);
  });
});

// ReadThrottle: the shared limit of reads per host and member, and waits that the service asks for.
import assert from 'node:assert/strict';
import { ServiceClient } from '../../src/service/client';
import type { ReadOutcome } from '../../src/service/reply/outcome';
import { ReadThrottle, readThrottleOf } from '../../src/service/http/read-throttle';
import { login, sandboxes } from '../sandbox/helpers';

const done = { kind: 'read', value: 1 } as const;
const limited = (retryAfterMs: number): ReadOutcome<number> => ({
  kind: 'rateLimited',
  retryAfterMs,
  message: 'slower',
});
const settled = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A call that records its times and returns the answers in order, then `done`. */
function calls(...answers: ReadOutcome<number>[]) {
  const atMs: number[] = [];
  const call = (): Promise<ReadOutcome<number>> => {
    atMs.push(performance.now());
    return Promise.resolve(answers.shift() ?? done);
  };
  return { atMs, call };
}

describe('the throttle of reads', () => {
  it('is the same for one host, member and interval, and a different one for any other', () => {
    const one = readThrottleOf('http://a/', '7', 1_000);
    assert.equal(readThrottleOf('http://a/', '7', 1_000), one);
    for (const other of [
      readThrottleOf('http://a/', '8', 1_000),
      readThrottleOf('http://b/', '7', 1_000),
      readThrottleOf('http://a/', '7', 60_000),
    ])
      assert.notEqual(other, one);
  });

  it('stays the same for its member, however many other throttles are made', () => {
    const first = readThrottleOf('http://a/', '7', 1_000);
    for (let other = 0; other < 200; other += 1) readThrottleOf('http://a/', `other ${other}`, 1_000);
    assert.equal(readThrottleOf('http://a/', '7', 1_000), first);
  });

  it('makes no more calls in an interval than the limit, however many wait', async () => {
    const throttle = new ReadThrottle(300);
    const { atMs, call } = calls();
    await Promise.all(Array.from({ length: 8 }, () => throttle.run(3, call)));
    assert.equal(atMs.length, 8);
    for (let at = 3; at < atMs.length; at += 1) {
      const ms = atMs[at]! - atMs[at - 3]!;
      assert.ok(ms >= 300, `four within ${ms} ms`);
    }
  });

  it('lets callers with different limits share an interval', async () => {
    const throttle = new ReadThrottle(1_000);
    const small = calls();
    const large = calls();
    void throttle.run(2, small.call);
    for (let i = 0; i < 5; i += 1) void throttle.run(4, large.call);
    await settled(50);
    // The first call takes half of the interval, each of the others a quarter.
    assert.deepEqual([small.atMs.length, large.atMs.length], [1, 2]);
  });

  it('makes no call until the wait that the service asked for is over, and returns the time left', async () => {
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

  it('makes no call that was already waiting when the service asked to wait', async () => {
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

  it('share the limit of their member, and end when their client closes', async () => {
    const sandbox = await start();
    const token = await login(sandbox.url);
    const { url } = sandbox;
    const client = (member: string): ServiceClient =>
      new ServiceClient({ authUrl: url, serviceUrl: url, member, readsPerSecond: 5 });
    const clients = [client('7'), client('7'), client('8')];
    const reads = clients.map((one) => Array.from({ length: 4 }, () => one.usage({}, token)));
    await Promise.all(reads[2]!);
    // The throttle delays neither the other member nor another kind of read.
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

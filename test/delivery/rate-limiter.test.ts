// Rate limiter alone: whatever happens between send and reply, no window at the service exceeds the limits.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import {
  RateLimiter,
  settleMarginMs,
  type Permit,
  type Limits,
} from '../../src/delivery/schedule/rate-limiter';
import { runs } from './support/runs';

const lateMarginMs = 20_000;
const limits: Limits = { postsPerSecond: 4, usersPerSecond: 10, maxConcurrent: 3 };
/** After the first second, which counts as used. */
const startedMs = 1000 + settleMarginMs;

/** One post as the service receives it. */
interface Acted {
  readonly atMs: number;
  readonly users: number;
}

interface Plan {
  /** Pause before the next post is tried. */
  readonly pauseMs: number;
  readonly users: number;
  readonly thereMs: number;
  readonly backMs: number;
  readonly end: 'settle' | 'ambiguous' | 'cancel';
  /** For an ambiguous post: how long after the time-out it ran, as a part of the margin. */
  readonly late: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  pauseMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 })),
  users: fc.integer({ min: 1, max: 5 }),
  thereMs: fc.integer({ min: 0, max: 300 }),
  backMs: fc.integer({ min: 0, max: 300 }),
  end: fc.constantFrom('settle' as const, 'settle', 'settle', 'ambiguous', 'cancel'),
  late: fc.double({ min: 0, max: 0.9999, noNaN: true }),
});

/** Sends at the first moment that the rate limiter allows; returns the service's actions. */
function play(
  rateLimiter: RateLimiter,
  plans: readonly Plan[],
  floorMs: number,
): { acted: Acted[]; calls: number } {
  const acted: Acted[] = [];
  const ends: { atMs: number; end: () => void }[] = [];
  let nowMs = 0;
  let open = 0;
  let calls = 0;
  const settleUntil = (untilMs: number): void => {
    ends.sort((a, b) => a.atMs - b.atMs);
    while (ends.length > 0 && ends[0]!.atMs <= untilMs) ends.shift()!.end();
  };
  for (const { pauseMs, users, thereMs, backMs, end, late } of plans) {
    nowMs += pauseMs;
    settleUntil(nowMs);
    for (let tries = 0; ; tries += 1) {
      const free = rateLimiter.free(nowMs);
      if (free.posts >= 1 && free.users >= users && free.calls >= 1) break;
      assert.ok(tries < 1000, 'the quota never becomes free');
      const nextMs = Math.min(rateLimiter.nextFreeAtMs(), ends[0]?.atMs ?? Infinity);
      assert.ok(nextMs < Infinity, 'nothing would ever free the quota');
      nowMs = Math.max(nowMs, nextMs);
      settleUntil(nowMs);
    }
    const permit: Permit = rateLimiter.take(users);
    open += 1;
    calls = Math.max(calls, open);
    const replyMs = nowMs + floorMs + thereMs + backMs;
    switch (end) {
      case 'settle':
        // The floor covers both ways in some proportion: here all of it is the way back.
        acted.push({ atMs: nowMs + thereMs, users });
        ends.push({
          atMs: replyMs,
          end: () => {
            open -= 1;
            rateLimiter.settle(permit, replyMs, floorMs);
          },
        });
        break;
      case 'ambiguous':
        acted.push({ atMs: nowMs + thereMs + 300 + late * lateMarginMs, users });
        ends.push({
          atMs: nowMs + thereMs + 300,
          end: () => {
            open -= 1;
            rateLimiter.settleAmbiguous(permit, nowMs + thereMs + 300);
          },
        });
        break;
      case 'cancel':
        open -= 1;
        rateLimiter.cancel(permit);
        break;
    }
  }
  settleUntil(Infinity);
  return { acted, calls };
}

function worst(acted: readonly Acted[]): { posts: number; users: number } {
  let posts = 0;
  let users = 0;
  for (const { atMs } of acted) {
    const inWindow = acted.filter((other) => other.atMs >= atMs && other.atMs < atMs + 1000);
    posts = Math.max(posts, inWindow.length);
    users = Math.max(
      users,
      inWindow.reduce((sum, one) => sum + one.users, 0),
    );
  }
  return { posts, users };
}

describe('the rate limiter', () => {
  it('keeps every one-second window at the service within the limits, also when ambiguous posts run late', () => {
    let most = 0;
    fc.assert(
      fc.property(
        fc.array(plan, { minLength: 1, maxLength: 30 }),
        fc.constantFrom(0, 5, 30),
        (plans, floorMs) => {
          const { acted, calls } = play(new RateLimiter(limits, lateMarginMs, 0), plans, floorMs);
          const { posts, users } = worst(acted);
          most = Math.max(most, posts);
          assert.ok(posts <= limits.postsPerSecond, `${posts} posts`);
          assert.ok(users <= limits.usersPerSecond, `${users} users`);
          assert.ok(calls <= limits.maxConcurrent, `${calls} calls`);
        },
      ),
      runs(400),
    );
    assert.equal(most, limits.postsPerSecond, 'the limit was never reached, so nothing was proven');
  });

  it('counts the first second as used', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    assert.deepEqual(rateLimiter.free(1000), { posts: 0, users: 0, calls: 3 });
    assert.equal(rateLimiter.nextFreeAtMs(), startedMs);
    assert.deepEqual(rateLimiter.free(startedMs), { posts: 4, users: 10, calls: 3 });
    assert.equal(rateLimiter.nextFreeAtMs(), Infinity);
  });

  it('frees a permit one second after its reply, and its call at once', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.free(startedMs);
    const permit = rateLimiter.take(6);
    assert.deepEqual(rateLimiter.free(5000), { posts: 3, users: 4, calls: 2 });
    rateLimiter.settle(permit, 5000, 0);
    assert.deepEqual(rateLimiter.free(5999), { posts: 3, users: 4, calls: 3 });
    assert.equal(rateLimiter.nextFreeAtMs(), 6000 + settleMarginMs);
    assert.deepEqual(rateLimiter.free(6000 + settleMarginMs), { posts: 4, users: 10, calls: 3 });
  });

  it('frees a permit earlier by the network’s own part of the delay', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.free(startedMs);
    rateLimiter.settle(rateLimiter.take(1), 5000, 40);
    assert.equal(rateLimiter.nextFreeAtMs(), 5960 + settleMarginMs);
  });

  it('frees an ambiguous post and its call only when it can no longer run, and its quota a second later', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.free(startedMs);
    rateLimiter.settleAmbiguous(rateLimiter.take(6), 5000);
    assert.deepEqual(rateLimiter.free(5000 + lateMarginMs + 1000), { posts: 3, users: 4, calls: 2 });
    assert.deepEqual(rateLimiter.free(5000 + lateMarginMs + 1000 + settleMarginMs), {
      posts: 4,
      users: 10,
      calls: 3,
    });
  });

  it('extends an ambiguous post by the machine’s sleep, but not an answered one', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.free(startedMs);
    rateLimiter.settleAmbiguous(rateLimiter.take(6), 5000);
    rateLimiter.settle(rateLimiter.take(1), 5000, 0);
    const freeMs = 5000 + lateMarginMs + 1000 + settleMarginMs;
    rateLimiter.slept(60_000);
    assert.deepEqual(rateLimiter.free(freeMs + 59_999), { posts: 3, users: 4, calls: 2 });
    assert.deepEqual(rateLimiter.free(freeMs + 60_000), { posts: 4, users: 10, calls: 3 });
  });

  it('counts posts of an earlier process until they can no longer run', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.recover(7, 3000);
    assert.deepEqual(rateLimiter.free(startedMs), { posts: 3, users: 3, calls: 2 });
    assert.deepEqual(rateLimiter.free(4000 + settleMarginMs), { posts: 4, users: 10, calls: 3 });
  });

  it('returns the quota of a cancelled post at once', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.free(startedMs);
    rateLimiter.cancel(rateLimiter.take(6));
    assert.deepEqual(rateLimiter.free(startedMs), { posts: 4, users: 10, calls: 3 });
    assert.equal(rateLimiter.nextFreeAtMs(), Infinity);
  });

  it('keeps counting used quota when the limits change', () => {
    const rateLimiter = new RateLimiter(limits, lateMarginMs, 0);
    rateLimiter.free(startedMs);
    const permits = [rateLimiter.take(4), rateLimiter.take(4)];
    rateLimiter.setLimits({ postsPerSecond: 1, usersPerSecond: 5, maxConcurrent: 1 });
    assert.deepEqual(rateLimiter.free(startedMs), { posts: 0, users: 0, calls: 0 });
    rateLimiter.setLimits({ postsPerSecond: 10, usersPerSecond: 100, maxConcurrent: 5 });
    assert.deepEqual(rateLimiter.free(startedMs), { posts: 8, users: 92, calls: 3 });
    for (const permit of permits) rateLimiter.settle(permit, startedMs, 0);
    assert.deepEqual(rateLimiter.free(startedMs + 2000), { posts: 10, users: 100, calls: 5 });
  });
});

// Promise 3: counted at the service, no one-second window exceeds the limits, whatever the event loop, the
// clocks, the network and the operator do; and the limits are used.
import { strict as assert } from 'node:assert';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import { device, documentedLimits, World } from './support/world';

/** Posts, users and calls are each the bottleneck once. */
const smallLimits: readonly Limits[] = [
  { postsPerSecond: 3, usersPerSecond: 200, maxConcurrent: 15 },
  { postsPerSecond: 20, usersPerSecond: 15, maxConcurrent: 15 },
  { postsPerSecond: 10, usersPerSecond: 60, maxConcurrent: 2 },
  { postsPerSecond: 1, usersPerSecond: 1, maxConcurrent: 1 },
];

/** Users per second that reach the service in the steady state of a saturated engine. */
async function throughput(limits: Limits, rttMs: number, networkFloorMs = 0, commitMs = 0): Promise<number> {
  const world = new World({
    seed: 1,
    limits,
    commitMs,
    networkFloorMs: () => networkFloorMs,
    delayMs: () => rttMs / 2,
  });
  const users = Math.ceil(limits.usersPerSecond * 15);
  for (let from = 0; from < users; from += 1000) {
    const entries = Array.from({ length: Math.min(1000, users - from) }, (_, i) => ({
      user: device(from + i),
      blocks: [{ seg_id: 1 }],
    }));
    world.submit(entries);
  }
  await world.clock.advance(14_000);
  assert.deepEqual(world.overQuota(), []);
  // Nine whole rounds from the first post, since quota is freed in waves.
  const roundMs = 1005 + rttMs - networkFloorMs;
  const fromMs = world.service.requests[0]!.actedMs!;
  const untilMs = fromMs + 9 * roundMs;
  const inTime = world.service.requests.filter(({ actedMs }) => actedMs !== null && actedMs < untilMs);
  return (inTime.reduce((sum, request) => sum + request.users.length, 0) * 1000) / (untilMs - fromMs);
}

describe('the quota, counted at the service', function () {
  this.timeout(0);

  for (const rttMs of [5, 60, 200]) {
    it(`is used: 0.97 of the share of the documented limit that a round trip of ${rttMs} ms allows`, async () => {
      const usersPerSecond = await throughput(documentedLimits, rttMs);
      const reachable = documentedLimits.usersPerSecond / (1 + rttMs / 1000);
      assert.ok(usersPerSecond >= 0.97 * reachable, `${usersPerSecond} of ${reachable}`);
    });
  }

  it('is used: the network’s own delay is deducted', async () => {
    const usersPerSecond = await throughput(documentedLimits, 60, 24);
    assert.ok(usersPerSecond >= 0.97 * (1000 / (1 + 0.036)), String(usersPerSecond));
  });

  it('is used by small requests, although each waits for a commit of 10 ms', async () => {
    const usersPerSecond = await throughput({ ...documentedLimits, usersPerPost: 10 }, 20, 0, 10);
    assert.ok(usersPerSecond >= 0.95 * (1000 / 1.035), String(usersPerSecond));
  });

  for (const limits of smallLimits.slice(0, 3)) {
    const { postsPerSecond, usersPerSecond: most, maxConcurrent } = limits;
    it(`is used: 0.9 of ${postsPerSecond} posts and ${most} users a second, ${maxConcurrent} calls at a time`, async () => {
      const usersPerSecond = await throughput(limits, 20);
      const reachable = Math.min(limits.usersPerSecond, limits.postsPerSecond * 1000);
      assert.ok(usersPerSecond >= 0.9 * reachable, `${usersPerSecond} of ${reachable}`);
    });
  }

  it('takes effect at once when the limits get smaller', async () => {
    const world = new World({ seed: 3, delayMs: () => 10 });
    for (let i = 0; i < 400; i += 1) world.add(device(i), [{ seg_id: 1 }]);
    await world.clock.advance(1_300);
    world.engine.setLimits({ postsPerSecond: 5, usersPerSecond: 20, maxConcurrent: 1 });
    const fromMs = world.clock.monoMs();
    for (let i = 400; i < 800; i += 1) world.add(device(i), [{ seg_id: 1 }]);
    await world.clock.advance(8_000);
    const worst = world.service.worstSecond(({ sentMs }) => sentMs > fromMs);
    assert.ok(worst.posts <= 5 && worst.users <= 20 && worst.calls <= 1, JSON.stringify(worst));
    assert.equal(worst.users, 20);
  });

  it('is used under smaller limits after a large request, while the outcome of another one is ambiguous', async () => {
    let lost = 0;
    const world = new World({
      seed: 3,
      delayMs: () => 10,
      fateOf: (entries) => (entries[0]!.user_id === device(0) && lost++ === 0 ? 'replyLost' : null),
    });
    world.add(device(0), [{ seg_id: 1 }]);
    await world.clock.advance(12_000);
    world.submit(Array.from({ length: 100 }, (_, i) => ({ user: device(i + 1), blocks: [{ seg_id: 1 }] })));
    await world.clock.advance(100);
    world.engine.setLimits({ postsPerSecond: 10, usersPerSecond: 2, maxConcurrent: 3 });
    await world.clock.advance(1_100);
    const removal = world.add(device(101), [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(1_000);
    assert.equal(removal.end?.kind, 'settled');
  });
});

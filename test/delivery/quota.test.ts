// Promise 3: counted at the service, no one-second window ever sees more than the limits, whatever the event loop,
// the clocks, the network and the operator do; and yet the limits are reached.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { Limits } from '../../src/delivery/ledger';
import type { Fate } from './support/fake-service';
import { runs } from './support/runs';
import { device, documentedLimits, World } from './support/world';

type Step =
  | { readonly kind: 'burst'; readonly users: number; readonly removals: boolean }
  | { readonly kind: 'wait' | 'stall' | 'jump'; readonly ms: number }
  | { readonly kind: 'deploy' | 'kill' };

const burst = fc.record({
  kind: fc.constant('burst' as const),
  users: fc.integer({ min: 1, max: 40 }),
  removals: fc.boolean(),
});
const pass = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 700 }) }),
  fc.record({ kind: fc.constant('stall' as const), ms: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: -100_000, max: 100_000 }) }),
  fc.constant({ kind: 'deploy' }),
);
const steps = fc.array(fc.oneof({ weight: 3, arbitrary: burst }, { weight: 4, arbitrary: pass }), {
  minLength: 10,
  maxLength: 50,
});
const stepsWithKills = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: burst },
    { weight: 8, arbitrary: pass },
    { weight: 1, arbitrary: fc.constant({ kind: 'kill' }) },
  ),
  { minLength: 10, maxLength: 50 },
);

/** Posts, users and calls are each the narrowest once. */
const smallLimits: readonly Limits[] = [
  { postsPerSecond: 3, usersPerSecond: 200, maxConcurrent: 15 },
  { postsPerSecond: 20, usersPerSecond: 15, maxConcurrent: 15 },
  { postsPerSecond: 10, usersPerSecond: 60, maxConcurrent: 2 },
  { postsPerSecond: 1, usersPerSecond: 1, maxConcurrent: 1 },
];

const network = fc.record({
  /** What the client claims of the delay as the network's own; both ways together take at least that. */
  floorMs: fc.constantFrom(0, 0, 10, 60),
  /** How much of the floor is on the way there. */
  there: fc.double({ min: 0, max: 1, noNaN: true }),
  jitterMs: fc.constantFrom(0, 5, 60, 200),
});

const losses: Partial<Record<Fate, number>> = { dropped: 0.01, replyLost: 0.02, late: 0.03, reset: 0.03 };
const refusals: Partial<Record<Fate, number>> = {
  rateLimited: 0.02,
  serverError: 0.02,
  deadToken: 0.02,
  garbage: 0.02,
};

interface Reached {
  posts: number;
  users: number;
  calls: number;
}

async function play(world: World, script: readonly Step[]): Promise<void> {
  let next = 0;
  for (const step of script) {
    switch (step.kind) {
      case 'burst':
        for (let i = 0; i < step.users; i += 1) {
          const expiration = step.removals && i % 2 === 0 ? -1 : 60;
          world.add(device(next++ % 300), [{ seg_id: 1, expiration }]);
        }
        break;
      case 'wait':
        await world.clock.advance(step.ms);
        break;
      case 'stall':
        // In the middle of what is under way, as a garbage collection or another flow does.
        await world.clock.advance(7);
        await world.stall(step.ms);
        break;
      case 'jump':
        world.jumpWall(step.ms);
        break;
      case 'deploy':
        void world.engine.park(1_000);
        await world.clock.advance(30);
        world.engine.unpark();
        break;
      case 'kill':
        world.kill();
        break;
    }
  }
  await world.clock.advance(2_000);
}

function quotaHolds(
  script: fc.Arbitrary<readonly Step[]>,
  fates: Partial<Record<Fate, number>>,
): Promise<Reached[]> {
  const reached: Reached[] = smallLimits.map(() => ({ posts: 0, users: 0, calls: 0 }));
  const property = fc.asyncProperty(
    fc.nat({ max: smallLimits.length - 1 }),
    network,
    script,
    fc.integer(),
    async (which, { floorMs, there, jitterMs }, steps, seed) => {
      const world: World = new World({
        seed,
        fates,
        limits: smallLimits[which]!,
        networkFloorMs: floorMs,
        delayMs: (way) => floorMs * (way === 'there' ? there : 1 - there) + jitterMs * world.random(),
        commitMs: 5,
      });
      await play(world, steps);
      const worst = world.service.worstSecond();
      const most = reached[which]!;
      most.posts = Math.max(most.posts, worst.posts);
      most.users = Math.max(most.users, worst.users);
      most.calls = Math.max(most.calls, worst.calls);
      assert.deepEqual([...world.overQuota(), ...world.service.problems, ...world.complaints], []);
    },
  );
  return fc.assert(property, runs(120)).then(() => reached);
}

/** Users a second that reach the service in the steady state of a saturated engine. */
async function throughput(limits: Limits, rttMs: number, networkFloorMs = 0): Promise<number> {
  const world = new World({
    seed: 1,
    limits,
    networkFloorMs,
    delayMs: () => rttMs / 2,
  });
  const users = Math.ceil(limits.usersPerSecond * 12);
  for (let from = 0; from < users; from += 1000) {
    const entries = Array.from({ length: Math.min(1000, users - from) }, (_, i) => ({
      user: device(from + i),
      blocks: [{ seg_id: 1 }],
    }));
    world.submit(entries);
  }
  await world.clock.advance(11_000);
  assert.deepEqual([...world.overQuota(), ...world.service.problems], []);
  // Ten rounds from the first post: whole ones, since the quota comes in waves.
  const roundMs = 1005 + rttMs - networkFloorMs;
  const fromMs = world.service.requests[0]!.actedMs!;
  const untilMs = fromMs + 9 * roundMs;
  const inTime = world.service.requests.filter(({ actedMs }) => actedMs !== null && actedMs < untilMs);
  return (inTime.reduce((sum, request) => sum + request.users.length, 0) * 1000) / (untilMs - fromMs);
}

describe('the quota, counted at the service', function () {
  this.timeout(0);

  it('holds under stalls, jitter, wall-clock jumps and deploys, and is reached', async () => {
    const reached = await quotaHolds(steps, {});
    assert.equal(reached[0]!.posts, 3);
    assert.equal(reached[1]!.users, 15);
    assert.equal(reached[2]!.calls, 2);
    assert.deepEqual(reached[3], { posts: 1, users: 1, calls: 1 });
  });

  it('holds when requests are lost, run late and are refused', async () => {
    await quotaHolds(steps, { ...losses, ...refusals });
  });

  it('holds across kill -9', async () => {
    await quotaHolds(stepsWithKills, {});
  });

  it('holds across kill -9 when requests are lost, run late and are refused', async () => {
    await quotaHolds(stepsWithKills, { ...losses, ...refusals });
  });

  it('holds for the documented limits under saturation with trouble', async () => {
    const world: World = new World({
      seed: 5,
      fates: { ...losses, ...refusals },
      delayMs: () => 1 + 60 * world.random(),
    });
    for (let round = 0; round < 12; round += 1) {
      const entries = Array.from({ length: 900 }, (_, i) => ({
        user: device(900 * round + i),
        blocks: [{ seg_id: 1 }],
      }));
      world.submit(entries);
      await world.clock.advance(950);
      await world.stall(40);
      if (round === 6) world.kill();
    }
    await world.clock.advance(60_000);
    assert.deepEqual([...world.overQuota(), ...world.service.problems], []);
    assert.ok(world.service.worstSecond().users > 800, `${world.service.worstSecond().users} users a second`);
  });

  for (const rttMs of [5, 60, 200]) {
    it(`is used: 0.97 of what a round trip of ${rttMs} ms leaves of the documented limit`, async () => {
      const usersPerSecond = await throughput(documentedLimits, rttMs);
      const reachable = documentedLimits.usersPerSecond / (1 + rttMs / 1000);
      assert.ok(usersPerSecond >= 0.97 * reachable, `${usersPerSecond} of ${reachable}`);
    });
  }

  it('is used: what the network’s own delay costs is earned back', async () => {
    const usersPerSecond = await throughput(documentedLimits, 60, 48);
    assert.ok(usersPerSecond >= 0.97 * (1000 / (1 + 0.012)), String(usersPerSecond));
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
});

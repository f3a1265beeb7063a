// Promise 8: delays never extend membership. The sent expiration is the given one less the whole minutes
// waited, computed at each try; an expired add is sent as a removal, so that it ends an older, longer
// membership.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { Fate } from './support/fake-service';
import { runs } from './support/runs';
import { device, World, type WorldOptions } from './support/world';

const minuteMs = 60_000;

/** Minutes to send at `nowMs` for an expiration given at `issuedMs`. */
function due(given: number | undefined, issuedMs: number, nowMs: number): number | undefined {
  if (given === undefined || given <= 0) return given;
  const left = given - Math.floor(Math.max(0, nowMs - issuedMs) / minuteMs);
  return left >= 1 ? left : -1;
}

const entry = fc.record({
  given: fc.constantFrom(undefined, -1, 0, 1, 1, 2, 3, 5, 90, 2_147_483_647),
  agoMs: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -10 * minuteMs, max: 10 * minuteMs }) },
  ),
  waitMs: fc.constantFrom(0, 0, 500, 20_000),
  jumpMs: fc.constantFrom(0, 0, 0, -3_600_000, 3_600_000, 86_400_000),
  asleepMs: fc.constantFrom(0, 0, 0, 0, 90_000, 3_000_000),
});

const slow: Partial<Record<Fate, number>> = { serverError: 0.4, dropped: 0.2, reset: 0.1 };

async function agesRightly(options: Partial<WorldOptions>): Promise<Set<string>> {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { minLength: 1, maxLength: 25 }),
      fc.integer(),
      async (entries, seed) => {
        const world = new World({ seed, fates: slow, ...options });
        const given = new Map<string, { minutes: number | undefined; issuedMs: number }>();
        for (const [number, { given: minutes, agoMs, waitMs, jumpMs, asleepMs }] of entries.entries()) {
          const issuedMs = world.clock.monoMs() - Math.max(0, agoMs);
          given.set(device(number), { minutes, issuedMs });
          world.add(device(number), [{ seg_id: 1, ...(minutes !== undefined && { expiration: minutes }) }], {
            agoMs,
          });
          if (number % 5 === 4) world.engine.pause();
          if (number % 5 === 1) world.engine.resume();
          await world.clock.advance(waitMs);
          world.jumpWall(jumpMs);
          if (asleepMs > 0) await world.suspend(asleepMs);
        }
        world.engine.resume();
        await world.clock.advance(5 * minuteMs);
        await world.rest();
        for (const { entries: sent, sentMs } of world.service.requests) {
          for (const { user_id: user, seg_block: blocks } of sent) {
            const { minutes, issuedMs } = given.get(user)!;
            const wanted = due(minutes, issuedMs, sentMs);
            assert.equal(blocks[0]!.expiration, wanted, `${minutes} after ${sentMs - issuedMs} ms`);
            if (wanted !== minutes) seen.add(wanted === -1 ? 'passed' : 'aged');
          }
        }
        assert.deepEqual(world.violations(), []);
        for (const message of world.messages) {
          const { minutes } = given.get(message.entries[0]!.user)!;
          const state = world.service.members.get(`idfa:${message.entries[0]!.user} 1`);
          const passed = minutes !== undefined && minutes > 0 && state === undefined;
          assert.equal(message.end?.kind === 'settled' && message.end.summary.expired, passed ? 1 : 0);
        }
      },
    ),
    runs(60),
  );
  return seen;
}

describe('the expiration', function () {
  this.timeout(0);

  it('is reduced by the minutes waited at every try, whatever the wall clock does, and while the machine sleeps', async () => {
    assert.deepEqual([...(await agesRightly({}))].sort(), ['aged', 'passed']);
  });

  it('is reduced in the same way for entries that are only on disk', async () => {
    assert.deepEqual([...(await agesRightly({ memoryMark: 1, pageRows: 2 }))].sort(), ['aged', 'passed']);
  });

  it('counts from the event, and an event in the future counts as now', async () => {
    const world = new World({ seed: 1 });
    world.add(device(1), [{ seg_id: 1, expiration: 90 }], { agoMs: 30 * minuteMs });
    world.add(device(2), [{ seg_id: 1, expiration: 90 }], { agoMs: -30 * minuteMs });
    await world.rest(5_000);
    assert.equal(world.service.members.get(`idfa:${device(1)} 1`)?.expiration, 60);
    assert.equal(world.service.members.get(`idfa:${device(2)} 1`)?.expiration, 90);
  });

  it('that has passed is sent as a removal, ends a longer membership and is reported as expired', async () => {
    const world = new World({ seed: 1 });
    const user = device(1);
    world.add(user, [
      { seg_id: 1, expiration: 43_200 },
      { seg_id: 2, expiration: 43_200 },
    ]);
    await world.clock.advance(3_000);
    assert.equal(world.service.members.size, 2);
    const message = world.add(user, [{ seg_id: 1, expiration: 5 }], { agoMs: 5 * minuteMs });
    await world.rest(5_000);
    assert.equal(world.service.members.has(`idfa:${user} 1`), false);
    assert.equal(world.service.members.has(`idfa:${user} 2`), true);
    assert.equal(message.end?.kind === 'settled' && message.end.summary.expired, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('passes while the machine sleeps with the entry ready', async () => {
    const connectMs = [5_000];
    const world = new World({ seed: 1, connectMs: () => connectMs.shift() ?? 0 });
    world.add(device(1), [{ seg_id: 1, expiration: 90 }]);
    await world.clock.advance(3_000);
    assert.equal(world.departures, 1);
    await world.suspend(60 * minuteMs);
    await world.rest(30_000);
    assert.deepEqual(
      world.service.log.map(({ expiration }) => expiration),
      [30],
    );
  });

  it('passes while a ready entry waits for its in-flight record or for a connection', async () => {
    const connectMs = [25_000];
    const world = new World({ seed: 1, connectMs: () => connectMs.shift() ?? 0 });
    world.add(device(1), [{ seg_id: 1, expiration: 90 }], { agoMs: 50_000 });
    await world.clock.advance(3_000);
    assert.equal(world.departures, 1);
    await world.rest(40_000);
    assert.deepEqual(
      world.service.log.map(({ expiration }) => expiration),
      [89],
    );
  });

  it('counts from the acceptance of the entry, though it waits for a commit and the wall clock is set', async () => {
    const world = new World({ seed: 1, commitMs: 2_000 });
    await world.clock.advance(3_000);
    world.add(device(1), [{ seg_id: 1, expiration: 90 }]);
    await world.clock.advance(1);
    world.add(device(2), [{ seg_id: 1, expiration: 90 }], { agoMs: 600_000 });
    world.jumpWall(-3_600_000);
    await world.rest(30_000);
    assert.deepEqual(
      world.service.log.map(({ expiration }) => expiration),
      [90, 80],
    );
  });

  it('passes while the entry waits in the ready queue', async () => {
    const world = new World({ seed: 1 });
    const user = device(1);
    world.add(user, [{ seg_id: 1, expiration: 43_200 }]);
    await world.clock.advance(3_000);
    world.engine.pause();
    world.add(user, [{ seg_id: 1, expiration: 2 }]);
    await world.clock.advance(3 * minuteMs);
    world.engine.resume();
    await world.rest(5_000);
    assert.equal(world.service.members.size, 0);
    assert.deepEqual(world.violations(), []);
  });

  it('is sent unchanged if the node is set so, and never as a removal', async () => {
    const world = new World({ seed: 1, fates: { serverError: 0.5 } });
    const user = device(1);
    world.add(user, [{ seg_id: 1, expiration: 43_200 }]);
    await world.clock.advance(3_000);
    world.engine.pause();
    const blocks = [
      { seg_id: 1, expiration: 5 },
      { seg_id: 2, expiration: 90 },
      { seg_id: 3, expiration: -1 },
      { seg_id: 4 },
    ];
    const message = world.add(user, blocks, { agoMs: 30 * minuteMs, ages: false });
    const other = world.add(device(2), [{ seg_id: 1, expiration: 5 }], { agoMs: 30 * minuteMs });
    await world.clock.advance(20 * minuteMs);
    world.engine.resume();
    await world.rest(60_000);
    const sent = (segment: number): unknown =>
      world.service.members.get(`idfa:${user} ${segment}`)?.expiration;
    assert.deepEqual([sent(1), sent(2)], [5, 90]);
    assert.deepEqual(
      [...world.service.members.keys()].sort(),
      [1, 2, 4].map((each) => `idfa:${user} ${each}`),
    );
    assert.equal(message.end?.kind === 'settled' && message.end.summary.accepted, 1);
    // Each entry has its own setting.
    assert.equal(other.end?.kind === 'settled' && other.end.summary.expired, 1);
  });

  it('is sent unchanged also after a restart, and for entries that are only on disk', async () => {
    const world = new World({ seed: 1, memoryMark: 1, pageRows: 2 });
    world.engine.pause();
    for (let i = 0; i < 6; i += 1)
      world.add(device(i), [{ seg_id: 1, expiration: 5 }], { ages: i % 2 !== 0 });
    await world.clock.advance(10 * minuteMs);
    world.kill();
    await world.rest(60_000);
    const inSegment = [...world.service.members].map(([key, { expiration }]) => `${key} ${expiration}`);
    assert.deepEqual(
      inSegment.sort(),
      [0, 2, 4].map((i) => `idfa:${device(i)} 1 5`),
    );
  });

  it('lets entries continue within a minute after the wall clock was set back by a day', async () => {
    const world = new World({ seed: 1 });
    world.add(device(1), [{ seg_id: 1, expiration: 60 }]);
    await world.clock.advance(2_000);
    world.jumpWall(-86_400_000);
    const message = world.add(device(2), [{ seg_id: 1, expiration: 60 }]);
    await world.clock.advance(60_000);
    assert.equal(message.end?.kind, 'settled');
  });

  describe('across a restart', () => {
    /**
     * Expiration that is sent for an entry of `minutes` minutes after its process died and the wall clock
     * jumped.
     */
    async function sentAfter(wallMovesMs: number, minutes = 90): Promise<number | undefined> {
      const world = new World({ seed: 1 });
      world.engine.pause();
      world.add(device(1), [{ seg_id: 1, expiration: minutes }], { completeOn: 'queued' });
      await world.clock.advance(1_000);
      world.jumpWall(wallMovesMs);
      world.kill();
      await world.rest(3_000);
      return world.service.log[0]?.expiration;
    }

    it('is aged by the wall clock', async () => {
      assert.equal(await sentAfter(10 * minuteMs), 80);
      assert.equal(await sentAfter(89 * minuteMs), 1);
      assert.equal(await sentAfter(90 * minuteMs), -1);
      assert.equal(await sentAfter(10 * minuteMs, 0), 0);
      assert.equal(await sentAfter(10 * minuteMs, -1), -1);
    });

    it('is never negative when the wall clock was set back', async () => {
      assert.equal(await sentAfter(-10 * minuteMs), 90);
    });

    it('continues by the monotonic clock once it was read', async () => {
      const world = new World({ seed: 1 });
      world.engine.pause();
      world.add(device(1), [{ seg_id: 1, expiration: 90 }], { completeOn: 'queued' });
      await world.clock.advance(1_000);
      world.jumpWall(10 * minuteMs);
      world.kill();
      world.engine.pause();
      await world.clock.advance(1_000);
      world.jumpWall(-3 * 60 * minuteMs);
      await world.clock.advance(20 * minuteMs);
      world.engine.resume();
      await world.rest(3_000);
      assert.equal(world.service.log[0]?.expiration, 60);
    });
  });
});

// Promise 8: delays never extend membership. What is not among the simulation's plans: a connection that takes long,
// nodes that send late adds unchanged after a restart, and the clocks across one.
import { strict as assert } from 'node:assert';
import { device, World } from './support/world';

const minuteMs = 60_000;

describe('the expiration', function () {
  this.timeout(0);

  it('counts from the event, and an event in the future counts as now', async () => {
    const world = new World({ seed: 1 });
    world.add(device(1), [{ seg_id: 1, expiration: 90 }], { agoMs: 30 * minuteMs });
    world.add(device(2), [{ seg_id: 1, expiration: 90 }], { agoMs: -30 * minuteMs });
    await world.rest(5_000);
    assert.equal(world.service.members.get(`idfa:${device(1)} 1`)?.expiration, 60);
    assert.equal(world.service.members.get(`idfa:${device(2)} 1`)?.expiration, 90);
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

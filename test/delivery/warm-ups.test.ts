// Warm-ups of new segments: adds to these segments wait; removals and other blocks do not.
import { strict as assert } from 'node:assert';
import { device, World } from './support/world';

const minuteMs = 60_000;

/** Starts warm-ups of these keys for `forMs`, as an out node does. */
function hold(world: World, keys: readonly string[], forMs: number, owner = 'n'): void {
  const untilMs = world.clock.wallMs() + forMs;
  world.engine.holdSegments(owner, new Map(keys.map((key) => [key, untilMs])));
}

/** Memberships at the service, as `user segment`. */
function has(world: World): string[] {
  return [...world.service.members.keys()].sort();
}

describe('an add to a new segment', () => {
  it('delays blocks by code of that user behind it, which may be the same segment', async () => {
    const world = new World({ seed: 1 });
    await world.rest(2_000);
    hold(world, ['i10001'], 10 * minuteMs);
    world.add(device(1), [{ seg_id: 10001, value: 1 }]);
    world.add(device(1), [{ seg_code: 'code_10001', member_id: 1, value: 2 }]);
    world.add(device(2), [{ seg_code: 'code_10001', member_id: 1, value: 3 }]);
    await world.clock.advance(1_000);
    assert.deepEqual(has(world), [`idfa:${device(2)} 10001`]);
    await world.rest(20 * minuteMs);
    assert.deepEqual(world.violations(), []);
  });

  it('is released by a removal by code, which may be the same segment and follows at once', async () => {
    const world = new World({ seed: 1 });
    await world.rest(2_000);
    hold(world, ['i10001', 'i6'], 10 * minuteMs);
    world.add(device(1), [{ seg_id: 10001, value: 1 }]);
    world.add(device(2), [{ seg_id: 10001, value: 1 }]);
    world.add(device(1), [{ seg_code: 'y', member_id: 7, value: 2 }]);
    world.add(device(2), [{ seg_code: 'y', member_id: 7, value: 2 }]);
    await world.clock.advance(minuteMs);
    assert.deepEqual(has(world), []);
    const removal = world.add(device(1), [{ seg_code: 'code_10001', member_id: 1, expiration: -1 }]);
    await world.clock.advance(1_000);
    assert.equal(removal.end?.kind, 'settled');
    assert.deepEqual(has(world), [`idfa:${device(1)} 7:y`]);
    world.add(device(1), [{ seg_id: 6 }]);
    await world.clock.advance(minuteMs);
    assert.deepEqual(has(world), [`idfa:${device(1)} 7:y`], 'the next add waits again');
    await world.rest(20 * minuteMs);
    assert.deepEqual(world.violations(), []);
  });

  it('is released when the node cancels the warm-up, and not by a flush', async () => {
    const world = new World({ seed: 1 });
    await world.rest(2_000);
    hold(world, ['i5'], 10 * minuteMs);
    hold(world, ['i5', 'i6'], 10 * minuteMs, 'other');
    world.add(device(1), [{ seg_id: 5 }, { seg_id: 6 }]);
    world.engine.flush();
    await world.clock.advance(1_000);
    assert.deepEqual(has(world), []);
    hold(world, ['i6'], 10 * minuteMs, 'other');
    await world.clock.advance(1_000);
    assert.deepEqual(has(world), [], 'the first node still wants it to wait');
    hold(world, [], 0);
    await world.clock.advance(1_000);
    assert.deepEqual(has(world), [`idfa:${device(1)} 5`]);
  });

  it('does not keep others out of memory, until there are very many: then they are sent without waiting, and that is logged', async () => {
    const world = new World({ seed: 1, memoryMark: 20, pageRows: 5 });
    await world.rest(2_000);
    hold(world, ['i5'], 10 * minuteMs);
    for (let n = 0; n < 150; n += 1) world.add(device(n), [{ seg_id: 5 }]);
    for (let n = 200; n < 230; n += 1) world.add(device(n), [{ seg_id: 6 }]);
    await world.clock.advance(2_000);
    assert.equal(has(world).length, 30);
    assert.equal(world.logged.filter((line) => line.includes('wait for new segments')).length, 0);
    for (let n = 300; n < 400; n += 1) world.add(device(n), [{ seg_id: 5 }]);
    await world.clock.advance(2_000);
    assert.equal(has(world).length, 280);
    assert.equal(world.logged.filter((line) => line.includes('wait for new segments')).length, 1);
    await world.rest();
    assert.deepEqual(world.violations(), []);
  });
});

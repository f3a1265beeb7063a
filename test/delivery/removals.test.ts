// Promise 7: removals first, even past a backlog that is only on disk, and never undone by an older add.
import { strict as assert } from 'node:assert';
import type { Block } from './support/fake-service';
import { device, World, type Stated } from './support/world';

/** Nearly every entry is only on disk. */
const onDisk = { memoryMark: 50, pageRows: 20, commitMs: 3 };

function adds(count: number, from = 0): Stated[] {
  return Array.from({ length: count }, (_, i) => ({
    user: device(from + i),
    blocks: [{ seg_id: 1, value: 1 }],
  }));
}

function submitAll(world: World, entries: readonly Stated[]): void {
  for (let from = 0; from < entries.length; from += 1000)
    world.submit(entries.slice(from, from + 1000), { completeOn: 'queued' });
}

describe('a removal', function () {
  this.timeout(0);

  /** A backlog, at its end adds of one user, and a removal of that user which the service refuses. */
  async function refusedAfter(its: number): Promise<World> {
    const poison = (_: string, block: Block): boolean => block.value === 9;
    const world = new World({ seed: 1, memoryMark: 5, pageRows: 5, poison });
    await world.clock.advance(2_000);
    const older = Array.from({ length: its }, (_, at) => ({
      user: device(500),
      blocks: [{ seg_id: 3, value: 10 + at }],
    }));
    submitAll(world, [...adds(200), ...older]);
    const both = [
      { seg_id: 3, value: 9, expiration: -1 },
      { seg_id: 4, expiration: -1 },
    ];
    const refused = world.add(device(500), both);
    await world.rest();
    assert.ok(refused.end?.kind === 'settled' && refused.end.rejections.length === 1);
    assert.deepEqual(world.violations(), []);
    return world;
  }

  it('that the service refuses shares its outcome with an older add on disk, as in memory', async () => {
    const world = await refusedAfter(1);
    assert.equal(world.service.members.get(`idfa:${device(500)} 3`), undefined);
    assert.deepEqual([world.engine.counters.rejected, world.engine.counters.accepted], [2, 200]);
  });

  it('that the service refuses hides no older add that is read later', async () => {
    const world = await refusedAfter(1_500);
    assert.equal(world.service.members.get(`idfa:${device(500)} 3`)?.value, 10 + 1_499);
  });

  for (const [where, options] of [
    ['in memory', { memoryMark: 50_000 }],
    ['on disk', { memoryMark: 2_000, pageRows: 500, commitMs: 4 }],
  ] as const) {
    for (const wayMs of where === 'on disk' ? [2, 100] : [2]) {
      it(`behind 20,000 adds ${where} reaches the service within 2 s, ${wayMs} ms away`, async () => {
        const world = new World({ seed: 1, ...options, delayMs: () => wayMs });
        submitAll(world, adds(20_000));
        await world.clock.advance(3_300);
        // Removals of a user whose add is last, of one whose add is about to be sent, and of one without an
        // add.
        for (const number of [19_999, 2_500, 500_000]) {
          const user = device(number);
          const atMs = world.clock.monoMs();
          world.add(user, [{ seg_id: 1, expiration: -1 }]);
          await world.clock.advance(2_000);
          const applied = world.service.log.find((one) => one.user === `idfa:${user}` && one.removed);
          assert.ok(applied !== undefined, `the removal of ${number} took more than 2 s`);
          assert.ok(applied.atMs >= atMs);
        }
        assert.ok(world.engine.counters.waiting > 5_000, 'the backlog was gone before the removals');
        await world.rest(30_000);
        assert.deepEqual(world.violations(), []);
      });
    }
  }

  it('is not undone when its user has older adds in memory, on disk and in flight', async () => {
    const world = new World({ seed: 2, ...onDisk, delayMs: () => 40 });
    await world.clock.advance(1_100);
    const user = device(1);
    world.add(user, [{ seg_id: 1, value: 1 }]);
    // A token is needed first; then the add is in flight.
    await world.clock.advance(130);
    world.add(user, [{ seg_id: 1, value: 2 }]);
    submitAll(world, adds(3_000, 10));
    world.add(user, [{ seg_id: 1, value: 3 }]);
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.rest(30_000);
    assert.deepEqual(world.violations(), []);
    const ops = world.service.log.filter((one) => one.user === `idfa:${user}`);
    assert.deepEqual(
      ops.map(({ removed }) => removed),
      [false, true],
    );
  });

  it('is not undone when it ends while the page with the older add is being read', async () => {
    for (let waitMs = 0; waitMs < 120; waitMs += 6) {
      const world = new World({ seed: waitMs, memoryMark: 1, pageRows: 5, commitMs: 60, delayMs: () => 20 });
      world.add(device(9), [{ seg_id: 1 }]);
      await world.clock.advance(2_000);
      world.add(device(8), [{ seg_id: 1 }]);
      // Only on disk, until the entry before it is sent.
      world.add(device(1), [{ seg_id: 1 }]);
      await world.clock.advance(waitMs);
      world.add(device(1), [{ seg_id: 1, expiration: -1 }]);
      await world.clock.advance(1_000);
      await world.rest(30_000);
      assert.deepEqual(world.violations(), []);
    }
  });

  it('does not delay a newer add of its user, which wins', async () => {
    const world = new World({ seed: 2, ...onDisk });
    const user = device(1);
    submitAll(world, adds(2_000, 10));
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    world.add(user, [{ seg_id: 1, value: 9 }]);
    await world.rest(30_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.members.get(`idfa:${user} 1`)?.value, 9);
  });
});

describe('a flood of removals', function () {
  this.timeout(0);

  for (const [where, options] of [
    ['in memory', {}],
    ['on disk', { memoryMark: 3_000, pageRows: 1_000 }],
  ] as const) {
    it(`leaves the adds a fifth of the quota and uses the rest, ${where}`, async () => {
      const world = new World({ seed: 1, ...options, delayMs: () => 5 });
      submitAll(world, adds(9_000));
      submitAll(
        world,
        Array.from({ length: 9_000 }, (_, i) => ({
          user: device(20_000 + i),
          blocks: [{ seg_id: 1, expiration: -1 }],
        })),
      );
      await world.clock.advance(7_500);
      const removals = world.service.log.filter(({ removed }) => removed).length;
      const share = 1 - removals / world.service.log.length;
      assert.ok(world.service.log.length > 5_000);
      assert.ok(share >= 0.195 && share <= 0.21, `the adds got ${share}`);
      await world.rest(20_000);
      assert.deepEqual(world.violations(), []);
    });
  }

  it('uses the whole quota when there are no adds, as adds do when there are no removals', async () => {
    for (const expiration of [-1, 60]) {
      const world = new World({ seed: 1, delayMs: () => 5 });
      submitAll(
        world,
        Array.from({ length: 8_000 }, (_, i) => ({ user: device(i), blocks: [{ seg_id: 1, expiration }] })),
      );
      await world.clock.advance(6_000);
      assert.ok(world.service.log.length >= 4_800, String(world.service.log.length));
    }
  });
});

// Promise 6: while more than half of the permits are free, entries are sent at once. Otherwise the scheduler
// lingers until a request's share of users is ready, 20 ms at most.
import { strict as assert } from 'node:assert';
import { device, World } from './support/world';

const wayMs = 10;
const limits = { postsPerSecond: 10, usersPerSecond: 100, maxConcurrent: 15 };
const usersPerPermit = 10;
/** Time from sending until the permit is free again. */
const heldForMs = 2 * wayMs + 1000 + 5;

/** An engine with a token, after its first second. */
async function warm(options: Partial<ConstructorParameters<typeof World>[0]> = {}): Promise<World> {
  const world = new World({ seed: 1, limits, delayMs: () => wayMs, ...options });
  world.add(device(900_000), [{ seg_id: 1 }]);
  await world.clock.advance(3_000);
  return world;
}

/** Free permits and users at that moment, after the requests sent then. */
function freeAt(world: World, atMs: number): { posts: number; users: number } {
  const used = world.service.requests.filter(({ sentMs }) => sentMs <= atMs && sentMs + heldForMs > atMs);
  return {
    posts: limits.postsPerSecond - used.length,
    users: limits.usersPerSecond - used.reduce((sum, { users }) => sum + users.length, 0),
  };
}

describe('an entry', function () {
  this.timeout(0);

  it('is sent before its 20 ms are over once a permit’s share of users is ready', async () => {
    const world = await warm();
    for (let i = 0; i < 5; i += 1) {
      world.add(device(i), [{ seg_id: 1 }]);
      await world.clock.advance(1);
    }
    const posts = world.service.requests.length;
    assert.equal(freeAt(world, world.clock.monoMs()).posts, 5);
    world.add(device(100), [{ seg_id: 1 }]);
    await world.clock.advance(5);
    assert.equal(world.service.requests.length, posts, 'half of the permits are used: it is held');
    for (let i = 1; i < usersPerPermit; i += 1) world.add(device(100 + i), [{ seg_id: 1 }]);
    await world.clock.settle();
    assert.equal(world.service.requests.length, posts + 1);
    assert.equal(world.service.requests.at(-1)!.users.length, usersPerPermit);
  });

  it('is sent at once on a flush, without lingering', async () => {
    const world = await warm();
    for (let i = 0; i < 5; i += 1) {
      world.add(device(i), [{ seg_id: 1 }]);
      await world.clock.advance(1);
    }
    const posts = world.service.requests.length;
    world.add(device(100), [{ seg_id: 1 }]);
    world.engine.flush();
    await world.clock.settle();
    assert.equal(world.service.requests.length, posts + 1);
  });

  it('of a busy user uses the quota of one user, however many entries there are', async () => {
    const world = await warm();
    for (let i = 0; i < 500; i += 1) {
      world.add(device(1), [{ seg_id: 1, value: i }]);
      await world.clock.advance(1);
    }
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
    // One at a time: each takes a round trip.
    assert.ok(world.service.requests.length < 30, String(world.service.requests.length));
    assert.equal(world.service.members.get(`idfa:${device(1)} 1`)?.value, 499);
  });
});

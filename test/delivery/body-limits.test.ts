// Promise 3, per request: bytes, users, blocks; never one user twice, never ids and codes together. The fake
// service checks each of these for every request.
import { strict as assert } from 'node:assert';
import { maxTextChars } from '../../src/entry/keys';
import type { Block } from './support/fake-service';
import { device, World } from './support/world';

const quick = { postsPerSecond: 1000, usersPerSecond: 100_000, maxConcurrent: 50 };

function manyBlocks(count: number, expiration: (index: number) => number): Block[] {
  return Array.from({ length: count }, (_, index) => ({ seg_id: index + 1, expiration: expiration(index) }));
}

describe('the limits of one request', function () {
  this.timeout(0);

  it('fill a body to the last block that fits', async () => {
    const world = new World({ seed: 1, limits: quick });
    const code = (at: number): string => `${at}-${'汉'.repeat(240)}`;
    const users = Array.from({ length: 30 }, (_, n) => ({
      user: device(n),
      blocks: Array.from({ length: 100 }, (_block, at) => ({ seg_code: code(at), member_id: 1 })),
    }));
    world.submit(users);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    const largest = Math.max(...world.service.requests.map(({ bytes }) => bytes));
    assert.ok(largest > 1_000_000 - 1_000, `${largest} bytes`);
  });

  it('have room for the longest texts that pass the checks', async () => {
    const world = new World({ seed: 1, limits: quick });
    const longest = '\u0001'.repeat(maxTextChars);
    const block = { seg_code: longest, member_id: 2_147_483_647, expiration: 2_147_483_647 };
    world.submit([{ user: longest, domain: null, blocks: [block] }]);
    await world.rest(10_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.requests.length, 1);
  });

  it('put the removals among more than 100 blocks first', async () => {
    const world = new World({ seed: 1 });
    world.add(
      device(1),
      manyBlocks(250, (index) => (index < 180 ? 60 : -1)),
    );
    await world.rest(60_000);
    const removed = world.service.log.slice(0, 70).every(({ removed }) => removed);
    assert.ok(removed, 'the first request does not begin with the removals');
    assert.deepEqual(world.violations(), []);
  });
});

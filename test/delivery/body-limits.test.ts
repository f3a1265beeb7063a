// Promise 3, per request: bytes, users, blocks; never one user twice, never ids and codes mixed. The fake service
// checks each of these for every request that it gets.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/audience/check';
import type { Block } from './support/fake-service';
import { runs } from './support/runs';
import { device, World, type Stated } from './support/world';

const quick = { postsPerSecond: 1000, usersPerSecond: 100_000, maxConcurrent: 50 };

/** Characters of one to four bytes in UTF-8, pairs of surrogates and what JSON escapes among them. */
const part = fc.constantFrom('a', '"\\', 'é', 'ß\n', '汉', '😀', '𝒳é', '\u0001');
const textUpTo = (times: number): fc.Arbitrary<string> =>
  fc
    .tuple(part, fc.integer({ min: 1, max: times }), fc.nat({ max: 400 }))
    .map(([text, n, tail]) => `${text.repeat(n)}.${tail}`);
const idBlock: fc.Arbitrary<Block> = fc.record({
  seg_id: fc.integer({ min: 1, max: 900 }),
  value: fc.nat({ max: 2_147_483_647 }),
});
const codeBlock = (times: number): fc.Arbitrary<Block> =>
  fc.record({
    seg_code: textUpTo(times),
    member_id: fc.integer({ min: 1, max: 3 }),
    expiration: fc.constantFrom(-1, 0, 90),
  });
const who = fc.oneof(
  fc.nat({ max: 5 }).map((number) => ({ user: device(number), domain: 'idfa' })),
  textUpTo(2_000).map((user) => ({ user, domain: null })),
);
const blocks = fc.oneof(
  fc.array(fc.oneof(idBlock, codeBlock(50)), { minLength: 1, maxLength: 4 }),
  fc.array(idBlock, { minLength: 150, maxLength: 450 }),
  // Several fill a body, which holds at most a hundred of them.
  fc.array(codeBlock(9_000), { minLength: 20, maxLength: 150 }),
);
const entry: fc.Arbitrary<Stated> = fc.tuple(who, blocks).map(([user, list]) => ({ ...user, blocks: list }));

function manyBlocks(count: number, expiration: (index: number) => number): Block[] {
  return Array.from({ length: count }, (_, index) => ({ seg_id: index + 1, expiration: expiration(index) }));
}

describe('the limits of one request', function () {
  this.timeout(0);

  it('hold for any text and any number of blocks, and everything arrives', async () => {
    let largest = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { minLength: 2, maxLength: 8 }),
        fc.integer(),
        async (entries, seed) => {
          const world = new World({ seed, limits: quick, delayMs: () => 5 });
          for (const each of entries) world.submit([each]);
          await world.rest(60_000);
          assert.deepEqual(world.violations(), []);
          for (const { bytes } of world.service.requests) largest = Math.max(largest, bytes);
        },
      ),
      runs(15),
    );
    assert.ok(largest > 900_000, `no body came near the limit (${largest} bytes)`);
  });

  it('let the largest block that passes the checks through, and no larger one passes them', async () => {
    const fits = (length: number): boolean =>
      checkEntry({
        user_id: device(1),
        domain: 'idfa',
        seg_block: [{ seg_code: '汉'.repeat(length), member_id: 1 }],
      }).ok;
    let length = 333_200;
    let tooLong = 333_334;
    while (tooLong - length > 1) {
      const middle = Math.floor((length + tooLong) / 2);
      if (fits(middle)) length = middle;
      else tooLong = middle;
    }
    const world = new World({ seed: 1, limits: quick });
    const largest = { seg_code: '汉'.repeat(length), member_id: 1, expiration: 2_147_483_647 };
    world.add(device(1), [largest]);
    world.add(device(1), [{ seg_id: 1 }]);
    world.add(device(2), [{ ...largest, seg_code: `${largest.seg_code.slice(1)}a` }]);
    await world.rest(10_000);
    assert.deepEqual(world.violations(), []);
    assert.ok(Math.max(...world.service.requests.map(({ bytes }) => bytes)) > 999_950);
  });

  it('spread more than 100 blocks of one user over successive requests', async () => {
    const world = new World({ seed: 1 });
    const message = world.add(
      device(1),
      manyBlocks(1050, () => 60),
    );
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.requests.length, 11);
    assert.equal(message.end?.kind, 'settled');
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

  it('put at most 1000 users into one request, however large the quota is', async () => {
    const limits = { postsPerSecond: 2, usersPerSecond: 50_000, maxConcurrent: 15 };
    const world = new World({ seed: 1, limits });
    world.submit(Array.from({ length: 5_000 }, (_, i) => ({ user: device(i), blocks: [{ seg_id: 1 }] })));
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(Math.max(...world.service.requests.map(({ users }) => users.length)), 1000);
  });

  it('keep ids and codes of one user apart, in the order in which they came', async () => {
    const world = new World({ seed: 1, aliases: { vip: 5 } });
    const user = device(1);
    world.submit([
      { user, blocks: [{ seg_code: 'vip', member_id: 7 }, { seg_id: 6 }] },
      { user, blocks: [{ seg_id: 5, expiration: -1 }] },
      { user, blocks: [{ seg_code: 'VIP', member_id: 7, value: 3 }] },
    ]);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.state.get(`idfa:${user} 5`)?.value, 3);
  });

  it('keep two spellings of one id apart, in the order in which they came', async () => {
    for (const foldsPlatformIds of [true, false]) {
      const world = new World({ seed: 1, foldsPlatformIds });
      const id = 'ab'.repeat(16);
      world.submit([
        { user: id, domain: null, blocks: [{ seg_id: 1 }] },
        { user: id.toUpperCase(), domain: null, blocks: [{ seg_id: 1, expiration: -1 }] },
      ]);
      await world.rest(60_000);
      assert.deepEqual(world.violations(), []);
      assert.equal(world.service.requests.length, 2);
    }
  });
});

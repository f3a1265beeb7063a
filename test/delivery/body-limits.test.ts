// Promise 3, per request: bytes, users, blocks; never one user twice, never ids and codes together. The fake
// service checks each of these for every request.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { maxTextChars } from '../../src/entry/keys';
import type { Block } from './support/fake-service';
import { runs } from './support/runs';
import { device, World, type Stated } from './support/world';

const quick = { postsPerSecond: 1000, usersPerSecond: 100_000, maxConcurrent: 50 };

/** Characters of one to four bytes in UTF-8, with surrogate pairs and characters that JSON escapes. */
const part = fc.constantFrom('a', '"\\', 'é', 'ß\n', '汉', '😀', '𝒳é', '\u0001');
const textUpTo = (chars: number): fc.Arbitrary<string> =>
  fc
    .tuple(part, fc.integer({ min: 1, max: chars }), fc.nat({ max: 400 }))
    .map(([text, n, tail]) => `${text.repeat(Math.ceil(n / text.length)).slice(0, chars - 4)}.${tail}`)
    .filter((text) => !/\p{Surrogate}/u.test(text));
const idBlock: fc.Arbitrary<Block> = fc.record({
  seg_id: fc.integer({ min: 1, max: 900 }),
  value: fc.nat({ max: 2_147_483_647 }),
});
const codeBlock = (chars: number): fc.Arbitrary<Block> =>
  fc.record({
    seg_code: textUpTo(chars),
    member_id: fc.integer({ min: 1, max: 3 }),
    expiration: fc.constantFrom(-1, 0, 90),
  });
const who = fc.oneof(
  fc.nat({ max: 5 }).map((number) => ({ user: device(number), domain: 'idfa' })),
  textUpTo(maxTextChars).map((user) => ({ user, domain: null })),
);
const blocks = fc.oneof(
  fc.array(fc.oneof(idBlock, codeBlock(50)), { minLength: 1, maxLength: 4 }),
  fc.array(idBlock, { minLength: 150, maxLength: 450 }),
  // The blocks of some users fill a body.
  fc.array(codeBlock(maxTextChars), { minLength: 80, maxLength: 150 }),
);
const entry: fc.Arbitrary<Stated> = fc.tuple(who, blocks).map(([user, list]) => ({ ...user, blocks: list }));

function manyBlocks(count: number, expiration: (index: number) => number): Block[] {
  return Array.from({ length: count }, (_, index) => ({ seg_id: index + 1, expiration: expiration(index) }));
}

describe('the limits of one request', function () {
  this.timeout(0);

  it('hold for any text and any number of blocks, and every entry is delivered', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { minLength: 2, maxLength: 8 }),
        fc.integer(),
        async (entries, seed) => {
          const world = new World({ seed, limits: quick, delayMs: () => 5 });
          for (const each of entries) world.submit([each]);
          await world.rest(60_000);
          assert.deepEqual(world.violations(), []);
        },
      ),
      runs(15),
    );
  });

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

  it('keep ids and codes of one user in separate requests, in the order of arrival', async () => {
    const world = new World({ seed: 1 });
    const user = device(1);
    world.submit([
      { user, blocks: [{ seg_code: 'code_10001', member_id: 1 }, { seg_id: 6 }] },
      { user, blocks: [{ seg_id: 10001, expiration: -1 }] },
      { user, blocks: [{ seg_code: 'Code_10001', member_id: 1, value: 3 }] },
    ]);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.members.get(`idfa:${user} 10001`)?.value, 3);
  });

  it('keep two spellings of one id in separate requests, in the order of arrival', async () => {
    const world = new World({ seed: 1 });
    const id = 'ab'.repeat(16);
    world.submit([
      { user: id, domain: null, blocks: [{ seg_id: 1 }] },
      { user: id.toUpperCase(), domain: null, blocks: [{ seg_id: 1, expiration: -1 }] },
    ]);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.deepEqual(
      world.service.log.map(({ user }) => user),
      [`:${id}`, `:${id.toUpperCase()}`],
    );
    assert.equal(world.service.requests.length, 2);
  });
});

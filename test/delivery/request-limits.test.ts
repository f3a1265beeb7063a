// Limits of one request as settings: respected by every request, also in a bisection, and when they change.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { dryRun } from '../../src/delivery/dry-run';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { Block, SentEntry } from './support/fake-service';
import { runs } from './support/runs';
import { device, documentedLimits, entryOf, World, type Message, type Stated } from './support/world';

const request = { usersPerPost: 7, blocksPerUser: 3, maxBodyBytes: 750 };
const small: Limits = { ...documentedLimits, ...request };
const blocks = (count: number): Block[] => Array.from({ length: count }, (_, i) => ({ seg_id: i + 1 }));
const pendingUsers = (users: number, each: number): Stated[] =>
  Array.from({ length: users }, (_, i) => ({ user: device(i), blocks: blocks(each) }));

/** Largest values of any request. */
function worst(
  requests: readonly { readonly entries: readonly SentEntry[]; readonly bytes: number }[],
): object {
  const most = (figure: (entries: readonly SentEntry[], bytes: number) => number): number =>
    Math.max(...requests.map(({ entries, bytes }) => figure(entries, bytes)));
  return {
    usersPerPost: most((entries) => entries.length),
    blocksPerUser: most((entries) => Math.max(...entries.map(({ seg_block: some }) => some.length))),
    isNearlyFull: most((_entries, bytes) => bytes) > 650,
  };
}

function rejections({ end }: Message): string[] {
  return end?.kind === 'settled' ? end.rejections.map(({ index, code }) => `${index} ${code}`) : ['no end'];
}

describe('the limits of a request', function () {
  this.timeout(0);

  it('are respected and used completely, whatever the network does', async () => {
    const world = new World({ seed: 1, limits: small, fates: { serverError: 0.1, replyLost: 0.05 } });
    world.submit(pendingUsers(60, 1));
    await world.clock.advance(5_000);
    world.submit(pendingUsers(20, 10));
    await world.rest();
    assert.deepEqual(world.violations(), []);
    assert.deepEqual(worst(world.service.requests), {
      usersPerPost: 7,
      blocksPerUser: 3,
      isNearlyFull: true,
    });
  });

  it('are respected by a bisection, and by its results', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 60 }), async (seed, users) => {
        const world = new World({ seed, limits: small, poison: (_user, block) => block.seg_id === 999 });
        const entries = pendingUsers(users, 5).map((stated, i) =>
          i % 9 === 4 ? { ...stated, blocks: [...stated.blocks, { seg_id: 999 }] } : stated,
        );
        const message = world.submit(entries);
        for (let i = 0; i < 20; i += 1) {
          world.add(device(1_000 + i), blocks(1));
          await world.clock.advance(2_000);
        }
        await world.rest(60_000);
        assert.deepEqual(world.violations(), []);
        assert.equal(
          rejections(message).length,
          entries.filter(({ blocks: some }) => some.length > 5).length,
        );
      }),
      runs(20),
    );
  });

  it('are never waited for in vain: no post lingers for more users than it may hold', async () => {
    const limits = { postsPerSecond: 4, usersPerSecond: 1_000, maxConcurrent: 15, usersPerPost: 3 };
    const world = new World({ seed: 2, limits, delayMs: () => 1 });
    await world.clock.advance(1_100);
    for (let i = 0; i < 3; i += 1) {
      world.submit(pendingUsers(1, 1).map((stated) => ({ ...stated, user: device(100 + i) })));
      await world.clock.advance(30);
    }
    // Fewer than half of the posts are free now, and one request holds three users at most.
    const atMs = world.clock.monoMs();
    world.submit(pendingUsers(3, 1));
    await world.clock.advance(10);
    assert.equal(world.service.requests.at(-1)!.users.length, 3);
    assert.ok(world.service.requests.at(-1)!.sentMs - atMs < 5);
  });

  it('apply to pending entries when they change: blocks that are too large are rejected, the rest continues', async () => {
    const world = new World({ seed: 3 });
    world.engine.pause();
    const code = '汉'.repeat(250);
    const message = world.submit([
      { user: device(1), blocks: blocks(5) },
      {
        user: device(2),
        blocks: [
          { seg_code: code, member_id: 1 },
          { seg_code: 'fits', member_id: 1 },
        ],
      },
      { user: device(3), blocks: blocks(1) },
    ]);
    await world.clock.advance(1_000);
    world.engine.setLimits(small);
    world.service.limits = request;
    world.engine.resume();
    await world.rest(10_000);
    assert.deepEqual(rejections(message), ['1 too_large']);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.members.size, 7);
  });

  it('apply to a bisection when they change', async () => {
    let sick = true;
    const world = new World({ seed: 4, poison: () => sick });
    const code = '汉'.repeat(250);
    const message = world.submit([
      { user: device(1), blocks: [{ seg_code: code, member_id: 1 }] },
      { user: device(2), blocks: blocks(1) },
    ]);
    await world.clock.advance(5_000);
    assert.equal(world.engine.stats().state.kind, 'refusing');
    world.engine.setLimits(small);
    world.service.limits = request;
    sick = false;
    await world.rest();
    assert.deepEqual(rejections(message), ['0 too_large']);
    const applied = world.service.requests.filter((each) => each.applied);
    assert.ok(applied.every(({ bytes }) => bytes < 750));
    assert.equal(world.service.members.size, 1);
  });

  it('apply to a dry run', () => {
    const many = pendingUsers(10, 10).map((stated, i) => ({ ...stated, user: device(100 + i) }));
    const entries = [...pendingUsers(20, 1), ...many].map(({ user, blocks: some }) => entryOf(user, some));
    const bodies = dryRun(entries, 0, request) as { rt_segment: SentEntry[] }[];
    const requests = bodies.map((body) => ({
      entries: body.rt_segment,
      bytes: Buffer.byteLength(JSON.stringify(body)),
    }));
    assert.deepEqual(worst(requests), { usersPerPost: 7, blocksPerUser: 3, isNearlyFull: true });
    const pairs = requests.flatMap((one) => one.entries.flatMap(({ seg_block: some }) => some));
    assert.equal(pairs.length, 120);
    assert.ok(requests.every(({ bytes }) => bytes < 750));
  });
});

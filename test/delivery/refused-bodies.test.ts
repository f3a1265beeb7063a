// Promise 9: a refused body is bisected within a quarter of the quota; all other entries are delivered; a fault
// that affects everything rejects nothing.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { Block } from './support/fake-service';
import { runs } from './support/runs';
import { device, World, type Message, type Stated } from './support/world';

/** Segments that the service refuses for every user, as long as `sick` is true. */
class Poison {
  sick = true;
  readonly isBad = (_user: string, block: Block): boolean => this.sick && (block.seg_id ?? 0) >= 900;
}

function good(user: number, segments = 1): Stated {
  return { user: device(user), blocks: Array.from({ length: segments }, (_, i) => ({ seg_id: i + 1 })) };
}

function bad(user: number, among = 0): Stated {
  const blocks: Block[] = [...good(user, among).blocks, { seg_id: 900 + (user % 50) }];
  return { user: device(user), blocks };
}

/** The refusal as the client reports it. */
const word = 'The service refused something in this request (HTTP 400, SYNTAX: "SYNTAX").';

function rejections(message: Message): readonly { index: number; code: string; message: string }[] {
  return message.end?.kind === 'settled' ? message.end.rejections : [];
}

const pendingUsers = fc.array(
  fc.record({
    isBad: fc.oneof(
      { weight: 4, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
    blocks: fc.constantFrom(0, 0, 1, 2, 7, 120),
    waitMs: fc.constantFrom(0, 0, 0, 0, 30, 700),
  }),
  { minLength: 2, maxLength: 60 },
);

async function searches(): Promise<void> {
  await fc.assert(
    fc.asyncProperty(pendingUsers, fc.integer(), async (entries, seed) => {
      const poison = new Poison();
      const world = new World({ seed, poison: poison.isBad });
      const messages: { message: Message; isBad: boolean }[] = [];
      for (const [number, { isBad, blocks, waitMs }] of entries.entries()) {
        const stated = isBad ? bad(number, blocks) : good(number, blocks + 1);
        messages.push({ message: world.submit([stated]), isBad });
        if (waitMs > 0) await world.clock.advance(waitMs);
      }
      world.calm = true;
      // Another user is accepted now and then; otherwise the service itself might be at fault.
      for (let i = 0; i < 60; i += 1) {
        world.submit([good(1000 + i)]);
        await world.clock.advance(5_000);
      }
      await world.rest(60_000);
      assert.deepEqual(world.violations(), []);
      for (const { message, isBad } of messages) {
        assert.equal(message.end?.kind, 'settled');
        assert.equal(rejections(message).length, isBad ? 1 : 0);
      }
    }),
    runs(10),
  );
}

describe('a refused body', function () {
  this.timeout(0);

  it('is bisected until exactly the bad entries are rejected and all others accepted', searches);

  it('names the bad block by its position in the input, with the service’s own text', async () => {
    const world = new World({ seed: 1, poison: new Poison().isBad });
    const message = world.submit([good(1), { ...bad(2, 3) }, good(3)]);
    await world.rest(60_000);
    const [first, ...others] = rejections(message);
    assert.deepEqual([first!.index, first!.code, others], [1, 'SYNTAX', []]);
    assert.match(first!.message, /^seg_block\[3\]: The service refused .*SYNTAX/);
    assert.equal(message.end?.kind === 'settled' && message.end.summary.accepted, 2);
    // Its blocks by id are sent first.
    const code = { seg_code: 'x', member_id: 7 };
    const inTurn = world.submit([{ user: device(4), blocks: [{ seg_id: 1 }, code, { seg_id: 900 }] }]);
    await world.rest(60_000);
    assert.deepEqual(rejections(inTurn), [{ index: 0, code: 'SYNTAX', message: `seg_block[2]: ${word}` }]);
    assert.deepEqual(world.violations(), []);
  });

  it('uses a quarter of the quota for the bisection, and other users continue', async () => {
    const limits = { postsPerSecond: 40, usersPerSecond: 200, maxConcurrent: 15 };
    const world = new World({ seed: 3, limits, poison: new Poison().isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    for (let i = 0; i < 100; i += 1) world.submit([i % 6 === 0 ? bad(i) : good(i)]);
    for (let i = 0; i < 300; i += 1) {
      world.submit([good(1_000 + i)]);
      await world.clock.advance(20);
    }
    await world.rest(30_000);
    assert.deepEqual(world.violations(), []);
    const suspects = new Set(Array.from({ length: 100 }, (_, i) => `idfa:${device(i)}`));
    const firstRefusedMs = world.service.requests.find(({ applied }) => !applied)!.actedMs!;
    const search = world.service.worstSecond(
      ({ sentMs, users }) => sentMs > firstRefusedMs + 10 && users.every((user) => suspects.has(user)),
    );
    assert.ok(search.posts <= 10 && search.users <= 50, JSON.stringify(search));
    assert.ok(search.posts >= 8, `${search.posts} posts in a second: the search was not at its limit`);
    const others = world.messages.slice(100);
    assert.ok(others.every(({ atMs, endMs }) => endMs - atMs < 1_000));
  });

  it('does not hold up a good entry that comes after more bad ones than a second has room for', async () => {
    const limits = { postsPerSecond: 100, usersPerSecond: 20, maxConcurrent: 15 };
    const world = new World({ seed: 3, limits, poison: new Poison().isBad, delayMs: () => 10 });
    const bads = Array.from({ length: 600 }, (_, i) => world.submit([bad(i)]));
    await world.clock.advance(60_000);
    const last = world.submit([good(1_000)]);
    await world.clock.advance(120_000);
    assert.equal(last.end?.kind, 'settled');
    assert.ok(bads.some((each) => rejections(each).length === 1));
  });

  it('keeps everything when everything is bad, and delivers it once the fault is over', async () => {
    const poison = new Poison();
    const world = new World({ seed: 4, poison: poison.isBad });
    const messages = Array.from({ length: 300 }, (_, i) => world.submit([bad(i)]));
    await world.clock.advance(600_000);
    assert.ok(messages.every(({ end }) => end === null));
    assert.equal(world.engine.stats().state.kind, 'refusing');
    poison.sick = false;
    await world.rest(400_000);
    assert.ok(messages.every(({ end }) => end?.kind === 'settled'));
    assert.deepEqual(messages.flatMap(rejections), []);
    assert.deepEqual(world.violations(), []);
  });

  it('rejects nothing because of a late reply to an earlier request', async () => {
    // The first post is accepted with a slow reply; the second is refused at once, as everything is by then.
    let posts = 0;
    const world: World = new World({
      seed: 1,
      delayMs: (way) => (way === 'back' && posts === 1 ? 900 : 10),
      fateOf: () => {
        posts += 1;
        if (posts === 2) world.service.refusesAll = true;
        return null;
      },
    });
    await world.clock.advance(1_100);
    world.submit([good(1)]);
    await world.clock.advance(50);
    const refused = Array.from({ length: 10 }, (_, i) => world.submit([good(2 + i)]));
    await world.clock.advance(300_000);
    assert.deepEqual(refused.flatMap(rejections), []);
    world.service.refusesAll = false;
    await world.rest(400_000);
    assert.deepEqual(world.messages.flatMap(rejections), []);
    assert.deepEqual(world.violations(), []);
  });

  it('with a lone bad entry does not delay others, and rejects it once they are accepted', async () => {
    const world = new World({ seed: 6, poison: new Poison().isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    const lone = world.submit([bad(1)]);
    await world.clock.advance(60_000);
    assert.equal(lone.end, null, 'nothing was accepted since, so it may be the service');
    const other = world.submit([good(2)]);
    await world.clock.advance(100);
    assert.equal(other.end?.kind, 'settled');
    await world.rest(120_000);
    assert.equal(rejections(lone).length, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('with a lone bad entry on an idle account is decided by the canary', async () => {
    const world = new World({ seed: 6, poison: new Poison().isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    world.submit([good(1)]);
    await world.clock.advance(5_000);
    const lone = world.submit([bad(2)]);
    await world.clock.advance(120_000);
    assert.equal(rejections(lone).length, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('of the only user is decided by an accepted block of that user', async () => {
    for (const expiration of [undefined, -1]) {
      const world = new World({ seed: 6, poison: new Poison().isBad, delayMs: () => 10 });
      await world.clock.advance(1_100);
      world.submit([good(1)]);
      await world.clock.advance(5_000);
      const blocks = [{ seg_id: 901, ...(expiration !== undefined && { expiration }) }];
      const lone = world.submit([{ user: device(1), blocks }]);
      await world.clock.advance(120_000);
      assert.equal(rejections(lone).length, 1);
      await world.rest(120_000);
      assert.deepEqual(world.violations(), []);
    }
  });

  it('with a lone bad entry is decided by an add that was sent as a removal because it had expired', async () => {
    const world = new World({ seed: 6, poison: new Poison().isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    world.add(device(1), [{ seg_id: 1, expiration: 1 }], { agoMs: 120_000 });
    await world.clock.advance(5_000);
    const lone = world.submit([bad(2)]);
    await world.clock.advance(120_000);
    assert.equal(rejections(lone).length, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('with a lone bad entry uses no canary that has expired since it was added', async () => {
    const world = new World({ seed: 6, poison: new Poison().isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    world.add(device(1), [{ seg_id: 1, expiration: 2 }]);
    await world.clock.advance(90_000);
    const lone = world.submit([bad(2)]);
    await world.clock.advance(300_000);
    assert.equal(lone.end, null);
    assert.equal(world.service.members.size, 1, 'it was sent as a removal');
    world.submit([good(3)]);
    await world.rest(300_000);
    assert.equal(rejections(lone).length, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('with a lone bad entry never undoes a pending block of its user in the same segment', async () => {
    const poison = new Poison();
    const world = new World({ seed: 6, poison: poison.isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    world.add(device(1), [{ seg_id: 900 }]);
    poison.sick = false;
    world.add(device(1), [{ seg_id: 900 }]);
    await world.clock.advance(5_000);
    poison.sick = true;
    const removal = world.add(device(1), [{ seg_id: 900, expiration: -1 }]);
    await world.clock.advance(120_000);
    assert.equal(rejections(removal).length, 0, 'there is no canary, so it may be the service');
    poison.sick = false;
    await world.rest(300_000);
    assert.equal(removal.end?.kind, 'settled');
    assert.equal(world.service.members.size, 0);
    assert.deepEqual(world.violations(), []);
  });

  it('with a lone bad entry never restores a membership that a later, expired add has ended', async () => {
    const world = new World({ seed: 6, poison: new Poison().isBad, delayMs: () => 10 });
    const user = device(1);
    await world.clock.advance(1_100);
    world.add(user, [{ seg_id: 1 }]);
    await world.clock.advance(2_000);
    world.add(user, [{ seg_id: 1, expiration: 1 }], { agoMs: 120_000 });
    await world.clock.advance(2_000);
    assert.equal(world.service.members.size, 0);
    const lone = world.submit([bad(2)]);
    await world.clock.advance(300_000);
    assert.equal(world.service.members.size, 0, 'the user is back in the segment');
    world.submit([good(3)]);
    await world.rest(300_000);
    assert.equal(rejections(lone).length, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('with more bad entries than memory holds does not hide the good ones behind them', async () => {
    const world = new World({
      seed: 6,
      poison: new Poison().isBad,
      delayMs: () => 10,
      memoryMark: 5,
      pageRows: 5,
    });
    const bads = Array.from({ length: 12 }, (_, i) => world.submit([bad(i)]));
    const goods = Array.from({ length: 30 }, (_, i) => world.submit([good(100 + i)]));
    await world.rest(1_800_000);
    assert.equal(goods.filter(({ end }) => end?.kind === 'settled').length, 30);
    assert.equal(bads.flatMap(rejections).length, 12);
    assert.deepEqual(world.violations(), []);
  });

  it('accepts newer entries of a user in a bisection, which may fix it', async () => {
    const world = new World({ seed: 8, poison: new Poison().isBad, delayMs: () => 10 });
    await world.clock.advance(1_100);
    const first = world.submit([bad(1)]);
    await world.clock.advance(3_000);
    const removal = world.add(device(1), [{ seg_id: 5, expiration: -1 }]);
    await world.rest(200_000);
    assert.equal(rejections(first).length, 1);
    assert.equal(removal.end?.kind, 'settled');
    assert.deepEqual(rejections(removal), []);
    assert.deepEqual(world.violations(), []);
  });

  it('ends an entry that was replaced by a bad one in the same way', async () => {
    const world = new World({ seed: 9, poison: new Poison().isBad, delayMs: () => 10 });
    const [older, newer] = [world.submit([bad(1)]), world.submit([bad(1)])];
    world.submit([good(2)]);
    await world.rest(200_000);
    assert.deepEqual([...rejections(older), ...rejections(newer)].length, 2);
    assert.deepEqual(world.violations(), []);
  });
});

describe('a body accepted with warnings', () => {
  const warning = (text: string, entity: unknown): { message: string; entity: unknown } => ({
    message: text,
    entity,
  });

  it('rejects the entries and blocks that the service names, and no others', async () => {
    const world = new World({
      seed: 1,
      warn: (entries) =>
        entries
          .filter(({ seg_block: [block] }) => block!.seg_id === 13)
          .map((entry) => warning(`No valid segments for user_id: ${entry.user_id}.`, entry)),
    });
    const message = world.submit([good(1), { user: device(2), blocks: [{ seg_id: 13 }] }, good(3)]);
    await world.rest(10_000);
    assert.deepEqual(
      rejections(message).map(({ index, code }) => ({ index, code })),
      [{ index: 1, code: 'no_valid_segments' }],
    );
    assert.deepEqual(world.violations(), []);
  });

  it('sends users again that exceeded its limit', async () => {
    let once = true;
    const world = new World({
      seed: 1,
      warn: (entries) => {
        if (!once) return [];
        once = false;
        return [warning('Too many user_ids in request.', entries.at(-1))];
      },
    });
    const message = world.submit([good(1), good(2), good(3)]);
    await world.rest(10_000);
    assert.deepEqual(
      world.service.requests.map(({ users }) => users.length),
      [3, 1],
    );
    assert.equal(message.end?.kind === 'settled' && message.end.summary.accepted, 3);
    assert.deepEqual(world.violations(), []);
  });

  it('passes unknown warnings on with the accepted entries', async () => {
    const world = new World({ seed: 1, warn: (entries) => [warning('Something new.', entries[0])] });
    const message = world.submit([good(1)]);
    await world.rest(10_000);
    assert.deepEqual(message.end?.kind === 'settled' && message.end.summary.warnings, ['Something new.']);
    assert.deepEqual(world.violations(), []);
  });
});

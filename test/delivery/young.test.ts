// Adds to segments that are too young wait, and nothing else does: in order for each user and segment, whatever happens.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { Block, Fate } from './support/fake-service';
import { runs } from './support/runs';
import { device, World, type WorldOptions } from './support/world';

const minuteMs = 60_000;

/** Holds keys for so long from now, as an out node asks for. */
function hold(world: World, keys: readonly string[], forMs: number, owner = 'n'): void {
  const untilMs = world.clock.wallMs() + forMs;
  world.engine.holdSegments(owner, new Map(keys.map((key) => [key, untilMs])));
}

/** What the service has, as `user segment`. */
function has(world: World): string[] {
  return [...world.service.members.keys()].sort();
}

describe('an add to a young segment', () => {
  it('waits until the segment is old enough, and other segments and users do not', async () => {
    const world = new World({ seed: 1 });
    await world.rest(2_000);
    hold(world, ['i5'], 10 * minuteMs);
    const both = world.add(device(1), [{ seg_id: 5 }, { seg_id: 6 }]);
    world.add(device(1), [{ seg_id: 7 }]);
    const young = world.add(device(2), [{ seg_id: 5 }]);
    world.add(device(3), [{ seg_id: 6 }]);
    await world.clock.advance(1_000);
    const of = (user: number, segment: number): string => `idfa:${device(user)} ${segment}`;
    assert.deepEqual(has(world), [of(1, 6), of(1, 7), of(3, 6)]);
    assert.deepEqual([both.end, young.end], [null, null]);
    await world.clock.advance(10 * minuteMs - 1_500);
    assert.equal(has(world).length, 3);
    await world.clock.advance(1_000);
    assert.equal(has(world).length, 5);
    assert.equal(young.end?.kind, 'settled');
    assert.deepEqual(world.violations(), []);
  });

  it('gives way to a removal, which does not wait', async () => {
    const world = new World({ seed: 1 });
    await world.rest(2_000);
    world.add(device(1), [{ seg_id: 5 }]);
    await world.clock.advance(1_000);
    hold(world, ['i5'], 10 * minuteMs);
    world.add(device(1), [{ seg_id: 5, value: 2 }]);
    await world.clock.advance(minuteMs);
    const removal = world.add(device(1), [{ seg_id: 5, expiration: -1 }]);
    await world.clock.advance(1_000);
    assert.deepEqual([has(world), removal.end?.kind], [[], 'settled']);
    await world.rest(20 * minuteMs);
    assert.deepEqual(world.violations(), []);
  });

  it('keeps behind it what may be the same segment by a code, for that user', async () => {
    const world = new World({ seed: 1, aliases: { x: 5 } });
    await world.rest(2_000);
    hold(world, ['i5'], 10 * minuteMs);
    world.add(device(1), [{ seg_id: 5, value: 1 }]);
    world.add(device(1), [{ seg_code: 'x', member_id: 7, value: 2 }]);
    world.add(device(2), [{ seg_code: 'x', member_id: 7, value: 3 }]);
    await world.clock.advance(1_000);
    assert.deepEqual(has(world), [`idfa:${device(2)} 5`]);
    await world.rest(20 * minuteMs);
    assert.deepEqual(world.violations(), []);
  });

  it('is let go by a removal of what may be the same segment by a code, which goes after it at once', async () => {
    const world = new World({ seed: 1, aliases: { x: 5 } });
    await world.rest(2_000);
    hold(world, ['i5', 'i6'], 10 * minuteMs);
    world.add(device(1), [{ seg_id: 5, value: 1 }]);
    world.add(device(2), [{ seg_id: 5, value: 1 }]);
    world.add(device(1), [{ seg_code: 'y', member_id: 7, value: 2 }]);
    world.add(device(2), [{ seg_code: 'y', member_id: 7, value: 2 }]);
    await world.clock.advance(minuteMs);
    assert.deepEqual(has(world), []);
    const removal = world.add(device(1), [{ seg_code: 'x', member_id: 7, expiration: -1 }]);
    await world.clock.advance(1_000);
    assert.equal(removal.end?.kind, 'settled');
    assert.deepEqual(has(world), [`idfa:${device(1)} 7:y`]);
    world.add(device(1), [{ seg_id: 6 }]);
    await world.clock.advance(minuteMs);
    assert.deepEqual(has(world), [`idfa:${device(1)} 7:y`], 'the next add waits again');
    await world.rest(20 * minuteMs);
    assert.deepEqual(world.violations(), []);
  });

  it('is let go when the node changes its mind, and not by flush', async () => {
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

  it('waits after a restart, too', async () => {
    const world = new World({ seed: 1 });
    await world.rest(2_000);
    hold(world, ['i5'], 10 * minuteMs);
    world.add(device(1), [{ seg_id: 5 }]);
    world.add(device(2), [{ seg_id: 6 }]);
    await world.clock.advance(1_000);
    world.kill();
    await world.clock.advance(5 * minuteMs);
    assert.deepEqual(has(world), [`idfa:${device(2)} 6`]);
    await world.rest(6 * minuteMs);
    assert.equal(has(world).length, 2);
    assert.deepEqual(world.violations(), []);
  });

  it('does not keep others out of memory, until there are very many: then they go without waiting, and that is said', async () => {
    const world = new World({ seed: 1, memoryMark: 20, pageRows: 5 });
    await world.rest(2_000);
    hold(world, ['i5'], 10 * minuteMs);
    for (let n = 0; n < 150; n += 1) world.add(device(n), [{ seg_id: 5 }]);
    for (let n = 200; n < 230; n += 1) world.add(device(n), [{ seg_id: 6 }]);
    await world.clock.advance(2_000);
    assert.equal(has(world).length, 30);
    assert.equal(world.logged.filter((line) => line.includes('young')).length, 0);
    for (let n = 300; n < 400; n += 1) world.add(device(n), [{ seg_id: 5 }]);
    await world.clock.advance(2_000);
    assert.equal(has(world).length, 280);
    assert.equal(world.logged.filter((line) => line.includes('young')).length, 1);
    await world.rest();
    assert.deepEqual(world.violations(), []);
  });
});

const faults: Partial<Record<Fate, number>> = {
  dropped: 0.06,
  replyLost: 0.06,
  late: 0.1,
  reset: 0.06,
  rateLimited: 0.04,
  serverError: 0.06,
  deadToken: 0.03,
  garbage: 0.03,
};

const who = fc.constantFrom(device(1), device(2), device(3));
const block: fc.Arbitrary<Block> = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ seg_id: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ seg_code: fc.constantFrom('x', 'Y'), member_id: fc.constant(7) }) },
    ),
    fc.constantFrom(-1, -1, 0, undefined, 2, 600),
    fc.integer({ min: 0, max: 9 }),
  )
  .map(([segment, minutes, value]) => ({
    ...segment,
    ...(minutes !== undefined && { expiration: minutes }),
    ...(minutes !== -1 && { value }),
  }));

type Step =
  | { readonly kind: 'add'; readonly user: string; readonly blocks: Block[]; readonly account: string }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'hold'; readonly keys: string[]; readonly ms: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'kill' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      user: who,
      blocks: fc.array(block, { minLength: 1, maxLength: 3 }),
      account: fc.constantFrom('a', 'a', 'b'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 300 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('hold' as const),
      keys: fc.uniqueArray(fc.constantFrom('i1', 'i2', 'i3', 'c7:x', 'c7:y'), { maxLength: 3 }),
      ms: fc.integer({ min: 0, max: 250_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const }) },
);
const withKills = fc.oneof(
  { weight: 15, arbitrary: steps },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' as const }) },
);

interface Held {
  readonly keys: ReadonlySet<string>;
  readonly fromMs: number;
  untilMs: number;
}

async function play(world: World, script: readonly Step[]): Promise<Held[]> {
  const held: Held[] = [];
  for (const step of script) {
    switch (step.kind) {
      case 'add':
        world.add(step.user, step.blocks, { account: step.account });
        break;
      case 'wait':
        await world.clock.advance(step.ms);
        break;
      case 'flush':
        world.engine.flush();
        break;
      case 'hold': {
        // What was handed in before is decided first, and the hold is written down.
        await world.clock.advance(50);
        const nowMs = world.clock.monoMs();
        for (const before of held) before.untilMs = Math.min(before.untilMs, nowMs);
        held.push({ keys: new Set(step.keys), fromMs: nowMs, untilMs: nowMs + step.ms });
        hold(world, step.keys, step.ms);
        await world.clock.advance(50);
        break;
      }
      case 'kill':
        world.kill();
        break;
    }
  }
  return held;
}

const commitMs = 20;
/**
 * What was decided before a hold leaves once its commit has been made: the store takes up to `commitMs` before and after
 * that, and a read of each lane may come first.
 */
const decidedMs = 3 * 2 * commitMs;

/** Adds that left for a segment while it was to wait, those apart that a removal may have let go. */
function early(world: World, held: readonly Held[]): string[] {
  return world.service.requests.flatMap(({ sentMs, entries }) => {
    const now = held.filter(({ fromMs, untilMs }) => sentMs > fromMs + decidedMs && sentMs < untilMs - 1);
    return entries.flatMap(({ user_id: user, seg_block }) =>
      seg_block
        .filter((one) => one.expiration !== -1 && !mayBeLetGo(world, user, one.seg_id === undefined, sentMs))
        .map((one) => (one.seg_id === undefined ? `c7:${one.seg_code!.toLowerCase()}` : `i${one.seg_id}`))
        .filter((key) => now.some(({ keys }) => keys.has(key)))
        .map((key) => `${key} at ${sentMs}`),
    );
  });
}

/** Whether a removal of a user may have waited behind blocks of both kinds. */
function mayBeLetGo(world: World, of: string, byId: boolean, untilMs: number): boolean {
  const before = world.messages.filter(({ atMs }) => atMs <= untilMs);
  const blocks = before.flatMap(({ entries }) =>
    entries.flatMap((one) => (one.user === of ? one.blocks : [])),
  );
  const otherKind = blocks.some(({ seg_id: id }) => (id !== undefined) !== byId);
  return otherKind && blocks.some(({ expiration }) => expiration === -1);
}

function property(script: fc.Arbitrary<Step>, options: Omit<WorldOptions, 'seed'>): Promise<void> {
  return fc.assert(
    fc.asyncProperty(
      fc.array(script, { minLength: 1, maxLength: 50, size: 'max' }),
      fc.integer(),
      async (list, seed) => {
        const world = new World({ accounts: ['a', 'b'], ...options, seed });
        const held = await play(world, list);
        await world.rest(700_000);
        assert.deepEqual([...early(world, held), ...world.violations()], []);
      },
    ),
    runs(150),
  );
}

describe('the engine, while segments are young', function () {
  this.timeout(0);

  it('leaves the service with the inputs applied in order, and sends no add too early', () =>
    property(steps, { fates: faults }));

  it('does so when codes and ids name the same segment', () =>
    property(steps, { fates: faults, aliases: { x: 2, y: 3 } }));

  it('does so when nearly everything is on disk only', () =>
    property(steps, { fates: faults, memoryMark: 8, pageRows: 2, commitMs, aliases: { x: 2 } }));

  it('does so across kill -9', () => property(withKills, { fates: faults }));
});

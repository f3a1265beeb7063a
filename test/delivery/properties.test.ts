// Promises 1 to 4 under a service that delays, drops, answers late and loses replies: whatever happens, the service
// ends up with the inputs applied in order, no limit is broken, and every entry has one end.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { Block, Fate } from './support/fake-service';
import { runs } from './support/runs';
import { World, type WorldOptions } from './support/world';

/** One user under several spellings each: the service may or may not take them for one. */
const identities: readonly { readonly user: string; readonly domain: string | null }[] = [
  { domain: 'idfa', user: 'aaaaaaaa-0000-4000-8000-000000000001' },
  { domain: 'idfa', user: 'AAAAAAAA-0000-4000-8000-000000000001' },
  { domain: 'idfa', user: 'bbbbbbbb-0000-4000-8000-000000000001' },
  { domain: 'sh1udid', user: 'c'.repeat(40) },
  { domain: 'sha1udid', user: 'C'.repeat(40) },
  { domain: null, user: '12345678900987654321' },
  { domain: null, user: 'd'.repeat(32) },
  { domain: null, user: 'D'.repeat(32) },
  { domain: null, user: 'Mapped' },
  { domain: null, user: 'mapped' },
];
const few = identities.slice(0, 3);

const identity = fc.oneof(
  { weight: 4, arbitrary: fc.record({ seg_id: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ seg_code: fc.constantFrom('x', 'Y'), member_id: fc.constant(7) }) },
);
const expiration = fc.constantFrom(-1, -1, 0, undefined, 1, 2, 600);
const block: fc.Arbitrary<Block> = fc
  .tuple(identity, expiration, fc.integer({ min: 0, max: 9 }))
  .map(([who, minutes, value]) => ({
    ...who,
    ...(minutes !== undefined && { expiration: minutes }),
    ...(minutes !== -1 && { value }),
  }));

type Step =
  | {
      readonly kind: 'add';
      readonly entries: readonly {
        readonly user: string;
        readonly domain: string | null;
        readonly blocks: Block[];
        readonly agoMs?: number;
      }[];
      readonly completeOn: 'accepted' | 'queued';
      readonly account: string;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'stall'; readonly ms: number }
  | { readonly kind: 'jump'; readonly ms: number }
  | { readonly kind: 'deploy' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'diskFull'; readonly ms: number }
  | { readonly kind: 'kill' };

function entriesOf(who: typeof identities): fc.Arbitrary<Extract<Step, { kind: 'add' }>['entries']> {
  const entry = fc
    .tuple(
      fc.constantFrom(...who),
      fc.array(block, { minLength: 1, maxLength: 3 }),
      fc.oneof(
        { weight: 6, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.integer({ min: -120_000, max: 240_000 }) },
      ),
    )
    .map(([user, blocks, agoMs]) => ({ ...user, blocks, ...(agoMs !== undefined && { agoMs }) }));
  return fc.oneof(
    { weight: 6, arbitrary: fc.array(entry, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(entry, { minLength: 2, maxLength: 6 }) },
  );
}

function stepsOf(who: typeof identities): fc.Arbitrary<Step> {
  return fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({
        kind: fc.constant('add' as const),
        entries: entriesOf(who),
        completeOn: fc.constantFrom('accepted' as const, 'accepted' as const, 'queued' as const),
        account: fc.constantFrom('a', 'a', 'b'),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 300 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 30_000 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('stall' as const), ms: fc.integer({ min: 0, max: 40 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('jump' as const),
        ms: fc.integer({ min: -3_600_000, max: 3_600_000 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'deploy' }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'flush' }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 2_000 }) }),
    },
  );
}

const step = stepsOf(identities);
/** Few users, so that their requests meet. */
const crowded = stepsOf(few);
const withKills = fc.oneof(
  { weight: 12, arbitrary: crowded },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' }) },
);
const withFullDisk = fc.oneof(
  { weight: 12, arbitrary: crowded },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('diskFull' as const), ms: fc.integer({ min: 0, max: 3_000 }) }),
  },
);

const faults: Partial<Record<Fate, number>> = {
  dropped: 0.06,
  replyLost: 0.06,
  late: 0.1,
  reset: 0.06,
  rateLimited: 0.04,
  serverError: 0.06,
  configuration: 0.01,
  deadToken: 0.03,
  garbage: 0.03,
};

async function play(world: World, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case 'add':
        world.submit(step.entries, step);
        break;
      case 'wait':
        await world.clock.advance(step.ms);
        break;
      case 'stall':
        world.clock.stall(step.ms);
        break;
      case 'jump':
        // What was handed in is taken first: an event's age is read from the wall clock just once, then.
        await world.clock.advance(100);
        world.jumpWall(step.ms);
        break;
      case 'deploy':
        void world.engine.park(5_000);
        world.engine.suspend('a');
        await world.clock.advance(50);
        world.attach('a');
        world.engine.unpark();
        break;
      case 'flush':
        world.engine.flush();
        break;
      case 'pause':
        world.engine.pause();
        await world.clock.advance(step.ms);
        world.engine.resume();
        break;
      case 'diskFull':
        world.diskFails = true;
        await world.clock.advance(step.ms);
        world.diskFails = false;
        break;
      case 'kill':
        world.kill();
        break;
    }
  }
  world.diskFails = false;
}

function property(steps: fc.Arbitrary<Step>, options: Omit<WorldOptions, 'seed'>): Promise<void> {
  return fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 60 }), fc.integer(), async (script, seed) => {
      const world = new World({ accounts: ['a', 'b'], ...options, seed });
      await play(world, script);
      await world.rest();
      assert.deepEqual(world.violations(), []);
    }),
    runs(150),
  );
}

describe('the engine, whatever the network does', function () {
  this.timeout(0);

  it('leaves the service with the inputs applied in order', () => property(crowded, { fates: faults }));

  it('does so for every kind and spelling of a user id, told apart by the service', () =>
    property(step, { fates: faults, foldsPlatformIds: false }));

  it('does so for every kind and spelling of a user id, taken for one by the service', () =>
    property(step, { fates: faults, foldsPlatformIds: true }));

  it('does so when codes and ids name the same segment', () =>
    property(crowded, { fates: faults, aliases: { x: 2, y: 3 } }));

  it('does so when nearly everything is on disk only', () =>
    property(step, {
      fates: faults,
      memoryMark: 2,
      pageRows: 2,
      commitMs: 20,
      aliases: { x: 2 },
      foldsPlatformIds: true,
    }));

  it('does so across kill -9 at any moment', () => property(withKills, { fates: faults, commitMs: 20 }));

  it('does so across kill -9 with the backlog on disk only', () =>
    property(withKills, { fates: faults, commitMs: 20, memoryMark: 2, pageRows: 2, aliases: { x: 2 } }));

  it('does so when the disk is full for a while: what is refused changes nothing', () =>
    property(withFullDisk, { fates: faults, commitMs: 20, memoryMark: 3, pageRows: 2 }));

  it('does so within a small quota', () =>
    property(step, { fates: faults, limits: { postsPerSecond: 2, usersPerSecond: 3, maxConcurrent: 2 } }));

  it('does so with the queue in memory', () => property(step, { fates: faults, durable: false }));
});

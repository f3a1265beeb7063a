// The promises of the design's section 4 under a service that delays, drops, answers late and loses replies.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { Block, Fate } from './support/fake-service';
import { World } from './support/world';

const users = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000001`);

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
  | { readonly kind: 'add'; readonly user: string; readonly blocks: Block[] }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'stall'; readonly ms: number }
  | { readonly kind: 'jump'; readonly ms: number }
  | { readonly kind: 'deploy' }
  | { readonly kind: 'diskFull'; readonly ms: number }
  | { readonly kind: 'kill' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      user: fc.constantFrom(...users),
      blocks: fc.array(block, { minLength: 1, maxLength: 3 }),
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
      ms: fc.integer({ min: -3_600_000, max: 30_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deploy' as const) }) },
);
const withKills = fc.oneof(
  { weight: 12, arbitrary: step },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' } as Step) },
);
const withFullDisk = fc.oneof(
  { weight: 12, arbitrary: step },
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
  deadToken: 0.03,
  garbage: 0.03,
};

async function play(world: World, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case 'add':
        world.add(step.user, step.blocks);
        break;
      case 'wait':
        await world.clock.advance(step.ms);
        break;
      case 'stall':
        world.clock.stall(step.ms);
        break;
      case 'jump':
        world.clock.jumpWall(step.ms);
        break;
      case 'deploy':
        void world.engine.park(5_000);
        await world.clock.advance(50);
        world.engine.unpark();
        break;
      case 'diskFull':
        world.outbox.failing = true;
        await world.clock.advance(step.ms);
        world.outbox.failing = false;
        break;
      case 'kill':
        world.kill();
        break;
    }
  }
  world.outbox.failing = false;
}

const runs = Number(process.env['PROPERTY_RUNS'] ?? 150);

function property(
  steps: fc.Arbitrary<Step>,
  options: Omit<ConstructorParameters<typeof World>[0], 'seed'>,
): Promise<void> {
  return fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 60 }), fc.integer(), async (script, seed) => {
      const world = new World({ ...options, seed });
      await play(world, script);
      await world.rest();
      assert.deepEqual(world.violations(), []);
    }),
    { numRuns: runs },
  );
}

describe('the engine, whatever the network does', function () {
  this.timeout(120_000);

  it('leaves the service with the inputs applied in order', () => property(step, { fates: faults }));

  it('does so when codes and ids name the same segment', () =>
    property(step, { fates: faults, aliases: { x: 2, y: 3 } }));

  it('does so when nearly everything is on disk only', () =>
    property(step, { fates: faults, memoryMark: 2, pageRows: 2, commitMs: 20, aliases: { x: 2 } }));

  it('does so across kill -9 at any moment', () => property(withKills, { fates: faults, commitMs: 20 }));

  it('does so across kill -9 with the backlog on disk only', () =>
    property(withKills, { fates: faults, commitMs: 20, memoryMark: 2, pageRows: 2, aliases: { x: 2 } }));

  it('does so when the disk is full for a while: what is refused changes nothing', () =>
    property(withFullDisk, { fates: faults, commitMs: 20, memoryMark: 3, pageRows: 2 }));

  it('does so within a small quota', () =>
    property(step, { fates: faults, limits: { postsPerSecond: 2, usersPerSecond: 3, maxConcurrent: 2 } }));
});

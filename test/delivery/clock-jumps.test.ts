// The wall clock jumps by a day and back, by an operator or a machine that woke up: nothing is lost, stuck or too fast.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { runs } from './support/runs';
import { device, World } from './support/world';

const dayMs = 86_400_000;

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('burst' as const), users: fc.integer({ min: 1, max: 20 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 3_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('jump' as const), days: fc.constantFrom(-1, 1) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' as const }) },
);

describe('a clock that jumps by a day', function () {
  this.timeout(60_000);

  it('neither loses, repeats nor holds up anything, nor exceeds the quota', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(step, { minLength: 5, maxLength: 25 }),
        async (seed, script) => {
          const world = new World({
            seed,
            fates: { rateLimited: 0.05, serverError: 0.05, replyLost: 0.03, late: 0.03 },
          });
          let next = 0;
          for (const one of script) {
            if (one.kind === 'burst') {
              for (let at = 0; at < one.users; at++) {
                // Long enough to outlive every jump.
                const expiration = next % 3 === 0 ? -1 : 90 * 1_440;
                world.add(device(next++ % 60), [{ seg_id: 1, expiration }]);
              }
            } else if (one.kind === 'wait') await world.clock.advance(one.ms);
            else if (one.kind === 'jump') world.jumpWall(one.days * dayMs);
            else world.kill();
            await world.clock.settle();
          }
          await world.rest();
          assert.deepEqual(world.violations(), []);
        },
      ),
      runs(60),
    ));

  it('lets entries go on within a minute after a jump back', async () => {
    const world = new World({ seed: 1 });
    world.add(device(1), [{ seg_id: 1, expiration: 60 }]);
    await world.clock.advance(2_000);
    world.jumpWall(-dayMs);
    const message = world.add(device(2), [{ seg_id: 1, expiration: 60 }]);
    await world.clock.advance(60_000);
    assert.equal(message.end?.kind, 'settled');
  });
});

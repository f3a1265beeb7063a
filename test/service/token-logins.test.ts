// TokenKeeper and LoginCount: never more logins than allowed, across clock jumps and restarts.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { NoLogin } from '../../src/service/login/login-count';
import type { AuthOutcome } from '../../src/service/reply/outcome';
import { ann, HOUR, jo, MINUTE, retriable, refusal, SECOND, ticks, World } from './token-world';

describe('the logins of a token keeper', () => {
  it('delays the eleventh login in five minutes, with its own code', async () => {
    const world = new World();
    await world.token();
    for (let n = 1; n < 10; n += 1) {
      world.trueMs += SECOND;
      world.keeper.replaceLogin(n % 2 ? ann : jo);
      await world.token();
    }
    world.keeper.replaceLogin(jo);
    const wait = await world.waits();
    assert.equal(wait.code, 'authentication_limit');
    assert.equal(wait.retryAfterMs, 5.5 * MINUTE - 9 * SECOND);
    world.trueMs += wait.retryAfterMs;
    assert.equal(await world.token(), 't11');
  });

  it('counts logins of others for the same user, delays the eleventh, and keeps its own token', async () => {
    const world = new World();
    await world.token();
    const beside = (): Promise<AuthOutcome | NoLogin> =>
      world.logins.login(() => Promise.resolve(world.give()), null);
    for (let n = 1; n < 10; n += 1) assert.equal((await beside()).kind, 'token');
    await ticks();
    assert.equal(world.disk.length, 10);
    const held = await beside();
    assert.ok(held.kind === 'wait' && held.code === 'authentication_limit');
    assert.equal(world.given.length, 10);
    assert.equal(await world.token(), 't1');
    // Another process counts them too.
    world.start(ann);
    assert.equal((await world.waits()).code, 'authentication_limit');
  });

  it('counts a login whose reply was lost, but none that was refused or not sent', async () => {
    for (const [outcome, counted] of [
      [retriable(true), 1],
      [retriable(), 1],
      [retriable(false), 0],
      [refusal('NOAUTH'), 0],
      [{ kind: 'rateLimited', retryAfterMs: 1, message: 'x' }, 0],
    ] as const) {
      const world = new World();
      world.answer = () => outcome;
      await world.keeper.token();
      await ticks();
      assert.equal(world.disk.length, counted, outcome.kind);
    }
  });

  it('saves the time before the call, so that a kill in between is counted', async () => {
    const world = new World();
    world.answer = () => {
      assert.deepEqual(world.disk, [world.trueMs + world.wallOffsetMs]);
      return world.give();
    };
    await world.token();
  });

  it('makes no login that it cannot store', async () => {
    const world = new World();
    world.diskWorks = false;
    assert.equal((await world.waits()).code, 'times_unreadable');
    world.diskWorks = true;
    world.trueMs += MINUTE;
    assert.equal(await world.token(), 't1');
    world.keeper.replaceLogin(ann);
    world.diskWorks = false;
    assert.equal((await world.waits()).code, 'times_unsaved');
    assert.equal(world.calls.length, 1);
  });

  it('survives an authentication that rejects, without showing the reason', async () => {
    const world = new World();
    world.answer = () => Promise.reject(new Error('secret'));
    assert.doesNotMatch((await world.waits()).message, /secret/);
  });

  it('waits at most five and a half minutes for stored times in the future, even if it keeps crashing', async () => {
    const world = new World();
    world.disk = Array.from({ length: 10 }, () => world.wallOffsetMs + 1000 * HOUR);
    for (let n = 0; n < 5; n += 1) {
      assert.equal((await world.waits()).code, 'authentication_limit');
      world.trueMs += MINUTE;
      world.start(jo);
    }
    world.trueMs += 31 * SECOND;
    await world.token();
  });

  it('ignores times that are not numbers', async () => {
    const world = new World();
    world.disk = Array.from({ length: 20 }, () => NaN);
    assert.equal(await world.token(), 't1');
  });

  it('makes at most ten logins in any five minutes, across restarts, clock jumps and lost replies', async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 90_000 }) }),
      },
      { weight: 6, arbitrary: fc.constant({ do: 'replace' as const }) },
      { weight: 3, arbitrary: fc.constant({ do: 'refuse' as const }) },
      { weight: 2, arbitrary: fc.constant({ do: 'restart' as const }) },
      { weight: 1, arbitrary: fc.constant({ do: 'kill in flight' as const }) },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('jump' as const),
          ms: fc.integer({ min: -5 * HOUR, max: 5 * HOUR }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant('answer' as const),
          with: fc.constantFrom('token' as const, 'lost' as const, 'slow' as const),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
        const world = new World();
        world.random = 0;
        let flip = false;
        for (const one of steps) {
          switch (one.do) {
            case 'pass':
              world.trueMs += one.ms;
              break;
            case 'replace':
              flip = !flip;
              world.keeper.replaceLogin(flip ? ann : jo);
              break;
            case 'refuse': {
              const outcome = await world.keeper.token();
              if (outcome.kind === 'token') world.keeper.refused(outcome.token);
              break;
            }
            case 'restart':
              world.start(jo);
              break;
            case 'kill in flight': {
              // The service issues a token; the process ends before the reply arrives.
              world.answer = () => (world.give(), new Promise(() => undefined));
              void world.keeper.token();
              await ticks();
              world.start(jo);
              world.answer = () => world.give();
              break;
            }
            case 'jump':
              // Posts continue, so the keeper notices the jump before the process ends.
              world.wallOffsetMs += one.ms;
              break;
            case 'answer':
              world.answer = () => {
                if (one.with === 'slow') world.trueMs += 45_000;
                const given = world.give();
                if (one.with === 'slow') world.trueMs += 45_000;
                return one.with === 'lost' ? retriable() : given;
              };
          }
          await world.keeper.token();
          await ticks();
        }
        const given = world.given;
        for (let n = 10; n < given.length; n += 1) {
          assert.ok(
            given[n]! - given[n - 10]! > 5 * MINUTE,
            `logins at ${given.slice(n - 10, n + 1).join()}`,
          );
        }
        // The limit ends at last.
        world.answer = () => world.give();
        world.trueMs += 7 * MINUTE;
        await world.token();
      }),
      { numRuns: 200 },
    );
  });
});

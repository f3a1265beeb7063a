// TokenKeeper and LoginCount: one token for all calls, and never more logins than allowed, across clock jumps and
// restarts.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Login } from '../../src/service/login/login';
import { LoginCount, type NoLogin } from '../../src/service/login/login-count';
import { LoginTimes } from '../../src/service/login/login-times';
import type { AuthOutcome, TokenOutcome } from '../../src/service/reply/outcome';
import { TokenKeeper } from '../../src/service/login/tokens';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const jo: Login = { method: 'password', username: 'jo', password: 'secret' };
const ann: Login = { method: 'password', username: 'ann', password: 'secret' };
const passing = (ambiguous?: boolean): AuthOutcome => ({
  kind: 'passing',
  code: 'timeout',
  message: 'No answer in time.',
  ...(ambiguous !== undefined && { ambiguous }),
});
const refusal = (code: 'NOAUTH' | 'NOAUTH_DISABLED'): AuthOutcome => ({
  kind: 'loginRefused',
  code,
  message: 'The service refused the login.',
});

/** A simulated machine with clocks, a disk, a service and one process at a time. */
class World {
  /** Real time, which no process can read. */
  trueMs = 0;
  wallOffsetMs = 1_700_000_000_000;
  text: string | null = null;
  diskWorks = true;
  random = 0.5;
  /** Real times at which the service issued a token. */
  given: number[] = [];
  calls: Login[] = [];
  answer: (login: Login) => AuthOutcome | Promise<AuthOutcome> = () => this.give();
  logins!: LoginCount;
  keeper = this.start(jo);

  /** Times of logins on the disk, epoch ms. */
  get disk(): readonly number[] {
    return Object.values(JSON.parse(this.text ?? '{}') as Record<string, number>);
  }

  set disk(times: readonly number[]) {
    this.text = JSON.stringify(Object.fromEntries(times.map((atMs, n) => [`login ${n}`, atMs])));
  }

  private written<T>(work: () => T): Promise<T> {
    return this.diskWorks ? Promise.resolve(work()) : Promise.reject(new Error('disk'));
  }

  start(login: Login): TokenKeeper {
    const bootMs = this.trueMs;
    const clock = {
      monoMs: () => this.trueMs - bootMs,
      wallMs: () => this.trueMs + this.wallOffsetMs,
    };
    const store = new LoginTimes(
      {
        getMeta: () => this.written(() => this.text),
        setMeta: (_, text) => this.written(() => void (this.text = text)),
      },
      clock.wallMs,
    );
    this.logins = new LoginCount('jo', clock, () => [store]);
    this.keeper = new TokenKeeper({
      login,
      authenticate: async (one) => {
        this.calls.push(one);
        return this.answer(one);
      },
      clock,
      random: () => this.random,
      logins: this.logins,
      loginStore: store,
    });
    return this.keeper;
  }

  give(): AuthOutcome {
    this.given.push(this.trueMs);
    return { kind: 'token', token: `t${this.given.length}` };
  }

  async token(): Promise<string> {
    const outcome = await this.keeper.token();
    assert.ok(outcome.kind === 'token', JSON.stringify(outcome));
    return outcome.token;
  }

  async waits(): Promise<Extract<TokenOutcome, { kind: 'wait' }>> {
    const outcome = await this.keeper.token();
    assert.ok(outcome.kind === 'wait', JSON.stringify(outcome));
    return outcome;
  }
}

/** A promise that the test resolves. */
function latch<T>() {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (open = resolve));
  return { promise, open: (value: T) => open(value) };
}

async function ticks(): Promise<void> {
  for (let n = 0; n < 60; n += 1) await Promise.resolve();
}

describe('the token keeper', () => {
  it('authenticates once for any number of callers', async () => {
    const world = new World();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => world.token()));
    assert.deepEqual(new Set(tokens), new Set(['t1']));
    world.trueMs += HOUR;
    assert.equal(await world.token(), 't1');
    assert.equal(world.calls.length, 1);
  });

  it('refreshes once for any number of posts refused with one token', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), async (steps) => {
        const world = new World();
        const old = await world.token();
        const asked: Promise<string>[] = [];
        for (const refuse of [true, ...steps]) {
          if (refuse) world.keeper.refused(old);
          else asked.push(world.token());
          if (!refuse) await ticks();
        }
        asked.push(world.token());
        assert.deepEqual(new Set(await Promise.all(asked)), new Set(['t2']));
        assert.equal(world.calls.length, 2);
      }),
    );
  });

  it('renews the token before its 24 hours end, while posts use the old one', async () => {
    const world = new World();
    await world.token();
    const late = latch<AuthOutcome>();
    for (; world.trueMs < 23.4 * HOUR; world.trueMs += HOUR) assert.equal(await world.token(), 't1');
    world.trueMs = 23.6 * HOUR;
    world.answer = () => late.promise;
    assert.equal(await world.token(), 't1');
    assert.equal(await world.token(), 't1');
    await ticks();
    assert.equal(world.calls.length, 2);
    late.open(world.give());
    await ticks();
    assert.equal(await world.token(), 't2');
  });

  it('keeps the old token while a renewal fails, until it is too old', async () => {
    const world = new World();
    await world.token();
    for (; world.trueMs < 23.4 * HOUR; world.trueMs += HOUR) await world.token();
    world.answer = () => passing(false);
    for (; world.trueMs < 23.9 * HOUR; world.trueMs += MINUTE) assert.equal(await world.token(), 't1');
    world.trueMs = 24 * HOUR;
    await world.waits();
  });

  it('replaces a token that was unused for nearly two hours', async () => {
    const world = new World();
    await world.token();
    world.trueMs += 1.9 * HOUR;
    assert.equal(await world.token(), 't1');
    world.trueMs += 1.99 * HOUR;
    assert.equal(await world.token(), 't2');
  });

  it('does not log in again after a refusal until the login changes', async () => {
    const world = new World();
    world.answer = (login) => (login.username === 'jo' ? refusal('NOAUTH') : world.give());
    for (let n = 0; n < 5; n += 1) {
      const outcome = await world.keeper.token();
      assert.ok(outcome.kind === 'loginRefused');
      world.trueMs += HOUR;
      world.keeper.replaceLogin({ ...jo });
    }
    assert.equal(world.calls.length, 1);
    world.keeper.replaceLogin(ann);
    assert.equal(await world.token(), 't1');
  });

  it('tries a disabled account once more at each deploy, since no new password would help', async () => {
    const world = new World();
    world.answer = () => refusal('NOAUTH_DISABLED');
    assert.equal((await world.keeper.token()).kind, 'loginRefused');
    assert.equal((await world.keeper.token()).kind, 'loginRefused');
    assert.equal(world.calls.length, 1);
    world.keeper.replaceLogin({ ...jo });
    world.answer = () => world.give();
    assert.equal(await world.token(), 't1');
  });

  it('tries a refused login once for each call of tryAgain', async () => {
    const world = new World();
    world.answer = () => refusal('NOAUTH');
    assert.equal((await world.keeper.token()).kind, 'loginRefused');
    world.keeper.tryAgain();
    assert.equal((await world.keeper.token()).kind, 'loginRefused');
    assert.equal((await world.keeper.token()).kind, 'loginRefused');
    assert.equal(world.calls.length, 2);
    world.answer = () => world.give();
    world.keeper.tryAgain();
    assert.equal(await world.token(), 't1');
  });

  it('ends its own wait at tryAgain, but never a wait that the service asked for', async () => {
    const world = new World();
    world.answer = () => ({
      kind: 'passing',
      ambiguous: false,
      code: 'network',
      message: 'Nobody answered.',
    });
    assert.equal((await world.keeper.token()).kind, 'wait');
    world.answer = () => ({ kind: 'rateLimited', retryAfterMs: 60_000, message: 'Slower.' });
    world.keeper.tryAgain();
    assert.equal((await world.keeper.token()).kind, 'wait');
    assert.equal(world.calls.length, 2);
    world.answer = () => world.give();
    world.keeper.tryAgain();
    assert.equal((await world.keeper.token()).kind, 'wait');
    assert.equal(world.calls.length, 2);
    world.trueMs += 60_000;
    assert.equal(await world.token(), 't1');
  });

  it('keeps its token for the same login and drops it for another', async () => {
    const world = new World();
    await world.token();
    world.keeper.replaceLogin({ ...jo });
    assert.equal(await world.token(), 't1');
    world.keeper.replaceLogin({ ...jo, password: 'changed' });
    assert.equal(await world.token(), 't2');
  });

  it('drops the token of a login that was replaced during the authentication', async () => {
    const world = new World();
    const late = latch<AuthOutcome>();
    world.answer = (login) => (login.username === 'jo' ? late.promise : world.give());
    const before = world.token();
    await ticks();
    world.keeper.replaceLogin(ann);
    const after = world.token();
    await ticks();
    assert.equal(world.calls.length, 1, 'one authentication at a time');
    late.open({ kind: 'token', token: 'of jo' });
    assert.deepEqual(await Promise.all([before, after]), ['t1', 't1']);
    assert.equal(world.disk.length, 2, 'both logins count');
  });

  it('does not delay a new login because the replaced one could not be stored', async () => {
    const world = new World();
    const { logins } = world;
    const login = logins.login.bind(logins);
    const late = latch<NoLogin>();
    logins.login = () => late.promise;
    const before = world.keeper.token();
    world.keeper.replaceLogin(ann);
    logins.login = login;
    late.open({ kind: 'wait', retryAfterMs: 1000, code: 'times_unsaved', message: 'The disk is full.' });
    assert.deepEqual(await before, { kind: 'token', token: 't1' });
    assert.deepEqual(
      world.calls.map(({ username }) => username),
      ['ann'],
    );
  });

  it('backs off after a passing failure, longer each time, with full jitter, for all callers alike', async () => {
    const world = new World();
    world.answer = () => passing(false);
    const waits: number[] = [];
    for (let n = 0; n < 9; n += 1) {
      const [first, second] = await Promise.all([world.waits(), world.waits()]);
      assert.deepEqual(first, second);
      assert.equal(first.code, 'timeout');
      waits.push(first.retryAfterMs);
      world.trueMs += first.retryAfterMs - 1;
      assert.equal((await world.waits()).retryAfterMs, 1);
      world.trueMs += 1;
    }
    assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    assert.equal(world.calls.length, 9);
    world.answer = () => world.give();
    assert.equal(await world.token(), 't1');
  });

  it('waits as long as a rate limit asks for, and longer for a wrong setting', async () => {
    const world = new World();
    world.answer = () => ({ kind: 'rateLimited', retryAfterMs: 24_000, message: 'Slow down, please.' });
    assert.equal((await world.waits()).retryAfterMs, 24_000);
    world.trueMs += 24_000;
    world.answer = () => ({ kind: 'configuration', code: 'http_404', message: 'Wrong URL.' });
    assert.deepEqual(await world.waits(), {
      kind: 'wait',
      retryAfterMs: 45_000,
      code: 'http_404',
      message: 'Wrong URL.',
    });
    world.keeper.replaceLogin(ann);
    world.answer = () => world.give();
    assert.equal(await world.token(), 't1', 'a new login does not wait');
  });

  it('replaces a dead token at once, but backs off when the replacement is dead too', async () => {
    const world = new World();
    world.keeper.refused(await world.token());
    world.keeper.refused(await world.token());
    const first = await world.waits();
    assert.deepEqual([first.code, first.retryAfterMs], ['dead_token_again', 500]);
    world.trueMs += 500;
    world.keeper.refused(await world.token());
    assert.equal((await world.waits()).retryAfterMs, 1000);
    world.trueMs += 1000;
    const last = await world.token();
    world.trueMs += HOUR;
    world.keeper.refused(last);
    assert.equal(await world.token(), 't5', 'a token that worked for an hour is replaced at once');
  });

  it('replaces a replacement at once if it was accepted before the refusal, without an alarm', async () => {
    const world = new World();
    world.keeper.refused(await world.token());
    for (const expected of ['t2', 't3', 't4']) {
      const token = await world.token();
      assert.equal(token, expected);
      world.keeper.accepted('another');
      world.keeper.accepted(token);
      world.trueMs += SECOND;
      world.keeper.refused(token);
    }
    world.keeper.refused(await world.token());
    assert.equal((await world.waits()).code, 'dead_token_again', 'a replacement that was never accepted');
  });

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
      [passing(true), 1],
      [passing(), 1],
      [passing(false), 0],
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
                return one.with === 'lost' ? passing() : given;
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

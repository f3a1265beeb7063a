// TokenKeeper: one token for all calls, renewed, replaced and waited for.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { NoLogin } from '../../src/service/login/login-count';
import type { AuthOutcome } from '../../src/service/reply/outcome';
import { ann, HOUR, jo, latch, MINUTE, retriable, refusal, SECOND, ticks, World } from './token-world';

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
    world.answer = () => retriable(false);
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
      kind: 'retriable',
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

  it('backs off after a retriable failure, longer each time, with full jitter, for all callers alike', async () => {
    const world = new World();
    world.answer = () => retriable(false);
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
});

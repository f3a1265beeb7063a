// Promise 2 after an ambiguous request: a newer state is sent at once, and again when the ambiguous request can
// no longer run; nothing may make the engine forget that before.
import { strict as assert } from 'node:assert';
import type { DatabaseSync } from 'node:sqlite';
import type { SegBlock } from '../../src/entry/entry';
import { hashUserKey, userKeyOf } from '../../src/entry/keys';
import type { QueueStore } from '../../src/queue/store';
import type { Fate, SentEntry } from './support/fake-service';
import { retainedBy } from './support/retained';
import { device, World, type WorldOptions } from './support/world';

const user = device(1);
const key = `idfa:${user} 1`;
const timeoutMs = 10_000;
const lateMarginMs = 20_000;
const hourMs = 3_600_000;

/** The first post after the start is ambiguous; the service applies it as late as possible. */
async function withLostAdd(
  options: Partial<WorldOptions> = {},
  fate: Fate = 'late',
  fateOf: NonNullable<WorldOptions['fateOf']> = () => null,
): Promise<World> {
  let posts = 0;
  const world = new World({
    seed: 1,
    delayMs: () => 10,
    late: () => 1,
    fateOf: (entries, account) => ((posts += 1) === 2 ? fate : fateOf(entries, account)),
    ...options,
  });
  world.add(device(900_000), [{ seg_id: 1 }]);
  await world.clock.advance(2_000);
  world.add(user, [{ seg_id: 1, value: 1 }]);
  return world;
}

describe('after an ambiguous request', () => {
  it('a newer state is sent at once, and again when the ambiguous one can no longer run', async () => {
    const world = await withLostAdd();
    const lostMs = world.clock.monoMs() + timeoutMs;
    await world.clock.advance(timeoutMs + 1);
    const removal = world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(100);
    assert.equal(removal.end?.kind, 'settled', 'it waits for the lost one');
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    const removals = world.service.log.filter((one) => one.user === `idfa:${user}` && one.removed);
    assert.equal(removals.length, 2);
    assert.ok(
      removals[1]!.sentMs >= lostMs + lateMarginMs,
      `repeated after ${removals[1]!.sentMs - lostMs} ms`,
    );
    assert.ok(removals[1]!.sentMs < lostMs + lateMarginMs + 1_500);
  });

  it('only the newest of many entries is kept and sent again, also after a crash', async () => {
    for (const dies of [false, true]) {
      const world = await withLostAdd();
      await world.clock.advance(100);
      const messages = Array.from({ length: 200 }, (_, at) =>
        world.add(user, [{ seg_id: 1, value: 2 + at }]),
      );
      await world.clock.advance(timeoutMs + 200);
      assert.ok(messages.every(({ end }) => end?.kind === 'settled'));
      // The newest, and the canary.
      assert.ok(retainedBy(world.engine, [world.logStore, world.clock]).entries <= 2);
      if (dies) world.kill();
      await world.rest(60_000);
      assert.deepEqual(world.violations(), []);
      const values = world.service.log.filter((one) => one.user === `idfa:${user}`).map(({ value }) => value);
      assert.deepEqual(values, dies ? [201, 201, 1, 201] : [201, 1, 201]);
    }
  });

  it('a resend is not forgotten when its node closes, though the queue is in memory', async () => {
    const world = await withLostAdd({ durable: false });
    await world.clock.advance(timeoutMs + 1);
    const removal = world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(100);
    assert.equal(removal.end?.kind, 'settled');
    world.engine.pause();
    await world.clock.advance(lateMarginMs + 1_000);
    // The block is due for a resend now.
    world.engine.away('n', []);
    world.engine.release('n');
    world.listen('n');
    world.engine.resume();
    await world.rest(60_000);
    assert.equal(world.service.members.get(key), undefined);
  });

  it('the machine’s sleep does not count, because the request slept, too', async () => {
    const world = await withLostAdd();
    const lostMs = world.clock.monoMs() + timeoutMs;
    await world.clock.advance(timeoutMs + 1);
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(2_000);
    await world.suspend(hourMs);
    world.add(device(2), [{ seg_id: 1 }]);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    const removals = world.service.log.filter((one) => one.user === `idfa:${user}` && one.removed);
    assert.equal(removals.length, 2);
    assert.ok(removals[1]!.sentMs >= lostMs + lateMarginMs + hourMs);
  });

  it('the machine’s sleep does not count for a recovered in-flight request either', async () => {
    const world = await withLostAdd();
    await world.clock.advance(100);
    world.kill();
    await world.clock.advance(3_000);
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(2_000);
    await world.suspend(hourMs);
    world.add(user, [{ seg_id: 2 }]);
    world.add(device(2), [{ seg_id: 1 }]);
    await world.clock.advance(1_000);
    // The next process must remember it, too.
    world.kill();
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('its in-flight record stays exactly until it can no longer run, however long the machine sleeps', async () => {
    const world = await withLostAdd();
    const { db } = world.logStore as unknown as { readonly db: DatabaseSync };
    const records = (): unknown => db.prepare('SELECT count(*) AS n FROM flight').get()!.n;
    await world.clock.advance(timeoutMs + 1);
    await world.suspend(hourMs);
    await world.clock.advance(lateMarginMs - 500);
    assert.equal(records(), 1);
    await world.clock.advance(1_000);
    assert.equal(records(), 0);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('the machine’s sleep does not free its quota', async () => {
    const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 1 };
    const world = await withLostAdd({ limits });
    await world.clock.advance(timeoutMs + 1_000);
    await world.suspend(hourMs);
    world.add(device(2), [{ seg_id: 1 }]);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('other requests are not late after the machine’s sleep', async () => {
    let sick = true;
    const world = await withLostAdd({}, 'late', (entries) => {
      const fails = sick && entries.some(({ user_id: id }) => id === device(2));
      sick &&= !fails;
      return fails ? 'serverError' : null;
    });
    await world.clock.advance(timeoutMs + 5_000);
    await world.suspend(hourMs);
    const other = world.add(device(2), [{ seg_id: 1 }]);
    await world.clock.advance(5_000);
    assert.equal(other.end?.kind, 'settled', 'it waits for a timer that stood still');
  });

  it('entries submitted meanwhile coalesce and are sent after the time-out, not in parallel', async () => {
    const world = await withLostAdd();
    await world.clock.advance(100);
    for (let value = 2; value < 20; value += 1) world.add(user, [{ seg_id: 1, value }]);
    await world.clock.advance(timeoutMs - 200);
    assert.equal(world.service.requests.length, 2);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.members.get(key)?.value, 19);
  });

  it('the same state again is enough: it is not resent', async () => {
    const world = await withLostAdd({}, 'replyLost');
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.service.log.filter((one) => one.user === `idfa:${user}`).length, 2);
  });

  it('a state is resent although a newer one was refused by a full disk meanwhile', async () => {
    const world = await withLostAdd();
    await world.clock.advance(timeoutMs + 1);
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(200);
    world.diskFails = true;
    const refused = world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(50);
    world.diskFails = false;
    assert.equal(refused.end?.kind, 'failed');
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('a state is resent although a newer one was rejected by the service meanwhile', async () => {
    const world = await withLostAdd({ poison: (_, block) => block.value === 13 });
    await world.clock.advance(timeoutMs + 1);
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(200);
    const bad = world.add(user, [{ seg_id: 1, value: 13 }]);
    for (let i = 0; i < 10; i += 1) {
      world.add(device(100 + i), [{ seg_id: 1 }]);
      await world.clock.advance(300);
    }
    assert.ok(bad.end?.kind === 'settled' && bad.end.rejections.length === 1);
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('a resend is not counted or reported again', async () => {
    const world = await withLostAdd();
    await world.clock.advance(timeoutMs + 1);
    world.add(user, [{ seg_id: 1, expiration: -1 }], { completeOn: 'queued' });
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
    const { taken, accepted, superseded } = world.engine.counters;
    assert.deepEqual({ taken, ended: accepted + superseded }, { taken: 3, ended: 3 });
    assert.equal(world.recovered.length, 1);
  });

  it('a resend does not end an entry of which another block still waits', async () => {
    let sick = true;
    const isCode = (entries: readonly SentEntry[]): boolean =>
      entries.some(({ seg_block: blocks }) => blocks.some((block) => block.seg_code !== undefined));
    const world = await withLostAdd({}, 'late', (entries) =>
      sick && isCode(entries) ? 'serverError' : null,
    );
    await world.clock.advance(timeoutMs + 1);
    const message = world.add(user, [
      { seg_id: 1, expiration: -1 },
      { seg_code: 'x', member_id: 7 },
    ]);
    await world.clock.advance(60_000);
    const removals = world.service.log.filter((one) => one.user === `idfa:${user}` && one.removed);
    assert.equal(removals.length, 2);
    assert.ok(message.end === null, 'its second block was never accepted');
    sick = false;
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('a resend survives kill -9', async () => {
    const world = await withLostAdd();
    await world.clock.advance(timeoutMs + 1);
    world.add(user, [{ seg_id: 1, expiration: -1 }], { completeOn: 'queued' });
    await world.clock.advance(500);
    world.kill();
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('an older state is not resent before a newer one that has to be read from disk after a crash', async () => {
    let drops = true;
    const options: { -readonly [P in keyof WorldOptions]: WorldOptions[P] } = {
      seed: 1,
      delayMs: () => 10,
      fateOf: () => (drops ? 'dropped' : null),
    };
    const world = new World(options);
    for (let i = 1; i < 20; i += 1) world.add(device(i), [{ seg_id: 1, value: 1 }]);
    await world.clock.advance(timeoutMs);
    drops = false;
    for (let i = 2; i < 20; i += 1) world.add(device(i), [{ seg_id: 1, expiration: -1 }]);
    for (const block of [{ value: 2 }, { expiration: -1 }]) {
      world.add(user, [{ seg_id: 1, ...block }]);
      await world.clock.advance(4_000);
    }
    assert.equal(world.engine.counters.waiting, 0);
    // Not even the other removals.
    options.memoryMark = 3;
    options.pageRows = 2;
    world.kill();
    await world.rest(120_000);
    assert.deepEqual(world.violations(), []);
    const states = world.service.log.filter((one) => one.user === `idfa:${user}`);
    assert.ok(states.length > 2, 'nothing was resent');
    assert.deepEqual(
      states.map(({ removed }) => removed),
      states.map((_, at) => at > 0),
    );
  });

  /**
   * Whether each state that reaches the service in a segment of the user is a removal. `leave` says what the killed process
   * leaves in the store. The next one is paused for a time at first. It reads an older add, with another entry of the user, long
   * before the newer removal.
   */
  async function removedAfterCrash(
    leave: (store: QueueStore, older: number, newer: number) => Promise<unknown>,
    pausedMs = 0,
  ): Promise<boolean[]> {
    const options: { -readonly [P in keyof WorldOptions]: WorldOptions[P] } = {
      seed: 1,
      delayMs: () => 5,
      commitMs: 5,
    };
    const world = new World(options);
    world.engine.pause();
    let seq = 0;
    const put = (of: string, block: SegBlock): number => {
      world.add(of, [block]);
      seq += 1;
      return seq;
    };
    const others = (first: number, count: number, block: SegBlock): void => {
      for (let at = 0; at < count; at += 1) put(device(first + at), block);
    };
    const removal = { seg_id: 1, expiration: -1 };
    others(1_000, 200, removal);
    others(3_000, 400, { seg_id: 1, value: 1 });
    const older = put(user, { seg_id: 2, value: 1 });
    put(user, removal);
    others(5_000, 200, removal);
    const newer = put(user, { seg_id: 2, expiration: -1 });
    await world.clock.advance(2_000);
    void leave(world.sender.parts.store, older, newer);
    await world.clock.advance(100);
    options.memoryMark = 20;
    options.pageRows = 10;
    world.kill();
    world.engine.pause();
    await world.clock.advance(pausedMs);
    world.engine.resume();
    await world.rest(200_000);
    return world.service.log
      .filter((one) => one.user === `idfa:${user}` && one.segment === '2')
      .map(({ removed }) => removed);
  }

  it('an older state is not resent although it is found in a look-up for another entry of the user', async () => {
    const removed = await removedAfterCrash((store, older, newer) =>
      store.commit({ repeat: [older, newer] }),
    );
    assert.deepEqual(removed, [true]);
  });

  it('an older state is not sent before a newer one that was in a request whose reply was not stored', async () => {
    const userHashes = [hashUserKey(userKeyOf('idfa', user).userKey)];
    const leave = (store: QueueStore): Promise<unknown> =>
      store.commit({ begin: [{ post: 1_000, userHashes }] });
    // Once more when that request can no longer run.
    assert.deepEqual(await removedAfterCrash(leave), [true, true]);
    // It can no longer run when the first entry of the user is read.
    assert.deepEqual(await removedAfterCrash(leave, timeoutMs + lateMarginMs + 10_000), [true]);
  });

  it('or a failed one, a newer state does not wait for the backoff', async () => {
    let waited = 0;
    for (let seed = 1; seed <= 12; seed += 1) {
      let sick = true;
      const isSick = (entries: readonly SentEntry[]): boolean =>
        sick && entries.some(({ user_id: id }) => id === user);
      const world = new World({
        seed,
        delayMs: () => 10,
        fateOf: (entries) => (isSick(entries) ? 'serverError' : null),
      });
      const first = world.add(user, [{ seg_id: 1 }]);
      // Other requests are accepted all the time, so there is no outage.
      for (let i = 0; i < 200; i += 1) {
        world.add(device(100 + i), [{ seg_id: 1 }]);
        await world.clock.advance(50);
      }
      sick = false;
      await world.clock.advance(200);
      if (first.end !== null) continue;
      waited += 1;
      const newer = world.add(user, [{ seg_id: 1, value: 2 }]);
      await world.clock.advance(45);
      assert.equal(newer.end?.kind, 'settled');
    }
    assert.ok(waited >= 5, `only ${waited} were in their backoff`);
  });
});

// Purging a queue and erasing a user, whatever the network does: what was given up is never sent afterwards, every
// entry still has one end, the rest of the service's state is right, and nothing of an erased user is kept.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { hashUserKey, userKeyOf } from '../../src/audience/keys';
import { faults, Play, step, withFullDisk, withKills, type Added, type Step } from './support/dismissal-play';
import { runs } from './support/runs';
import { device, World, type WorldOptions } from './support/world';

function property(steps: fc.Arbitrary<Step>, options: Omit<WorldOptions, 'seed'>): Promise<void> {
  return fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 60 }), fc.integer(), async (script, seed) => {
      const play = new Play({ ...options, seed });
      await play.play(script);
      await play.world.rest();
      await play.settle();
      assert.deepEqual(play.world.violations(), []);
      assert.deepEqual(play.sentAfterwards(), []);
      assert.deepEqual(await play.traces(), []);
    }),
    runs(120),
  );
}

describe('purging and erasing, whatever the network does', function () {
  this.timeout(0);

  it('leaves every entry with one end, and sends nothing that was given up', () =>
    property(step, { fates: faults }));

  it('does so when nearly everything is on disk only', () =>
    property(step, { fates: faults, memoryMark: 2, pageRows: 2, commitMs: 20 }));

  it('does so within a small quota, where much waits', () =>
    property(step, {
      fates: faults,
      memoryMark: 3,
      pageRows: 2,
      limits: { postsPerSecond: 1, usersPerSecond: 1, maxConcurrent: 1 },
    }));

  it('does so across kill -9', () =>
    property(withKills, { fates: faults, commitMs: 20, memoryMark: 2, pageRows: 2 }));

  it('does so across kill -9 where a code and an id are the same segment', () =>
    property(withKills, {
      fates: faults,
      commitMs: 20,
      memoryMark: 2,
      pageRows: 2,
      aliases: { x: 1, y: 2 },
    }));

  /** What the property above found, and was mended. */
  async function replay(
    script: readonly Step[],
    seed: number,
    aliases: Readonly<Record<string, number>> = {},
  ): Promise<void> {
    const play = new Play({ fates: faults, commitMs: 20, memoryMark: 2, pageRows: 2, seed, aliases });
    await play.play(script);
    await play.world.rest();
    assert.deepEqual(play.world.violations(), []);
    assert.deepEqual(play.sentAfterwards(), []);
  }
  /** Blocks: segment or code, and minutes. */
  const entry = (
    user: number,
    ...its: readonly [segment: number | 'x' | 'y', minutes?: number][]
  ): Added => ({
    user,
    blocks: its.map(([segment, minutes]) => ({
      ...(typeof segment === 'string' ? { seg_code: segment, member_id: 7 } : { seg_id: segment }),
      ...(minutes !== undefined && { expiration: minutes }),
    })),
  });
  const leave = (user: number, ...segments: (number | 'x')[]): Added =>
    entry(user, ...segments.map((segment): [number | 'x', number] => [segment, -1]));
  const add = (...entries: Added[]): Step => ({ kind: 'add', entries, completeOn: 'accepted' });
  const wait = (ms: number): Step => ({ kind: 'wait', ms });
  const pause = (ms: number): Step => ({ kind: 'pause', ms });
  const erase = (user: number): Step => ({ kind: 'erase', user });
  const purge: Step = { kind: 'purge' };
  const kill: Step = { kind: 'kill' };

  it('counts what waits for its mark to be written as on its way', async () => {
    const script = [
      add(leave(0, 'x')),
      purge,
      add(leave(0, 1), leave(1, 'x')),
      add(leave(0, 1), leave(0, 1)),
      add(leave(1, 1), leave(1, 1)),
      wait(20),
      add(leave(1, 1), entry(0, [1, 600])),
      add(leave(1, 1), entry(0, [1, 0])),
      erase(1),
      add(leave(0, 1)),
      add(leave(1, 1), leave(1, 1), entry(0, [1])),
      add(leave(0, 'x')),
      wait(42),
      purge,
      add(leave(0, 1), leave(0, 1)),
      add(leave(0, 1), leave(1, 'x')),
      add(entry(1, [1]), leave(0, 'x')),
      add(entry(0, ['x', 600]), leave(0, 1)),
      pause(895),
      wait(102),
      purge,
      add(leave(0, 1)),
    ];
    await replay(script, -522739950, { x: 1, y: 2 });
  });

  it('may repeat what was on its way when the queue was purged, and was accepted then', async () => {
    const script = [
      add(leave(0, 1, 'x')),
      wait(11_343),
      add(leave(0, 1), leave(0, 'x')),
      wait(83),
      add(leave(0, 1, 'x'), leave(0, 'x')),
      add(leave(2, 1)),
      wait(148),
      add(leave(2, 1), leave(0, 1)),
      purge,
      wait(3),
      add(leave(0, 1)),
    ];
    await replay(script, -781346289, { x: 1, y: 2 });
  });

  it('brings nothing back by a crash of an entry that was erased in part and covered for the rest', () =>
    replay(
      [
        add(leave(0, 'x')),
        add(leave(0, 1)),
        { kind: 'wait', ms: 21_804 },
        add(leave(0, 1, 2), leave(0, 1)),
        { kind: 'erase', user: 0 },
        add(leave(0, 1)),
        { kind: 'wait', ms: 311 },
        { kind: 'kill' },
        { kind: 'wait', ms: 0 },
      ],
      -438083794,
    ));

  it('purges nothing that keeps an older repetition from undoing what was accepted', () =>
    replay(
      [
        add(leave(0, 'x'), leave(0, 1)),
        add(leave(2, 1), leave(2, 'x'), leave(1, 1, 'x')),
        add(leave(0, 2, 1), leave(0, 1)),
        add({ user: 0, blocks: [{ seg_id: 1, expiration: 600 }] }),
        { kind: 'wait', ms: 18_514 },
        { kind: 'wait', ms: 147 },
        { kind: 'wait', ms: 105 },
        { kind: 'kill' },
        { kind: 'purge' },
      ],
      -145685981,
    ));

  it('repeats what ended by a newer entry, when that one is purged after a crash for the rest of it', () =>
    replay(
      [
        add(entry(1, ['x'], [1, -1]), entry(0, ['x', -1])),
        add(entry(1, ['x', -1])),
        pause(687),
        wait(95),
        add(entry(0, [1, -1])),
        wait(62),
        add(entry(1, ['x', -1], [1, -1]), entry(0, [1, -1])),
        wait(35),
        add(entry(0, [1, -1])),
        wait(126),
        pause(11),
        wait(73),
        kill,
        wait(1005),
        purge,
      ],
      0,
    ));

  it('leaves a repetition of an erased user in the log: something older may have run late after the crash', () =>
    replay(
      [
        add(entry(1, ['y', 0], [1, -1]), entry(0, [1, 600])),
        add(entry(2, [1, -1]), entry(0, [1, -1])),
        add(entry(0, ['x', -1]), entry(0, [1, -1])),
        add(entry(1, ['y', -1], [2, -1])),
        add(entry(1, ['x', -1], [1, -1])),
        wait(23550),
        wait(84),
        wait(67),
        pause(72),
        wait(14),
        wait(2),
        kill,
        wait(6422),
        wait(12451),
        wait(11),
        add(entry(0, [1, 600], ['x', 600], [2, 600]), entry(0, [1, -1])),
        wait(783),
        add(entry(2, ['x', 600])),
        wait(70),
        wait(186),
        add(entry(2, [1, 600])),
        wait(56),
        erase(1),
        wait(13),
        add(entry(0, ['x', -1])),
      ],
      -1972600923,
    ));

  it('repeats what ended by a newer entry while a lost request may run, when that one is purged after a crash', () =>
    replay(
      [
        add(entry(1, [1, -1])),
        wait(0),
        erase(0),
        add(entry(0, [1, 600])),
        wait(11697),
        wait(9227),
        erase(0),
        add(entry(1, [1, -1]), entry(0, ['x', -1])),
        wait(4),
        erase(0),
        add(entry(0, [1, -1])),
        erase(1),
        wait(162),
        wait(121),
        wait(160),
        erase(1),
        add(entry(0, [1, -1], ['x', -1]), entry(0, ['x', -1])),
        wait(44),
        wait(2),
        wait(25),
        kill,
        purge,
      ],
      0,
      { x: 1, y: 2 },
    ));

  it('hides no repetition behind a block that was purged', () =>
    replay(
      [
        add(entry(1, [1, -1], ['x', -1]), entry(0, ['x', -1])),
        add(entry(0, [3, 600])),
        add(entry(0, ['x', -1])),
        add(entry(0, [3, -1])),
        wait(11280),
        kill,
        wait(11804),
        add(entry(0, ['x', 600], [3, 600])),
        purge,
      ],
      -1604342832,
    ));

  it('does so when the disk is full for a while', () =>
    property(withFullDisk, { fates: faults, commitMs: 20, memoryMark: 3, pageRows: 2 }));

  it('does so with the queue in memory', () => property(step, { fates: faults, durable: false }));

  it('goes on with a purge after kill -9 in the middle of it', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 5, commitMs: 20, keepEntries: true });
    await world.clock.advance(100);
    world.engine.pause();
    for (let number = 0; number < 500; number += 1)
      world.add(device(number), [{ seg_id: 1 }], { completeOn: 'queued' });
    await world.clock.advance(1000);
    assert.equal(world.engine.stats().counters.waiting, 500);
    void world.purge().catch(() => undefined);
    await world.clock.advance(150);
    const left: number = world.engine.stats().counters.waiting;
    assert.ok(left > 100 && left < 500, `${left} left when it is killed`);
    world.kill();
    await world.rest();
    assert.equal(world.service.requests.length, 0);
    assert.deepEqual([world.engine.counters.waiting, world.engine.counters.accepted], [0, 0]);
    assert.deepEqual(world.violations(), []);
  });

  /** An erasure in a process that dies at its commit with this number; whether it lived to see that. */
  async function eraseAndDie(commit: number, when: 'before' | 'after', inFlight: boolean): Promise<boolean> {
    let calm = false;
    const world = new World({
      seed: commit,
      memoryMark: 4,
      pageRows: 2,
      killAt: { commit, when },
      fateOf: (entries) => (!calm && entries.some(({ user_id: id }) => id === device(0)) ? 'dropped' : null),
    });
    const kept: string[] = [];
    const setMeta = world.store.setMeta.bind(world.store);
    world.store.setMeta = (key, value): Promise<void> => {
      if (key === 'erasures') kept.push(value);
      return setMeta(key, value);
    };
    const many = Array.from({ length: 60 }, (_, n) => ({
      user: device(n % 3),
      blocks: [{ seg_id: 1 + n, expiration: n % 2 === 0 ? -1 : 0 }],
    }));
    await world.clock.advance(100);
    if (!inFlight) world.engine.pause();
    world.submit(many, { completeOn: 'queued' });
    await world.clock.advance(1000);
    world.erase(device(0), 'idfa').catch(() => undefined);
    await world.clock.advance(1000);
    const died = world.life > 1;
    const begun = kept.length > 0;
    const erasedMs = world.clock.monoMs();
    calm = true;
    world.engine.resume();
    await world.rest();
    const { requests } = world.service;
    const after = requests.filter(
      ({ sentMs, users }) => sentMs > erasedMs && users.includes(`idfa:${device(0)}`),
    );
    if (begun) {
      const hash = hashUserKey(userKeyOf('idfa', device(0)).userKey);
      assert.equal(after.length, 0, `sent after commit ${commit}`);
      assert.deepEqual((await world.store.rowsOfUsers([hash], 0, Infinity)).rows, []);
      assert.equal(kept.at(-1), '[]');
    } else assert.ok(died && after.length > 0);
    assert.ok(!kept.join().includes(device(0).slice(0, 8)));
    assert.deepEqual([world.engine.counters.waiting, world.violations()], [0, []]);
    return died;
  }

  for (const inFlight of [false, true])
    it(`goes on with an erasure after kill -9 at any step of it${inFlight ? ', with the user in flight' : ''}`, async () => {
      for (const when of ['before', 'after'] as const) {
        let commit = 1;
        while (await eraseAndDie(commit, when, inFlight)) commit += 1;
        assert.ok(commit > 3, `${commit} commits`);
      }
    });

  it('leaves above a repetition of an erased user what went ahead of it, and hides it', async () => {
    const world = new World({ seed: 1, memoryMark: 2, pageRows: 2 });
    await world.clock.advance(100);
    world.engine.pause();
    // So many others are ahead of it that it is not read when the search for the user comes by.
    for (let number = 10; number < 20; number += 1) world.add(device(number), [{ seg_id: 2 }]);
    world.add(device(0), [{ seg_id: 1 }]);
    world.add(device(0), [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(100);
    // Both were accepted; the add is to be repeated, since a request that was lost may have undone it.
    const [added, removed] = [11, 12];
    await world.store.commit({ repeat: [added], shield: [removed] });
    world.kill();
    const erased = world.erase(device(0), 'idfa');
    await world.rest();
    assert.equal((await erased).entries, 0);
    const sent = world.service.requests.filter(({ users: its }) => its.includes(`idfa:${device(0)}`));
    assert.deepEqual(sent, [], 'the add again, after the removal');
    const hash = hashUserKey(userKeyOf('idfa', device(0)).userKey);
    assert.deepEqual((await world.store.rowsOfUsers([hash], 0, Infinity)).rows, []);
  });

  it('carries a purge out while nothing can be sent, and says how much it was', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 5 });
    await world.clock.advance(100);
    world.engine.pause();
    const before = [0, 1, 2, 3].map((number) => world.add(device(number), [{ seg_id: 1 }]));
    const many = world.submit(
      Array.from({ length: 300 }, (_, number) => ({ user: device(100 + number), blocks: [{ seg_id: 1 }] })),
    );
    const purged = world.purge();
    const after = world.add(device(7), [{ seg_id: 1 }]);
    await world.clock.advance(5000);
    assert.deepEqual(await purged, { entries: 304, inFlight: 0 });
    for (const { end } of [...before, many]) {
      assert.ok(end?.kind === 'settled');
      assert.deepEqual([...new Set(end.rejections.map(({ code }) => code))], ['purged']);
    }
    assert.equal(after.end, null);
    world.engine.resume();
    await world.clock.advance(5000);
    assert.equal((after.end as { kind: string } | null)?.kind, 'settled');
    assert.deepEqual(world.engine.monitor.rejections.byCode(), { purged: 304 });
    assert.equal(world.engine.monitor.rejections.size, 0);
    assert.deepEqual(world.violations(), []);
  });

  it('erases what is far behind on disk, and leaves the others', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 5 });
    await world.clock.advance(100);
    world.engine.pause();
    for (let number = 0; number < 12_000; number += 1)
      world.add(device(number % 1000), [{ seg_id: 1 + (number % 7) }], { completeOn: 'queued' });
    await world.clock.advance(5000);
    const erased = world.erase(device(999), 'idfa');
    await world.clock.advance(1000);
    assert.deepEqual(await erased, { entries: 12, inFlight: 0 });
    assert.equal(world.engine.counters.waiting, 12_000 - 12);
    const hash = hashUserKey(userKeyOf('idfa', device(999)).userKey);
    assert.deepEqual((await world.store.rowsOfUsers([hash], 0, Infinity)).rows, []);
  });

  it('shows the age of the oldest entry also where none is in memory', async () => {
    const world = new World({ seed: 1, memoryMark: 2, pageRows: 2 });
    await world.clock.advance(100);
    world.engine.pause();
    for (let number = 0; number < 50; number += 1) {
      world.add(device(number), [{ seg_id: 1 }], { completeOn: 'queued' });
      await world.clock.advance(1000);
    }
    assert.equal(world.engine.stats().oldestMs, 50_000);
    world.kill();
    world.diskFails = true;
    await world.clock.advance(1000);
    assert.equal(world.engine.stats().state.kind, 'outbox');
    world.diskFails = false;
    world.engine.pause();
    await world.clock.advance(9000);
    assert.equal(world.engine.stats().oldestMs, 60_000);
  });
});

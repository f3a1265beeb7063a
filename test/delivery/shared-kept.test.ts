// A shared queue that is purged, or a user erased from it, while machines keep entries that its database has not got.
import { strict as assert } from 'node:assert';
import { DismissedPartly } from '../../src/delivery/dismissals';
import { letterWithout, readEnds } from '../../src/delivery/shared-ends';
import { userKeysOf } from '../../src/audience/keys';
import { SharedWorld, type SharedWorldOptions } from './support/shared-world';
import { device } from './support/world';

const block = [{ seg_id: 1, value: 1 }];

describe('what a machine keeps for a shared queue', function () {
  this.timeout(20_000);

  /** Two machines with a paused queue; machine 0 sends. */
  async function paused(options: Partial<SharedWorldOptions> = {}): Promise<SharedWorld> {
    const world = new SharedWorld({ seed: 1, machines: 2, databaseMs: 5, ...options });
    world.cut(1);
    await world.clock.advance(1_500);
    world.join(1);
    await world.clock.advance(1_500);
    assert.ok(queueOf(world, 0).stats().shared!.isSender);
    queueOf(world, 0).pause();
    await world.clock.advance(500);
    return world;
  }

  /** These users' entries are kept on a machine, as the database is away from it. */
  async function keep(world: SharedWorld, machine: number, ...users: number[]): Promise<void> {
    world.cut(machine);
    for (const user of users) world.add(machine, device(user), block, 'queued');
    await world.clock.advance(5_000);
    assert.equal(keptOn(world, machine), users.length);
  }

  /** The log of a `paused` world with a cap of as many is full: what is kept stays, though the database is there. */
  async function fill(world: SharedWorld, ...users: number[]): Promise<void> {
    for (const user of users) world.add(0, device(user), block, 'queued');
    await world.clock.advance(500);
    assert.equal(world.store.rows.totals.waiting, users.length);
  }

  const queueOf = (world: SharedWorld, machine: number) => world.machines[machine]!.queue;
  const keptOn = (world: SharedWorld, machine: number): number =>
    queueOf(world, machine).stats().shared!.kept;
  const endsOn = (world: SharedWorld, machine: number) =>
    world.recovered
      .filter((one) => one.machine === machine)
      .map(({ entry, rejection }) => `${entry.userKey} ${rejection?.code}`)
      .sort();
  const keys = (...users: number[]): string[] => users.map((user) => keysOf(user)[0]!).sort();
  const keysOf = (user: number): readonly string[] => userKeysOf('idfa', device(user));

  async function settle<T>(world: SharedWorld, work: Promise<T>): Promise<T | Error> {
    const settled = work.catch((error: unknown) => error as Error);
    await world.clock.advance(130_000);
    return settled;
  }

  function addUp(world: SharedWorld): void {
    for (const { queue } of world.machines) {
      const { taken, accepted, superseded, expired, rejected, waiting } = queue.counters;
      assert.equal(taken, accepted + superseded + expired + rejected + waiting);
    }
  }

  /** Whom the service has in a segment. */
  async function sent(world: SharedWorld): Promise<number> {
    world.machines.forEach((_machine, at) => world.join(at));
    await world.clock.advance(20_000);
    queueOf(world, 0).resume();
    await world.rest(60_000);
    addUp(world);
    assert.deepEqual([keptOn(world, 0), keptOn(world, 1)], [0, 0]);
    return world.service.members.size;
  }

  it('is given up by a purge there while the database is away, which says that it did not reach that', async () => {
    const world = await paused();
    await fill(world, 1);
    await keep(world, 1, 2, 3);
    const error = await settle(world, queueOf(world, 1).purge());
    assert.ok(error instanceof DismissedPartly);
    assert.deepEqual([error.dismissed, error.missed], [{ entries: 2, inFlight: 0 }, 'database']);
    assert.match(error.message, /^What this machine had kept was given up \(2 entries\), but nothing in the/);
    assert.equal(keptOn(world, 1), 0);
    assert.deepEqual(
      endsOn(world, 1),
      keys(2, 3).map((key) => `${key} purged`),
    );
    addUp(world);
    assert.equal(await sent(world), 1);
  });

  it('is given up by a purge on another machine, which counts only what was in the database', async () => {
    const world = await paused({ queueMaxEntries: 2 });
    await fill(world, 1, 2);
    await keep(world, 1, 3, 4);
    world.join(1);
    await world.clock.advance(5_000);
    assert.equal(keptOn(world, 1), 2, 'the log is full');
    assert.deepEqual(await settle(world, queueOf(world, 0).purge()), { entries: 2, inFlight: 0 });
    assert.deepEqual(
      [endsOn(world, 0), endsOn(world, 1)],
      [keys(1, 2), keys(3, 4)].map((all) => all.map((key) => `${key} purged`)),
    );
    assert.equal(await sent(world), 0);
  });

  it('is given up at once where the sender itself is cut off, and the rest when it knows who sends', async () => {
    const world = await paused();
    await fill(world, 1);
    await keep(world, 0, 2);
    const purge = settle(world, queueOf(world, 0).purge());
    await world.clock.advance(5_000);
    assert.equal(keptOn(world, 0), 0);
    world.join(0);
    const error = await purge;
    assert.ok(error instanceof DismissedPartly);
    assert.deepEqual([error.dismissed, error.missed], [{ entries: 1, inFlight: 0 }, 'database']);
    assert.equal(await sent(world), 1);
  });

  it('is counted by a purge on the same machine with what was in the database', async () => {
    const world = await paused({ queueMaxEntries: 2 });
    await fill(world, 1, 2);
    await keep(world, 1, 3, 4);
    world.join(1);
    await world.clock.advance(5_000);
    assert.deepEqual(await settle(world, queueOf(world, 1).purge()), { entries: 4, inFlight: 0 });
    assert.equal(await sent(world), 0);
  });

  it('is handed over and sent when its machine was cut off from the purge', async () => {
    const world = await paused();
    await fill(world, 1);
    await keep(world, 1, 2);
    assert.deepEqual(await settle(world, queueOf(world, 0).purge()), { entries: 1, inFlight: 0 });
    assert.equal(keptOn(world, 1), 1);
    assert.equal(await sent(world), 1);
  });

  it('is erased of one user, here and on another machine, and what else is kept behind it is sent', async () => {
    const world = await paused({ queueMaxEntries: 4 });
    await fill(world, 5, 6, 7, 1);
    await keep(world, 1, 1);
    // The first one alone was on its way when the database went; these come behind it.
    world.add(1, device(2), block, 'queued');
    await world.clock.advance(3_000);
    const error = await settle(world, queueOf(world, 1).erase(keysOf(1), device(1)));
    assert.ok(error instanceof DismissedPartly);
    assert.deepEqual(error.dismissed, { entries: 1, inFlight: 0 });
    assert.equal(keptOn(world, 1), 1);
    addUp(world);
    world.add(1, device(1), block, 'queued');
    await world.clock.advance(1_000);
    assert.equal(keptOn(world, 1), 2);
    world.join(1);
    await world.clock.advance(5_000);
    assert.deepEqual(await settle(world, queueOf(world, 0).erase(keysOf(1), device(1))), {
      entries: 1,
      inFlight: 0,
    });
    assert.deepEqual([endsOn(world, 0), endsOn(world, 1)], [[], []], 'nobody is told of who was erased');
    assert.equal(await sent(world), 4);
    assert.ok(![...world.service.members.keys()].some((key) => key.includes(device(1))));
  });

  it('is given up, too, when it was on its way to the database as the purge was asked for', async () => {
    const world = await paused();
    world.cut(1);
    world.add(1, device(1), block, 'queued');
    const error = await settle(world, queueOf(world, 1).purge());
    assert.ok(error instanceof DismissedPartly);
    assert.deepEqual([error.dismissed.entries, keptOn(world, 1)], [1, 0]);
    assert.equal(await sent(world), 0);
  });

  it('is handed over behind what was erased while the database had no room for it', async () => {
    const world = await paused({ queueMaxEntries: 2 });
    await fill(world, 5, 6);
    await keep(world, 1, 1);
    world.add(1, device(2), block, 'queued');
    world.join(1);
    await world.clock.advance(5_000);
    assert.equal(keptOn(world, 1), 2);
    assert.deepEqual(await settle(world, queueOf(world, 1).erase(keysOf(1), device(1))), {
      entries: 1,
      inFlight: 0,
    });
    assert.equal(keptOn(world, 1), 1);
    assert.equal(await sent(world), 3);
  });

  it('is given up by word that comes late as far as it was there when that was asked for', async () => {
    const world = await paused({ queueMaxEntries: 2, skewMs: [70_000, -50_000] });
    await fill(world, 1, 2);
    await keep(world, 1, 3);
    world.join(1);
    world.machines[0]!.handle.sendsLate = true;
    assert.deepEqual(await settle(world, queueOf(world, 0).purge()), { entries: 2, inFlight: 0 });
    // Room in the database means that what is kept is handed over.
    assert.equal(keptOn(world, 1), 0);
    await keep(world, 1, 4);
    world.join(0);
    world.join(1);
    await world.clock.advance(10_000);
    assert.deepEqual(endsOn(world, 1), []);
    assert.equal(await sent(world), 2);
  });

  it('is not given up by word to a machine that is gone', async () => {
    const world = await paused({ queueMaxEntries: 2 });
    await fill(world, 1, 2);
    await keep(world, 0, 3);
    world.join(0);
    await world.clock.advance(5_000);
    world.kill(1, 1_000_000);
    const order = { kind: 'purgeKept', instance: '1 1', askedMs: world.store.clock.wallMs() };
    const letter = JSON.stringify({ id: 'x', from: 'nobody', order });
    await settle(world, world.machines[0]!.handle.send('1 1', 'order', letter));
    assert.ok(
      world.store.letters.every(({ to }) => to !== '1 1'),
      'somebody has read it',
    );
    assert.equal(keptOn(world, 0), 1);
  });
});

describe('a purge or an erasure that a machine gave up, and the database carries out later', function () {
  this.timeout(20_000);
  const queueOf = (world: SharedWorld, machine: number) => world.machines[machine]!.queue;
  const keysOf = (user: number): readonly string[] => userKeysOf('idfa', device(user));

  /** Machine 0 sends, but the queue is paused; what machine 1 sends by letter is given up and comes later. */
  async function late(): Promise<SharedWorld> {
    const world = new SharedWorld({ seed: 1, machines: 2, databaseMs: 5 });
    world.cut(1);
    await world.clock.advance(1_500);
    world.join(1);
    await world.clock.advance(1_500);
    queueOf(world, 0).pause();
    world.machines[1]!.handle.sendsLate = true;
    return world;
  }

  async function add(world: SharedWorld, ...users: number[]): Promise<void> {
    for (const user of users) world.add(0, device(user), block, 'queued');
    await world.clock.advance(500);
  }

  async function notReached(world: SharedWorld, work: Promise<unknown>): Promise<void> {
    const failed = work.catch((error: unknown) => error);
    await world.clock.advance(2_000);
    assert.ok((await failed) instanceof DismissedPartly);
  }

  /** The letter comes, and the queue goes on: whom the service has in the segment. */
  async function sent(world: SharedWorld): Promise<string[]> {
    world.join(1);
    await world.clock.advance(5_000);
    queueOf(world, 0).resume();
    await world.rest(60_000);
    return [1, 2, 3]
      .filter((user) => [...world.service.members.keys()].some((key) => key.includes(device(user))))
      .map(device);
  }

  it('reaches what was in the database when it was asked for, and nothing newer', async () => {
    const world = await late();
    await add(world, 1, 2);
    await notReached(world, queueOf(world, 1).purge());
    await add(world, 3);
    assert.deepEqual(await sent(world), [device(3)]);
  });

  it('erases what a user had then, and nothing newer', async () => {
    const world = await late();
    await add(world, 1, 2);
    await notReached(world, queueOf(world, 1).erase(keysOf(1), device(1)));
    // Of another segment, since it would otherwise cover the older one.
    world.add(0, device(1), [{ seg_id: 2, value: 1 }], 'queued');
    await world.clock.advance(500);
    assert.deepEqual(await sent(world), [device(1), device(2)]);
    assert.equal(world.service.members.size, 2);
    assert.equal(queueOf(world, 0).counters.rejected, 1);
  });

  it('does not take back how far a later one went, not even after a crash', async () => {
    const world = await late();
    await add(world, 1);
    await notReached(world, queueOf(world, 1).purge());
    await notReached(world, queueOf(world, 1).erase(keysOf(2), device(2)));
    await add(world, 2, 3);
    const later = Promise.all([queueOf(world, 0).purge(), queueOf(world, 0).erase(keysOf(2), device(2))]);
    await world.clock.advance(2_000);
    await later;
    world.join(1);
    await world.clock.advance(2_000);
    assert.equal(await world.store.rows.getMeta('purged through'), '3');
    assert.deepEqual(await sent(world), []);
  });
});

describe('a letter that nobody has read', () => {
  const keysOf = (user: number): readonly string[] => userKeysOf('idfa', device(user));
  const report = (user: number): string =>
    JSON.stringify({
      end: 'accepted',
      entry: `{"user_id":"${device(user)}","domain":"idfa","seg_block":[{"seg_id":1}]}`,
    });
  const ended = (...users: number[]): string =>
    JSON.stringify(users.map((user, at) => ({ seq: at + 1, node: 'n', account: 'a', report: report(user) })));

  it('loses what shows a user who is erased, and keeps that it ended, and the others', () => {
    const text = letterWithout('ended', ended(1, 2, 1), keysOf(1));
    assert.ok(!text.includes(device(1)));
    assert.deepEqual(
      readEnds(text).map(({ seq, entry, acceptedBlocks }) => [seq, entry?.userKey, acceptedBlocks]),
      [
        [1, undefined, 1],
        [2, keysOf(2)[0], 1],
        [3, undefined, 1],
      ],
    );
    assert.equal(letterWithout('ended', ended(2), keysOf(1)), ended(2));
  });

  it('goes when it only asks for that user’s erasure', () => {
    const order = (user: number): string =>
      JSON.stringify({
        id: 'x',
        from: 'y',
        order: { kind: 'erase', userKeys: keysOf(user), userId: device(user) },
      });
    assert.equal(letterWithout('order', order(1), keysOf(1)), '');
    for (const other of [order(2), '{"id":"x","from":"y","order":{"kind":"flush"}}', 'no JSON', '{}'])
      assert.equal(letterWithout('order', other, keysOf(1)), other);
    assert.equal(letterWithout('ended', '[{"report":7}]', keysOf(1)), '[{"report":7}]');
  });
});

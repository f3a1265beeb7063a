// Parking, closing, releasing and pausing: within their time, with nothing left running and every message
// ended.
import { strict as assert } from 'node:assert';
import type { Fate } from './support/fake-service';
import { device, World, type Message } from './support/world';

function addMany(world: World, count: number, from = 0, node = 'n'): Message[] {
  return Array.from({ length: count }, (_, i) => world.add(device(from + i), [{ seg_id: 1 }], { node }));
}

/** When a promise resolves, by the tests' clock; null until then. */
function watch(world: World, promise: Promise<void>): { afterMs: number | null } {
  const fromMs = world.clock.monoMs();
  const watched = { afterMs: null as number | null };
  void promise.then(() => (watched.afterMs = world.clock.monoMs() - fromMs));
  return watched;
}

async function warm(options: Partial<ConstructorParameters<typeof World>[0]> = {}): Promise<World> {
  const world = new World({ seed: 1, delayMs: () => 50, ...options });
  world.add(device(900_000), [{ seg_id: 1 }]);
  await world.clock.advance(3_000);
  return world;
}

describe('parking', () => {
  it('ends at once for an idle engine', async () => {
    const world = await warm();
    const parked = watch(world, world.engine.park(5_000));
    await world.clock.settle();
    assert.equal(parked.afterMs, 0);
  });

  it('waits for requests in flight and sends no new ones', async () => {
    const world = await warm();
    addMany(world, 5);
    await world.clock.advance(1);
    const parked = watch(world, world.engine.park(5_000));
    const posts = world.service.requests.length;
    addMany(world, 5, 100);
    await world.clock.advance(4_000);
    assert.equal(parked.afterMs, 99);
    assert.equal(world.service.requests.length, posts);
    assert.equal(world.engine.stats().state.kind, 'parked');
  });

  it('ends in time although the service does not answer', async () => {
    const world = await warm({ fateOf: () => 'dropped' });
    addMany(world, 5);
    await world.clock.advance(1);
    const parked = watch(world, world.engine.park(2_000));
    await world.clock.advance(2_500);
    assert.equal(parked.afterMs, 2_000);
  });
});

describe('closing', () => {
  const hard: Partial<Record<Fate, number>> = {
    dropped: 0.2,
    reset: 0.3,
    rateLimited: 0.1,
    serverError: 0.3,
  };

  const moments: readonly [name: string, prepare: () => Promise<World>][] = [
    ['while it is idle', () => warm()],
    [
      'in its first second, with a queue',
      async () => {
        const world = new World({ seed: 1 });
        addMany(world, 5);
        await world.clock.advance(200);
        return world;
      },
    ],
    [
      'with posts on their way',
      async () => {
        const world = await warm();
        addMany(world, 5);
        await world.clock.advance(1);
        return world;
      },
    ],
    [
      'while it holds and backs off',
      async () => {
        const world = await warm({ fates: hard });
        addMany(world, 500);
        await world.clock.advance(12_000);
        return world;
      },
    ],
    [
      'in the middle of a commit',
      async () => {
        const world = await warm({ commitMs: 30 });
        addMany(world, 5);
        await world.clock.settle();
        return world;
      },
    ],
    [
      'while its file is locked',
      async () => {
        const world = new World({ seed: 1, lockedAtFirst: true });
        await world.clock.advance(300);
        return world;
      },
    ],
    [
      'while the disk is full',
      async () => {
        const world = await warm();
        world.diskFails = true;
        addMany(world, 5);
        await world.clock.advance(300);
        return world;
      },
    ],
  ];
  for (const [name, prepare] of moments) {
    it(`leaves no timer and posts nothing more ${name}`, async () => {
      const world = await prepare();
      void world.engine.park(1_000);
      await world.clock.advance(1_000);
      const closed = watch(world, world.engine.close());
      await world.clock.advance(100);
      assert.ok(closed.afterMs !== null && closed.afterMs <= 60, `closed after ${closed.afterMs} ms`);
      assert.equal(world.processClock.timers, 0);
      const posts = world.service.requests.length;
      await world.clock.advance(60_000);
      assert.equal(world.processClock.timers, 0);
      assert.equal(world.service.requests.length, posts);
    });
  }

  it('refuses later messages, messages that were not queued yet and deletions, with the reason', async () => {
    const world = await warm({ commitMs: 30 });
    addMany(world, 1);
    await world.clock.settle();
    const waiting = addMany(world, 3, 10);
    void world.engine.close();
    const late = addMany(world, 3, 20);
    await world.clock.advance(1_000);
    for (const { end } of [...waiting, ...late]) assert.ok(end?.kind === 'failed' && end.code === 'closed');
    assert.deepEqual(world.complaints, []);
    await assert.rejects(world.engine.purge(), /closed/);
    await assert.rejects(world.engine.erase(['k'], 'u'), /closed/);
  });
});

describe('a node that closes', () => {
  it('gets an end for each open message, and late outcomes afterwards', async () => {
    const world = await warm();
    world.engine.pause();
    const [mine, others] = [addMany(world, 5), addMany(world, 5, 100, 'other')];
    await world.clock.advance(50);
    const notAccepted = addMany(world, 1, 50);
    world.engine.release('n');
    assert.ok(mine.every(({ end }) => end?.kind === 'parked'));
    assert.ok(notAccepted.every(({ end }) => end?.kind === 'failed' && end.code === 'closed'));
    assert.ok(others.every(({ end }) => end === null));
    world.listen('n');
    world.engine.resume();
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.recovered.length, 5);
    assert.ok(world.recovered.every(({ node }) => node === 'n'));
  });

  it('and does not return has its late outcomes logged and counted', async () => {
    const world = await warm();
    world.engine.pause();
    addMany(world, 5);
    await world.clock.advance(50);
    world.engine.release('n');
    world.engine.resume();
    await world.rest(5_000);
    assert.equal(world.engine.counters.accepted, 6);
    assert.ok(world.logged.some((line) => line.includes('5 queued entries of the removed node n')));
  });

  it('and does not return has its entries logged with their number when they are purged', async () => {
    const world = await warm({ memoryMark: 100, pageRows: 50 });
    world.engine.pause();
    addMany(world, 3_000);
    await world.clock.advance(50);
    world.engine.release('n');
    const purged = world.engine.purge();
    await world.clock.advance(10_000);
    assert.equal((await purged).entries, 3_000);
    assert.deepEqual(world.logged, [
      'warn: 3000 queued entries of the removed node n were rejected. The first: The queue was purged before this entry could be sent.',
    ]);
  });

  it('and does not return causes few log lines, however long its entries take', async () => {
    const world = await warm({ limits: { postsPerSecond: 10, usersPerSecond: 10, maxConcurrent: 5 } });
    addMany(world, 1_000);
    await world.clock.advance(50);
    world.engine.release('n');
    await world.rest(200_000);
    assert.ok(world.logged.length < 6, world.logged.join('\n'));
    const told = world.logged.map((line) => Number(/^info: (\d+) queued entries/.exec(line)?.[1]));
    assert.equal(
      told.reduce((sum, count) => sum + count, 0),
      1_000,
    );
  });

  it('with the queue in memory gets an error for each open message, and their entries are not sent', async () => {
    const world = await warm({ durable: false });
    const inFlight = addMany(world, 3);
    await world.clock.advance(1);
    world.engine.pause();
    const waiting = [...addMany(world, 3, 10), world.add(device(0), [{ seg_id: 2 }])];
    const others = addMany(world, 3, 100, 'other');
    await world.clock.advance(1);
    const notAccepted = addMany(world, 3, 20);
    world.engine.release('n');
    for (const { end } of [...inFlight, ...waiting, ...notAccepted])
      assert.ok(end?.kind === 'failed' && end.code === 'closed');
    world.engine.resume();
    await world.rest(5_000);
    assert.ok(others.every(({ end }) => end?.kind === 'settled'));
    const users = new Set(world.service.requests.slice(2).flatMap((request) => request.users));
    assert.deepEqual(users, new Set(others.map(({ entries }) => `idfa:${entries[0]!.user}`)));
    assert.deepEqual([...world.complaints, ...world.overQuota()], []);
    const { taken, accepted, rejected, waiting: left } = world.engine.counters;
    assert.deepEqual({ taken, accepted, rejected, left }, { taken: 11, accepted: 7, rejected: 4, left: 0 });
    assert.equal(world.recovered.length, 0);
  });

  it('with the queue in memory is told at once which entries are discarded, and later the outcomes of the rest', async () => {
    const world = await warm({ durable: false });
    const inFlight = addMany(world, 3);
    await world.clock.advance(1);
    world.engine.pause();
    const waiting = addMany(world, 3, 10);
    const both = world.submit([
      { user: device(0), blocks: [{ seg_id: 2 }] },
      { user: device(20), blocks: [{ seg_id: 1 }] },
    ]);
    await world.clock.advance(1);
    const others = addMany(world, 3, 100, 'other');
    world.engine.away('n', []);
    world.engine.resume();
    await world.clock.advance(1);
    for (const { end } of [...waiting, both]) assert.ok(end?.kind === 'failed' && end.code === 'closed');
    assert.ok(inFlight.every(({ end }) => end === null));
    await world.clock.advance(1_000);
    world.engine.release('n');
    for (const { end } of [...inFlight, ...others])
      assert.ok(end?.kind === 'settled' && end.summary.accepted === 1);
    await world.rest(5_000);
    assert.deepEqual([...world.complaints, ...world.overQuota()], []);
    assert.deepEqual(world.recovered, []);
  });

  it('with the queue in memory during a commit has each discarded entry counted once', async () => {
    const world = new World({ seed: 1, durable: false, memoryMark: 50 });
    const user = device(999_999);
    world.engine.pause();
    addMany(world, 300);
    world.submit(Array.from({ length: 10 }, (_, at) => ({ user, blocks: [{ seg_id: 100 + at, value: 1 }] })));
    world.add(user, [{ seg_id: 7, expiration: -1 }]);
    await world.clock.advance(50);
    const { parts } = world.sender;
    const commit = parts.store.commit.bind(parts.store);
    parts.store.commit = (its) => {
      parts.store.commit = commit;
      const committed = commit(its);
      // The older rows of the user are in memory, ahead of others that are not read yet.
      world.engine.away('n', []);
      return committed;
    };
    world.add(device(1_000), [{ seg_id: 1 }], { node: 'other' });
    await world.clock.advance(500);
    const { rejected, waiting } = world.engine.counters;
    assert.deepEqual({ rejected, waiting }, { rejected: 311, waiting: 1 });
  });

  it('with the queue in memory sends no entry that newer entries of the node had replaced', async () => {
    const world = await warm({ durable: false });
    world.service.refusesAll = true;
    world.add(device(1), [{ seg_id: 1, value: 1 }], { node: 'gone' });
    await world.clock.advance(200);
    world.add(device(1), [{ seg_id: 1, value: 2 }], { node: 'gone' });
    await world.clock.advance(5_000);
    world.service.refusesAll = false;
    const posts = world.service.requests.length;
    world.engine.release('gone');
    await world.clock.advance(60_000);
    const sent = world.service.requests
      .slice(posts)
      .flatMap(({ entries }) => entries.map((entry) => entry.user_id));
    assert.ok(!sent.includes(device(1)), `${sent.length} entries were sent`);
    assert.equal(world.service.members.has(`idfa:${device(1)} 1`), false);
  });

  it('during a commit that then fails is not told that its entries are durable', async () => {
    const world = await warm({ commitMs: 30 });
    world.diskFails = true;
    const [message] = addMany(world, 1);
    await world.clock.settle();
    world.engine.release('n');
    await world.clock.advance(100);
    world.diskFails = false;
    world.listen('n');
    await world.rest(30_000);
    const arrived = world.service.members.has(`idfa:${device(0)} 1`);
    assert.ok(arrived || message!.end?.kind === 'failed', `${message!.end?.kind}, and the entry is gone`);
  });
});

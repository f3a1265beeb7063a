// A post that is ready may have to wait: for the answer to its commit, for a token, for a connection. Should its engine be
// closed meanwhile, or its lease be over, it must not leave any more.
import { strict as assert } from 'node:assert';
import { SharedWorld } from './support/shared-world';
import { device, World } from './support/world';

interface Timing {
  readonly seed: number;
  /** One way to the database. */
  readonly databaseMs: number;
  /** From the commit of the add until its answer is lost. */
  readonly cutAfterMs: number;
  /** The other has sent the add before the removal comes. */
  readonly removalAfterMs: number;
  readonly stopAfterMs: number;
  readonly joinAfterMs: number;
}

/** The add is marked as leaving, its answer is lost; another sends it, then the removal, and stops. */
async function cutOffWithAnAdd(timing: Timing): Promise<SharedWorld> {
  const { seed, databaseMs, cutAfterMs, removalAfterMs, stopAfterMs, joinAfterMs } = timing;
  const world = new SharedWorld({ seed, machines: 2, databaseMs });
  await world.clock.advance(4_000);
  const first = world.machines.findIndex(({ queue }) => queue.stats().shared!.isSender);
  const other = 1 - first;
  const { rows } = world.store;
  const commit = rows.commit.bind(rows);
  const departed: number[] = [];
  rows.commit = (parts) => {
    for (const { post } of parts.depart ?? []) departed.push(post);
    return commit(parts);
  };
  world.machines[first]!.handle.delayMs = () => 20;
  world.add(first, device(1), [{ seg_id: 1, value: 1 }], 'queued');
  while (departed.length === 0) await world.clock.advance(1);
  await world.clock.advance(cutAfterMs);
  world.cut(first);
  await world.clock.advance(8_000 + removalAfterMs);
  world.add(other, device(1), [{ seg_id: 1, expiration: -1 }], 'queued');
  await world.clock.advance(stopAfterMs);
  world.kill(other, 600_000);
  await world.clock.advance(joinAfterMs);
  world.join(first);
  await world.rest(120_000);
  return world;
}

describe('a post whose commit was answered too late', function () {
  this.timeout(0);

  it('does not leave under a later lease, when another has sent newer state meanwhile', async () => {
    const world = await cutOffWithAnAdd({
      seed: 1,
      databaseMs: 0,
      cutAfterMs: 5,
      removalAfterMs: 0,
      stopAfterMs: 40_000,
      joinAfterMs: 4_000,
    });
    assert.deepEqual(world.violations(), []);
  });
});

describe('a post that waits for its connection', function () {
  it('does not leave when the lease runs out meanwhile', async () => {
    const connectMs = [0, 10_000];
    const world = new SharedWorld({ seed: 1, machines: 2, connectMs: () => connectMs.shift() ?? 0 });
    await world.clock.advance(4_000);
    const first = world.machines.findIndex(({ queue }) => queue.stats().shared!.isSender);
    world.add(first, device(1), [{ seg_id: 1, value: 1 }]);
    await world.clock.advance(1_000);
    world.add(first, device(2), [{ seg_id: 1, value: 1 }], 'queued');
    await world.clock.advance(1_000);
    world.cut(first);
    await world.clock.advance(5_000);
    world.add(1 - first, device(2), [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(6_000);
    assert.deepEqual(
      world.posts.map(({ machine }) => machine),
      [first, 1 - first, 1 - first],
    );
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('does not leave once its engine is closed', async () => {
    const world = new World({ seed: 1, connectMs: () => 3_000 });
    await world.clock.advance(2_000);
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(1_000);
    void world.engine.close();
    await world.clock.advance(60_000);
    assert.equal(world.service.requests.length, 0);
  });

  it('does not leave once parking has ended without it, and leaves after that', async () => {
    const connectMs = [3_000];
    const world = new World({ seed: 1, connectMs: () => connectMs.shift() ?? 0 });
    await world.clock.advance(2_000);
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(500);
    void world.engine.park(1_000);
    await world.clock.advance(5_000);
    assert.equal(world.service.requests.length, 0);
    world.engine.unpark();
    await world.rest(30_000);
    assert.equal(world.service.requests.length, 1);
    assert.deepEqual(world.violations(), []);
  });

  it('leaves while its engine is being parked', async () => {
    const world = new World({ seed: 1, connectMs: () => 500 });
    await world.clock.advance(2_000);
    const message = world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(100);
    void world.engine.park(1_000);
    await world.clock.advance(1_000);
    assert.equal(message.end?.kind, 'settled');
  });
});

describe('an engine that is closed', () => {
  it('sends nothing when its last commit is done', async () => {
    const world = new World({ seed: 1, commitMs: 200 });
    await world.clock.advance(3_000);
    world.add(device(1), [{ seg_id: 1 }]);
    while (world.departures === 0) await world.clock.advance(1);
    void world.engine.close();
    await world.clock.advance(60_000);
    assert.equal(world.service.requests.length, 0);
    // Whoever opens the queue next sends it, and once more, as nobody knows whether it had left.
    world.kill();
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('gives nothing up any more, and says so', async () => {
    const world = new World({ seed: 1 });
    await world.clock.advance(3_000);
    await world.clock.outcome(world.engine.close());
    await assert.rejects(world.engine.purge(), /closed/);
    await assert.rejects(world.engine.erase(['k'], 'u'), /closed/);
  });

  it('sends nothing when a token comes', async () => {
    const world = new World({ seed: 1, delayMs: () => 50 });
    await world.clock.advance(3_000);
    let come = (): void => undefined;
    const { service } = world;
    const authenticate = service.authenticate.bind(service);
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(1_000);
    assert.equal(service.requests.length, 1);
    world.keepers.get('a')!.replaceLogin({ method: 'password', username: 'a', password: 'another' });
    service.authenticate = async (...args) => {
      await new Promise<void>((resolve) => (come = resolve));
      return authenticate(...args);
    };
    world.add(device(2), [{ seg_id: 1 }]);
    await world.clock.advance(1_000);
    void world.engine.close();
    come();
    await world.clock.advance(60_000);
    assert.equal(service.requests.length, 1);
  });
});

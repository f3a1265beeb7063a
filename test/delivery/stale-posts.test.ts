// Stale posts: a built post may wait for its commit, for a token or for a connection. If its engine is closed
// meanwhile, it must not be sent. (The simulation checks the lease under which each post is sent.)
import { strict as assert } from 'node:assert';
import { device, World } from './support/world';

describe('a post that waits for its connection', function () {
  it('is not sent after its engine was closed', async () => {
    const world = new World({ seed: 1, connectMs: () => 3_000 });
    await world.clock.advance(2_000);
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(1_000);
    void world.engine.close();
    await world.clock.advance(60_000);
    assert.equal(world.service.requests.length, 0);
  });

  it('is not sent after parking has ended without it, but after the engine is unparked', async () => {
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

  it('is sent while its engine is being parked', async () => {
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
    // The next engine sends it twice, because the first request may have been sent.
    world.kill();
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('refuses deletions with the reason', async () => {
    const world = new World({ seed: 1 });
    await world.clock.advance(3_000);
    await world.clock.outcome(world.engine.close());
    await assert.rejects(world.engine.purge(), /closed/);
    await assert.rejects(world.engine.erase(['k'], 'u'), /closed/);
  });

  it('sends nothing when a token arrives', async () => {
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

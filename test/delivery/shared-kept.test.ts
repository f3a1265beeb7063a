// A shared queue that is purged, or a user erased from it, while machines keep entries that its database has not got.
import { strict as assert } from 'node:assert';
import { DeletedPartly } from '../../src/delivery/respond/deletions';
import { outcomesWithout, readOutcomes } from '../../src/delivery/shared/stored-outcomes';
import { userKeysOf } from '../../src/entry/keys';
import { QueueError } from '../../src/queue/store';
import { device } from './support/world';
import { Instances, type InstancesOptions } from './support/instances';

/** Two instances with a paused queue; instance 0 sends. */
async function paused(options: InstancesOptions = {}): Promise<Instances> {
  const flow = new Instances({ ...options, completeOn: 'queued' });
  flow.cut(1);
  await flow.advance(1_500);
  flow.join(1);
  await flow.advance(1_500);
  assert.equal(flow.sender, 0);
  flow.queue(0).pause();
  await flow.advance(500);
  return flow;
}

/** So many requests for deletions fail, and get to the database when the returned is called. */
function requestsLate(flow: Instances, count = 1): () => void {
  const { logStore } = flow;
  const request = logStore.requestDeletion.bind(logStore);
  const late: Parameters<typeof request>[] = [];
  logStore.requestDeletion = (...one) => {
    if (late.length === count) return request(...one);
    late.push(one);
    throw new QueueError('unavailable', 'the database cannot be reached');
  };
  return () => {
    for (const one of late) request(...one);
  };
}

describe('what a machine keeps for a shared queue', function () {
  this.timeout(20_000);

  /** These users' entries are kept on a machine, as the database is away from it. */
  async function keep(flow: Instances, machine: number, ...users: number[]): Promise<void> {
    flow.cut(machine);
    for (const user of users) flow.add(machine, user);
    await flow.advance(5_000);
    assert.equal(flow.keptOn(machine), users.length);
  }

  /** The log of a `paused` flow with a cap of as many is full: what is kept stays, though the database is there. */
  async function fill(flow: Instances, ...users: number[]): Promise<void> {
    for (const user of users) flow.add(0, user);
    await flow.advance(500);
    assert.equal(flow.logStore.rows.totals.waiting, users.length);
  }

  const ends = (...users: number[]): string[] => users.map((user) => `${device(user)} purged`).sort();

  async function settle<T>(flow: Instances, work: Promise<T>): Promise<T | Error> {
    const settled = work.catch((error: unknown) => error as Error);
    await flow.advance(130_000);
    return settled;
  }

  /** How many users the service has in the segment once everything has come to rest. */
  async function sent(flow: Instances): Promise<number> {
    assert.deepEqual(await flow.violations(), []);
    assert.ok(flow.world.instances.every((_, at) => flow.keptOn(at) === 0));
    return flow.members().length;
  }

  /** An earlier process has kept an add of user 3. The database answers again. */
  async function restartedWithBrokenDisk(forMs: number): Promise<Instances> {
    const flow = new Instances({ instances: 1 });
    await flow.advance(1_500);
    await keep(flow, 0, 3);
    flow.act({ kind: 'disk', instance: 0, how: 'broken', forMs });
    flow.act({ kind: 'crash', instance: 0, downMs: 100 });
    flow.join(0);
    return flow;
  }

  it('is handed over before what comes later, also if the disk fails as the process starts', async () => {
    const flow = await restartedWithBrokenDisk(6_000);
    await flow.advance(1_000);
    const removal = flow.add(0, 3, { expiration: -1 });
    const other = flow.add(0, 4);
    await flow.advance(3_000);
    assert.deepEqual([removal.end, other.end, flow.members()], [null, null, []]);
    await flow.advance(10_000);
    assert.deepEqual(flow.members(), [device(4)]);
    assert.equal(await sent(flow), 1);
  });

  it('does not hold up what comes later for long if the disk fails, and is handed over once it works', async () => {
    const flow = await restartedWithBrokenDisk(60_000);
    await flow.advance(20_000);
    flow.add(0, 4);
    await flow.advance(5_000);
    assert.deepEqual(flow.members(), []);
    await flow.advance(10_000);
    assert.deepEqual(flow.members(), [device(4)]);
    await flow.advance(30_000);
    assert.deepEqual(flow.members(), [device(3), device(4)]);
    assert.equal(await sent(flow), 2);
  });

  it('is discarded by a purge there while the database is away, which says that it did not reach that', async () => {
    const flow = await paused();
    await fill(flow, 1);
    await keep(flow, 1, 2, 3);
    const error = await settle(flow, flow.purge(1));
    assert.ok(error instanceof DeletedPartly);
    assert.deepEqual([error.deleted, error.missed], [{ entries: 2, inFlight: 0 }, 'database']);
    assert.match(error.message, /^Deleted 2 entries in this machine's buffer, but none in the/);
    assert.equal(flow.keptOn(1), 0);
    assert.deepEqual(flow.lateOutcomesOn(1), ends(2, 3));
    assert.equal(await sent(flow), 1);
  });

  it('is discarded by a purge on another machine, which counts only what was in the database', async () => {
    const flow = await paused({ queueMaxEntries: 2 });
    await fill(flow, 1, 2);
    await keep(flow, 1, 3, 4);
    flow.join(1);
    await flow.advance(5_000);
    assert.equal(flow.keptOn(1), 2, 'the log is full');
    assert.deepEqual(await settle(flow, flow.purge(0)), { entries: 2, inFlight: 0 });
    assert.deepEqual([flow.lateOutcomesOn(0), flow.lateOutcomesOn(1)], [ends(1, 2), ends(3, 4)]);
    assert.equal(await sent(flow), 0);
  });

  it('is discarded at once where the sender itself is cut off, and the rest when it knows who sends', async () => {
    const flow = await paused();
    await fill(flow, 1);
    await keep(flow, 0, 2);
    const purge = settle(flow, flow.purge(0));
    await flow.advance(5_000);
    assert.equal(flow.keptOn(0), 0);
    flow.join(0);
    const error = await purge;
    assert.ok(error instanceof DeletedPartly);
    assert.deepEqual([error.deleted, error.missed], [{ entries: 1, inFlight: 0 }, 'database']);
    assert.equal(await sent(flow), 1);
  });

  it('is counted by a purge on the same machine with what was in the database', async () => {
    const flow = await paused({ queueMaxEntries: 2 });
    await fill(flow, 1, 2);
    await keep(flow, 1, 3, 4);
    flow.join(1);
    await flow.advance(5_000);
    assert.deepEqual(await settle(flow, flow.purge(1)), { entries: 4, inFlight: 0 });
    assert.equal(await sent(flow), 0);
  });

  it('is handed over and sent when its machine was cut off from the purge', async () => {
    const flow = await paused();
    await fill(flow, 1);
    await keep(flow, 1, 2);
    assert.deepEqual(await settle(flow, flow.purge(0)), { entries: 1, inFlight: 0 });
    assert.equal(flow.keptOn(1), 1);
    assert.equal(await sent(flow), 1);
  });

  it('is erased of one user, here and on another machine, and what else is kept behind it is sent', async () => {
    const flow = await paused({ queueMaxEntries: 4 });
    await fill(flow, 5, 6, 7, 1);
    await keep(flow, 1, 1);
    // The first one alone was on its way when the database went; these come behind it.
    flow.add(1, 2);
    await flow.advance(3_000);
    const error = await settle(flow, flow.erase(1, 1));
    assert.ok(error instanceof DeletedPartly);
    assert.deepEqual(error.deleted, { entries: 1, inFlight: 0 });
    assert.equal(flow.keptOn(1), 1);
    flow.add(1, 1);
    await flow.advance(1_000);
    assert.equal(flow.keptOn(1), 2);
    flow.join(1);
    await flow.advance(5_000);
    assert.deepEqual(await settle(flow, flow.erase(0, 1)), {
      entries: 1,
      inFlight: 0,
      segments: 0,
    });
    assert.deepEqual(
      [flow.lateOutcomesOn(0), flow.lateOutcomesOn(1)],
      [[], []],
      'nobody is told of who was erased',
    );
    assert.equal(await sent(flow), 4);
    assert.ok(!flow.members().includes(device(1)));
  });

  it('is discarded, too, when it was on its way to the database as the purge was asked for', async () => {
    const flow = await paused();
    flow.cut(1);
    flow.add(1, 1);
    const error = await settle(flow, flow.purge(1));
    assert.ok(error instanceof DeletedPartly);
    assert.deepEqual([error.deleted.entries, flow.keptOn(1)], [1, 0]);
    assert.equal(await sent(flow), 0);
  });

  it('is handed over behind what was erased while the database had no room for it', async () => {
    const flow = await paused({ queueMaxEntries: 2 });
    await fill(flow, 5, 6);
    await keep(flow, 1, 1);
    flow.add(1, 2);
    flow.join(1);
    await flow.advance(5_000);
    assert.equal(flow.keptOn(1), 2);
    assert.deepEqual(await settle(flow, flow.erase(1, 1)), {
      entries: 1,
      inFlight: 0,
      segments: 0,
    });
    assert.equal(flow.keptOn(1), 1);
    assert.equal(await sent(flow), 3);
  });

  it('is discarded by a purge of which its machine hears late, as far as it was there then', async () => {
    const flow = await paused({ queueMaxEntries: 2, skewMs: [70_000, -50_000] });
    await fill(flow, 1, 2);
    await keep(flow, 1, 3);
    const purged = flow.purge(0);
    await flow.advance(5_000);
    assert.deepEqual(await purged, { entries: 2, inFlight: 0 });
    flow.add(1, 4);
    await flow.advance(5_000);
    assert.equal(flow.keptOn(1), 2);
    flow.join(1);
    await flow.advance(5_000);
    assert.deepEqual(flow.lateOutcomesOn(1), ends(3));
    assert.equal(await sent(flow), 1);
  });

  it('is handed over when its process has started after the purge', async () => {
    const flow = await paused({ queueMaxEntries: 2 });
    await fill(flow, 1, 2);
    await keep(flow, 1, 3);
    flow.act({ kind: 'crash', instance: 1, downMs: 10_000 });
    const purged = flow.purge(0);
    await flow.advance(5_000);
    assert.deepEqual(await purged, { entries: 2, inFlight: 0 });
    flow.join(1);
    await flow.advance(30_000);
    assert.equal(flow.keptOn(1), 0);
    assert.equal(await sent(flow), 1);
  });
});

describe('a purge or an erasure that a machine gave up, and the database carries out later', function () {
  this.timeout(20_000);

  async function add(flow: Instances, ...users: number[]): Promise<void> {
    for (const user of users) flow.add(0, user);
    await flow.advance(500);
  }

  async function notReached(flow: Instances, work: Promise<unknown>): Promise<void> {
    const failed = work.catch((error: unknown) => error);
    await flow.advance(2_000);
    assert.ok((await failed) instanceof DeletedPartly);
  }

  /** Users in the segment once the request has come, and the queue goes on. */
  async function sent(flow: Instances, come: () => void): Promise<string[]> {
    come();
    await flow.advance(5_000);
    assert.deepEqual(await flow.violations(), []);
    return flow.members();
  }

  it('reaches what was in the database when it was asked for, and nothing newer', async () => {
    const flow = await paused();
    const come = requestsLate(flow);
    await add(flow, 1, 2);
    await notReached(flow, flow.purge(1));
    await add(flow, 3);
    assert.deepEqual(await sent(flow, come), [device(3)]);
  });

  it('erases what a user had then, and nothing newer', async () => {
    const flow = await paused();
    const come = requestsLate(flow);
    await add(flow, 1, 2);
    await notReached(flow, flow.erase(1, 1));
    // Of another segment, since it would otherwise cover the older one.
    flow.add(0, 1, { id: 10002 });
    await flow.advance(500);
    assert.deepEqual(await sent(flow, come), [device(2)]);
    assert.deepEqual(flow.members(10002), [device(1)]);
    assert.equal(flow.queue(0).counters.rejected, 1);
  });

  it('does not take back how far a later one went, not even after a crash', async () => {
    const flow = await paused();
    const come = requestsLate(flow, 2);
    await add(flow, 1);
    await notReached(flow, flow.purge(1));
    await notReached(flow, flow.erase(1, 2));
    await add(flow, 2, 3);
    const later = Promise.all([flow.purge(0), flow.erase(0, 2)]);
    await flow.advance(2_000);
    await later;
    come();
    await flow.advance(2_000);
    assert.equal(flow.logStore.rows.getMeta('purged through'), '3');
    assert.deepEqual(await sent(flow, () => undefined), []);
  });
});

describe('outcomes that nobody has read', () => {
  const keysOf = (user: number): readonly string[] => userKeysOf('idfa', device(user));
  const report = (user: number): string =>
    JSON.stringify({
      end: 'accepted',
      entry: `{"user_id":"${device(user)}","domain":"idfa","seg_block":[{"seg_id":1}]}`,
    });
  const ended = (...users: number[]): string =>
    JSON.stringify(users.map((user, at) => ({ seq: at + 1, node: 'n', account: 'a', report: report(user) })));

  it('lose what shows a user who is erased, and keep that the entries ended, and the others', () => {
    const text = outcomesWithout(ended(1, 2, 1), keysOf(1));
    assert.ok(!text.includes(device(1)));
    assert.deepEqual(
      readOutcomes(text).map(({ seq, checked, ending }) => [seq, checked?.userKey, ending.effect]),
      [
        [1, undefined, 'accepted'],
        [2, keysOf(2)[0], 'accepted'],
        [3, undefined, 'accepted'],
      ],
    );
    for (const other of [ended(2), 'no JSON', '{}', '[{"report":7}]'])
      assert.equal(outcomesWithout(other, keysOf(1)), other);
  });
});

// A message with more entries than one turn of the event loop handles: other work continues, and all or none of
// it is queued.
import { strict as assert } from 'node:assert';
import type { QueueStore } from '../../src/queue/store';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { device, World, type Message } from './support/world';

const entries = 50;
const slices = 10;

/** A store that records which numbers each commit appends. */
function watched(durable: boolean): QueueStore & { readonly appended: number[][] } {
  const logStore = new SqliteStore(':memory:');
  const appended: number[][] = [];
  return {
    durable,
    appended,
    open: () => logStore.open(),
    commit: (commit) => {
      if (commit.append !== undefined) appended.push(commit.append.map(({ seq }) => seq));
      return logStore.commit(commit);
    },
    read: (...page) => logStore.read(...page),
    rowsOfUsers: (...search) => logStore.rowsOfUsers(...search),
    getMeta: (key) => logStore.getMeta(key),
    setMeta: (key, value) => logStore.setMeta(key, value),
    close: () => logStore.close(),
  };
}

/** Calls `act` between the fifth slice of a message and the next. */
async function meanwhile(durable: boolean, act: (world: World) => void) {
  const store = watched(durable);
  const world = new World({ seed: 1, store, blocksPerSlice: entries / slices });
  await world.clock.settle();
  const { processClock } = world;
  let turns = 0;
  processClock.endOfTurn = (call) => {
    turns += 1;
    world.clock.endOfTurn(call);
    if (turns === 5) act(world);
  };
  const users = Array.from({ length: entries }, (_, i) => ({ user: device(i), blocks: [{ seg_id: 1 }] }));
  const large = world.submit(users);
  await world.clock.settle();
  return { world, store, large, turns };
}

const end = ({ end: its }: Message): string => (its?.kind === 'failed' ? its.code : String(its?.kind));

describe('a message with very many entries', () => {
  it('is handled in slices and queued in one commit, and later messages follow it', async () => {
    const { world, store, turns } = await meanwhile(true, (its) => {
      its.add(device(0), [{ seg_id: 1, expiration: -1 }]);
    });
    assert.ok(turns >= slices, `${turns} turns`);
    const seqs = Array.from({ length: entries + 1 }, (_, i) => i + 1);
    assert.deepEqual(store.appended, [seqs]);
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
  });

  it('adds no age to a message that comes between two slices after the machine slept', async () => {
    const { world } = await meanwhile(true, (its) => {
      const { processClock } = its;
      const monoMs = processClock.monoMs.bind(processClock);
      processClock.monoMs = () => monoMs() + 90_000;
      its.add(device(0), [{ seg_id: 2, expiration: 2 }]);
    });
    await world.clock.advance(5_000);
    assert.equal(world.service.members.get(`idfa:${device(0)} 2`)?.expiration, 2);
  });

  it('is not queued when the queue closes before its last slice', async () => {
    const { store, large } = await meanwhile(true, ({ engine }) => void engine.close());
    assert.equal(end(large), 'closed');
    assert.deepEqual(store.appended, []);
  });

  it('stays in the queue when its node closes meanwhile', async () => {
    const { world, store, large } = await meanwhile(true, ({ engine }) => engine.release('n'));
    assert.equal(end(large), 'parked');
    assert.deepEqual(
      store.appended.map(({ length }) => length),
      [entries],
    );
    await world.clock.advance(5_000);
    assert.equal(world.engine.counters.accepted, entries);
  });

  it('is discarded when its node closes meanwhile and the queue is in memory', async () => {
    const { world, large } = await meanwhile(false, ({ engine }) => engine.release('n'));
    assert.equal(end(large), 'closed');
    await world.clock.advance(5_000);
    assert.equal(world.engine.counters.waiting, 0);
    assert.equal(world.service.requests.length, 0);
  });
});

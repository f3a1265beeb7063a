// Rows of another queue that an engine takes over: a message at a time, each as a whole or not at all.
import { strict as assert } from 'node:assert';
import { hashUserKey } from '../../src/entry/keys';
import { queuedBody } from '../../src/entry/serialise';
import { takeMoved } from '../../src/delivery/moved-rows';
import type { Row } from '../../src/queue/store';
import { device, entryOf, World } from './support/world';

const mostEntries = 2_500;

/** Rows of another queue: an add each, of users of their own. */
function rowsOf(world: World, count: number, node = (_seq: number): string => 'n'): Row[] {
  const wallMs = world.clock.wallMs();
  return Array.from({ length: count }, (_, at) => {
    const entry = entryOf(device(at), [{ seg_id: 1, value: at }]);
    return {
      seq: at + 1,
      lane: 'add',
      userHash: hashUserKey(entry.userKey),
      source: { node: node(at + 1), account: 'a' },
      eventWallMs: wallMs,
      eventMonoMs: 0,
      appendedWallMs: wallMs,
      body: queuedBody(entry),
      state: 'waiting',
    };
  });
}

const seqsThrough = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);

async function pausedWorld(): Promise<World> {
  const world = new World({ seed: 1, queueMaxEntries: mostEntries });
  world.engine.recentUsers.record();
  world.engine.pause();
  await world.clock.advance(1_500);
  return world;
}

describe('rows of another queue', () => {
  it('are taken up to the message for which the queue has no room, and no later one overtakes it', async () => {
    const world = await pausedWorld();
    // The last message would fit.
    const rows = rowsOf(world, 3_100, (seq) => (seq > 3_000 ? 'other' : 'n'));
    const moving = takeMoved(world.engine, rows);
    await world.clock.advance(1_000);
    const { moved, refused } = await moving;
    assert.deepEqual(moved, seqsThrough(2_000));
    assert.match(refused!.message, /queue is full/);
    assert.equal(world.engine.counters.waiting, 2_000);
    world.engine.resume();
    await world.clock.advance(60_000);
    const rest = takeMoved(world.engine, rows.slice(moved.length));
    await world.clock.advance(1_000);
    assert.deepEqual(await rest, { moved: seqsThrough(3_100).slice(2_000), refused: null });
    await world.clock.advance(60_000);
    assert.deepEqual([world.engine.counters.accepted, world.service.members.size], [3_100, 3_100]);
  });

  it('stay where something newer of their user comes while those before them are being taken', async () => {
    const world = await pausedWorld();
    const moving = takeMoved(world.engine, rowsOf(world, 1_500));
    world.add(device(1_200), [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(5_000);
    const { moved, refused } = await moving;
    assert.equal(refused, null);
    assert.deepEqual(
      moved,
      seqsThrough(1_500).filter((seq) => seq !== 1_201),
    );
  });
});

// Promise 5: with many more pending entries than fit into memory it stays within its limits, and all of them are delivered in
// order. LARGE_BACKLOG sets the number of entries, as test/long/more-runs.ts does.
import { strict as assert } from 'node:assert';
import { retainedBy } from './support/retained';
import { device, World } from './support/world';

const entries = Number(process.env.LARGE_BACKLOG ?? '40000');
const perMessage = 50;
/** Ended messages are removed in bulk. */
const endedMessages = 2_100;
const memoryMark = 2_000;
const pageRows = 1_000;

describe(`a backlog of ${entries} entries on disk`, function () {
  this.timeout(0);

  it('keeps memory within its limits and delivers every entry, the last state of each user winning', async () => {
    const world = new World({
      seed: 1,
      memoryMark,
      pageRows,
      limits: { postsPerSecond: 1_000, usersPerSecond: 100_000, maxConcurrent: 50 },
      delayMs: () => 5,
    });
    world.engine.pause();
    let most = 0;
    const look = (): void => {
      const { entries, users, pendingMessages } = retainedBy(world.engine, [world.logStore, world.clock]);
      most = Math.max(most, entries);
      assert.ok(entries <= 5 * memoryMark + pageRows, `${entries} entries in memory`);
      assert.ok(users <= memoryMark + pageRows, `${users} users in memory`);
      assert.ok(pendingMessages <= endedMessages, `${pendingMessages} messages in memory`);
    };
    for (let from = 0; from < entries; from += perMessage) {
      // Each user appears twice, far from each other: the second value must win.
      const message = Array.from({ length: perMessage }, (_, i) => ({
        user: device((from + i) % (entries / 2)),
        blocks: [{ seg_id: 1, value: from + i }],
      }));
      world.submit(message, { completeOn: 'queued' });
      if (from % 1_000 > 0) continue;
      await world.clock.settle();
      world.messages.length = 0;
      if (from % 10_000 === 0) look();
    }
    await world.clock.settle();
    look();
    assert.equal(world.engine.counters.waiting, entries);
    world.engine.resume();
    for (let round = 0; round < 40; round += 1) {
      await world.clock.advance(73);
      look();
    }
    await world.clock.advance(10_000);
    look();
    assert.equal(world.engine.counters.waiting, 0);
    assert.equal(world.service.members.size, entries / 2);
    for (const [user, { value }] of world.service.members) {
      assert.ok(value! >= entries / 2, `${user} has ${value}, the older one`);
    }
    assert.deepEqual(world.overQuota(), []);
    assert.ok(most > 1_000, `at most ${most} entries were seen in memory: nothing was proven`);
    await world.engine.close();
  });
});

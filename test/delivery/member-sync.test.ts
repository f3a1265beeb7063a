// The members of a synced segment are those that the service accepted; a refresh never brings an old state back.
import { strict as assert } from 'node:assert';
import type { CheckedEntry } from '../../src/entry/entry';
import { epochMs } from '../simulation/world/process-time';
import { add, segment, source, SyncedWorld } from './support/synced-world';
import { device, entryOf } from './support/world';

function removal(number: number): CheckedEntry {
  return entryOf(device(number), [{ seg_id: 7, expiration: -1 }]);
}

describe('the members of a synced segment', () => {
  it('change with what the service accepts, by a run or by another event', async () => {
    const world = await new SyncedWorld().ready();
    await world.append([add(1, 5), add(2, 6, 0), add(3, 7, null), add(4), add(5), removal(9)]);
    await world.clock.advance(2_000);
    world.add(device(4), [{ seg_id: 7, expiration: 30 }]);
    world.add(device(5), [{ seg_id: 7, expiration: -1 }]);
    world.add(device(6), [{ seg_id: 7 }, { seg_id: 8 }]);
    await world.clock.advance(2_000);
    const members = world.members();
    assert.deepEqual(Object.keys(members), ['1', '2', '3', '4', '6']);
    assert.deepEqual([members[1], members[2], members[3]], ['member 5 60', 'member 6 0', 'member 7 ']);
    assert.match(members[4]!, /^live \d+ 30$/);
    assert.match(members[6]!, /^live \d+ $/);
    // A run that contains them makes them members of it again.
    await world.append([add(4, 8)]);
    await world.clock.advance(2_000);
    assert.equal(world.members()[4], 'member 8 60');
  });

  it('count from the event when the expiration ages, else from when it was sent', async () => {
    const world = await new SyncedWorld().ready();
    await world.clock.advance(300_000 - world.clock.monoMs() + 1_000);
    const ages = { ...add(1), eventTimeMs: world.clock.wallMs() - 120_000 };
    const stays = { ...add(2), eventTimeMs: world.clock.wallMs() - 120_000, ages: false };
    const never = { ...add(3, 1, 0), eventTimeMs: world.clock.wallMs() - 120_000 };
    await world.append([ages, stays, never]);
    await world.clock.advance(2_000);
    const since = [...world.disk.file('queue').sync.membersOf(segment).values()].map(
      ({ sinceMinutes }) => sinceMinutes - Math.floor(epochMs / 60_000),
    );
    assert.deepEqual(since, [3, 5, 5]);
  });

  it('are unknown of a segment that is not kept', async () => {
    const world = new SyncedWorld();
    await world.clock.advance(1_500);
    world.add(device(1), [{ seg_id: 7 }]);
    await world.clock.advance(1_000);
    await world.ready();
    world.add(device(2), [{ seg_id: 8 }]);
    world.add(device(3), [{ seg_id: 7 }]);
    await world.clock.advance(1_000);
    assert.deepEqual(Object.keys(world.members()), ['3']);
    await world.clock.outcome(world.sync.forget(segment));
    world.add(device(4), [{ seg_id: 7 }]);
    await world.clock.advance(1_000);
    assert.deepEqual(world.members(), {});
  });

  it('follow the successor of an entry that is replaced, and the parts of an entry that are accepted', async () => {
    const poison = (_: string, { seg_id: id }: { seg_id?: number }): boolean => id === 13;
    const world = await new SyncedWorld({ poison }).ready();
    world.engine.pause();
    await world.append([add(1, 1), removal(2)]);
    world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
    world.add(device(2), [{ seg_id: 7, expiration: 10 }]);
    world.add(device(3), [{ seg_id: 13 }, { seg_id: 7, expiration: 20 }]);
    world.engine.resume();
    await world.rest(60_000);
    const members = world.members();
    assert.deepEqual(Object.keys(members), ['2', '3']);
    assert.match(members[2]!, /^live \d+ 10$/);
    assert.match(members[3]!, /^live \d+ 20$/);
  });

  it('remember users of a run that the service rejects, but not those of an event, nor a removal', async () => {
    const poison = (user: string): boolean => [1, 2, 3].map(device).includes(user);
    const world = await new SyncedWorld({ poison }).ready();
    const ended: string[] = [];
    world.sync.onEnded(segment, ({ accepted, rejected }) => {
      for (let i = 0; i < accepted; i += 1) ended.push('accepted');
      for (const { entry, code } of rejected) ended.push(`${entry.userKey.slice(5, 13)} ${code}`);
    });
    await world.append([add(1, 5), removal(3), add(4)]);
    world.add(device(2), [{ seg_id: 7, expiration: 10 }]);
    await world.rest(60_000);
    assert.deepEqual(world.members(), { 1: 'rejected 5 60', 4: 'member 1 60' });
    assert.equal(ended.length, 3);
    assert.ok(
      ended.includes('accepted') && ended.every((one) => one === 'accepted' || /^0000000[24] /.test(one)),
    );
    assert.equal(world.sync.pending(segment), 0);
  });

  it('lose a user whose add had expired, which is sent as a removal', async () => {
    const world = await new SyncedWorld().ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    assert.deepEqual(world.members(), { 1: 'member 1 60' });
    await world.append([{ ...add(1), eventTimeMs: world.clock.wallMs() - 3_700_000 }]);
    await world.clock.advance(1_000);
    assert.deepEqual(world.members(), {});
  });

  it('do not change by a request whose reply is lost, before it is sent again', async () => {
    let isLost = true;
    const world = await new SyncedWorld({ fateOf: () => (isLost ? 'replyLost' : null) }).ready();
    await world.append([add(1)]);
    await world.clock.advance(9_000);
    assert.equal(world.service.members.size, 1);
    assert.deepEqual(world.members(), {});
    isLost = false;
    await world.rest(60_000);
    assert.deepEqual(world.members(), { 1: 'member 1 60' });
  });

  it('change in the commit that ends the entry: neither without the other, however often it fails', async () => {
    const world = await new SyncedWorld({ delayMs: () => 200 }).ready();
    await world.append([add(1)]);
    world.disk.state = 'full';
    await world.clock.advance(5_000);
    assert.deepEqual(world.members(), {});
    world.disk.state = 'well';
    await world.rest(60_000);
    assert.deepEqual(world.members(), { 1: 'member 1 60' });
    assert.equal(world.logStore.totals.waiting, 0);
  });

  it('survive a kill before or after the commit', async () => {
    for (let call = 1; call <= 30; call += 1) {
      for (const when of ['before', 'after'] as const) {
        const world = new SyncedWorld({ killAt: { call, when }, commitMs: 2 });
        world.sync.keep(segment).catch(() => undefined);
        await world.clock.advance(1_500);
        world.sync.keep(segment).catch(() => undefined);
        world.sync
          .append({ source, segment, entries: [add(1), add(2)], refresh: false, state: 'one', readSince: 0 })
          .catch(() => undefined);
        await world.clock.advance(1_000);
        world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
        await world.rest(60_000);
        const atService = [...world.service.members.keys()].map((name) => name.slice(5, 13));
        const inTable = [...world.disk.file('queue').sync.membersOf(segment).keys()].map((key) =>
          key.slice(5, 13),
        );
        assert.deepEqual(inTable, atService, `killed ${when} call ${call}`);
        const [state] = await world.disk.file('queue').sync.segments();
        assert.equal(state?.state === 'one', inTable.includes('00000003'), `killed ${when} call ${call}`);
      }
    }
  }).timeout(60_000);
});

describe('a chunk of a run', () => {
  it('is stored together with its state, or not at all', async () => {
    const world = await new SyncedWorld({ queueMaxEntries: 3 }).ready();
    world.engine.pause();
    await world.append([add(1), add(2)], { state: 'first' });
    await assert.rejects(world.append([add(3), add(4)], { state: 'second' }), { code: 'queue_full' });
    const [{ state } = { state: null }] = await world.disk.file('queue').sync.segments();
    assert.equal(state, 'first');
    await world.append([], { state: 'third' });
    const [after] = await world.disk.file('queue').sync.segments();
    assert.equal(after?.state, 'third');
    world.disk.state = 'full';
    await assert.rejects(world.append([add(3)], { state: 'fourth' }), { code: 'outbox' });
    assert.equal(world.sync.pending(segment), 2);
  });

  it('is pending until each entry has ended, also after a restart, and after a purge', async () => {
    const world = await new SyncedWorld().ready();
    world.engine.pause();
    await world.append(Array.from({ length: 4_500 }, (_, i) => add(i)));
    assert.equal(world.sync.pending(segment), 4_500);
    world.kill();
    world.engine.pause();
    await world.clock.advance(100);
    assert.equal(world.sync.pending(segment), 4_500);
    let rejected = 0;
    world.sync.onEnded(segment, (ended) => (rejected += ended.rejected.length));
    const purged = world.engine.purge();
    await world.clock.advance(5_000);
    assert.equal((await purged).entries, 4_500);
    assert.equal(world.sync.pending(segment), 0);
    assert.equal(rejected, 4_500);
    await world.append([add(1)]);
    world.engine.resume();
    await world.clock.advance(2_000);
    assert.deepEqual(world.members(), { 1: 'member 1 60' });
  });
});

describe('a refresh', () => {
  const older = [
    { name: 'a removal', blocks: [{ seg_id: 7, expiration: -1 }], removes: true },
    {
      name: 'a removal by code',
      blocks: [{ seg_code: 'seven', member_id: 1, expiration: -1 }],
      removes: true,
    },
    { name: 'an add with another value', blocks: [{ seg_id: 7, value: 9 }], removes: false },
  ];

  for (const { name, blocks, removes } of older) {
    it(`is replaced by an older pending entry: ${name}`, async () => {
      const world = await new SyncedWorld().ready();
      await world.append([add(1)]);
      await world.clock.advance(1_000);
      world.engine.pause();
      world.add(device(1), blocks);
      await world.append([add(1), add(2)], { refresh: true });
      assert.equal(world.sync.pending(segment), 1);
      world.engine.resume();
      await world.rest(30_000);
      const its = world.service.log.filter(({ user }) => user.endsWith(device(1)));
      assert.equal(its.length, 2);
      assert.equal(its[1]!.removed, removes);
      assert.equal(world.engine.counters.superseded, 1);
    });
  }

  it('is replaced by an older entry in flight', async () => {
    const world = await new SyncedWorld({ delayMs: () => 300 }).ready();
    await world.append([add(1)]);
    await world.clock.advance(3_000);
    world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
    await world.clock.advance(100);
    assert.equal(world.engine.stats().postsInFlight, 1);
    await world.append([add(1)], { refresh: true });
    await world.rest(30_000);
    assert.deepEqual(world.members(), {});
    assert.equal(world.service.members.size, 0);
  });

  for (const killed of [false, true]) {
    it(`is replaced by an older entry on disk${killed ? ', and by a restart' : ''}`, async () => {
      const world = await new SyncedWorld({ memoryMark: 3, pageRows: 2, commitMs: 40 }).ready();
      await world.append([add(1)]);
      await world.clock.advance(1_000);
      world.engine.pause();
      for (let i = 10; i < 40; i += 1) world.add(device(i), [{ seg_id: 8, expiration: -1 }]);
      world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
      await world.clock.advance(500);
      await world.append([add(1), add(2)], { refresh: true });
      assert.equal(world.sync.pending(segment), 2, 'the older row has not been read');
      if (killed) world.kill();
      world.engine.resume();
      await world.rest(60_000);
      assert.deepEqual(world.members(), killed ? {} : { 2: 'member 1 60' });
      assert.equal(world.service.members.size, killed ? 0 : 1);
      assert.equal(world.sync.pending(segment), 0);
    });
  }

  it('never waits on disk, where an older entry of its user could overtake it', async () => {
    const world = await new SyncedWorld({ memoryMark: 3, pageRows: 2, commitMs: 40 }).ready();
    const all = Array.from({ length: 8 }, (_, i) => add(i));
    await world.append(all);
    await world.clock.advance(2_000);
    world.add(device(7), [{ seg_id: 7, expiration: -1 }]);
    await world.append(all, { refresh: true });
    await world.rest(30_000);
    assert.equal(world.engine.counters.superseded, 5);
    assert.equal(7 in world.members(), false);
    assert.equal(world.service.members.size, 7);
  });

  it('is replaced by a newer entry, as any other', async () => {
    const world = await new SyncedWorld().ready();
    world.engine.pause();
    await world.append([add(1)], { refresh: true });
    world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
    world.engine.resume();
    await world.rest(30_000);
    assert.equal(world.service.log.length, 1);
    assert.deepEqual(world.members(), {});
  });

  it('is dropped if its member changed since it was read', async () => {
    const world = await new SyncedWorld().ready();
    await world.append([add(1), add(2), add(3), add(4)]);
    await world.clock.advance(1_000);
    const readSince = world.sync.beginRead();
    world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
    world.add(device(2), [{ seg_id: 7, value: 8 }]);
    await world.clock.advance(1_000);
    const later = world.sync.beginRead();
    world.add(device(3), [{ seg_id: 7, expiration: -1 }]);
    await world.clock.advance(1_000);
    world.sync.endRead(readSince);
    const sent = world.service.log.length;
    await world.append([add(1), add(2), add(3), add(4)], { refresh: true, readSince: later });
    await world.clock.advance(1_000);
    const numbers = world.service.log
      .slice(sent)
      .map(({ user }) => Number.parseInt(user.slice(5, 13), 16) - 1);
    assert.deepEqual(numbers, [1, 2, 4]);
    world.sync.endRead(later);
  });

  it('is dropped if the removal of its member is not durable yet', async () => {
    const world = await new SyncedWorld().ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
    await world.clock.advance(8);
    // The reply comes while the disk is full: the table still has the user.
    world.disk.state = 'full';
    await world.clock.advance(500);
    assert.deepEqual(world.members(), { 1: 'member 1 60' });
    const readSince = world.sync.beginRead();
    const page = await world.disk
      .file('queue')
      .sync.due(segment, { nowMinutes: 0, refreshPercent: 1e12 }, null, 9);
    assert.equal(page.changes.length, 1);
    world.disk.state = 'well';
    const appended = world.sync.append({
      source,
      segment,
      entries: [add(1)],
      refresh: true,
      state: null,
      readSince,
    });
    appended.catch(() => undefined);
    await world.rest(30_000);
    await appended.catch(() => undefined);
    assert.deepEqual(world.members(), {});
    assert.equal(world.service.members.size, 0);
  });
});

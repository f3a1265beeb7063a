// The members of a synced segment are those that the service accepted; a refresh never brings an old state back.
import { strict as assert } from 'node:assert';
import { memberKeyOf } from '../../src/entry/member-key';
import type { CheckedEntry } from '../../src/entry/entry';
import type { MemberSync } from '../../src/delivery/sync/member-sync';
import { epochMs } from '../simulation/world/process-time';
import { device, entryOf, World, type WorldOptions } from './support/world';

const segment = 'i7';
const source = { node: 'n', account: 'a' };

class SyncedWorld extends World {
  constructor(options: Partial<WorldOptions> = {}) {
    super({ seed: 1, syncs: true, delayMs: () => 5, ...options });
  }

  get sync(): MemberSync {
    return this.engine.sync!;
  }

  /** Opens the queue, keeps the segment, and lets the first second pass. */
  async ready(): Promise<this> {
    const kept = this.sync.keep(segment);
    await this.clock.advance(1_500);
    await kept;
    return this;
  }

  /** The rows of the table: `state value expiration` by the number of the device. */
  members(): Record<number, string> {
    const rows = this.disk.file('queue').sync.membersOf(segment);
    return Object.fromEntries(
      [...rows].map(([key, { state, value, expiration }]) => [
        Number.parseInt(key.slice('idfa:'.length), 16) - 1,
        [state, value, expiration].join(' '),
      ]),
    );
  }

  async append(
    entries: readonly CheckedEntry[],
    { refresh = false, state = null as string | null, readSince = 0 } = {},
  ): Promise<void> {
    const appended = this.sync.append({ source, segment, entries, refresh, state, readSince });
    const progress = { isOver: false };
    const over = (): void => void (progress.isOver = true);
    appended.then(over, over);
    while (!progress.isOver) await this.clock.advance(1);
    await appended;
  }
}

function add(number: number, value = 1, expiration: number | null = 60): CheckedEntry {
  return entryOf(device(number), [{ seg_id: 7, value, ...(expiration !== null && { expiration }) }]);
}

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

describe('an erased user of a synced segment', () => {
  const erased = `idfa:${device(1)}`;

  it('is removed from every synced segment, and no add of the user is accepted until that is lifted', async () => {
    const world = await new SyncedWorld().ready();
    const other = world.sync.keep('c1:seven');
    await world.clock.advance(10);
    await other;
    await world.append([add(1), add(2)]);
    world.add(device(1), [{ seg_code: 'Seven', member_id: 1 }, { seg_id: 8 }]);
    await world.clock.advance(1_000);
    await world.clock.outcome(world.erase(device(1), 'idfa'));
    await world.clock.advance(1_000);
    assert.deepEqual([...world.service.members.keys()].sort(), [`${erased} 8`, `idfa:${device(2)} 7`]);
    assert.deepEqual(world.members(), { 2: 'member 1 60' });
    const message = world.add(device(1), [{ seg_id: 7 }]);
    const both = world.add(device(1), [{ seg_id: 8, expiration: -1 }, { seg_id: 9 }]);
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    for (const { end } of [message, both])
      assert.deepEqual(end?.kind === 'settled' && end.rejections.map(({ code }) => code), ['suppressed']);
    assert.deepEqual([...world.service.members.keys()], [`idfa:${device(2)} 7`], 'removals pass');
    assert.equal(world.sync.pending(segment), 0);
    assert.equal(world.engine.monitor.rejections.size, 0);
    world.kill();
    await world.clock.advance(1_500);
    const suppressions = await world.clock.outcome(world.sync.suppressions());
    assert.equal(suppressions.length, 1);
    assert.ok(!JSON.stringify(suppressions).includes(device(1)));
    world.add(device(1), [{ seg_id: 7 }]);
    await world.clock.advance(1_000);
    assert.equal(world.service.members.size, 1);
    assert.equal(await world.clock.outcome(world.sync.liftUser([erased])), 1);
    world.add(device(1), [{ seg_id: 7 }]);
    await world.clock.advance(1_000);
    assert.equal(world.service.members.size, 2);
    assert.equal(memberKeyOf('idfa', device(1)) in world.members(), false);
  });

  for (const isCovered of [false, true])
    it(`leaves the segment although it is erased once more, and the process is killed, before its removal is sent${isCovered ? ', which another one covers' : ''}`, async () => {
      let lost = 0;
      for (let killedMs = 1; killedMs <= 20; killedMs += 1) {
        const world = await new SyncedWorld({ commitMs: 2 }).ready();
        await world.append([add(1)]);
        await world.clock.advance(1_000);
        world.engine.pause();
        const first = world.erase(device(1), 'idfa');
        await world.clock.advance(100);
        await first;
        // While a segment is new, a block is covered as it comes.
        if (isCovered) world.engine.holdSegments('n', new Map([['i99', epochMs + 3_600_000]]));
        if (isCovered) world.add(device(1), [{ seg_id: 7, expiration: -1 }]);
        await world.clock.advance(100);
        const progress = { isDone: false };
        world.erase(device(1), 'idfa').then(
          () => (progress.isDone = true),
          () => undefined,
        );
        await world.clock.advance(killedMs);
        if (!progress.isDone) lost += 1;
        world.kill();
        await world.clock.advance(100);
        world.engine.resume();
        await world.rest(60_000);
        assert.equal(world.service.members.size, 0, `killed after ${killedMs} ms`);
      }
      assert.ok(lost > 2, `${lost} killed before the end`);
    });

  it('leaves the segment although an add comes before its removal is sent, while another segment is new', async () => {
    const world = await new SyncedWorld().ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    world.engine.holdSegments('n', new Map([['i99', epochMs + 3_600_000]]));
    world.engine.pause();
    await world.clock.outcome(world.erase(device(1), 'idfa'));
    const message = world.add(device(1), [{ seg_id: 7 }]);
    await world.clock.advance(100);
    world.engine.resume();
    await world.rest(30_000);
    const { end } = message;
    assert.deepEqual(end?.kind === 'settled' && end.rejections.map(({ code }) => code), ['suppressed']);
    assert.equal(world.service.members.size, 0);
  });

  it('leaves the segment again if an add was in flight', async () => {
    const world = await new SyncedWorld({ delayMs: () => 300 }).ready();
    await world.append([add(1)]);
    await world.clock.advance(3_000);
    world.add(device(1), [{ seg_id: 7, value: 5 }]);
    await world.clock.advance(100);
    assert.equal(world.engine.stats().postsInFlight, 1);
    await world.clock.outcome(world.erase(device(1), 'idfa'));
    await world.rest(30_000);
    assert.equal(world.service.members.size, 0);
    assert.deepEqual(world.members(), {});
  });

  it('is stored as erased by an add to another segment that was in flight, until its removal is accepted', async () => {
    const world = await new SyncedWorld({ delayMs: () => 300 }).ready();
    await world.clock.outcome(world.sync.keep('i8'));
    world.add(device(1), [{ seg_id: 8 }]);
    await world.clock.advance(3_000);
    const states: string[] = [];
    world.disk.onMembers = (changes) => {
      for (const change of changes) if (change.segment === segment) states.push(change.state);
    };
    world.add(device(1), [{ seg_id: 7 }]);
    await world.clock.advance(100);
    await world.clock.outcome(world.erase(device(1), 'idfa'));
    await world.rest(30_000);
    assert.deepEqual(states, ['erased', 'gone']);
    assert.equal(world.service.members.size, 0);
  });

  it('is removed if the queue is not open yet when the user is erased', async () => {
    const world = await new SyncedWorld({ commitMs: 20 }).ready();
    await world.append([add(1), add(2)]);
    await world.clock.advance(1_000);
    world.kill();
    const done = world.engine.erase([erased], device(1));
    await world.rest(30_000);
    assert.equal((await done).segments, 1);
    assert.deepEqual([...world.service.members.keys()], [`idfa:${device(2)} 7`]);
  });

  it('is not erased from what is submitted after the erasure, also if the queue is not open yet', async () => {
    const world = await new SyncedWorld({ commitMs: 20 }).ready();
    world.kill();
    const done = world.erase(device(1), 'idfa');
    const message = world.add(device(1), [{ seg_id: 8 }]);
    await world.rest(30_000);
    assert.equal((await done).entries, 0);
    assert.equal(message.end?.kind, 'settled');
    assert.deepEqual([...world.service.members.keys()], [`idfa:${device(1)} 8`]);
  });

  it('stays where no synced segment has the user, and may be added again', async () => {
    const world = await new SyncedWorld().ready();
    world.add(device(1), [{ seg_id: 8 }]);
    await world.clock.advance(1_000);
    await world.clock.outcome(world.erase(device(1), 'idfa'));
    world.add(device(1), [{ seg_id: 9 }]);
    await world.clock.advance(1_000);
    assert.deepEqual([...world.service.members.keys()], [`${erased} 8`, `${erased} 9`]);
  });
});

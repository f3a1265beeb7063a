// An erased user leaves every synced segment, and no add brings the user back.
import { strict as assert } from 'node:assert';
import { memberKeyOf } from '../../src/entry/member-key';
import { epochMs } from '../simulation/world/process-time';
import { add, segment, SyncedWorld } from './support/synced-world';
import type { Fate, SentEntry } from './support/fake-service';
import { device, type Message } from './support/world';

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

  it('counts in each erasure only what that one ended, and no removal of an earlier one', async () => {
    const world = await new SyncedWorld().ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    world.engine.pause();
    const counts = [];
    for (const removed of [2, 0, 1]) {
      for (let more = 0; more < removed; more += 1)
        world.add(device(1), [{ seg_id: 9 + more, expiration: -1 }]);
      const erased = world.erase(device(1), 'idfa');
      await world.clock.advance(100);
      counts.push(await erased);
    }
    const rest = { inFlight: 0, segments: 1 };
    assert.deepEqual(
      counts,
      [2, 0, 1].map((entries) => ({ entries, ...rest })),
    );
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

  const suppressed = (message: Message): boolean => {
    const { end } = message;
    return end?.kind === 'settled' && end.rejections.some(({ code }) => code === 'suppressed');
  };

  it('is not sent what was submitted after the erasure and before the suppression was stored', async () => {
    const world = await new SyncedWorld({ commitMs: 20 }).ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    world.engine.pause();
    const erasure = world.erase(device(1), 'idfa');
    const single = world.add(device(1), [{ seg_id: 9 }]);
    const both = world.add(device(1), [{ seg_id: 10 }, { seg_id: 11, expiration: -1 }]);
    await world.clock.advance(1_000);
    await erasure;
    assert.ok(suppressed(single), 'ends while the account is paused');
    world.engine.resume();
    await world.rest(30_000);
    assert.ok(suppressed(both));
    const sent = world.service.log.slice(1).map(({ segment: its, removed }) => `${its} ${removed}`);
    assert.deepEqual(sent.sort(), ['11 true', '7 true']);
    assert.deepEqual(world.members(), {});
  });

  it('is sent a removal that adds covered before the suppression was stored', async () => {
    const world = await new SyncedWorld({ commitMs: 20 }).ready();
    world.add(device(1), [{ seg_id: 8 }]);
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    // While a segment is new, a block is covered as it comes.
    world.engine.holdSegments('n', new Map([['i99', epochMs + 3_600_000]]));
    world.engine.pause();
    const older = world.add(device(1), [{ seg_id: 9 }]);
    await world.clock.advance(100);
    const erasure = world.erase(device(1), 'idfa');
    world.add(device(1), [{ seg_id: 8, value: 2 }, { seg_id: 9 }]);
    const removal = world.add(device(1), [{ seg_id: 8, expiration: -1 }]);
    const adds = [3, 4].map((value) => world.add(device(1), [{ seg_id: 8, value }]));
    await world.clock.advance(1_000);
    await erasure;
    assert.ok(adds.every((message) => suppressed(message)));
    assert.equal(suppressed(removal), false);
    assert.equal(older.end?.kind === 'settled' && older.end.rejections[0]?.code, 'erased');
    world.engine.resume();
    await world.rest(30_000);
    assert.equal(world.service.members.size, 0);
    assert.equal(removal.end?.kind, 'settled');
  });

  /** The user is suppressed `laterMs` after the erasure was asked for. */
  async function suppressedLater(world: SyncedWorld, laterMs: number): Promise<void> {
    const { store } = world.sync;
    const segmentsOf = store.segmentsOf.bind(store);
    const due = Promise.withResolvers<undefined>();
    store.segmentsOf = (memberKeys) => due.promise.then(() => segmentsOf(memberKeys));
    const erasure = world.erase(device(1), 'idfa');
    await world.clock.advance(laterMs);
    due.resolve(undefined);
    await world.clock.advance(100);
    await erasure;
  }

  for (const { name, fate, isKilled } of [
    { name: 'fails', fate: 'serverError', isKilled: false },
    { name: 'has no reply', fate: 'dropped', isKilled: false },
    { name: 'is carried out late, without a reply', fate: 'late', isKilled: false },
    { name: 'is carried out as the process is killed', fate: 'well', isKilled: true },
  ] as const)
    for (const isCovered of [false, true])
      it(`leaves the segment although an add in flight ${name}, submitted ${isCovered ? 'before' : 'after'} the erasure`, async () => {
        let isAway = false;
        const fateOf = (): Fate => (isAway ? fate : 'well');
        const world = await new SyncedWorld({ delayMs: () => 300, fateOf }).ready();
        const other = world.sync.keep('i8');
        await world.clock.advance(1_000);
        await other;
        await world.append([add(1)]);
        await world.clock.advance(3_000);
        isAway = true;
        const submit = (): Message => world.add(device(1), [{ seg_id: 8 }]);
        const early = isCovered ? submit() : null;
        const later = suppressedLater(world, 200);
        const message = early ?? submit();
        await later;
        assert.equal(world.engine.stats().postsInFlight, 1);
        const before = world.service.log.length;
        await world.clock.advance(200);
        if (isKilled) {
          assert.ok(world.service.members.has(`${erased} 8`));
          world.kill();
        }
        isAway = false;
        await world.rest(120_000);
        const sent = world.service.log.slice(before).map(({ segment: its, removed }) => `${its} ${removed}`);
        assert.deepEqual(
          sent.filter((one) => one.endsWith('false')),
          fate === 'late' ? ['8 false'] : [],
        );
        const { end } = message;
        const codes = end?.kind === 'settled' ? end.rejections.map(({ code }) => code) : [];
        assert.ok(isKilled || codes[0] === (isCovered ? 'erased' : 'suppressed'));
        assert.equal(world.service.members.size, 0);
        assert.deepEqual(world.members(), {});
      });

  for (const fate of ['well', 'late', 'dropped'] as const)
    for (const how of ['waits', 'is in flight', 'had no reply'] as const)
      it(`leaves the segment of its first add, which ${how} when the user is erased: ${fate}`, async () => {
        const isLost = how === 'had no reply';
        let isAway = false;
        const fateOf = (): Fate => (isAway ? (isLost ? 'late' : fate) : 'well');
        const world = await new SyncedWorld({ delayMs: () => 300, fateOf }).ready();
        await world.append([add(2)]);
        await world.clock.advance(3_000);
        isAway = true;
        world.add(device(1), [{ seg_id: 7 }]);
        if (how !== 'waits') {
          await world.clock.advance(100);
          assert.equal(world.engine.stats().postsInFlight, 1);
        }
        if (isLost) {
          world.engine.pause();
          await world.clock.advance(12_000);
          assert.equal(world.engine.stats().postsInFlight, 0);
        }
        const erasure = world.erase(device(1), 'idfa');
        await world.clock.advance(200);
        assert.equal((await erasure).entries, isLost ? 1 : 0);
        isAway = false;
        world.engine.resume();
        await world.rest(120_000);
        assert.equal(world.service.members.size, 1);
        assert.deepEqual(world.members(), { 2: 'member 1 60' });
        const message = world.add(device(1), [{ seg_id: 7 }]);
        await world.clock.advance(1_000);
        assert.ok(suppressed(message));
      });

  it('leaves a segment that it gets while the suppression is being stored', async () => {
    const world = await new SyncedWorld().ready();
    const other = world.sync.keep('i8');
    await world.clock.advance(1_000);
    await other;
    await world.append([add(1)]);
    await world.clock.advance(3_000);
    const { store } = world.sync;
    const segmentsOf = store.segmentsOf.bind(store);
    store.segmentsOf = async (memberKeys) => {
      const found = await segmentsOf(memberKeys);
      await new Promise<void>((resolve) => void world.processClock.after(500, resolve));
      return found;
    };
    const erasure = world.erase(device(1), 'idfa');
    await world.clock.advance(20);
    world.add(device(1), [{ seg_id: 8 }]);
    await world.rest(30_000);
    await erasure;
    assert.equal(world.service.members.size, 0);
  });

  it('is not sent as the canary', async () => {
    let isAway = false;
    const removes = (entry: SentEntry): boolean =>
      entry.seg_block.some(({ expiration }) => expiration === -1);
    const world = await new SyncedWorld({
      poison: (_, { seg_id: id }) => id === 901,
      delayMs: () => 50,
      fateOf: (entries) => (isAway && entries.some(removes) ? 'serverError' : 'well'),
    }).ready();
    await world.append([add(1)]);
    await world.clock.advance(3_000);
    world.add(device(1), [{ seg_id: 9 }]);
    await world.clock.advance(20);
    assert.equal(world.engine.stats().postsInFlight, 1);
    isAway = true;
    const erasure = world.erase(device(1), 'idfa');
    await world.clock.advance(2_000);
    await erasure;
    const before = world.service.log.length;
    world.add(device(2), [{ seg_id: 901 }]);
    await world.clock.advance(10_000);
    isAway = false;
    await world.rest(60_000);
    assert.deepEqual(
      world.service.log.slice(before).filter(({ user, removed }) => user === erased && !removed),
      [],
    );
  });

  it('is not sent an add again that has ended as suppressed, after a kill', async () => {
    const world = await new SyncedWorld({ accounts: ['a', 'b'] }).ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    await world.clock.outcome(world.erase(device(1), 'idfa'));
    await world.clock.advance(1_000);
    // An older entry is open, so the row of the next one stays until that has ended.
    world.sender.parts.logins.setState('b', { kind: 'refused', code: 'NOAUTH', message: '' });
    world.add(device(1), [{ seg_id: 9, expiration: -1 }], { account: 'b' });
    const message = world.add(device(1), [{ seg_id: 10 }, { seg_id: 11, expiration: -1 }]);
    await world.clock.advance(1_000);
    assert.ok(suppressed(message));
    assert.equal(world.service.log.at(-1)!.segment, '11');
    world.kill();
    await world.rest(120_000);
    assert.equal(world.service.members.size, 0);
    assert.ok(world.service.log.every(({ segment: its, removed }) => removed || its === '7'));
  });

  it('is erased from what was submitted before, also if the user is suppressed before the erasure begins', async () => {
    const world = await new SyncedWorld({ commitMs: 100 }).ready();
    await world.append([add(1)]);
    await world.clock.advance(3_000);
    world.engine.pause();
    const message = world.add(device(1), [{ seg_id: 9 }]);
    await world.clock.advance(1_000);
    const { sync } = world.disk.file('queue');
    world.sync.store.segmentsOf = (memberKeys) => Promise.resolve(sync.segmentsOf(memberKeys));
    // Its commit is under way when the erasure is asked for.
    world.add(device(3), [{ seg_id: 9 }]);
    await world.clock.advance(1);
    const erasure = world.erase(device(1), 'idfa');
    await world.clock.advance(5_000);
    assert.equal((await erasure).entries, 1);
    const { end } = message;
    assert.deepEqual(end?.kind === 'settled' && end.rejections.map(({ code }) => code), ['erased']);
  });

  it('is suppressed and removed although the process is killed during a long erasure', async () => {
    const world = await new SyncedWorld({ memoryMark: 4, pageRows: 2 }).ready();
    await world.append([add(1)]);
    await world.clock.advance(1_000);
    world.engine.pause();
    for (let number = 50; number < 60; number += 1) world.add(device(number), [{ seg_id: 9 }]);
    world.add(device(1), [{ seg_id: 9 }]);
    await world.clock.advance(300);
    const { store } = world.sender.parts;
    store.rowsOfUsers = () => new Promise(() => undefined);
    const progress = { isDone: false };
    world.erase(device(1), 'idfa').then(
      () => (progress.isDone = true),
      () => undefined,
    );
    await world.clock.advance(300);
    assert.equal(progress.isDone, false);
    world.kill();
    await world.clock.advance(1_500);
    world.engine.resume();
    await world.rest(60_000);
    assert.equal((await world.clock.outcome(world.sync.suppressions())).length, 1);
    assert.ok(![...world.service.members.keys()].some((key) => key.startsWith(erased)));
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
    assert.deepEqual([states[0], ...new Set(states.slice(1))], ['erased', 'gone']);
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

  it('stays in a synced segment to which an add was submitted after the erasure, if none had the user', async () => {
    for (const laterMs of [0, 5, 30]) {
      const world = await new SyncedWorld({ commitMs: 20 }).ready();
      await world.append([add(2)]);
      await world.clock.advance(3_000);
      const erasure = world.erase(device(1), 'idfa');
      await world.clock.advance(laterMs);
      world.add(device(1), [{ seg_id: 7 }]);
      await world.rest(30_000);
      assert.deepEqual(await erasure, { entries: 0, inFlight: 0, segments: 0 });
      assert.equal(world.service.members.size, 2, `${laterMs} ms later`);
    }
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

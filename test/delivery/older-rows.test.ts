// Older rows of a user in memory that are only on disk: a removal does not wait for all of them, memory stays bounded, and
// every outcome is as if all had been in memory.
import { strict as assert } from 'node:assert';
import { userKeyOf } from '../../src/entry/keys';
import { OlderRows, type OlderRowsRead } from '../../src/delivery/pending/older-rows';
import { PendingEntry } from '../../src/delivery/pending/pending-entry';
import { User } from '../../src/delivery/pending/user';
import type { QueueStore, UserRange } from '../../src/queue/store';
import { device, entryOf, World, type Stated } from './support/world';

const user = device(999_999);
const { userKey } = userKeyOf('idfa', user);
/** Rows that are read at once, and entries in memory up to which more are read. */
const rowsPerRead = 1_000;

/** A backlog, then entries of one user, all of them on disk only. */
function backlogOf(its: readonly Stated[]): World {
  const world = new World({ seed: 1, memoryMark: 50, pageRows: 20 });
  const others = Array.from({ length: 3_000 }, (_, at) => ({
    user: device(at),
    blocks: [{ seg_id: 1, value: 1 }],
  }));
  const all = [...others, ...its];
  for (let from = 0; from < all.length; from += 1_000)
    world.submit(all.slice(from, from + 1_000), { completeOn: 'queued' });
  return world;
}

/** Advances by so many ms. Returns the most entries of the user that were in memory. */
async function advance(world: World, ms: number): Promise<number> {
  let most = 0;
  for (let passed = 0; passed < ms; passed += 5) {
    await world.clock.advance(5);
    most = Math.max(most, world.sender.parts.pendingUsers.find(userKey)?.entries.length ?? 0);
  }
  return most;
}

function appliedOf(world: World) {
  return world.service.log.filter((one) => one.user === `idfa:${user}`);
}

/** The removal leaves within two seconds, with at most two reads of the user's rows in memory. */
async function removesInBoundedMemory(world: World): Promise<void> {
  await world.clock.advance(1_500);
  const removal = world.add(user, [{ seg_id: 7, expiration: -1 }]);
  const most = await advance(world, 2_000);
  assert.equal(removal.end?.kind, 'settled');
  assert.ok(most >= rowsPerRead && most <= 2 * rowsPerRead + 1, `${most} entries in memory`);
  await world.rest();
}

describe('older rows of a user', function () {
  this.timeout(0);

  it('that a removal covers end with it, a part at a time, and it leaves at once', async () => {
    const count = 5_500;
    const world = backlogOf(
      Array.from({ length: count }, (_, at) => ({ user, blocks: [{ seg_id: 7, value: at }] })),
    );
    await removesInBoundedMemory(world);
    assert.deepEqual(
      appliedOf(world).map(({ removed }) => removed),
      [true],
    );
    assert.equal(world.engine.counters.superseded, count);
    assert.deepEqual(world.violations(), []);
  });

  it('that it does not cover are sent, and do not fill the memory', async () => {
    const count = 2_500;
    const world = backlogOf(
      Array.from({ length: count }, (_, at) => ({ user, blocks: [{ seg_id: 100 + at, value: 1 }] })),
    );
    await removesInBoundedMemory(world);
    assert.equal(appliedOf(world).length, count + 1);
    assert.deepEqual(world.violations(), []);
  });

  it('go in the same request with the removal', async () => {
    const world = backlogOf([{ user, blocks: [{ seg_id: 8, value: 1 }, { seg_id: 7 }] }]);
    await world.clock.advance(1_500);
    const removal = world.add(user, [{ seg_id: 7, expiration: -1 }]);
    await world.clock.advance(500);
    assert.equal(removal.end?.kind, 'settled');
    const requests = world.service.requests.filter(({ users }) => users.includes(`idfa:${user}`));
    assert.equal(requests.length, 1);
    assert.equal(appliedOf(world).length, 2);
    await world.rest();
    assert.deepEqual(world.violations(), []);
  });

  it('are erased while the memory is full and nothing is sent', async () => {
    const world = backlogOf(
      Array.from({ length: 2_500 }, (_, at) => ({ user, blocks: [{ seg_id: 100 + at, value: 1 }] })),
    );
    await world.clock.advance(100);
    world.engine.pause();
    const erased = world.erase(user, 'idfa');
    await world.clock.advance(1_000);
    assert.deepEqual(await erased, { entries: 2_500, inFlight: 0, segments: 0 });
    world.engine.resume();
    await world.rest();
    assert.deepEqual(appliedOf(world), []);
    const { accepted, rejected, waiting } = world.engine.counters;
    assert.deepEqual({ accepted, rejected, waiting }, { accepted: 3_000, rejected: 2_500, waiting: 0 });
  });

  it('are all read, although a thousand newer entries of the user have ended', async () => {
    const others = (first: number): Stated[] =>
      Array.from({ length: 4_000 }, (_, at) => ({
        user: device(first + at),
        blocks: [{ seg_id: 1, value: 1 }],
      }));
    const its = Array.from({ length: 2_500 }, (_, at) => ({
      user,
      blocks: [{ seg_id: 100 + at, value: 1 }],
    }));
    const world = new World({ seed: 1, memoryMark: 500, pageRows: 100 });
    world.submit([...others(0), ...its, ...others(10_000)], { completeOn: 'queued' });
    await world.clock.advance(1_500);
    world.submit(
      Array.from({ length: 1_200 }, (_, at) => ({ user, blocks: [{ seg_id: 5_000 + at, expiration: -1 }] })),
    );
    await world.clock.advance(25_000);
    assert.equal(world.engine.counters.waiting, 0);
    assert.equal(world.sender.parts.pendingUsers.find(userKey), undefined);
    assert.deepEqual(world.violations(), []);
  });

  for (const segments of [6_000, 5])
    it(`are read only while there is room, also for further removals (${segments} segments)`, async () => {
      const world = new World({ seed: 1, memoryMark: 2_000, pageRows: 100 });
      world.engine.pause();
      const others = Array.from({ length: 3_000 }, (_, at) => ({
        user: device(at),
        blocks: [{ seg_id: 1 }],
      }));
      const its = Array.from({ length: 6_000 }, (_, at) => ({
        user,
        blocks: [{ seg_id: 101 + (at % segments), value: 1 }],
      }));
      world.submit([...others, ...its], { completeOn: 'queued' });
      await world.clock.advance(100);
      let most = 0;
      for (let seg = 101; seg < 106; seg += 1) {
        world.add(user, [{ seg_id: seg, expiration: -1 }]);
        most = Math.max(most, await advance(world, 20));
      }
      assert.ok(most <= rowsPerRead + 5, `${most} entries in memory`);
      world.engine.resume();
      await world.rest();
      assert.deepEqual(world.violations(), []);
    });

  it('of users whose removals are purged are not looked for', async () => {
    const world = new World({ seed: 1, memoryMark: 50, pageRows: 500 });
    world.engine.pause();
    const some = (first: number, blocks: Stated['blocks']): Stated[] =>
      Array.from({ length: 10_000 }, (_, at) => ({ user: device(first + at), blocks }));
    world.submit(some(0, [{ seg_id: 1, value: 1 }]), { completeOn: 'queued' });
    world.submit(some(10_000, [{ seg_id: 1, expiration: -1 }]), { completeOn: 'queued' });
    await world.clock.advance(100);
    const purged = world.engine.purge();
    let most = 0;
    const { pendingUsers } = world.sender.parts;
    const rowsRead = pendingUsers.rowsRead.bind(pendingUsers);
    pendingUsers.rowsRead = (users, nowMs) => {
      rowsRead(users, nowMs);
      most = Math.max(most, [...pendingUsers.all()].length);
    };
    await world.clock.advance(500);
    assert.equal((await purged).entries, 20_000);
    assert.ok(most <= 1_000, `${most} users in memory`);
    await world.rest();
    assert.deepEqual(world.violations(), []);
  });

  it('hold back its next removal as they held back the first one', async () => {
    const store = { rowsOfUsers: () => Promise.resolve([[]]) };
    const unread = { hasUnreadIn: () => true, hasUnreadThrough: () => true, readThroughSeq: 0 };
    const older = new OlderRows(store as unknown as QueueStore, unread);
    const one = new User(userKey, 1);
    for (const seq of [10, 20]) {
      older.need(one, 'removal', seq);
      assert.equal(older.holds(one), true);
      const read = await new Promise<OlderRowsRead>((resolve) => older.request(resolve, () => undefined, 1));
      older.admitted(read);
      assert.equal(older.holds(one), false);
    }
  });

  /** Look-ups in a store that has so many rows of each user, one after the other; each call tells what it reads. */
  function lookUps(rowsOfEach = 0): { readonly older: OlderRows; readonly call: () => Promise<UserRange[]> } {
    let ranges: UserRange[] = [];
    const store = {
      rowsOfUsers: (asked: UserRange[], limit: number) => {
        ranges = asked;
        return Promise.resolve(
          asked.map(({ afterSeq }) =>
            Array.from({ length: Math.min(limit, rowsOfEach - afterSeq) }, (_, at) => ({
              seq: afterSeq + 1 + at,
            })),
          ),
        );
      },
    } as unknown as QueueStore;
    const unread = { hasUnreadIn: () => true, hasUnreadThrough: () => true, readThroughSeq: 0 };
    const older = new OlderRows(store, unread);
    const call = async (): Promise<UserRange[]> => {
      ranges = [];
      const reads: OlderRowsRead[] = [];
      older.request(
        (read) => reads.push(read),
        () => undefined,
        Infinity,
      );
      await Promise.resolve();
      for (const read of reads) older.admitted(read);
      return ranges;
    };
    return { older, call };
  }

  function addRemoval(to: User, seq: number): void {
    const entry = entryOf(device(seq), [{ seg_id: 1, expiration: -1 }]);
    const row = {
      seq,
      lane: 'removal' as const,
      source: { node: 'n', account: 'a' },
      eventMonoMs: 0,
      appendedWallMs: 0,
    };
    to.add(new PendingEntry(row, entry, 'waiting'));
  }

  it('of users with removals are read first, and those of the others in every fifth call', async () => {
    const { older, call } = lookUps();
    const others = Array.from({ length: 1_000 }, (_, at) => new User(`other ${at}`, at));
    const removing = Array.from({ length: 400 }, (_, at) => new User(`removing ${at}`, 1_000 + at));
    for (const one of others) older.needNewer(one, 1_000_000);
    for (const one of removing) {
      addRemoval(one, 1_000_000);
      older.need(one, 'removal', 1_000_000);
    }
    // One that already waits for its rows.
    addRemoval(others[999]!, 1_000_000);
    older.need(others[999]!, 'removal', 1_000_000);
    const calls: UserRange[][] = [];
    // 68 users a call, since each may have a million rows.
    for (let at = 0; at < 7; at += 1) calls.push(await call());
    const removals = calls.map((ranges) => ranges.filter(({ userHash }) => userHash >= 999).length);
    assert.deepEqual(removals, [68, 68, 68, 68, 0, 68, 61]);
    assert.ok(calls[6]!.some(({ userHash }) => userHash === 999));
  });

  it('of an erased user come into memory without a limit only up to the erasure', async () => {
    const { older, call } = lookUps(1_000_000);
    const one = new User('one', 1);
    older.erase(one, 1_500);
    older.needNewer(one, 1_000_000);
    for (let seq = 1; seq <= 1_000; seq += 1) addRemoval(one, 1_000_000 + seq);
    assert.equal((await call()).length, 1);
    assert.equal((await call()).length, 1);
    assert.equal((await call()).length, 0);
  });

  it('of many users bring at most 20,000 rows into memory at once', () => {
    const calls: { readonly users: number; readonly limit: number }[] = [];
    const store = {
      rowsOfUsers: (ranges: readonly unknown[], limit: number) => {
        calls.push({ users: ranges.length, limit });
        return new Promise<never>(() => undefined);
      },
    } as unknown as QueueStore;
    const unread = { hasUnreadIn: () => true, hasUnreadThrough: () => true, readThroughSeq: 0 };
    const olderRows = new OlderRows(store, unread);
    for (let at = 0; at < 60; at += 1) olderRows.need(new User(`idfa:${at}`, at), 'removal', 1_000_000 + at);
    olderRows.request(
      () => undefined,
      () => undefined,
      Infinity,
    );
    assert.equal(calls.length, 1);
    const { users, limit } = calls[0]!;
    assert.ok(users > 20 && users * limit <= 20_000, `${users} users, ${limit} rows of each`);
  });
});

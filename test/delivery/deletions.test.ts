// Purges and erasures: a deleted entry is never sent afterwards, and nothing of an erased user is kept.
import { strict as assert } from 'node:assert';
import { hashUserKey, userKeyOf } from '../../src/entry/keys';
import type { Deleted } from '../../src/delivery/respond/deletions';
import type { Row } from '../../src/queue/store';
import { device, World } from './support/world';

function rowsOf({ logStore }: World, hash: number): readonly Row[] {
  const rows = [
    ...logStore.read('add', 0, Infinity, Infinity),
    ...logStore.read('removal', 0, Infinity, Infinity),
  ];
  return rows.filter(({ userHash }) => userHash === hash);
}

describe('purging and erasing', function () {
  this.timeout(0);

  it('continues a purge after kill -9', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 5, commitMs: 20 });
    await world.clock.advance(100);
    world.engine.pause();
    for (let number = 0; number < 500; number += 1)
      world.add(device(number), [{ seg_id: 1 }], { completeOn: 'queued' });
    await world.clock.advance(1000);
    assert.equal(world.engine.stats().counters.waiting, 500);
    void world.purge().catch(() => undefined);
    await world.clock.advance(150);
    const left: number = world.engine.stats().counters.waiting;
    assert.ok(left > 100 && left < 500, `${left} left when it is killed`);
    world.kill();
    await world.rest();
    assert.equal(world.service.requests.length, 0);
    assert.deepEqual([world.engine.counters.waiting, world.engine.counters.accepted], [0, 0]);
    assert.deepEqual(world.violations(), []);
  });

  /**
   * Starts an erasure in a process that dies at its disk call with this number. Returns whether the process
   * survived.
   */
  async function eraseAndDie(call: number, when: 'before' | 'after', inFlight: boolean): Promise<boolean> {
    let calm = false;
    const world = new World({
      seed: call,
      memoryMark: 4,
      pageRows: 2,
      killAt: { call, when },
      fateOf: (entries) => (!calm && entries.some(({ user_id: id }) => id === device(0)) ? 'dropped' : null),
    });
    const kept: string[] = [];
    const setMeta = world.logStore.setMeta.bind(world.logStore);
    world.logStore.setMeta = (key, value) => {
      if (key === 'erasures') kept.push(value);
      setMeta(key, value);
    };
    const many = Array.from({ length: 60 }, (_, n) => ({
      user: device(n % 3),
      blocks: [{ seg_id: 1 + n, expiration: n % 2 === 0 ? -1 : 0 }],
    }));
    await world.clock.advance(100);
    if (!inFlight) world.engine.pause();
    world.submit(many, { completeOn: 'queued' });
    await world.clock.advance(1000);
    world.erase(device(0), 'idfa').catch(() => undefined);
    await world.clock.advance(1000);
    const died = world.life > 1;
    const begun = kept.length > 0;
    const erasedMs = world.clock.monoMs();
    calm = true;
    world.engine.resume();
    await world.rest();
    const { requests } = world.service;
    const after = requests.filter(
      ({ sentMs, users }) => sentMs > erasedMs && users.includes(`idfa:${device(0)}`),
    );
    if (begun) {
      const hash = hashUserKey(userKeyOf('idfa', device(0)).userKey);
      assert.equal(after.length, 0, `sent after call ${call}`);
      assert.deepEqual(rowsOf(world, hash), []);
      assert.equal(kept.at(-1), '[]');
    } else assert.ok(died && after.length > 0);
    assert.ok(!kept.join().includes(device(0).slice(0, 8)));
    assert.deepEqual([world.engine.counters.waiting, world.violations()], [0, []]);
    return died;
  }

  for (const inFlight of [false, true])
    it(`continues an erasure after kill -9 at any step${inFlight ? ', with the user in flight' : ''}`, async () => {
      for (const when of ['before', 'after'] as const) {
        let call = 1;
        while (await eraseAndDie(call, when, inFlight)) call += 1;
        assert.ok(call > 3, `${call} calls`);
      }
    });

  it('sends the newest state of an erased user once more when an ambiguous request may have undone it', async () => {
    const world = new World({ seed: 1, memoryMark: 2, pageRows: 2 });
    await world.clock.advance(100);
    world.engine.pause();
    // Enough users precede it that its row is unread when the search reaches it.
    for (let number = 10; number < 20; number += 1) world.add(device(number), [{ seg_id: 2 }]);
    world.add(device(0), [{ seg_id: 1 }]);
    world.add(device(0), [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(100);
    // The service accepted both.
    const [added, removed] = [11, 12];
    world.logStore.commit({ repeat: [added, removed] });
    world.kill();
    const erased = world.erase(device(0), 'idfa');
    await world.rest();
    assert.equal((await erased).entries, 0);
    const sent = world.service.requests.filter(({ users: its }) => its.includes(`idfa:${device(0)}`));
    assert.deepEqual(
      sent.map(({ entries }) =>
        entries.filter(({ user_id: id }) => id === device(0)).map((entry) => entry.seg_block),
      ),
      [[[{ seg_id: 1, expiration: -1 }]]],
      'the removal, and not the add',
    );
    const hash = hashUserKey(userKeyOf('idfa', device(0)).userKey);
    assert.deepEqual(rowsOf(world, hash), []);
  });

  it('counts in a further erasure of the user only what that one ended', async () => {
    const world = new World({ seed: 1, delayMs: () => 1_000 });
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(4_000);
    world.add(device(0), [{ seg_id: 1 }]);
    await world.clock.advance(100);
    const counts = [];
    for (const entries of [2, 1]) {
      for (let more = 0; more < entries; more += 1) world.add(device(0), [{ seg_id: 2 + more }]);
      const erased = world.erase(device(0), 'idfa');
      await world.clock.advance(50);
      counts.push(await erased);
    }
    assert.deepEqual(counts, [
      { entries: 2, inFlight: 1, segments: 0 },
      { entries: 1, inFlight: 1, segments: 0 },
    ]);
  });

  for (const isErasure of [true, false])
    it(`counts each entry once if two ${isErasure ? 'erasures' : 'purges'} overlap`, async () => {
      const world = new World({ seed: 1, memoryMark: 4, pageRows: 2, commitMs: 20 });
      await world.clock.advance(1_000);
      world.engine.pause();
      for (let number = 50; number < 60; number += 1) world.add(device(number), [{ seg_id: 1 }]);
      await world.clock.advance(300);
      for (let number = 0; number < 30; number += 1) world.add(device(0), [{ seg_id: 1 + number }]);
      await world.clock.advance(300);
      const ask = (): Promise<Deleted> => (isErasure ? world.erase(device(0), 'idfa') : world.purge());
      const both = [ask(), ask()];
      await world.clock.advance(3_000);
      const counts = await Promise.all(both);
      assert.deepEqual(
        counts.map(({ entries, inFlight }) => [entries, inFlight]),
        [
          [isErasure ? 30 : 40, 0],
          [0, 0],
        ],
      );
    });

  it('carries out a purge while nothing can be sent, and reports the number of entries', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 5 });
    await world.clock.advance(100);
    world.engine.pause();
    const before = [0, 1, 2, 3].map((number) => world.add(device(number), [{ seg_id: 1 }]));
    const many = world.submit(
      Array.from({ length: 300 }, (_, number) => ({ user: device(100 + number), blocks: [{ seg_id: 1 }] })),
    );
    const purged = world.purge();
    const after = world.add(device(7), [{ seg_id: 1 }]);
    await world.clock.advance(5000);
    assert.deepEqual(await purged, { entries: 304, inFlight: 0 });
    for (const { end } of [...before, many]) {
      assert.ok(end?.kind === 'settled');
      assert.deepEqual([...new Set(end.rejections.map(({ code }) => code))], ['purged']);
    }
    assert.equal(after.end, null);
    world.engine.resume();
    await world.clock.advance(5000);
    assert.equal((after.end as { kind: string } | null)?.kind, 'settled');
    assert.deepEqual(world.engine.monitor.rejections.byCode(), { purged: 304 });
    assert.equal(world.engine.monitor.rejections.size, 0);
    assert.deepEqual(world.violations(), []);
  });

  it('carries out a purge while memory is full of entries to resend', async () => {
    const users = Array.from({ length: 10 }, (_, number) => device(number));
    let calm = false;
    const world = new World({
      seed: 1,
      memoryMark: 10,
      pageRows: 5,
      fateOf: () => (calm ? 'well' : 'dropped'),
    });
    await world.clock.advance(100);
    world.submit(users.map((user) => ({ user, blocks: [{ seg_id: 1 }] })));
    await world.clock.advance(3000);
    calm = true;
    // The request is ambiguous and may undo newer blocks: for 20 s these stay, to be sent again.
    for (const seg_code of ['a', 'b', 'c'])
      world.submit(users.map((user) => ({ user, blocks: [{ seg_code, member_id: 1 }] })));
    await world.clock.advance(12_000);
    assert.equal(world.engine.counters.waiting, 0);
    world.engine.pause();
    world.submit(
      Array.from({ length: 50 }, (_, number) => ({ user: device(100 + number), blocks: [{ seg_id: 1 }] })),
    );
    const purged = world.purge();
    await world.clock.advance(2000);
    assert.equal(world.engine.counters.waiting, 0);
    assert.deepEqual(await purged, { entries: 50, inFlight: 0 });
    world.engine.resume();
    await world.rest();
    assert.deepEqual(world.violations(), []);
  });

  it('erases rows far behind on disk, and keeps the others', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 5 });
    await world.clock.advance(100);
    world.engine.pause();
    for (let number = 0; number < 12_000; number += 1)
      world.add(device(number % 1000), [{ seg_id: 1 + (number % 7) }], { completeOn: 'queued' });
    await world.clock.advance(5000);
    const erased = world.erase(device(999), 'idfa');
    await world.clock.advance(1000);
    assert.deepEqual(await erased, { entries: 12, inFlight: 0, segments: 0 });
    assert.equal(world.engine.counters.waiting, 12_000 - 12);
    const hash = hashUserKey(userKeyOf('idfa', device(999)).userKey);
    assert.deepEqual(rowsOf(world, hash), []);
  });

  it('reports the age of the oldest entry also when no entry is in memory', async () => {
    const world = new World({ seed: 1, memoryMark: 2, pageRows: 2 });
    await world.clock.advance(100);
    world.engine.pause();
    for (let number = 0; number < 50; number += 1) {
      world.add(device(number), [{ seg_id: 1 }], { completeOn: 'queued' });
      await world.clock.advance(1000);
    }
    assert.equal(world.engine.stats().oldestMs, 50_000);
    world.kill();
    world.diskFails = true;
    await world.clock.advance(1000);
    assert.equal(world.engine.stats().state.kind, 'outbox');
    world.diskFails = false;
    world.engine.pause();
    await world.clock.advance(9000);
    assert.equal(world.engine.stats().oldestMs, 60_000);
  });
});

describe('a purge after a message that was refused', () => {
  it('ends no entry of a later process, which uses its numbers again', async () => {
    const world = new World({ seed: 1 });
    const some = (first: number) =>
      Array.from({ length: 20 }, (_, at) => ({ user: device(first + at), blocks: [{ seg_id: 1 }] }));
    await world.clock.advance(100);
    world.diskFails = true;
    const refused = world.submit(some(0));
    await world.clock.advance(10);
    assert.equal(refused.end?.kind, 'failed');
    world.diskFails = false;
    await world.clock.advance(3_000);
    const purged = world.engine.purge();
    await world.clock.advance(10);
    await purged;
    world.kill();
    world.engine.pause();
    world.submit(some(100), { completeOn: 'queued' });
    await world.clock.advance(100);
    world.kill();
    await world.rest();
    const { accepted, rejected } = world.engine.counters;
    assert.deepEqual({ accepted, rejected }, { accepted: 20, rejected: 0 });
  });
});

// Sent counts by hour, account and segment equal what the service received, whatever is lost in the network.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { hourMs, hourOf, HourRing, keptHours } from '../../src/queue/hour-ring';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import {
  SentCounts,
  SentCountStore,
  segmentsPerHour,
  type SentHour,
} from '../../src/delivery/monitor/sent-counts';
import { FakeClock } from './support/fake-clock';
import { runs } from './support/runs';
import { device, World } from './support/world';

/** The stored counts, which outlive the process. */
function keptIn({ logStore, clock }: World): SentCountStore {
  const getMeta = (key: string) => Promise.resolve(logStore.getMeta(key));
  return new SentCountStore({ getMeta, setMeta: () => assert.fail('it is only read') }, clock);
}

/** All counts as `hour account segment: adds removes`, and the others as sums. */
async function storedCounts(world: World) {
  const last = hourOf(world.clock.wallMs());
  const hours = await world.clock.outcome(world.engine.sent.read(last - 100, last));
  return { lines: [...hours].flatMap(([hour, kept]) => linesOf(hour, kept)).sort(), ...sums(hours) };
}

function linesOf(hour: number, kept: SentHour): string[] {
  return [...kept].flatMap(([account, { segments }]) =>
    [...segments].map(([key, { adds, removes }]) => `${hour} ${account} ${key}: ${adds} ${removes}`),
  );
}

function sums(hours: ReadonlyMap<number, SentHour>) {
  const all = new SentCounts();
  for (const kept of hours.values()) for (const counts of kept.values()) all.add(counts);
  const { adds, removes } = all.total;
  return {
    users: all.users,
    blocks: adds + removes,
    lostUsers: all.ambiguousUsers,
    lostBlocks: all.ambiguousBlocks,
  };
}

const faults = {
  dropped: 0.1,
  replyLost: 0.1,
  late: 0.1,
  reset: 0.1,
  serverError: 0.1,
  garbage: 0.05,
} as const;

describe('the sent counts', () => {
  it('count by hour, account and segment, adds and removals separately', async () => {
    const world = new World({ seed: 1, accounts: ['a', 'b'] });
    const start = hourOf(world.clock.wallMs());
    world.add(device(1), [{ seg_id: 1 }, { seg_id: 2, expiration: -1 }]);
    world.add(device(2), [{ seg_id: 1 }], { account: 'b' });
    world.add('mapped', [{ seg_code: 'Own', member_id: 7 }], { domain: null });
    await world.rest(5_000);
    await world.clock.advance((start + 1) * hourMs - world.clock.wallMs());
    world.add(device(1), [{ seg_id: 1, expiration: -1 }]);
    await world.rest(5_000);
    const { lines, users, lostUsers } = await storedCounts(world);
    assert.deepEqual(lines, [
      `${start} a c7:own: 1 0`,
      `${start} a i1: 1 0`,
      `${start} a i2: 0 1`,
      `${start} b i1: 1 0`,
      `${start + 1} a i1: 0 1`,
    ]);
    assert.deepEqual([users, lostUsers], [4, 0]);
  });

  it('count an expired add as the removal that was sent', async () => {
    const world = new World({ seed: 1 });
    world.add(device(1), [{ seg_id: 1, expiration: 5 }], { agoMs: 6 * 60_000 });
    await world.rest(5_000);
    assert.match((await storedCounts(world)).lines.join(), /i1: 0 1$/);
  });

  it('omit blocks that the service warned about', async () => {
    const warn = (entries: readonly { user_id: string }[]) =>
      entries
        .filter(({ user_id }) => user_id === device(1))
        .map((entity) => ({ message: `No valid segments for user_id: ${entity.user_id}.`, entity }));
    const world = new World({ seed: 1, warn });
    world.add(device(1), [{ seg_id: 1 }]);
    world.add(device(2), [{ seg_id: 1 }]);
    await world.rest(5_000);
    const { users, blocks } = await storedCounts(world);
    assert.deepEqual([users, blocks, world.engine.counters.rejected], [1, 1, 1]);
  });

  it('lie between what the service answered and what it received, whatever is lost', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 3 }), fc.boolean()), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.integer(),
        async (script, seed) => {
          const world = new World({ seed, fates: faults });
          for (const [user, segment, removes] of script) {
            world.add(device(user), [{ seg_id: segment, ...(removes && { expiration: -1 }) }]);
            await world.clock.advance(world.random() * 2_000);
          }
          await world.rest();
          const { users, blocks, lostUsers, lostBlocks } = await storedCounts(world);
          const taken = { users: 0, blocks: 0 };
          for (const { applied, entries } of world.service.requests) {
            if (!applied) continue;
            taken.users += entries.length;
            for (const { seg_block } of entries) taken.blocks += seg_block.length;
          }
          assert.ok(users <= taken.users && taken.users <= users + lostUsers, `${users} ${taken.users}`);
          assert.ok(
            blocks <= taken.blocks && taken.blocks <= blocks + lostBlocks,
            `${blocks} ${taken.blocks}`,
          );
        },
      ),
      runs(100),
    ));

  it('survive a restart, and a crash except for the last ten seconds', async () => {
    const world = new World({ seed: 3 });
    world.add(device(1), [{ seg_id: 1 }]);
    await world.rest(12_000);
    world.kill();
    await world.rest(30_000);
    world.add(device(2), [{ seg_id: 1 }]);
    await world.rest(1_000);
    assert.equal((await storedCounts(world)).blocks, 2);
    world.add(device(3), [{ seg_id: 1 }]);
    await world.rest(1_000);
    const closed = world.engine.close();
    await world.clock.advance(1_000);
    await closed;
    assert.equal(world.processClock.timers, 0);
    const last = hourOf(world.clock.wallMs());
    const read = await keptIn(world).read(last - 1, last);
    assert.equal(sums(read).blocks, 3);
  });

  it('are written when the engine is parked, since a stopping process does not close it', async () => {
    const world = new World({ seed: 3 });
    await world.rest(2_000);
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(500);
    const parked = world.engine.park(5_000);
    await world.clock.advance(100);
    await parked;
    const last = hourOf(world.clock.wallMs());
    assert.equal(sums(await keptIn(world).read(last, last)).blocks, 1);
  });
});

describe('stored sent counts', () => {
  const opened = async () => {
    const store = new SqliteStore(':memory:');
    await store.open();
    return store;
  };

  it('keep counts that could not be written, add later ones to them, and try again', async () => {
    const store = await opened();
    let fails = true;
    const failing = Object.assign(Object.create(store) as SqliteStore, {
      getMeta: (key: string) => (fails ? Promise.reject(new Error('disk')) : store.getMeta(key)),
      setMeta: (key: string, value: string) => store.setMeta(key, value),
    });
    const clock = new FakeClock();
    const sent = new SentCountStore(failing, clock);
    sent.of('a', clock.monoMs()).block('i1', false);
    await clock.advance(15_000);
    sent.of('a', clock.monoMs()).block('i1', false);
    await clock.advance(15_000);
    assert.equal(sent.dirty, true);
    fails = false;
    await clock.advance(10_000);
    assert.equal(sent.dirty, false);
    const hour = hourOf(clock.wallMs());
    assert.equal(sums(await sent.read(hour - 1, hour)).blocks, 2);
  });

  it('count a post that was sent before the hour changed in that hour', async () => {
    const clock = new FakeClock();
    const sent = new SentCountStore(await opened(), clock);
    const start = hourOf(clock.wallMs());
    await clock.advance((start + 1) * hourMs - clock.wallMs() + 20);
    sent.of('a', clock.monoMs() - 40).block('i1', false);
    sent.of('a', clock.monoMs()).block('i1', false);
    assert.deepEqual([...(await sent.read(start, start + 1)).keys()], [start, start + 1]);
  });

  it('count segments beyond the limit together, and lose none', async () => {
    const clock = new FakeClock();
    const sent = new SentCountStore(await opened(), clock);
    for (let n = 0; n < segmentsPerHour + 7; n += 1) sent.of('a', clock.monoMs()).block(`i${n}`, n % 2 === 0);
    await sent.save();
    for (let n = 0; n < segmentsPerHour + 7; n += 1) sent.of('a', clock.monoMs()).block(`i${n}`, false);
    const hour = hourOf(clock.wallMs());
    const counts = (await sent.read(hour, hour)).get(hour)!.get('a')!;
    assert.equal(counts.segments.size, segmentsPerHour);
    assert.equal(counts.others.adds + counts.others.removes, 14);
    assert.equal(counts.total.adds + counts.total.removes, 2 * (segmentsPerHour + 7));
  });

  it('keep 30 days in a fixed number of places, and do not mistake an old hour for a new one', async () => {
    const store = await opened();
    const ring = new HourRing(store, 'sent');
    await ring.set(1_000, 'old');
    assert.equal(await ring.get(1_000), 'old');
    assert.equal(await ring.get(1_000 + keptHours), null);
    await ring.set(1_000 + keptHours, 'new');
    assert.deepEqual([await ring.get(1_000), await ring.get(1_000 + keptHours)], [null, 'new']);
    await store.setMeta('sent 1', 'not JSON');
    assert.equal(await ring.get(1), null);
  });
});

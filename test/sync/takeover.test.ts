// The sync of a segment on a shared queue in a real PostgreSQL: another instance goes on where one was killed, and events and
// erasures of every instance count.
import { strict as assert } from 'node:assert';
import { userKeysOf } from '../../src/entry/keys';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { TestDatabase } from '../queue/shared-stores';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { event, key, segment, SharedInstance, source, userId, type Call } from './shared-instance';

const few = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
/** Two chunks. */
const many = Array.from({ length: 2_500 }, (_, index) => index + 1);

describe('the sync of a segment on a shared queue', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  let database: TestDatabase;
  let sandbox: Sandbox;
  let instances: SharedInstance[] = [];

  before(async function () {
    database = await TestDatabase.find(this, ends);
  });
  beforeEach(async () => {
    sandbox = await startSandbox({
      limits: { postsPerSecond: Infinity, usersPerSecond: Infinity },
      authLimit: Infinity,
    });
  });
  afterEach(async () => {
    await Promise.all(instances.map((instance) => instance.stop()));
    instances = [];
    await sandbox.close();
  });

  const add = (sizes = {}): SharedInstance => {
    const name = `instance ${instances.length + 1}`;
    const instance = new SharedInstance(name, database.url, sandbox.url, sizes);
    instances.push(instance);
    return instance;
  };
  const ready = (instance: SharedInstance): Promise<void> =>
    until(() => instance.isReady, 20_000, 'the sync of the active instance');
  /** The first one is active. */
  const pair = async (sizes = {}): Promise<[SharedInstance, SharedInstance]> => {
    const active = add(sizes);
    await ready(active);
    const standby = add();
    await until(() => standby.engine.otherSender === 'instance 1', 10_000, 'the standby');
    return [active, standby];
  };
  const users = (): string[] =>
    sandbox
      .state()
      .filter((one) => one.segment === String(segment))
      .map(({ user_id: id }) => id)
      .sort();
  const ids = (numbers: readonly number[]): string[] => numbers.map(userId).sort();
  const reported = async (instance: SharedInstance, count: number) => {
    await until(
      () => instance.reports.length >= count,
      30_000,
      () => JSON.stringify(instance.reports),
    );
    return instance.reports[count - 1]!;
  };
  const run = async (instance: SharedInstance, numbers: readonly number[]) => {
    const before = instance.reports.length;
    await instance.take(numbers);
    return reported(instance, before + 1);
  };
  const operations = (number: number): number =>
    sandbox.operations().filter((one) => JSON.stringify(one).includes(userId(number))).length;
  const rowsOf = async (table: 'member' | 'outcome'): Promise<number> => {
    const schema = schemaOf({ origin: new URL(sandbox.url).origin, member: '1' });
    const [found] = await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${schema}.${table}`);
    return found!.n;
  };

  it('is carried out by the active instance only', async () => {
    const [active, standby] = await pair();
    assert.equal(standby.engine.sync, null);
    const { status, added, members } = await run(active, few);
    assert.deepEqual([status, added, members], ['ended', 10, 10]);
    assert.deepEqual(users(), ids(few));
  });

  const phases: Readonly<Record<string, Call>> = {
    gathered: (name, args) => name === 'setState' && args.includes('\\"phase\\":\\"gathered\\"'),
    counting: (name, args) => name === 'setState' && args.includes('\\"phase\\":\\"counting\\"'),
    sending: (name, args) => name === 'append' && args.includes('\\"phase\\":\\"sending\\"'),
    settling: (name, args) => name === 'append' && args.includes('\\"phase\\":\\"settling\\"'),
  };
  for (const [phase, killAfter] of Object.entries(phases))
    it(`goes on at another instance with a run that was ${phase} when the active one was killed`, async () => {
      const [active, other] = await pair();
      active.killAfter = killAfter;
      active.take(many).catch(() => undefined);
      await ready(other);
      const { status, added, members } = await reported(other, 1);
      assert.deepEqual([status, added, members], ['ended', 2_500, 2_500]);
      assert.deepEqual(users(), ids(many));
      assert.equal(await rowsOf('member'), 2_500);
      assert.equal(other.members.pending(key), 0);
      assert.equal(await rowsOf('outcome'), 0, 'outcomes of a run are no message’s');
    });

  it('interrupts a run whose rows were coming, and removes nobody', async () => {
    const [active, other] = await pair();
    await run(active, few);
    active.killAfter = (name) => name === 'beginStaging';
    active.takePart([1, 2], 0, 2).catch(() => undefined);
    await ready(other);
    assert.equal((await reported(other, 1)).refused?.code, 'interrupted');
    assert.deepEqual(users(), ids(few));
    assert.equal((await run(other, few)).unchanged, 10);
  });

  it('keeps a refused run, which another instance applies when it is accepted', async () => {
    const [active, other] = await pair();
    await run(active, few);
    assert.equal((await run(active, [1])).refused?.code, 'too_many_removals');
    active.kill();
    await ready(other);
    await other.force();
    assert.equal((await reported(other, 1)).removed, 9);
    assert.deepEqual(users(), ids([1]));
  });

  it('changes members with the events of a standby, whose removal during a run wins', async () => {
    const [active, standby] = await pair();
    active.engine.pause();
    await until(() => active.engine.stats().state.kind === 'paused', 10_000, 'the pause');
    await active.take(few);
    await until(() => active.view.phase === 'settling', 10_000, 'the changes in the queue');
    const events = Promise.all([standby.submit(event(3, -1)), standby.submit(event(11, 60))]);
    await until(() => active.engine.counters.waiting === 12, 10_000, 'the events');
    standby.engine.resume();
    await events;
    await reported(active, 1);
    assert.deepEqual(users(), ids([1, 2, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert.equal(await rowsOf('member'), 10);
    // User 3 is still in the table, and so joins again.
    const { added, unchanged, refreshed } = await run(active, [...few, 11]);
    assert.deepEqual([added, unchanged, refreshed], [1, 9, 1]);
  });

  it('removes and suppresses a user whom a standby erases, also after the next takeover', async () => {
    const [active, standby] = await pair();
    await run(active, few);
    const { segments } = await standby.engine.erase(userKeysOf(null, userId(4)), userId(4));
    assert.equal(segments, 1);
    await until(() => !users().includes(userId(4)), 10_000, 'the removal');
    const codes = async (instance: SharedInstance): Promise<unknown> => {
      const end = await instance.submit(event(4, 60));
      return end.kind === 'settled' ? end.rejections.map(({ code }) => code) : end;
    };
    assert.deepEqual(await codes(standby), ['suppressed']);
    assert.equal((await run(active, few)).suppressed, 1);
    active.kill();
    await ready(standby);
    assert.deepEqual(await codes(standby), ['suppressed']);
    assert.equal((await run(standby, few)).suppressed, 1);
    assert.deepEqual(users(), ids(few.filter((number) => number !== 4)));
  });

  describe('renews a membership', () => {
    const refresh = async (instance: SharedInstance, numbers: readonly number[], readSince: number) => {
      const entries = numbers.map((number) => event(number, 0));
      const chunk = { source, segment: key, entries, refresh: true, state: null };
      await instance.members.append({ ...chunk, readSince });
      instance.members.endRead(readSince);
      await until(() => instance.members.pending(key) === 0, 20_000, 'the end of the renewal');
    };

    it('also if it does not fit into memory, and among events of another instance', async () => {
      const [active, standby] = await pair({ memoryMark: 4, pageRows: 2 });
      await run(active, few);
      active.engine.pause();
      await until(() => active.engine.stats().state.kind === 'paused', 10_000, 'the pause');
      const renewed = refresh(active, few, active.members.beginRead());
      const others = few.map((number) => standby.submit(event(100 + number, 60)));
      await until(() => active.engine.counters.waiting === 20, 10_000, 'the events');
      standby.engine.resume();
      await Promise.all([renewed, ...others]);
      assert.deepEqual(
        few.map((number) => operations(number)),
        [2, 2, 2, 2, 2, 2, 2, 2, 2, 2],
      );
    });

    it('but not of a member whom a standby has removed meanwhile', async () => {
      const [active, standby] = await pair();
      await run(active, few);
      for (const [number, other] of [
        [1, null],
        [2, 20],
      ] as const) {
        const readSince = active.members.beginRead();
        await standby.submit(event(number, -1));
        const appended = other === null ? null : standby.submit(event(other, 60));
        await refresh(active, [number], readSince);
        await appended;
        assert.ok(!users().includes(userId(number)));
        assert.equal(operations(number), 2);
      }
    });

    it('but not after a takeover', async () => {
      const [active, other] = await pair();
      await run(active, few);
      active.engine.pause();
      await until(() => active.engine.stats().state.kind === 'paused', 10_000, 'the pause');
      active.killAfter = (name) => name === 'append';
      refresh(active, [1], active.members.beginRead()).catch(() => undefined);
      await ready(other);
      other.engine.resume();
      await until(() => other.engine.counters.superseded === 1, 20_000, 'the end of the renewal');
      assert.equal(operations(1), 1);
    });
  });
});

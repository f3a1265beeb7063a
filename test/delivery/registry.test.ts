// Registry: the engines of a process across deploys; which engines are kept, shared, closed, and which queues
// are orphaned.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/entry/check';
import type { Recovered } from '../../src/delivery/engine';
import { Registry, QueueKindsDiffer, type Lease, type LeaseRequest } from '../../src/delivery/registry';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import type { ServiceClient } from '../../src/service/client';
import type { Login } from '../../src/service/login/login';
import type { NoLogin } from '../../src/service/login/login-count';
import type { AuthOutcome, PostOutcome } from '../../src/service/reply/outcome';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { FakeClock } from './support/fake-clock';
import { Files } from './support/files';

interface Post {
  readonly users: string[];
  /** The client that sent it. */
  readonly via: string;
  readonly token: string;
  readonly atMs: number;
}

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };

const accepted: PostOutcome = { kind: 'accepted', warnings: [], counts: { users: null, segments: null } };

/** Engines on the tests' clock, over a service that records requests. */
class Setup {
  readonly clock = new FakeClock();
  readonly engines = new Registry(this.clock, () => 0.5);
  readonly posts: Post[] = [];
  readonly logins: string[] = [];
  readonly closedClients: string[] = [];
  readonly log: string[] = [];
  readonly files = new Files(this.clock);
  opened = 0;
  authOutcome: AuthOutcome | null = null;
  postOutcome: PostOutcome | Promise<PostOutcome> = accepted;

  request(account: string, changes: Partial<LeaseRequest> = {}): LeaseRequest {
    const queue = changes.queue ?? 'disk';
    return {
      account,
      accountName: `Account ${account}`,
      origin: 'http://there',
      member: '7',
      queue,
      limits,
      queueMaxEntries: 1000,
      queueMaxBytes: 1_000_000,
      login: { method: 'password', username: `user of ${account}`, password: 'p' },
      authOrigin: 'http://logins',
      connection: 'there',
      connect: () => this.client(account),
      openStore: () => {
        this.opened += 1;
        return queue === 'disk'
          ? this.files.store('queue')
          : new SqliteStore(':memory:', { clock: this.clock });
      },
      log: (level, text) => this.log.push(`${level}: ${text}`),
      ...changes,
    };
  }

  private client(account: string): ServiceClient {
    const client = {
      authenticate: ({ username }: Login): Promise<AuthOutcome> => {
        this.logins.push(username);
        return Promise.resolve(this.authOutcome ?? { kind: 'token', token: `token of ${username}` });
      },
      post: (body: string, token: string): Promise<PostOutcome> => {
        const { rt_segment: entries } = JSON.parse(body) as { rt_segment: { user_id: string }[] };
        const users = entries.map(({ user_id }) => user_id);
        if (this.postOutcome === accepted)
          this.posts.push({ users, via: account, token, atMs: this.clock.monoMs() });
        return Promise.resolve(this.postOutcome);
      },
      networkFloorMs: () => 0,
      close: () => {
        this.closedClients.push(account);
        return Promise.resolve();
      },
    };
    return client as unknown as ServiceClient;
  }

  get sent(): string[] {
    return this.posts.flatMap(({ users }) => users);
  }
}

/** A queue that is shared in this database. */
function sharedIn({ files }: Setup, logStore: MemoryLogStore, identity: string): Partial<LeaseRequest> {
  const shared = {
    identity,
    open: () => new MemorySharedLog(logStore),
    localBuffer: () => files.store('localBuffer'),
    instanceName: 'here',
  };
  return { queue: 'shared', shared };
}

function submit(lease: Lease, account: string, ...users: string[]): MessageEnd[] {
  const ends: MessageEnd[] = [];
  for (const user of users) {
    const checked = checkEntry({ user_id: user, seg_block: [{ seg_id: 1 }] });
    assert.ok(checked.ok);
    const source = { node: 'node', account };
    lease.engine.submit({
      source,
      entries: [checked.entry],
      indexes: null,
      completeOn: 'accepted',
      onEnd: (end) => ends.push(end),
    });
  }
  return ends;
}

/** The node of these tests closes, perhaps only for a deploy. */
function close(lease: Lease, returns: boolean): void {
  lease.away('node', []);
  lease.leave('node', returns);
}

describe('the engines of a process', () => {
  let setup: Setup;

  beforeEach(() => {
    setup = new Setup();
  });
  afterEach(() => setup.clock.advance(60_000));

  it('keep rate limiter and token of an account that returns', async () => {
    const { engines, clock } = setup;
    const few = { ...limits, usersPerSecond: 2 };
    const lease = engines.acquire(setup.request('a', { limits: few }));
    submit(lease, 'a', '1', '2');
    await clock.advance(1_100);
    assert.deepEqual(setup.sent, ['1', '2']);
    await clock.outcome(lease.release(5_000));
    const again = engines.acquire(setup.request('a', { limits: few }));
    assert.equal(again.engine, lease.engine);
    submit(again, 'a', '3');
    await clock.advance(800);
    assert.deepEqual(setup.sent, ['1', '2']);
    await clock.advance(300);
    assert.deepEqual(setup.sent, ['1', '2', '3']);
    assert.ok(setup.posts.at(-1)!.atMs - setup.posts[0]!.atMs > 1_000);
    assert.deepEqual(setup.logins, ['user of a']);
    assert.equal(setup.opened, 1);
  });

  /** An engine that must wait for 20 s, with a pending entry. */
  async function toldToWait(request: LeaseRequest): Promise<Lease> {
    const { engines, clock } = setup;
    setup.postOutcome = { kind: 'rateLimited', retryAfterMs: 20_000, message: 'slow down' };
    const lease = engines.acquire(request);
    submit(lease, 'a', '1');
    await clock.advance(3_000);
    setup.postOutcome = accepted;
    assert.equal(lease.engine.stats().state.kind, 'rateLimited');
    return lease;
  }

  async function leavesAfterTheWait(sentMs: number): Promise<void> {
    await setup.clock.advance(25_000);
    assert.equal(setup.sent.length, 1);
    assert.ok(setup.posts[0]!.atMs >= sentMs + 17_000, `left after ${setup.posts[0]!.atMs - sentMs} ms`);
  }

  it('respect a wait of the service when a deploy has released the lease of a shared queue', async () => {
    const { engines, clock } = setup;
    const request = setup.request('a', sharedIn(setup, new MemoryLogStore(clock), 'main'));
    const lease = await toldToWait(request);
    const toldMs = clock.monoMs();
    await clock.outcome(lease.release(5_000));
    const again = engines.acquire(request);
    await clock.advance(2_000);
    assert.equal(again.engine.stats().state.kind, 'rateLimited');
    await leavesAfterTheWait(toldMs);
  });

  it('respect a wait of the service when the queue is stored elsewhere', async () => {
    const { engines, clock } = setup;
    const lease = await toldToWait(setup.request('a', { queue: 'memory' }));
    const toldMs = clock.monoMs();
    await clock.outcome(lease.release(5_000));
    submit(engines.acquire(setup.request('a')), 'a', '2');
    await leavesAfterTheWait(toldMs);
  });

  it('respect a wait of the service from a reply that arrived after the queue was closed', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a', { queue: 'memory' }));
    const reply = new Promise<PostOutcome>((resolve) => {
      clock.after(8_000, () => resolve({ kind: 'rateLimited', retryAfterMs: 20_000, message: 'slow down' }));
    });
    setup.postOutcome = reply;
    submit(lease, 'a', '1');
    await clock.advance(2_000);
    const released = lease.release(5_000);
    await clock.advance(5_000);
    await released;
    setup.postOutcome = accepted;
    const again = engines.acquire(setup.request('a'));
    await clock.advance(1_500);
    submit(again, 'a', '2');
    await leavesAfterTheWait(clock.monoMs());
  });

  it('send nothing while every account is away', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a'));
    const ends = submit(lease, 'a', '1');
    const released = lease.release(5_000);
    await clock.advance(5_001);
    await released;
    assert.deepEqual([setup.sent, ends], [[], []]);
    engines.acquire(setup.request('a'));
    await clock.advance(100);
    assert.deepEqual([setup.sent, ends.length], [['1'], 1]);
  });

  it('keep outcomes while a node is deployed, until it is back', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a'));
    const ends = submit(lease, 'a', '1', '2');
    await clock.settle();
    close(lease, true);
    assert.deepEqual(ends, [{ kind: 'parked' }, { kind: 'parked' }]);
    await clock.advance(1_100);
    assert.deepEqual(setup.sent, ['1', '2']);
    const recovered: Recovered[] = [];
    lease.listen('node', (entries) => recovered.push(...entries));
    assert.deepEqual(
      recovered.map(({ end }) => end),
      ['accepted', 'accepted'],
    );
    await clock.advance(60_000);
    assert.deepEqual(setup.log, []);
  });

  it('keep late outcomes while a node is closing, with those that it had not passed on', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.settle();
    close(lease, true);
    await clock.advance(1_100);
    const unsent: Recovered[] = [];
    lease.listen('node', (entries) => unsent.push(...entries));
    lease.engine.pause();
    submit(lease, 'a', '2');
    await clock.settle();
    close(lease, true);
    lease.listen('node', (entries) => unsent.push(...entries));
    // From here on the nodes behind it may be closed.
    lease.away('node', unsent);
    lease.engine.resume();
    await clock.advance(1_100);
    lease.leave('node', true);
    const told: Recovered[] = [];
    lease.listen('node', (entries) => told.push(...entries));
    assert.deepEqual(
      [setup.sent, unsent.length, told.map(({ end }) => end)],
      [['1', '2'], 1, ['accepted', 'accepted']],
    );
  });

  it('log outcomes of a node that did not return, or was removed', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1', '2');
    await clock.settle();
    close(lease, true);
    await clock.advance(21_000);
    assert.deepEqual(setup.log, ['info: 2 queued entries of the removed node node were delivered.']);
    lease.engine.pause();
    submit(lease, 'a', '3');
    await clock.settle();
    close(lease, false);
    lease.engine.resume();
    await clock.advance(3_000);
    assert.deepEqual(setup.log.slice(1), ['info: 1 queued entries of the removed node node were delivered.']);
  });

  it('log the number of purged entries of a node that did not return', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a'));
    lease.engine.pause();
    submit(lease, 'a', ...Array.from({ length: 300 }, (_, n) => String(n + 1)));
    await clock.advance(100);
    close(lease, true);
    void lease.engine.purge();
    await clock.advance(21_000);
    assert.deepEqual(setup.log, [
      'warn: 300 queued entries of the removed node node were rejected. The first: The queue was purged before this entry could be sent.',
    ]);
  });

  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    it(`send entries of an account that was removed through another (${order[0]} closes first)`, async () => {
      const { engines, clock } = setup;
      const leases = new Map(['a', 'b'].map((name) => [name, engines.acquire(setup.request(name))]));
      submit(leases.get('a')!, 'a', '1');
      await clock.settle();
      await clock.outcome(Promise.all(order.map((name) => leases.get(name)!.release(0))));
      engines.acquire(setup.request('b'));
      await clock.advance(9_000);
      assert.deepEqual(setup.sent, []);
      await clock.advance(2_000);
      assert.deepEqual(
        setup.posts.map(({ via }) => via),
        ['b'],
      );
      await clock.advance(20_000);
      assert.deepEqual(setup.closedClients, ['a']);
    });
  }

  it('apply the limits of a deploy at once', async () => {
    const { engines } = setup;
    await setup.clock.outcome(engines.acquire(setup.request('a')).release(0));
    const { engine } = engines.acquire(setup.request('a', { queueMaxEntries: 1 }));
    engine.pause();
    const ends: MessageEnd[] = [];
    for (const user of ['1', '2']) {
      const checked = checkEntry({ user_id: user, seg_block: [{ seg_id: 1 }] });
      assert.ok(checked.ok);
      const source = { node: 'n', account: 'a' };
      const onEnd = (end: MessageEnd): number => ends.push(end);
      engine.submit({ source, entries: [checked.entry], indexes: null, completeOn: 'accepted', onEnd });
    }
    await setup.clock.advance(10);
    assert.deepEqual(
      ends.map((end) => end.kind === 'failed' && end.code),
      ['queue_full'],
    );
  });

  it('use the smallest limits of the accounts, as long as these exist', async () => {
    const { engines, clock } = setup;
    const a = engines.acquire(setup.request('a'));
    const b = engines.acquire(setup.request('b', { limits: { ...limits, usersPerSecond: 1 } }));
    assert.equal(a.engine, b.engine);
    submit(a, 'a', '1', '2', '3');
    await clock.advance(1_100);
    assert.deepEqual(setup.sent, ['1']);
    await clock.outcome(b.release(0));
    await clock.advance(100);
    assert.deepEqual(setup.sent, ['1', '2', '3']);
  });

  it('send for one account when another was removed, also when that one is released twice', async () => {
    const { engines, clock } = setup;
    const a = engines.acquire(setup.request('a'));
    const b = engines.acquire(setup.request('b'));
    submit(a, 'a', '1');
    await clock.advance(2_000);
    await clock.outcome(Promise.all([a.release(0), a.release(0)]));
    const ends = submit(b, 'b', '2');
    await clock.advance(100);
    assert.deepEqual([setup.sent, ends.length], [['1', '2'], 1]);
    await clock.outcome(b.release(0));
    const again = engines.acquire(setup.request('b'));
    await clock.outcome(a.release(0));
    submit(again, 'b', '3');
    await clock.advance(20_000);
    assert.deepEqual(setup.sent, ['1', '2', '3']);
  });

  it('keep the engine of a changed account whose earlier lease is released late', async () => {
    const { engines, clock } = setup;
    const before = engines.acquire(setup.request('a'));
    await clock.advance(2_000);
    const after = engines.acquire(setup.request('a', { queue: 'memory' }));
    await clock.outcome(before.release(0));
    await clock.advance(20_000);
    assert.deepEqual(
      engines.list().map(({ engine }) => engine === after.engine),
      [true],
    );
    submit(after, 'a', '1');
    await clock.advance(2_000);
    assert.deepEqual(setup.sent, ['1']);
  });

  it('log through an account that still exists', async () => {
    const { engines, clock } = setup;
    engines.acquire(setup.request('a'));
    const gone = engines.acquire(setup.request('b', { log: () => assert.fail('its node is closed') }));
    await clock.outcome(gone.release(0));
    setup.postOutcome = { kind: 'passing', ambiguous: false, code: 'refused', message: 'Nobody is there.' };
    const lease = engines.acquire(setup.request('c', { log: (_, text) => setup.log.push(`c: ${text}`) }));
    await clock.outcome(lease.release(0));
    submit(gone, 'a', '1');
    await clock.advance(5_000);
    assert.equal(setup.log.length, 1);
    assert.match(setup.log[0]!, /^warn: Nobody is there/);
  });

  it('use the smallest request limits of the accounts, and those of the service where an account sets none', () => {
    const { engines } = setup;
    engines.acquire(setup.request('a', { limits: { ...limits, usersPerPost: 5_000, blocksPerUser: 3 } }));
    engines.acquire(setup.request('b', { limits: { ...limits, maxBodyBytes: 2_000_000, blocksPerUser: 9 } }));
    const { usersPerPost, blocksPerUser, maxBodyBytes } = engines.list()[0]!.limits;
    assert.deepEqual([usersPerPost, blocksPerUser, maxBodyBytes], [1_000, 3, 1_000_000]);
  });

  it('use one client and one token for two accounts with the same login, else one each', async () => {
    const { engines, clock } = setup;
    const login: Login = { method: 'password', username: 'shared', password: 'p' };
    const a = engines.acquire(setup.request('a', { login }));
    const b = engines.acquire(setup.request('b', { login }));
    const c = engines.acquire(setup.request('c'));
    assert.equal(a.keeper, b.keeper);
    for (const [lease, name] of [
      [a, 'a'],
      [b, 'b'],
      [c, 'c'],
    ] as const)
      submit(lease, name, name === 'a' ? '1' : name === 'b' ? '2' : '3');
    await clock.advance(2_000);
    assert.deepEqual(setup.logins.sort(), ['shared', 'user of c']);
    assert.equal(setup.sent.length, 3);
    await clock.outcome(a.release(0));
    await clock.advance(30_000);
    assert.deepEqual(setup.closedClients, []);
  });

  it('start a changed password with a new state, and continue its login count', async () => {
    const { engines, clock } = setup;
    setup.authOutcome = { kind: 'loginRefused', code: 'NOAUTH', message: 'refused' };
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.advance(2_000);
    await clock.outcome(lease.release(0));
    setup.authOutcome = null;
    const same = engines.acquire(setup.request('a'));
    await clock.advance(2_000);
    assert.deepEqual([setup.sent, setup.logins.length], [[], 1]);
    await clock.outcome(same.release(0));
    const login: Login = { method: 'password', username: 'user of a', password: 'new' };
    engines.acquire(setup.request('a', { login }));
    await clock.advance(2_000);
    assert.deepEqual([setup.sent, setup.logins.length], [['1'], 2]);
  });

  it('try a refused login again on request, also before an entry waits for it', async () => {
    const { engines, clock } = setup;
    const memory = { queue: 'memory' } as const;
    setup.authOutcome = { kind: 'loginRefused', code: 'NOAUTH', message: 'refused' };
    const lease = engines.acquire(setup.request('a', memory));
    submit(lease, 'a', '1');
    await clock.advance(2_000);
    close(lease, true);
    await clock.outcome(lease.release(0));
    setup.authOutcome = null;
    const again = engines.acquire(setup.request('a', memory));
    engines.retry(engines.list()[0]!.key);
    submit(again, 'a', '2');
    await clock.advance(2_000);
    assert.deepEqual([setup.sent, setup.logins.length], [['2'], 2]);
  });

  it('count logins made for a user before an account had it', async () => {
    const { engines, clock } = setup;
    const login: Login = { method: 'password', username: 'user of a', password: 'typed into a form' };
    const { authOrigin } = setup.request('a');
    const given: AuthOutcome = { kind: 'token', token: 't' };
    const logIn = (): Promise<AuthOutcome | NoLogin> =>
      engines.loginCount(authOrigin, login.username).login(() => Promise.resolve(given), null);
    for (let n = 0; n < 10; n += 1) assert.equal((await logIn()).kind, 'token');
    assert.equal((await logIn()).kind, 'wait');
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.advance(60_000);
    assert.equal(setup.logins.length, 0);
    await clock.advance(300_000);
    assert.deepEqual([setup.sent, setup.logins.length], [['1'], 1]);
  });

  it('refuse another queue kind while a member has one, and name the account that has it', async () => {
    const { engines } = setup;
    const lease = engines.acquire(setup.request('a'));
    assert.throws(
      () => engines.acquire(setup.request('b', { queue: 'memory' })),
      (error) => error instanceof QueueKindsDiffer && error.otherAccountName === 'Account a',
    );
    engines.acquire(setup.request('b', { queue: 'memory', member: '8' }));
    await setup.clock.outcome(lease.release(0));
    // No account holds it any more, so the kinds do not conflict.
    engines.acquire(setup.request('b', { queue: 'memory' }));
  });

  it('keep pending entries on disk at a switch to memory, and send them after the switch back', async () => {
    const { engines, clock } = setup;
    const disk = engines.acquire(setup.request('a'));
    submit(disk, 'a', '1', '2');
    await clock.settle();
    await clock.outcome(disk.release(0));
    const memory = engines.acquire(setup.request('a', { queue: 'memory' }));
    submit(memory, 'a', '3');
    await clock.advance(2_000);
    assert.deepEqual(setup.sent, ['3']);
    await clock.outcome(memory.release(0));
    engines.acquire(setup.request('a'));
    await clock.advance(2_000);
    assert.deepEqual(setup.sent, ['3', '1', '2']);
  });

  it('close a parked engine after a while, which frees its file', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a'));
    const ends = submit(lease, 'a', '1');
    await clock.settle();
    await clock.outcome(lease.release(0));
    const reader = setup.files.store('queue');
    await assert.rejects(clock.outcome(reader.open()), { code: 'locked' });
    await clock.advance(10_100);
    assert.equal((await clock.outcome(reader.open())).waiting, 1);
    await clock.outcome(reader.close());
    assert.deepEqual(ends, []);
    assert.notEqual(engines.acquire(setup.request('a')).engine, lease.engine);
    await clock.advance(2_000);
    assert.deepEqual(setup.sent, ['1']);
  });

  for (const [queue, what] of [
    ['disk', 'keep what'],
    ['memory', 'refuse what'],
    ['shared', 'refuse or keep what'],
  ] as const) {
    it(`${what} is submitted after the release, with the reason (queue: ${queue})`, async () => {
      const { engines, clock } = setup;
      const shared = sharedIn(setup, new MemoryLogStore(clock), 'there');
      const lease = engines.acquire(setup.request('a', queue === 'shared' ? shared : { queue }));
      await clock.advance(2_000);
      await clock.outcome(lease.release(0));
      const ends = submit(lease, 'a', '1');
      await clock.settle();
      const kinds = ends.map((end) => (end.kind === 'failed' ? end.code : end.kind));
      assert.deepEqual(kinds, [queue === 'disk' ? 'parked' : 'closed']);
      await clock.advance(11_000);
      const closed = submit(lease, 'a', '2');
      await clock.settle();
      assert.deepEqual(
        closed.map((end) => end.kind === 'failed' && end.code),
        ['closed'],
      );
      if (queue !== 'disk') return;
      engines.acquire(setup.request('a'));
      await clock.advance(2_000);
      assert.deepEqual(setup.sent, ['1']);
    });
  }

  for (const queue of ['disk', 'memory', 'shared'] as const) {
    it(`end a message without entries at once (queue: ${queue})`, async () => {
      const { engines, clock } = setup;
      const shared = sharedIn(setup, new MemoryLogStore(clock), 'there');
      const { engine } = engines.acquire(setup.request('a', queue === 'shared' ? shared : { queue }));
      const ends: MessageEnd[] = [];
      const onEnd = (end: MessageEnd): number => ends.push(end);
      const source = { node: 'node', account: 'a' };
      for (const completeOn of ['accepted', 'queued'] as const)
        engine.submit({ source, entries: [], indexes: null, completeOn, onEnd });
      assert.deepEqual(ends, [], 'never before submit returns');
      await clock.settle();
      const counts = { entries: 0, users: 0, associations: 0, accepted: 0, superseded: 0, expired: 0 };
      const settled = { kind: 'settled', summary: { ...counts, warnings: [] }, rejections: [] };
      assert.deepEqual(ends, [settled, settled]);
    });
  }

  it('open the file again only when it is closed, however quickly accounts close and start', async () => {
    const { engines, clock } = setup;
    for (let round = 0; round < 4; round += 1) {
      const lease = engines.acquire(setup.request('a'));
      void lease.release(0);
      void engines.closeParked();
    }
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.advance(2_000);
    assert.deepEqual([setup.sent, setup.log], [['1'], []]);
    await clock.outcome(lease.release(0));
    await clock.outcome(engines.closeParked());
    const reader = setup.files.store('queue');
    await clock.outcome(reader.open());
    await clock.outcome(reader.close());
  });

  for (const [name, next, sentBy] of [
    ['on disk', () => ({ queue: 'disk' as const }), ['1', '4']],
    [
      'in another database',
      () => sharedIn(setup, new MemoryLogStore(setup.clock), 'another'),
      ['1', '3', '4'],
    ],
  ] as const) {
    it(`begin with a queue ${name}, when a database has vanished during a commit`, async () => {
      const { engines, clock } = setup;
      const logStore = new MemoryLogStore(clock);
      const before = engines.acquire(setup.request('a', sharedIn(setup, logStore, 'one')));
      submit(before, 'a', '1');
      await clock.advance(2_000);
      assert.deepEqual(setup.sent, ['1']);
      const [log] = logStore.handles as Set<MemorySharedLog>;
      log!.delayMs = () => 10;
      const commit = logStore.rows.commit.bind(logStore.rows);
      logStore.rows.commit = (parts) => {
        if ((parts.begin ?? []).length > 0) log!.cut();
        return commit(parts);
      };
      submit(before, 'a', '2');
      await clock.advance(1_000);
      // Buffered on this machine for any database that follows.
      submit(before, 'a', '3');
      await clock.advance(1_000);
      void before.release(5_000);
      await clock.advance(5_100);
      const after = engines.acquire(setup.request('a', next()));
      submit(after, 'a', '4');
      await clock.advance(12_000);
      assert.deepEqual(setup.sent.sort(), sentBy);
    });
  }

  it('leave nothing behind when a connection cannot be created', async () => {
    const { engines, clock } = setup;
    const connect = (): never => {
      throw new Error('no such URL');
    };
    assert.throws(() => engines.acquire(setup.request('a', { connect })), /no such URL/);
    await clock.settle();
    const reader = setup.files.store('queue');
    await clock.outcome(reader.open());
    await clock.outcome(reader.close());
    // An existing account is not affected.
    const lease = engines.acquire(setup.request('b'));
    assert.throws(() => engines.acquire(setup.request('a', { connect })), /no such URL/);
    submit(lease, 'b', '1');
    await clock.advance(20_000);
    assert.deepEqual(setup.sent, ['1']);
  });

  it('log trouble that lasts once, and its end', async () => {
    const { engines, clock } = setup;
    setup.postOutcome = { kind: 'passing', ambiguous: false, code: 'refused', message: 'Nobody is there.' };
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.advance(60_000);
    assert.deepEqual(setup.log, ['warn: Nobody is there. Everything stays queued and is tried again.']);
    setup.postOutcome = accepted;
    await clock.advance(120_000);
    assert.deepEqual(setup.log.slice(1), ['info: The service takes entries again.']);
    assert.deepEqual(setup.sent, ['1']);
  });

  it('log through the account that was added last', async () => {
    const { engines, clock } = setup;
    const first = engines.acquire(setup.request('a', { log: () => assert.fail('its node is closed') }));
    await clock.outcome(first.release(0));
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.settle();
    close(lease, false);
    await clock.advance(3_000);
    assert.equal(setup.log.length, 1);
  });
});

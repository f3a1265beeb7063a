// Registry: the accounts of one engine: their limits, logins and log, and an account that goes.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/entry/check';
import { QueueKindsDiffer } from '../../src/delivery/registry';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import type { Login } from '../../src/service/login/login';
import { accepted, close, limits, Setup, submit } from './support/registry-setup';

describe('the engines of a process with several accounts', () => {
  let setup: Setup;

  beforeEach(() => {
    setup = new Setup();
  });
  afterEach(() => setup.clock.advance(60_000));

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
    setup.postOutcome = { kind: 'retriable', ambiguous: false, code: 'refused', message: 'Nobody is there.' };
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
    setup.postOutcome = { kind: 'retriable', ambiguous: false, code: 'refused', message: 'Nobody is there.' };
    const lease = engines.acquire(setup.request('a'));
    submit(lease, 'a', '1');
    await clock.advance(60_000);
    assert.deepEqual(setup.log, ['warn: Nobody is there. Everything stays queued and is tried again.']);
    setup.postOutcome = accepted;
    await clock.advance(120_000);
    assert.deepEqual(setup.log.slice(1), ['info: The service accepts entries again.']);
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

// Registry: the engines of a process across deploys: which are kept and closed, what they wait for, and where their queues go.
import { strict as assert } from 'node:assert';
import type { Recovered } from '../../src/delivery/engine';
import type { Lease, LeaseRequest } from '../../src/delivery/registry';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import type { PostOutcome } from '../../src/service/reply/outcome';
import { MemoryLogStore, type MemorySharedLog } from '../queue/memory-shared-log';
import { accepted, close, Setup, sharedIn, submit } from './support/registry-setup';

describe('the engines of a process', () => {
  let setup: Setup;

  beforeEach(() => {
    setup = new Setup();
  });
  afterEach(() => setup.clock.advance(60_000));

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

  /** A queue in memory, left while a request without a reply may still run. */
  async function leftWithLostRequest(): Promise<Lease> {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a', { queue: 'memory' }));
    setup.postOutcome = { kind: 'retriable', ambiguous: true, code: 'timed_out', message: 'no reply' };
    submit(lease, 'a', '1');
    await clock.advance(1_500);
    close(lease, true);
    await clock.outcome(lease.release(5_000));
    setup.postOutcome = accepted;
    return lease;
  }

  it('keep a queue in memory while a lost request may run, and send again what it may undo', async () => {
    const { engines, clock } = setup;
    await leftWithLostRequest();
    await clock.advance(12_000);
    const again = engines.acquire(setup.request('a', { queue: 'memory' }));
    submit(again, 'a', '1');
    await clock.advance(2_000);
    assert.deepEqual(setup.sent, ['1']);
    await clock.advance(20_000);
    assert.deepEqual(setup.sent, ['1', '1']);
  });

  it('close a parked queue in memory once no lost request may run', async () => {
    const { engines, clock } = setup;
    const { engine } = await leftWithLostRequest();
    await clock.advance(30_100);
    assert.deepEqual(engines.list(), []);
    assert.notEqual(engines.acquire(setup.request('a', { queue: 'memory' })).engine, engine);
  });

  it('close a parked queue in memory after ten seconds without lost requests', async () => {
    const { engines, clock } = setup;
    const lease = engines.acquire(setup.request('a', { queue: 'memory' }));
    submit(lease, 'a', '1');
    await clock.advance(2_000);
    assert.deepEqual(setup.sent, ['1']);
    await clock.outcome(lease.release(5_000));
    await clock.advance(10_100);
    assert.deepEqual(engines.list(), []);
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
});

// Several instances with one queue, one of which sends: what each of them shows of it, and a queue that is full of what is refused.
import { strict as assert } from 'node:assert';
import { lanes } from '../../src/queue/store';
import { poisoned } from '../simulation/world/make-plan';
import type { MessageRecord } from '../simulation/world/history';
import { Instances } from './support/instances';
import { documentedLimits } from './support/world';

describe('a shared queue that is full of what the service refuses', () => {
  const bad = (flow: Instances, id: number) => flow.add(0, poisoned, { id });

  it('takes one more message of the sender after each refusal, and the first good one frees it', async () => {
    const flow = new Instances({ instances: 1, queueMaxEntries: 2 });
    await flow.advance(1_500);
    const first = [bad(flow, 10001), bad(flow, 10002)];
    await flow.advance(60_000);
    assert.deepEqual(
      first.map(({ end }) => end),
      [null, null],
    );
    const more = [bad(flow, 10003), bad(flow, 10004), bad(flow, 10005)];
    await flow.advance(50);
    assert.deepEqual(
      more.map(({ end }) => end?.kind),
      [undefined, 'failed', 'failed'],
    );
    await flow.advance(60_000);
    const good = flow.add(0, 6);
    assert.deepEqual(await flow.violations(), []);
    assert.equal(good.end?.kind, 'settled');
    for (const { end } of [...first, more[0]!])
      assert.ok(end?.kind === 'settled' && end.rejected.length === 1);
  });

  it('takes what the sender’s machine keeps', async () => {
    const flow = new Instances({ instances: 1, queueMaxEntries: 2 });
    await flow.advance(1_500);
    bad(flow, 10001);
    bad(flow, 10002);
    await flow.advance(5_000);
    flow.cut(0);
    flow.add(0, 3);
    await flow.advance(5_000);
    assert.equal(flow.keptOn(0), 1);
    assert.deepEqual(await flow.violations(), []);
    assert.equal(flow.keptOn(0), 0);
  });
});

describe('instances of a shared queue', () => {
  it('show who sends, and who stands by', async () => {
    const flow = new Instances({ instances: 3 });
    await flow.advance(2_000);
    const { sender } = flow;
    flow.world.instances.forEach((_, at) => {
      const { state, shared } = flow.queue(at).stats();
      assert.equal(shared!.sender, `i${sender}.1`);
      assert.equal(state.kind, at === sender ? 'idle' : 'standby');
      assert.deepEqual([...shared!.instances].sort(), ['i0.1', 'i1.1', 'i2.1']);
    });
  });

  it('tell where they send what became of the entries of a process that is gone', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    const { sender } = flow;
    for (let user = 0; user < 5; user += 1) flow.add(1 - sender, user);
    // Taken into the queue, and not sent yet.
    while (flow.logStore.rows.totals.waiting < 5) await flow.advance(1);
    flow.act({ kind: 'crash', instance: 1 - sender, downMs: 1_000_000 });
    await flow.advance(120_000);
    assert.deepEqual(
      flow.lateOutcomesOn(sender).map((heard) => heard.split(' ')[1]),
      Array.from({ length: 5 }, () => 'accepted'),
    );
  });

  it('end the messages of a process that was silent for so long that another one tells what became of them', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    const { sender } = flow;
    const messages = [0, 1, 2, 3, 4].map((user) => flow.add(1 - sender, user));
    // Taken into the queue, and not sent yet.
    while (flow.logStore.rows.totals.waiting < messages.length) await flow.advance(1);
    flow.act({ kind: 'suspend', instance: 1 - sender, forMs: 90_000 });
    await flow.advance(100_000);
    assert.equal(flow.lateOutcomesOn(sender).length, messages.length);
    for (const { end } of messages)
      assert.ok(end?.kind === 'queued' && end.reason === 'lateOutcomes', JSON.stringify(end));
    const next = flow.add(1 - sender, 5);
    await flow.advance(1_000);
    assert.equal(next.end?.kind, 'settled');
    assert.deepEqual(await flow.violations(), []);
  });

  it('send what they appended themselves without reading it back, and what others appended once it is read', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    const { sender, logStore } = flow;
    let pages = 0;
    const read = logStore.rows.read.bind(logStore.rows);
    logStore.rows.read = (...args) => {
      pages += 1;
      return read(...args);
    };
    const own: MessageRecord[] = [];
    for (let user = 0; user < 50; user += 1) {
      own.push(flow.add(sender, user % 20, { expiration: user % 3 === 0 ? -1 : 0 }));
      await flow.advance(40);
    }
    await flow.advance(1_000);
    assert.ok(own.every(({ end }) => end?.kind === 'settled'));
    // Only where a claim, of which there are four in this time, overtook the answer of an append; otherwise each of the 50
    // takes one page of each lane.
    assert.ok(pages <= 4 * lanes.length, `${pages} pages`);
    pages = 0;
    const other = flow.add(1 - sender, 30);
    const behind = flow.add(sender, 30);
    await flow.advance(1_000);
    assert.ok(other.end?.kind === 'settled' && behind.end?.kind === 'settled');
    assert.ok(pages > 0);
    assert.deepEqual(await flow.violations(), []);
  });

  it('take over at once from a sender that lost its connection, and resend its users when its requests can no longer run', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    const { sender, history } = flow;
    flow.add(sender, 1);
    await flow.advance(1_000);
    flow.service.state = 'silent';
    flow.add(sender, 2);
    await flow.advance(200);
    assert.equal(history.requests.length, 2);
    const cutMs = history.requests[1]!.sentMs;
    flow.cut(sender);
    flow.service.state = 'well';
    await flow.advance(60_000);
    const [first, second] = history.requests.filter(({ instance }) => instance !== sender);
    assert.ok(first!.sentMs - cutMs < 2_500, `the first post ${first!.sentMs - cutMs} ms after the cut`);
    // The old sender may send for 2 s, the request may take 10 s and run for 20 s more.
    const againMs = second!.sentMs - cutMs;
    assert.ok(againMs >= 32_000 && againMs < 34_000, `sent again after ${againMs} ms`);
  });

  it('count the requests in flight at a takeover only until these can no longer run, however often another takes over', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    const { sender, history } = flow;
    flow.add(sender, 100);
    await flow.advance(1_000);
    flow.service.state = 'silent';
    for (let user = 0; user < documentedLimits.maxConcurrent; user += 1) {
      flow.add(sender, user);
      await flow.advance(50);
    }
    const before = history.requests.length;
    assert.equal(before, 1 + documentedLimits.maxConcurrent);
    flow.service.state = 'well';
    const crash = (): void => flow.act({ kind: 'crash', instance: flow.sender, downMs: 1_000 });
    crash();
    const crashedMs = history.deaths[0]!.atMs;
    for (let takeovers = 0; takeovers < 5; takeovers += 1) {
      await flow.advance(9_000);
      if (takeovers < 4) crash();
    }
    const next = history.requests[before];
    // 2.3 s until another takes over, 32 s in which the requests may run, and a second.
    const afterMs = next!.sentMs - crashedMs;
    assert.ok(afterMs >= 32_000 && afterMs < 38_000, `the next request after ${afterMs} ms`);
    assert.deepEqual(await flow.violations(), []);
  });

  it('close what they had of the queue when another sends', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    for (let turn = 0; turn < 4; turn += 1) {
      const { sender } = flow;
      flow.act({ kind: 'freeze', instance: sender, forMs: 10_000 });
      await flow.advance(15_000);
      assert.equal(flow.sender, 1 - sender);
      const { connections } = flow.world.database('main');
      // To hear and to take, and one to send.
      assert.deepEqual([connections.get(sender), connections.get(1 - sender)], [2, 3]);
    }
  });

  it('send nothing that comes after a pause, and go on after a resume', async () => {
    const flow = new Instances();
    await flow.advance(2_000);
    const { sender, logStore } = flow;
    delayPauses(logStore);
    flow.queue(sender).pause();
    const first = flow.add(sender, 1);
    await flow.advance(3_000);
    assert.equal(first.end, null);
    flow.queue(1 - sender).resume();
    await flow.advance(3_000);
    assert.equal((first.end as { kind: string } | null)?.kind, 'settled');
    flow.queue(sender).pause();
    flow.queue(sender).resume();
    const second = flow.add(sender, 2);
    await flow.advance(3_000);
    assert.equal(second.end?.kind, 'settled');
  });

  it('stay paused when that is asked for while a new sender wins the lease', async () => {
    const flow = new Instances({ instances: 1 });
    const { logStore } = flow;
    const claim = logStore.claim.bind(logStore);
    let isAsked = false;
    logStore.claim = (...args) => {
      const found = claim(...args);
      if (found.ours && !isAsked) {
        delayPauses(logStore);
        flow.queue(0).pause();
      }
      isAsked = found.ours;
      return found;
    };
    const states = new Set<string>();
    for (let ms = 0; ms < 5_000; ms += 10) {
      await flow.advance(10);
      states.add(flow.queue(0).stats().state.kind);
    }
    assert.deepEqual([...states], ['standby', 'starting', 'paused']);
  });

  it('go on with the entries of one account while the login of another is refused', async () => {
    const flow = new Instances({ accounts: ['a', 'b'] });
    flow.service.refusedLogins.add('a');
    await flow.advance(3_000);
    for (const instance of [0, 1]) flow.add(instance, instance, { node: 'a' });
    for (let second = 0; second < 300; second += 5) {
      const sent = [0, 1].map((instance) => flow.add(instance, 10 + second + instance, { node: 'b' }));
      await flow.advance(5_000);
      assert.ok(
        sent.every(({ end }) => end?.kind === 'settled'),
        `after ${second} s`,
      );
    }
  });

  it('send by another when none of the logins here works', async () => {
    const flow = new Instances({ accounts: ['a', 'b'] });
    await flow.advance(3_000);
    const { sender } = flow;
    for (const account of ['a', 'b']) {
      flow.service.refusedLogins.add(`no ${account}`);
      flow.act({
        kind: 'accounts',
        instance: sender,
        accounts: [account],
        change: { username: `no ${account}` },
      });
    }
    await flow.advance(8_000);
    const sent = ['a', 'b'].map((node, user) => flow.add(sender, user, { node }));
    await flow.advance(20_000);
    assert.ok(sent.every(({ end }) => end?.kind === 'settled'));
    assert.equal(flow.sender, 1 - sender);
  });
});

/** The database stores a pause or resume only after half a second. */
function delayPauses({ handles, clock }: Instances['logStore']): void {
  for (const log of handles) {
    const set = log.setPaused.bind(log);
    log.setPaused = (paused) => new Promise((resolve) => clock.after(500, () => resolve(set(paused))));
  }
}

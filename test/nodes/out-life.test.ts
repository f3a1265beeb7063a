// The life of an out node: controls, dry run, deploys under load, restarts, a service that hangs.
import assert from 'node:assert/strict';
import type { AccountUser } from '../../nodes/account/account-api';
import { engines } from '../../nodes/account/process-wide';
import { checkEntry } from '../../src/entry/check';
import type { Recovered } from '../../src/delivery/engine';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  idfa,
  load,
  loadWith,
  logged,
  login,
  restart,
  sleep,
  unload,
  until,
  useNodeRed,
} from './out-flow';

const entriesIn = (flow: Pick<Flow, 'accepted'>): number =>
  flow.accepted.reduce((sum: number, { audience }) => sum + Number(audience.entries), 0);

describe('the out node', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let flow: Flow;
  let other: Flow;
  const nodes = (changes: object = {}, account: object = {}): object[] => [
    customAccount(sandbox.url, account),
    ...flow.nodes(changes),
  ];

  beforeEach(async () => {
    sandbox = await startSandbox();
    flow = new Flow();
    other = new Flow('other');
  });
  afterEach(async () => {
    await unload();
    await sandbox.close();
  });

  it('stops sending at pause, continues at resume, and forwards neither', async () => {
    await load(nodes(), login(), flow);
    await flow.send({ control: 'pause', payload: entry(9) });
    flow.give({ payload: entry(1) }, { payload: entry(2) });
    await until(() => flow.status === 'paused', 'paused');
    assert.equal(flow.completed.length, 1);
    flow.give({ control: 'flush' }, { control: 'resume' });
    await flow.allEnded();
    assert.equal(flow.accepted.length, 2);
    assert.equal(sandbox.state().length, 2);
    assert.deepEqual([flow.rejected.length, flow.errors.length], [0, 0]);
  });

  it('adds a summary to a message only if somebody gets the message', async () => {
    const summaries = (): unknown[] => flow.completed.map(({ audience }: any) => audience?.accepted);
    await load(nodes({ wires: [[], []] }), login(), flow);
    await flow.send({ payload: entry(1) });
    assert.deepEqual(summaries(), [undefined]);
    const watch = { id: 'watch', type: 'complete', z: 'flow', x: 0, y: 0, scope: ['out'], wires: [] };
    await deploy([...nodes({ wires: [[], []] }), watch], 'full', flow);
    await flow.send({ payload: entry(2) });
    assert.deepEqual(summaries(), [undefined, 1]);
    assert.equal(sandbox.state().length, 2);
  });

  it('sends messages that wait to a node that is wired to it meanwhile', async () => {
    await load(nodes({ wires: [[], []] }), login(), flow);
    await flow.send({ control: 'pause' });
    flow.give({ payload: entry(1) }, { payload: [entry(2), {}] });
    await deploy(nodes(), 'nodes', flow);
    flow.give({ control: 'resume' });
    await flow.allEnded();
    assert.deepEqual([flow.accepted.length, flow.rejected.length], [2, 1]);
  });

  it('follows an account that a variable names through a deploy of the changed nodes, and turns red without it', async () => {
    process.env.IA_ACCOUNT = 'account';
    const second = await startSandbox();
    try {
      const named = { account: '${IA_ACCOUNT}' };
      await load(nodes(named), login(), flow);
      await flow.send({ payload: entry(1) });
      const startMs = performance.now();
      await deploy([customAccount(second.url), ...flow.nodes(named)], 'nodes', flow);
      assert.ok(performance.now() - startMs < 8_000, 'the deploy does not wait for the node');
      await flow.send({ payload: entry(2) });
      assert.deepEqual([sandbox.state().length, second.state().length], [1, 1]);
      await deploy([customAccount(second.url, { d: true }), ...flow.nodes(named)], 'nodes', flow);
      await until(() => flow.status === 'no active account', 'red');
      await flow.send({ payload: entry(3) });
      assert.match(flow.error, /^The account of this node is disabled or does not exist any more\./);
      await deploy([customAccount(second.url), ...flow.nodes(named)], 'nodes', flow);
      await flow.send({ payload: entry(4) });
      assert.equal(second.state().length, 2);
    } finally {
      delete process.env.IA_ACCOUNT;
      await unload();
      await second.close();
    }
  }).timeout(60_000);

  it('reports a missing account once, and not again with each deploy of other nodes', async () => {
    const missing = (): number => logged().filter((line) => line.includes('does not exist any more')).length;
    await load(nodes({ account: 'nowhere' }), login(), flow);
    await deploy([...nodes({ account: 'nowhere' }), ...other.nodes()], 'nodes', flow);
    assert.equal(missing(), 1);
    await flow.send({ payload: entry(1) });
    assert.match(flow.error, /does not exist any more/);
  });

  it('checks, merges and packs in a dry run, and posts nothing', async () => {
    await load(nodes({ dryRun: true }), login(), flow);
    await flow.send({ payload: [entry(1), entry(1, -1), entry(2), { user_id: '' }] });
    const [{ audience }] = flow.accepted;
    assert.equal(audience.status, 'dry run');
    assert.deepEqual(audience.requests, [{ rt_segment: [entry(1, -1), entry(2)] }]);
    assert.equal(flow.rejected[0].audience.rejected[0].index, 3);
    assert.equal(sandbox.peaks().totals.posts, 0);
    await until(() => flow.status === 'dry run', 'dry run');
  });

  for (const lateAdds of ['shorten', 'asIs'] as const) {
    it(`sends an add that is an hour late ${lateAdds === 'asIs' ? 'as it came' : 'shortened, or as a removal'}`, async () => {
      await load(nodes({ lateAdds }), login(), flow);
      const late = { event_time: Date.now() - 3_600_000 };
      await flow.send({
        payload: [
          { ...entry(1, 30), ...late },
          { ...entry(2, 90), ...late },
        ],
      });
      const sent = new Map(sandbox.operations().map(({ user_id, expiration }) => [user_id, expiration]));
      const expected = lateAdds === 'asIs' ? [30, 90] : [-1, 30];
      assert.deepEqual([sent.get(idfa(1)), sent.get(idfa(2))], expected);
      assert.equal(flow.accepted[0].audience.expired, lateAdds === 'asIs' ? 0 : 1);
    });
  }

  it('sends fields that it does not know only where that is allowed', async () => {
    const allowing = new Flow('allowing');
    const shown = new Flow('shown');
    const all = [
      ...nodes(),
      ...allowing.nodes({ allowUnknownFields: true }),
      ...shown.nodes({ allowUnknownFields: true, dryRun: true }),
    ];
    await load(all, login(), flow, allowing, shown);
    const newer = { ...entry(1), source: { app: 'shop' } };
    newer.seg_block = [{ ...newer.seg_block[0], score: 0.5 }];
    for (const each of [flow, allowing, shown]) await each.send({ payload: structuredClone(newer) });
    const { issues } = flow.rejected[0].audience.rejected[0];
    assert.deepEqual(
      issues.map(({ code, path }: any) => `${path} ${code}`),
      ['source unknown_key', 'seg_block[0].score unknown_key'],
    );
    assert.equal(allowing.accepted[0].audience.accepted, 1);
    assert.equal(sandbox.state().length, 1);
    assert.deepEqual(shown.accepted[0].audience.requests, [{ rt_segment: [newer] }]);
  });

  it('keeps to the limits of a call that its account has, also in a dry run', async () => {
    const shown = new Flow('shown');
    const all = nodes({}, { usersPerPost: 2, blocksPerUser: '3', maxBodyBytes: 20_000 });
    await load([...all, ...shown.nodes({ dryRun: true })], login(), flow, shown);
    const many = { user_id: '7', seg_block: Array.from({ length: 7 }, (_, at) => ({ seg_id: at + 1 })) };
    const payload = [entry(1), entry(2), entry(3), many];
    await shown.send({ payload });
    const { requests } = shown.accepted[0].audience;
    const sizes = requests.map(({ rt_segment: users }: any) =>
      users.map((user: any) => user.seg_block.length),
    );
    assert.deepEqual(sizes, [[1, 1], [1, 3], [3], [1]]);
    await flow.send({ payload });
    const { usersPerCall, segmentsPerUser } = sandbox.peaks().worst;
    assert.deepEqual([usersPerCall, segmentsPerUser], [2, 3]);
    const { maxBodyBytes } = engines.list().find(({ origin }) => origin === sandbox.url)!.limits;
    assert.equal(maxBodyBytes, 20_000);
    assert.equal(sandbox.state().length, 3 + 7);
  });

  it('complete once queued, reports the outcome of its entries later', async () => {
    sandbox.faults.set([{ kind: 'poison', userIds: [idfa(2)] }]);
    await load(nodes({ completeOn: 'queued' }), login(), flow);
    await flow.send({ payload: [entry(1), entry(2), { user_id: '0' }], topic: 'kept' });
    const { status, entries, accepted } = flow.accepted[0].audience;
    assert.deepEqual([status, entries, accepted, flow.accepted[0].topic], ['queued', 2, 0, 'kept']);
    assert.equal(flow.rejected[0].audience.rejected[0].index, 2);
    await until(() => flow.accepted.length === 2 && flow.rejected.length === 2, 'recovered');
    assert.deepEqual(flow.accepted[1].payload, [entry(1)]);
    assert.equal(flow.accepted[1].audience.recovered, true);
    assert.deepEqual(flow.rejected[1].payload, [entry(2)]);
    const [{ index, entry: refused, code, message }] = flow.rejected[1].audience.rejected;
    assert.deepEqual([index, refused, code], [0, entry(2), 'SYNTAX']);
    assert.match(message, /^The service refused/);
  });

  it('reports late outcomes at the same node after a restart, or in the log if the node was deleted', async () => {
    const two = (): object[] => [...nodes(), ...other.nodes()];
    await load(two(), login(), flow, other);
    await flow.send({ control: 'pause' });
    flow.give({ payload: entry(1) }, { payload: [entry(2), entry(3), { user_id: '0' }] });
    other.give({ payload: entry(4) }, { payload: entry(5) });
    await restart();
    // What was refused before anything was queued is told even so.
    assert.deepEqual([flow.completed.length, other.completed.length], [2, 2]);
    assert.match(flow.error, /^1 of 3 entries were rejected/);
    assert.equal(entriesIn(flow) + entriesIn(other), 0);
    await load(nodes(), login(), flow);
    await until(() => entriesIn(flow) === 3, 'recovered');
    assert.deepEqual(flow.accepted[0].payload, [entry(1), entry(2), entry(3)]);
    const told = '2 queued entries of the removed node other were delivered.';
    await until(() => logged().includes(told), told);
    assert.equal(sandbox.state().length, 5);
    await flow.send({ payload: entry(6) });
  });

  it('closes in time while the service hangs: with a queue on disk nothing is output, in memory each message gets an error', async () => {
    sandbox.faults.set([{ kind: 'latency', beforeMs: 60_000 }]);
    const all = [
      ...nodes(),
      customAccount(sandbox.url, { id: 'in memory', member: '8', queue: 'memory' }),
      ...other.nodes({ account: 'in memory' }),
    ];
    await load(all, { ...login(), ...login('any', 'in memory') }, flow, other);
    flow.give({ payload: entry(1) }, { payload: entry(2) });
    other.give({ payload: entry(1) }, { payload: entry(2) });
    await until(() => sandbox.faults.list()[0]!.fired === 2, 'both are in flight');
    const startMs = performance.now();
    await unload();
    assert.ok(performance.now() - startMs < 12_000);
    assert.deepEqual([flow.completed.length, flow.errors.length, entriesIn(flow)], [2, 0, 0]);
    assert.deepEqual([other.completed.length, other.errors.length, entriesIn(other)], [0, 2, 0]);
    assert.match(other.error, /before this message was sent, and its queue is in memory/);
  });
});

describe('the out node, while its account is not ready', () => {
  useNodeRed();

  it('passes on any number of entries that ended before the flows had started', async () => {
    const checked = checkEntry(entry(1));
    assert.ok(checked.ok);
    const ended: Recovered = { entry: checked.entry, end: 'superseded', rejection: null };
    const quickAccount = (RED: any): void => {
      RED.nodes.registerType('xandr-account', function (this: any, config: object) {
        RED.nodes.createNode(this, config);
        this.join = (_: string, user: AccountUser) => user.recovered(new Array(200_000).fill(ended));
        this.leave = () => Promise.resolve();
      });
    };
    const flow = new Flow();
    await loadWith(quickAccount, [{ id: 'account', type: 'xandr-account' }, ...flow.nodes()], {}, flow);
    await until(() => flow.accepted.length > 0, 'recovered');
    assert.deepEqual(
      [flow.accepted[0].audience.superseded, logged().filter((line) => line.includes('RangeError'))],
      [200_000, []],
    );
    await unload();
  });

  it('keeps messages until it is ready, or ends each with an error', async () => {
    let ready: (engine: object) => void = () => undefined;
    const slowAccount = (RED: any): void => {
      RED.nodes.registerType('xandr-account', function (this: any, config: object) {
        RED.nodes.createNode(this, config);
        this.join = (_: string, user: { ready(engine: object): void }) =>
          (ready = (engine) => user.ready(engine));
        this.leave = () => Promise.resolve();
      });
    };
    const flow = new Flow();
    const account = { id: 'account', type: 'xandr-account' };
    await loadWith(slowAccount, [account, ...flow.nodes()], {}, flow);
    flow.give({ payload: entry(1) }, { control: 'flush' });
    await sleep(10);
    assert.equal(flow.ends, 0);
    ready({ key: 'error.member_missing' });
    await flow.allEnded();
    assert.match(flow.error, /Member ID: needed/);
    await unload();

    await loadWith(slowAccount, [account, ...flow.nodes()], {}, flow);
    flow.give({ payload: entry(1) }, { payload: entry(2) });
    await sleep(10);
    await unload();
    await flow.allEnded();
    assert.match(flow.error, /^Node-RED stopped or deployed before this message was queued/);
  });
});

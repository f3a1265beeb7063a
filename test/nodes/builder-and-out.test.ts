// A segment builder before an out node: its failures are counted with the account's queue, its segments looked up.
import assert from 'node:assert/strict';
import helper from 'node-red-node-test-helper';
import { engines } from '../../nodes/account/process-wide';
import { segmentWatches } from '../../nodes/instant-audience-out/segment-watch';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  entry,
  Flow,
  load,
  login,
  sleep,
  unload,
  until,
  usedQueue,
  useNodeRed,
} from './out-flow';

const at = { z: 'flow', x: 0, y: 0 };
const builder = (id: string, changes: object = {}): object => ({
  ...at,
  id,
  type: 'xandr-segment-builder',
  userId: 'payload.user',
  segments: [{ segment: '10999' }],
  wires: [['out'], ['elsewhere']],
  ...changes,
});

describe('a builder before an out node', () => {
  let sandbox: Sandbox;
  let out: Flow;

  useNodeRed();
  before(async () => (sandbox = await startSandbox({ users: { me: 's3cr3t' }, member: 7 })));
  beforeEach(() => (out = new Flow()));
  afterEach(async () => {
    await unload();
    await engines.closeParked();
  });
  after(() => sandbox.close());

  const start = (...nodes: object[]): Promise<void> =>
    load([customAccount(sandbox.url, { queue: 'memory' }), ...out.nodes(), ...nodes], login('s3cr3t'), out);
  const invalid = (): number => usedQueue().engine.monitor.invalid;
  const warned = (): number => [...segmentWatches.values()][0]?.warnings(Date.now()).length ?? -1;

  it('counts invalid items with the queue of the account behind it, and exports them', async () => {
    await start(builder('builder'), builder('other', { wires: [[], ['elsewhere']] }));
    await out.send({ payload: entry(1) });
    helper.getNode('builder').receive({ payload: { user: '0' } });
    helper.getNode('other').receive({ payload: { user: '0' } });
    await until(() => invalid() === 1, 'one invalid');
    await sleep(50);
    assert.equal(invalid(), 1, 'the one that leads nowhere is not counted');
    const [kept] = usedQueue().engine.monitor.rejections.last();
    assert.equal(kept!.message, 'User ID: 0 stands for an opted-out user; leave it out');
  });

  it('has its segments looked up when it stands behind a call of a link', async () => {
    await start(
      { ...at, id: 'call', type: 'link call', links: ['in'], linkType: 'static', wires: [['out']] },
      { ...at, id: 'in', type: 'link in', links: [], wires: [['builder']] },
      builder('builder', { wires: [['back'], []] }),
      { ...at, id: 'back', type: 'link out', mode: 'return', links: [], wires: [] },
    );
    await until(() => warned() === 1, 'the warning of a segment that is switched off');
  });

  it('has none looked up on a flow that is disabled', async () => {
    const place = { z: 'off', account: 'account' };
    await start(
      { id: 'off', type: 'tab', label: 'off', disabled: true },
      builder('builder', { ...place, wires: [[], []] }),
    );
    await sleep(1_200);
    assert.equal(warned(), 0);
  });

  it('queues a purchase at one builder after an earlier long list of views at another', async () => {
    const wires = [['out'], []];
    await start(
      builder('views', { source: 'items', userId: 'user', userIdType: 'item', wires }),
      builder('bought', { action: 'remove', wires }),
    );
    await out.send({ payload: entry(1) });
    const order: string[] = [];
    const { engine } = usedQueue();
    const { submit } = engine;
    engine.submit = (submission) => {
      order.push(String(submission.entries.length));
      submit.call(engine, submission);
    };
    helper.getNode('views').receive({ payload: Array.from({ length: 20_000 }, (_, n) => ({ user: n + 1 })) });
    helper.getNode('bought').receive({ payload: { user: 20_000 } });
    await until(() => order.length === 2, 'both');
    assert.deepEqual(order, ['20000', '1']);
  });
});

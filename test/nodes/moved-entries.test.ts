// An account whose address was wrong and is mended: what waits for the old one is moved, kept or discarded.
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import type { NodeAPI } from 'node-red';
import helper from 'node-red-node-test-helper';
import { AccountForms } from '../../nodes/account/forms/admin';
import { engines, orphanedQueuesOf, sandbox as ownSandbox } from '../../nodes/account/process-wide';
import { queueFile } from '../../nodes/account/queue/queue-file';
import { Actions } from '../../nodes/sidebar/actions';
import type { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import { moveAway, storeOf } from '../../src/queue/orphaned-queue';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  idfa,
  load,
  logged,
  login,
  nodesUserDir,
  restart,
  sleep,
  unload,
  until,
  useNodeRed,
} from './out-flow';

describe('entries that wait for an address that was mended', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let flow: Flow;
  const list = (): ReturnType<typeof engines.list> => engines.list();
  const left = (): OrphanedQueues =>
    orphanedQueuesOf({ settings: { userDir: nodesUserDir() } } as unknown as NodeAPI);
  const actions = (): Actions => new Actions(engines, new Orphaned(engines, left()), () => undefined);
  const wrongUrl = (): string => `${sandbox.url}/no/such/place`;
  const wrongFile = (): string => basename(queueFile(nodesUserDir(), wrongUrl(), '7'));
  const at = (serviceUrl: string): object[] => [
    customAccount(sandbox.url, { serviceUrl }),
    ...flow.nodes({ completeOn: 'queued' }),
  ];
  const move = (): Promise<{ status: number; body: any }> =>
    actions().act('moveOrphaned', { queue: wrongFile(), account: 'account' });
  /** What the form of the account says when it holds this. */
  const form = (values: object): any => {
    const red = Object.create((helper as any)._RED, { settings: { value: { userDir: nodesUserDir() } } });
    const forms = new AccountForms(red, engines, ownSandbox, () => Promise.reject(new Error('not asked')));
    const deployed = { environment: 'custom', serviceUrl: wrongUrl(), member: '7' };
    return forms.queued({ id: 'account', values: { ...deployed, ...values } }).body;
  };
  /** Of what earlier tests left there are others. */
  const warnings = (): string[] =>
    logged('warn').filter(
      (line) => line.startsWith('Entries kept in the old queue') && line.includes(new URL(wrongUrl()).port),
    );
  const members = (): string[] => sandbox.state().map(({ user_id: id }) => id);
  const waitingAt = (origin: string): number =>
    list().find((info) => info.origin === origin)?.engine.counters.waiting ?? 0;
  const settled = (): Promise<void> => until(() => waitingAt(sandbox.url) === 0, 'all is delivered');
  const deployAt = (url: string): Promise<void> => deploy(at(url), 'nodes', flow);

  beforeEach(async () => {
    sandbox = await startSandbox({ users: { me: 'secret' } });
    flow = new Flow();
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox.close();
  });

  it('go to the new one in their order, each once; until then status and warning tell of them', async () => {
    await load(at(wrongUrl()), login(), flow);
    await flow.send({ payload: [entry(1), entry(2)] }, { payload: entry(1, -1) }, { payload: entry(3) });
    await flow.send({ payload: entry(3, -1) }, { payload: entry(3) });
    assert.equal(waitingAt(wrongUrl()), 6);
    await deployAt(sandbox.url);
    await until(() => flow.status === '6 in old queue', 'the status');
    assert.deepEqual([flow.shown.at(-1)!.fill, flow.shown.at(-1)!.shape], ['yellow', 'ring']);
    await until(() => warnings().length === 1, 'the warning');
    const [warning] = warnings();
    // What is wrong and what to do come first.
    assert.match(warning!.slice(0, 80), /: 6\. Move or purge them in the tab Audience\. /);
    assert.ok(
      warning!.endsWith(
        `They are for member 7 at ${wrongUrl()}, and are not sent until you move them or set the account back. See the documentation: Monitor and operate, Queues that no account uses.`,
      ),
      warning,
    );
    assert.deepEqual(await move(), { status: 200, body: { code: 'moved', moved: 6, kept: 0 } });
    await settled();
    assert.deepEqual(members().sort(), [idfa(2), idfa(3)]);
    await until(() => flow.status === 'ready', 'nothing is left');
    assert.deepEqual((await move()).body, { code: 'moved', moved: 0, kept: 0 });
  });

  it('are not warned of when the form asked to move them', async () => {
    await load(at(wrongUrl()), login(), flow);
    await flow.send({ payload: entry(1) });
    await deployAt(sandbox.url);
    assert.equal((await move()).status, 200);
    await settled();
    await sleep(4_000);
    assert.deepEqual(warnings(), []);
  });

  it('go when asked for before the account has started: Node-RED answers a deploy earlier', async () => {
    await load(at(wrongUrl()), login(), flow);
    await flow.send({ payload: entry(1) });
    // Disabled, so that it keeps its password.
    const [account] = at(sandbox.url);
    await deploy([{ ...account, d: true }], 'full');
    const moved = move();
    await sleep(100);
    await deployAt(sandbox.url);
    assert.deepEqual(await moved, { status: 200, body: { code: 'moved', moved: 1, kept: 0 } });
    await settled();
  });

  it('stay where newer ones of their users went to the new one', async () => {
    await load(at(wrongUrl()), login(), flow);
    await flow.send({ payload: [entry(1), entry(2)] });
    await deployAt(sandbox.url);
    await flow.send({ payload: entry(2, -1) });
    await settled();
    assert.deepEqual((await move()).body, { code: 'moved', moved: 1, kept: 1 });
    await settled();
    assert.deepEqual(members(), [idfa(1)]);
    const [found] = left()
      .list()
      .filter(({ key }) => key === wrongFile());
    assert.deepEqual([found!.waiting, found!.accounts], [1, ['account']]);
  });

  it('move also when the right address was in use before it was broken', async () => {
    await load(at(sandbox.url), login(), flow);
    await flow.send({ payload: entry(1) });
    await settled();
    await deployAt(wrongUrl());
    await flow.send({ payload: entry(2) }, { payload: entry(1, -1) });
    await engines.closeIdle(`${sandbox.url} 7`);
    await deployAt(sandbox.url);
    assert.deepEqual((await move()).body, { code: 'moved', moved: 2, kept: 0 });
    await settled();
    assert.deepEqual(members(), [idfa(2)]);
  });

  it('are not lost, and not sent after newer ones, when Node-RED dies while they are moved', async () => {
    await load(at(wrongUrl()), login(), flow);
    await flow.send({ payload: [entry(1), entry(2)] });
    await deployAt(sandbox.url);
    await engines.closeIdle(`${wrongUrl()} 7`);
    await engines.started('account', 8_000);
    const path = queueFile(nodesUserDir(), wrongUrl(), '7');
    const dies = moveAway(storeOf(path, []), 'account', async (rows) => {
      assert.equal((await engines.takeMoved('account', rows))!.moved.length, 2);
      throw new Error('killed');
    });
    await assert.rejects(dies, /killed/);
    await settled();
    await flow.send({ payload: entry(2, -1) });
    await settled();
    await restart();
    await load(at(sandbox.url), login(), flow);
    // Nobody knows any more what was taken meanwhile.
    assert.deepEqual((await move()).body, { code: 'moved', moved: 0, kept: 2 });
    await settled();
    assert.deepEqual(members(), [idfa(1)]);
  });

  it('are discarded when asked twice, and never go to or from a sandbox', async () => {
    await load(at(wrongUrl()), login(), flow);
    await flow.send({ payload: entry(1) });
    const inSandbox = { id: 'account', type: 'xandr-account', environment: 'sandbox' };
    await deploy([inSandbox, ...flow.nodes({ completeOn: 'queued' })], 'nodes', flow);
    assert.deepEqual(await move(), { status: 409, body: { code: 'noTarget' } });
    await flow.send({ control: 'pause' });
    await flow.send({ payload: entry(5) });
    await deployAt(sandbox.url);
    const file = basename(queueFile(nodesUserDir(), 'sandbox', '1'));
    const refused = await actions().act('moveOrphaned', { queue: file, account: 'account' });
    assert.deepEqual(refused, { status: 409, body: { code: 'sandboxStays' } });
    const acting = actions();
    const { body } = (await acting.act('purgeOrphaned', { queue: wrongFile() })) as { body: any };
    assert.deepEqual([body.code, body.waiting], ['confirm', 1]);
    const done = await acting.act('purgeOrphaned', { queue: wrongFile(), confirm: body.confirm });
    assert.deepEqual(done.body, { code: 'purged', entries: 1, inFlight: 0 });
    assert.deepEqual(members(), []);
  });

  describe('after a restart', () => {
    it('are warned of and moved when the address was mended while Node-RED was stopped', async () => {
      await load(at(wrongUrl()), login(), flow);
      await flow.send({ payload: [entry(1), entry(2)] }, { payload: entry(1, -1) });
      await restart();
      await load(at(sandbox.url), login(), flow);
      await until(() => warnings().length > 0, 'the warning');
      assert.match(warnings().join('\n'), /: 3\. Move or purge them in the tab Audience/);
      assert.deepEqual((await move()).body, { code: 'moved', moved: 3, kept: 0 });
      await settled();
      assert.deepEqual(members(), [idfa(2)]);
    });

    it('stay where newer ones went to the new one before it, and the others move', async () => {
      await load(at(wrongUrl()), login(), flow);
      await flow.send({ payload: [entry(1), entry(2)] });
      await deployAt(sandbox.url);
      await flow.send({ payload: entry(2, -1) });
      await settled();
      await restart();
      await load(at(sandbox.url), login(), flow);
      assert.deepEqual((await move()).body, { code: 'moved', moved: 1, kept: 1 });
      await settled();
      assert.deepEqual(members(), [idfa(1)]);
      await restart();
      await load(at(sandbox.url), login(), flow);
      assert.deepEqual((await move()).body, { code: 'moved', moved: 0, kept: 1 });
    });

    it('move also when the right address was in use before it was broken', async () => {
      await load(at(sandbox.url), login(), flow);
      await flow.send({ payload: entry(1) });
      await settled();
      await restart();
      await load(at(wrongUrl()), login(), flow);
      await flow.send({ payload: entry(2) }, { payload: entry(1, -1) });
      await restart();
      await load(at(sandbox.url), login(), flow);
      assert.deepEqual((await move()).body, { code: 'moved', moved: 2, kept: 0 });
      await settled();
      assert.deepEqual(members(), [idfa(2)]);
    });
  });

  describe('and another kind of queue', () => {
    const inMemory = (): object[] => [
      customAccount(sandbox.url, { serviceUrl: wrongUrl(), queue: 'memory' }),
      ...flow.nodes({ completeOn: 'queued' }),
    ];

    it('stay on disk when the account has its queue in memory from now on, with a warning', async () => {
      await load(at(wrongUrl()), login(), flow);
      await flow.send({ payload: [entry(1), entry(2)] });
      assert.deepEqual(form({ queue: 'disk' }), { waiting: 0 });
      const { waiting, choices, notes } = form({ queue: 'memory' });
      assert.deepEqual([waiting, choices, notes], [2, ['keep', 'discard'], ['toMemory', 'late']]);
      await deploy(inMemory(), 'nodes', flow);
      await until(() => warnings().length > 0, 'the warning');
      assert.match(warnings().join('\n'), /: 2\. Move or purge them in the tab Audience/);
      assert.deepEqual(await move(), { status: 409, body: { code: 'noTarget' } });
      await restart();
      await load(inMemory(), login(), flow);
      await until(() => warnings().length > 0, 'the warning at the start');
      assert.match(warnings().join('\n'), /: 2\. Move or purge them in the tab Audience/);
    });

    it('end with an error when they were in memory, which the form says before', async () => {
      await load(inMemory(), login(), flow);
      flow.give({ payload: entry(1) }, { payload: entry(2) });
      await until(() => waitingAt(wrongUrl()) === 2, 'they wait');
      const { waiting, choices, notes, query } = form({ queue: 'memory', serviceUrl: sandbox.url });
      assert.deepEqual([waiting, choices, notes, query], [2, [], ['fromMemory'], null]);
      await deployAt(sandbox.url);
      await flow.allEnded();
      assert.equal(flow.errors.length, 2);
      assert.match(flow.error, /its queue is in memory/);
      await sleep(4_000);
      assert.deepEqual(warnings(), []);
    });
  });
});

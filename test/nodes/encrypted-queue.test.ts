// Accounts that encrypt user ids on disk: their secret, and their messages for a wrong or missing one.
import assert from 'node:assert/strict';
import { globSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { engines } from '../../nodes/account/process-wide';
import { queueSecrets } from '../../nodes/account/queue/queue-secret';
import { Actions } from '../../nodes/sidebar/actions';
import { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import { storeOf } from '../../src/queue/orphaned-queue';
import { readAll } from '../queue/rows';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  entry,
  Flow,
  idfa,
  keptSettings,
  load,
  login,
  nodesUserDir,
  restart,
  unload,
  until,
  useNodeRed,
} from './out-flow';

describe('an account that encrypts user ids on disk', () => {
  let sandbox: Sandbox;
  let flow: Flow;

  useNodeRed();
  beforeEach(async () => {
    sandbox = await startSandbox();
    flow = new Flow();
    keptSettings.set('credentialSecret', 'the first secret');
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox.close();
    rmSync(path.join(nodesUserDir(), 'instant-audience'), { recursive: true, force: true });
    keptSettings.clear();
  });

  const start = (account: object = { encryptIds: true }, out: object = {}): Promise<void> =>
    load(
      [customAccount(sandbox.url, account), ...flow.nodes({ completeOn: 'queued', ...out })],
      login(),
      flow,
    );
  const files = (): string[] => globSync(path.join(nodesUserDir(), 'instant-audience', '*'));
  const onDisk = (): Buffer => Buffer.concat(files().map((file) => readFileSync(file)));
  /** Takes entries of these users, which stay in the queue. */
  const queue = async (...users: number[]): Promise<void> => {
    await flow.send({ control: 'pause' });
    await flow.send({ payload: users.map((user) => entry(user)) });
  };
  const users = (): string[] => sandbox.state().map(({ user_id }) => user_id);

  it('leaves none of them in its files, and sends them after a restart', async () => {
    await start();
    await queue(1, 2);
    assert.ok(files().length > 0);
    for (const user of [1, 2]) assert.ok(!onDisk().includes(idfa(user)));
    await restart();
    for (const user of [1, 2]) assert.ok(!onDisk().includes(idfa(user)));
    await start();
    await until(() => users().length === 2, 'both users');
    assert.deepEqual(users().sort(), [idfa(1), idfa(2)].sort());
  });

  it('keeps queued entries under a wrong secret, reports it, and continues with the right one', async () => {
    await start();
    await queue(1);
    await restart();
    const before = onDisk();
    keptSettings.set('credentialSecret', 'the second secret');
    await start();
    await until(() => flow.status === 'wrong queue key', String(flow.status));
    await flow.send({ payload: entry(2) });
    assert.match(
      flow.errors.join(),
      /is encrypted and cannot be opened .*another one now.* credentialSecret/,
    );
    await restart();
    assert.deepEqual(onDisk(), before);
    keptSettings.set('credentialSecret', 'the first secret');
    await start();
    await until(() => users().length === 1, 'the user');
  });

  it('follows Node-RED from the secret that it made itself to one of the settings file', async () => {
    keptSettings.delete('credentialSecret');
    keptSettings.set('_credentialSecret', 'made by Node-RED');
    await start();
    await queue(1);
    await restart();
    keptSettings.set('credentialSecret', 'the first secret');
    await start();
    await queue(2);
    await restart();
    keptSettings.delete('_credentialSecret');
    await start();
    await until(() => users().length === 2, 'both users');
  });

  it('does not work without a secret, rather than leaving ids in the clear', async () => {
    keptSettings.set('credentialSecret', false);
    await start();
    await until(() => flow.status === 'cannot encrypt', String(flow.status));
    await flow.send({ payload: entry(1) });
    assert.match(flow.errors.join(), /Encryption: this needs Node-RED’s credentialSecret/);
    assert.deepEqual(files(), []);
  });

  it('reads encrypted entries after it is switched off, and encrypts new ones after it is switched on', async () => {
    await start();
    await queue(1);
    await unload();
    // A deploy: the engine is parked, not closed, and must not go on in the old way.
    await start({ encryptIds: false });
    await until(() => users().length === 1, 'the user of before');
    await queue(2);
    assert.ok(onDisk().includes(idfa(2)));
    await unload();
    await start();
    await until(() => users().length === 2, 'the user of the time in between');
    await queue(3);
    assert.ok(!onDisk().includes(idfa(3)));
    await flow.send({ control: 'resume' });
    await until(() => users().length === 3, 'all three users');
  });

  it('refuses a second account of the member that does not', async () => {
    const other = new Flow('other');
    const accounts = [
      customAccount(sandbox.url, { encryptIds: true, name: 'one' }),
      customAccount(sandbox.url, { id: 'account2', name: 'two' }),
    ];
    const nodes = [...flow.nodes(), ...other.nodes({ account: 'account2' })];
    await load([...accounts, ...nodes], { ...login(), ...login('secret', 'account2') }, flow, other);
    await until(() => [flow.status, other.status].includes('accounts conflict'), 'one of them is refused');
  });

  it('that is deleted leaves a file that the tab can search with the secret, and only purge without', async () => {
    await start();
    await queue(1, 2, 3);
    await restart();
    const left = (): OrphanedQueues =>
      new OrphanedQueues(
        nodesUserDir(),
        () => [],
        () => queueSecrets({ settings }),
      );
    const settings = { get: (name: string) => keptSettings.get(name) };
    const { key } = left().list()[0]!;
    const actions = new Actions(engines, new Orphaned(engines, left()), () => undefined);
    const erased = await actions.act('erase', { user: idfa(2) });
    assert.deepEqual([erased.status, (erased.body as { entries: number }).entries], [200, 1]);
    const store = storeOf(left().pathOf(key)!, left().secrets());
    await store.open();
    const bodies = (await readAll(store)).map(({ body }) => body);
    await store.close();
    assert.equal(bodies.length, 2);
    assert.ok(bodies.join().includes(idfa(1)) && !bodies.join().includes(idfa(2)));
    keptSettings.set('credentialSecret', 'the second secret');
    const partly = await actions.act('erase', { user: idfa(1) });
    assert.deepEqual([partly.status, (partly.body as { trouble: string }).trouble], [207, 'encrypted']);
    const asked = await actions.act('purgeOrphaned', { queue: key });
    const done = await actions.act('purgeOrphaned', { queue: key, ...asked.body });
    assert.deepEqual([done.status, (done.body as { entries: number }).entries], [200, 2]);
  });
});

describe('the secret of a queue', () => {
  const of = (kept: Record<string, unknown>): readonly string[] =>
    queueSecrets({ settings: { get: (name: string) => kept[name] } });

  it('is the one by which Node-RED encrypts its credentials, with the one before as long as there is one', () => {
    assert.deepEqual(of({ credentialSecret: 'a' }), ['a']);
    assert.deepEqual(of({ _credentialSecret: 'b' }), ['b']);
    assert.deepEqual(of({ credentialSecret: 'a', _credentialSecret: 'b' }), ['a', 'b']);
    assert.deepEqual(of({ credentialSecret: false, _credentialSecret: 'b' }), []);
    assert.deepEqual(of({}), []);
  });

  it('is the project’s, where one is active', () => {
    const projects = { activeProject: 'p', projects: { p: { credentialSecret: 'c' }, q: {} } };
    const editorTheme = { projects: { enabled: true } };
    assert.deepEqual(of({ credentialSecret: 'a', editorTheme, projects }), ['c']);
    assert.deepEqual(
      of({ credentialSecret: 'a', editorTheme, projects: { ...projects, activeProject: 'q' } }),
      [],
    );
    assert.deepEqual(of({ credentialSecret: 'a', editorTheme, projects: { projects: {} } }), ['a']);
    assert.deepEqual(of({ credentialSecret: 'a', editorTheme: { projects: { enabled: false } }, projects }), [
      'a',
    ]);
  });

  it('is none where settings cannot be read', () => {
    const get = (): never => {
      throw new Error('Settings not available');
    };
    assert.deepEqual(queueSecrets({ settings: { get } }), []);
    assert.deepEqual(queueSecrets({ settings: {} }), []);
  });
});

// An account with its queue in a real PostgreSQL that is given another queue: what waits is kept, moved or discarded.
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import helper from 'node-red-node-test-helper';
import { AccountForms } from '../../nodes/account/forms/admin';
import { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';
import { engines, leftDatabases, sandbox as ownSandbox } from '../../nodes/account/process-wide';
import { queueFile, bufferFile } from '../../nodes/account/queue/queue-file';
import { Actions } from '../../nodes/sidebar/actions';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { queuedBody } from '../../src/entry/serialise';
import { checkEntry } from '../../src/entry/check';
import { hashUserKey } from '../../src/entry/keys';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { cleanUps } from '../support/clean-up';
import { ownPostgres, type OwnDatabase } from '../support/services';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  idfa,
  load,
  logged,
  nodesUserDir,
  restart,
  sleep,
  unload,
  until,
  useNodeRed,
} from './out-flow';

describe('entries in a shared queue that the account leaves', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  let database: OwnDatabase;
  let second: OwnDatabase;
  let sandbox: Sandbox;
  let flow: Flow;
  let orphaned: Orphaned;

  useNodeRed();
  before(async function () {
    database = await ownPostgres(this, ends, 'audience_moved_test');
    second = await ownPostgres(this, ends, 'audience_moved_test_2');
  });
  beforeEach(async () => {
    sandbox = await startSandbox({ users: { me: 'secret' }, member: 7 });
    flow = new Flow();
    orphaned = new Orphaned(engines, new OrphanedQueues(nodesUserDir(), list), leftDatabases);
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    leftDatabases.clear();
    await sandbox.close();
  });

  const list = (): ReturnType<typeof engines.list> => engines.list();
  const acting = (): Actions => new Actions(engines, orphaned, () => undefined);
  const wrongUrl = (): string => `${sandbox.url}/no/such/place`;
  const flows = (account: object, databaseUrl = database.url): object[] => [
    {
      ...customAccount(sandbox.url, {
        serviceUrl: wrongUrl(),
        queue: 'shared',
        databaseBy: 'url',
        ...account,
      }),
      // A deploy restarts the account also when only its credentials are others.
      name: databaseUrl === database.url ? 'one' : 'two',
      credentials: { username: 'me', password: 'secret', databaseUrl },
    },
    ...flow.nodes({ completeOn: 'queued' }),
  ];
  const start = (account: object = {}, databaseUrl = database.url): Promise<void> => {
    const [{ credentials, ...config }, ...others] = flows(account, databaseUrl) as any[];
    return load([config, ...others], { account: credentials }, flow);
  };
  const change = (account: object, databaseUrl = database.url): Promise<void> =>
    deploy(flows(account, databaseUrl), 'nodes', flow);
  /** What the form of the account says when it holds this. */
  const form = (values: object): any => {
    const red = Object.create((helper as any)._RED, { settings: { value: { userDir: nodesUserDir() } } });
    const forms = new AccountForms(red, engines, ownSandbox, () => Promise.reject(new Error('not asked')));
    const deployed = {
      environment: 'custom',
      serviceUrl: wrongUrl(),
      member: '7',
      queue: 'shared',
      databaseBy: 'url',
      databaseUrl: '__PWRD__',
    };
    return forms.queued({ id: 'account', values: { ...deployed, ...values } }).body;
  };
  const warnings = (): string[] =>
    logged('warn').filter(
      (line) => line.startsWith('Entries kept in the old queue') && line.includes(new URL(sandbox.url).port),
    );
  const warned = (waiting: number): Promise<void> =>
    until(
      () => warnings().some((line) => line.includes(`: ${waiting}. Move or purge them in the tab Audience`)),
      'the warning',
    );
  const waitingHere = (): number =>
    list().find(({ accounts }) => accounts.length > 0)!.engine.counters.waiting;
  const settled = (): Promise<void> => until(() => waitingHere() === 0, 'all is delivered');
  const members = (): string[] => sandbox.state().map(({ user_id: id }) => id);
  /** What the tab lists; what earlier tests left there is for other addresses. */
  const listed = (): unknown[] =>
    orphaned
      .list()
      .flatMap((left) =>
        left.kind === 'shared' && left.origin.startsWith(sandbox.url) ? [[left.waiting, left.accounts]] : [],
      );
  /** Puts a removal into the store-and-forward buffer of this machine. */
  const keepHere = async (body: object): Promise<void> => {
    const buffer = new SqliteStore(bufferFile(nodesUserDir(), sandbox.url, '7'));
    const { lastSeq } = await buffer.open();
    const checked = checkEntry(body);
    assert.ok(checked.ok);
    const appendedWallMs = Date.now();
    const row = {
      seq: lastSeq + 1,
      lane: 'removal' as const,
      userHash: hashUserKey(checked.entry.userKey),
      source: { node: 'out', account: 'account' },
      eventWallMs: appendedWallMs,
      eventMonoMs: 0,
      appendedWallMs,
      body: queuedBody(checked.entry),
    };
    await buffer.commit({ append: [row] });
    await buffer.close();
  };
  const purgeTwice = async (query: object): Promise<object> => {
    const same = acting();
    const { body } = await same.act('purgeOrphaned', query);
    return (await same.act('purgeOrphaned', { ...query, ...body })).body;
  };

  it('are counted in the form, and kept or discarded where they cannot be moved in order', async () => {
    await start();
    await flow.send({ payload: [entry(1), entry(2)] }, { payload: entry(3) });
    assert.deepEqual(form({}), { waiting: 0 });
    const { query, ...shown } = form({ serviceUrl: sandbox.url });
    const common = { waiting: 3, origin: wrongUrl(), member: '7' };
    assert.deepEqual(shown, { ...common, choices: ['keep', 'discard'], notes: ['toShared'] });
    assert.deepEqual(form({ databaseUrl: second.url }), { ...shown, query, notes: ['toShared', 'late'] });
    assert.deepEqual(form({ queue: 'memory' }), { ...shown, query, notes: ['toMemory', 'late'] });
    assert.deepEqual(form({ databaseUrl: '' }), { waiting: 0 });
    await change({ serviceUrl: sandbox.url });
    await warned(3);
    const refused = await acting().act('moveOrphaned', { ...query, account: 'account' });
    assert.deepEqual(refused, { status: 409, body: { code: 'noTarget' } });
    assert.deepEqual(await purgeTwice(query), { code: 'purged', entries: 3, inFlight: 0 });
    assert.deepEqual(members(), []);
  });

  it('are warned of again after a restart when they were kept', async () => {
    await start();
    await flow.send({ payload: [entry(1), entry(2)] });
    await change({ serviceUrl: sandbox.url });
    await warned(2);
    await restart();
    await start({ serviceUrl: sandbox.url });
    await warned(2);
  });

  it('move to a queue on disk in their order, each once, but not before newer ones of their users', async () => {
    await start({ serviceUrl: sandbox.url });
    await flow.send({ control: 'pause' });
    await flow.send({ payload: [entry(1), entry(2)] }, { payload: entry(1, -1) }, { payload: entry(3) });
    const onDisk = { serviceUrl: sandbox.url, queue: 'disk' };
    const { choices, query, waiting } = form(onDisk);
    assert.deepEqual([waiting, choices], [4, ['keep', 'move', 'discard']]);
    await change(onDisk);
    await warned(4);
    await flow.send({ payload: entry(3, -1) });
    const moved = await acting().act('moveOrphaned', { ...query, account: 'account' });
    assert.deepEqual(moved, { status: 200, body: { code: 'moved', moved: 3, kept: 1 } });
    await settled();
    assert.deepEqual(members(), [idfa(2)]);
    const again = await acting().act('moveOrphaned', { ...query, account: 'account' });
    assert.deepEqual(again.body, { code: 'moved', moved: 0, kept: 1 });
    await until(() => listed().length > 0, 'the tab lists it, although no account names its database');
    assert.deepEqual(listed(), [[1, ['account']]]);
    assert.deepEqual(await purgeTwice(query), { code: 'purged', entries: 1, inFlight: 0 });
  });

  it('are warned of and move when the queue was set to disk while Node-RED was stopped', async () => {
    await start({ serviceUrl: sandbox.url });
    await flow.send({ control: 'pause' });
    await flow.send({ payload: [entry(1), entry(2)] });
    const { query } = form({ queue: 'disk' });
    await restart();
    const onDisk = { serviceUrl: sandbox.url, queue: 'disk' };
    await start(onDisk);
    await flow.send({ payload: entry(2, -1) });
    await warned(2);
    await restart();
    leftDatabases.clear();
    await start(onDisk);
    await warned(2);
    const moved = await acting().act('moveOrphaned', { ...query, account: 'account' });
    assert.deepEqual(moved.body, { code: 'moved', moved: 1, kept: 1 });
    await settled();
    assert.deepEqual(members(), [idfa(1)]);
  });

  it('move with what this machine kept for them, which is newer', async () => {
    const onDisk = { serviceUrl: sandbox.url, queue: 'disk' };
    await start({ serviceUrl: sandbox.url });
    await flow.send({ control: 'pause' });
    await flow.send({ payload: [entry(1), entry(2)] });
    const { query } = form(onDisk);
    await change(onDisk);
    await engines.closeIdle('');
    await until(
      () => list().every(({ engine }) => engine.stats().state.kind === 'idle'),
      'the old one is closed',
    );
    await keepHere(entry(1, -1));
    const moved = await acting().act('moveOrphaned', { ...query, account: 'account' });
    assert.deepEqual(moved.body, { code: 'moved', moved: 3, kept: 0 });
    await settled();
    assert.deepEqual(members(), [idfa(2)]);
  });

  it('are warned of beside what this machine kept for them', async () => {
    await start({ serviceUrl: sandbox.url });
    await flow.send({ control: 'pause' });
    await flow.send({ payload: [entry(1), entry(2)] });
    await restart();
    await keepHere(entry(3, -1));
    await start({ serviceUrl: sandbox.url, queue: 'disk' });
    await Promise.all([warned(2), warned(1)]);
  });

  it('are not asked about while another Node-RED uses the queue, which sends them', async () => {
    await start();
    await flow.send({ payload: entry(1) });
    const log = new PostgresLog({ url: database.url, origin: wrongUrl(), member: '7' });
    const other = { id: 'other', name: 'node-9' };
    await log.open();
    await log.claim(other, false, null, 1_000);
    const onDisk = { serviceUrl: sandbox.url, queue: 'disk' };
    const shared = (): any =>
      list()
        .find(({ accounts }) => accounts.length > 0)!
        .engine.stats().shared;
    assert.equal(form(onDisk).waiting, 1);
    await until(() => shared().instances.length === 2, 'the other one is known');
    assert.equal(form(onDisk).waiting, 0);
    await change(onDisk);
    await flow.send({ payload: entry(2) });
    await settled();
    await sleep(4_000);
    assert.deepEqual(warnings(), []);
    await log.close(other);
  });

  it('stay in the database that the account named before, which the tab still knows', async () => {
    await start();
    await flow.send({ payload: [entry(1), entry(2)] });
    const { query } = form({ databaseUrl: second.url });
    await change({}, second.url);
    await warned(2);
    assert.deepEqual(await purgeTwice(query), { code: 'purged', entries: 2, inFlight: 0 });
    await until(() => listed().length === 0, 'nothing is left');
  });

  it('on disk stay there when the account has a shared queue from now on, with a warning', async () => {
    await start({ queue: 'disk' });
    await flow.send({ payload: [entry(1), entry(2)] });
    const { query, ...shown } = form({ databaseUrl: database.url });
    const common = { waiting: 2, origin: wrongUrl(), member: '7' };
    assert.deepEqual(shown, { ...common, choices: ['keep', 'discard'], notes: ['toShared', 'late'] });
    assert.deepEqual(query, { queue: basename(queueFile(nodesUserDir(), wrongUrl(), '7')) });
    await change({});
    await warned(2);
    const refused = await acting().act('moveOrphaned', { ...query, account: 'account' });
    assert.deepEqual(refused, { status: 409, body: { code: 'noTarget' } });
    assert.deepEqual(await purgeTwice(query), { code: 'purged', entries: 2, inFlight: 0 });
  });
});

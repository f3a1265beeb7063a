// An account whose queue is in a real PostgreSQL: sender and standby in its nodes, the tab Audience and the metrics.
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { engines } from '../../nodes/account/process-wide';
import { prometheusText } from '../../nodes/sidebar/metrics';
import { Overview, type ShownQueue } from '../../nodes/sidebar/overview';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { cleanUps } from '../support/clean-up';
import { ownPostgres, postgresAt } from '../support/services';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  idfa,
  load,
  logged,
  unload,
  until,
  useNodeRed,
} from './out-flow';

const password = 's3cr3t-word';

describe('an account with its queue in a shared database', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  let databaseUrl = '';
  let sandbox: Sandbox;
  let flow: Flow;

  useNodeRed();
  before(async function () {
    const url = new URL((await ownPostgres(this, ends, 'audience_account_test')).url);
    url.password = password;
    databaseUrl = url.href;
  });
  beforeEach(async () => {
    sandbox = await startSandbox({ users: { me: password }, member: 7 });
    flow = new Flow();
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox.close();
  });

  const credentials = (url = databaseUrl, ...ids: string[]): object =>
    Object.fromEntries(['account', ...ids].map((id) => [id, { username: 'me', password, databaseUrl: url }]));
  const shared = (changes: object = {}): object =>
    customAccount(sandbox.url, { queue: 'shared', databaseBy: 'url', name: 'Seven', ...changes });
  const overview = new Overview(
    () => engines.list(),
    () => 60_000,
  );
  const shown = (): ShownQueue | undefined => overview.queues().find(({ origin }) => origin === sandbox.url);

  /** The same database by each kind of address. */
  const byUrl = (): object[] => [shared(), credentials()];
  const byFields = (): object[] => {
    const { hostname: host, port, pathname, username } = new URL(databaseUrl);
    const fields = {
      ...{ databaseBy: 'fields', databaseHost: `127.0.0.1:1,${host}`, databasePort: port },
      ...{ databaseName: pathname.slice(1), databaseUser: username },
    };
    return [shared(fields), { account: { username: 'me', password, databasePassword: password } }];
  };
  for (const [by, account] of Object.entries({ URL: byUrl, fields: byFields }))
    it(`delivers, shows that it is active, and reveals neither password nor URL, by ${by}`, async () => {
      const [config, secrets] = account();
      await load([config!, ...flow.nodes()], secrets!, flow);
      await flow.send({ payload: [entry(1), entry(2)] });
      assert.deepEqual(flow.errors, []);
      assert.equal(flow.accepted[0].audience.status, 'accepted');
      await until(() => flow.status === 'ready', `ready, not ${flow.status}`);
      const { shared: view } = shown()!;
      assert.equal(view!.isSender, true);
      assert.ok(view!.sender!.startsWith(hostname()), view!.sender!);
      assert.deepEqual([view!.instances, view!.kept], [[view!.sender], 0]);
      const metrics = prometheusText([shown()!], engines.list());
      for (const [name, value] of [
        ['sender', 1],
        ['instances', 1],
        ['kept_entries', 0],
      ] as const)
        assert.match(metrics, new RegExp(`^instant_audience_${name}\\{[^}]*\\} ${value}$`, 'm'));
      const said = JSON.stringify([shown(), flow.shown, logged(), metrics]);
      assert.ok(!said.includes(password) && !said.includes('postgres://'));
    });

  it('is on standby while another instance is active, still accepts entries, and takes over when that one ends', async () => {
    const other = { id: 'other', name: 'node-9:1880' };
    const log = new PostgresLog({ url: databaseUrl, origin: sandbox.url, member: '7' });
    await log.open();
    try {
      const { fencingToken } = await log.claim(other, true, null, 30_000);
      await load([shared(), ...flow.nodes()], credentials(), flow);
      await until(() => flow.status === 'standby', `standby, not ${flow.status}`);
      assert.deepEqual([flow.shown.at(-1)!.fill, flow.shown.at(-1)!.shape], ['green', 'dot']);
      assert.equal(shown()!.state.kind, 'standby');
      const { shared: view } = shown()!;
      assert.deepEqual([view!.isSender, view!.sender, view!.instances.length], [false, 'node-9:1880', 2]);
      flow.give({ payload: entry(3) });
      await until(() => shown()!.waiting === 1, 'one that waits');
      assert.equal(flow.status, 'standby');
      await log.release(other, fencingToken);
      await flow.allEnded();
      assert.equal(flow.accepted.length, 1);
      await until(() => flow.status === 'ready', `ready, not ${flow.status}`);
    } finally {
      await log.close(other);
    }
  });

  it('has an audience sync that refers to the active instance, and carries out runs once this one is active', async () => {
    const other = { id: 'other', name: 'node-9:1880' };
    const log = new PostgresLog({ url: databaseUrl, origin: sandbox.url, member: '7' });
    const sync = new Flow('sync');
    await log.open();
    try {
      const { fencingToken } = await log.claim(other, true, null, 30_000);
      const its = { type: 'xandr-audience-sync', segment: '10001', domain: 'idfa' };
      await load([shared(), ...sync.nodes(its)], credentials(), sync);
      await until(() => sync.status === 'standby', `standby, not ${sync.status}`);
      const part = (index: number): object => ({ id: 'one', index, count: 2 });
      await sync.send(
        { payload: [{ id: idfa(1) }], topic: 'nightly' },
        { payload: [{ id: idfa(1) }], parts: part(0) },
        { payload: [{ id: idfa(2) }], parts: part(1) },
        { control: 'force' },
        // As csv ends a file whose last line is empty.
        { payload: [{ id: idfa(1) }], parts: { id: 'csv', index: 0 }, topic: 'csv' },
        { payload: [], complete: true, topic: 'the end of csv' },
        { payload: [{ id: idfa(1) }], complete: false, topic: 'without an ID' },
        { payload: [], complete: true, topic: 'its end' },
      );
      assert.deepEqual([sync.errors, sync.accepted], [[], []]);
      // One for each audience, and one for the control.
      const topics = ['nightly', undefined, undefined, 'csv', 'without an ID'];
      assert.deepEqual(
        sync.rejected.map(({ topic }) => topic),
        topics,
      );
      const { topic, payload } = sync.rejected[0];
      assert.deepEqual([topic, payload.status, payload.sender], ['nightly', 'standby', 'node-9:1880']);
      assert.match(payload.message, /^The instance node-9:1880 sends, so it also carries out the runs/);
      await log.release(other, fencingToken);
      await until(() => sync.status === 'no run yet', `no run yet, not ${sync.status}`);
      await sync.send({ payload: [{ id: idfa(1) }] });
      await until(() => sync.accepted.length === 1, 'the report');
      assert.deepEqual([sync.accepted[0].payload.status, sync.accepted[0].payload.added], ['ended', 1]);
      assert.equal(sync.rejected.length, topics.length);
      assert.equal(sandbox.state().length, 1);
    } finally {
      await log.close(other);
    }
  });

  it('has an audience sync that closes in time while changes cannot be stored, and whose successor waits for it', async () => {
    const sync = new Flow('sync');
    const nodes = (name: string): object[] => {
      const its = { type: 'xandr-audience-sync', segment: '10001', domain: 'idfa', name };
      // The other node keeps the account in use.
      return [shared(), ...flow.nodes(), ...sync.nodes(its)];
    };
    await load(nodes('first'), credentials(), flow, sync);
    await until(() => sync.status === 'no run yet', `no run yet, not ${sync.status}`);
    const warnings = (): string[] => logged('warn').filter((line) => line.includes('shared queue'));
    const client = await postgresAt(databaseUrl);
    try {
      await client.query('BEGIN');
      await client.query(`LOCK TABLE ${schemaOf({ origin: sandbox.url, member: '7' })}.producer`);
      await sync.send({ payload: [{ id: idfa(1) }] });
      await until(() => warnings().length > 0, 'the warning of the chunk');
      const startMs = performance.now();
      await deploy(nodes('second'), 'nodes', flow, sync);
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < 10_000, `${tookMs} ms`);
      await client.query('ROLLBACK');
    } finally {
      await client.end();
    }
    await until(() => sync.accepted.length === 1, 'the report');
    const { status, added } = sync.accepted[0].payload;
    assert.deepEqual([status, added, sandbox.operations().length], ['ended', 1, 1]);
    assert.equal(warnings().length, 1, warnings().join());
  });

  it('has an audience sync that lets messages fail once too many wait for the database', async () => {
    const sync = new Flow('sync');
    const nowhere = `postgres://me:${password}@127.0.0.1:1/db`;
    const its = { type: 'xandr-audience-sync', segment: '10001', domain: 'idfa' };
    await load([shared(), ...sync.nodes(its)], credentials(nowhere), sync);
    await until(() => sync.status === 'database unreachable', `away, not ${sync.status}`);
    const row = (_: unknown, index: number): object => ({
      payload: { id: idfa(index) },
      parts: { id: 'csv', index },
    });
    const rows = Array.from({ length: 10_001 }, row);
    sync.give(...rows.slice(1));
    await sleep(100);
    assert.deepEqual(sync.errors, []);
    await sync.send(rows[0]!);
    assert.equal(sync.errors.length, rows.length);
    assert.match(
      sync.error,
      /^The queue of this account does not work: .* cannot be reached at 127\.0\.0\.1:1/,
    );
  });

  it('stores entries on this machine and shows it while its database cannot be reached', async () => {
    const nowhere = `postgres://me:${password}@127.0.0.1:1/db`;
    await load([shared(), ...flow.nodes({ completeOn: 'queued' })], credentials(nowhere), flow);
    await until(() => flow.status === 'database unreachable', `away, not ${flow.status}`);
    await flow.send({ payload: [entry(1), entry(2)] });
    assert.deepEqual(flow.errors, []);
    await until(() => flow.status === 'DB down, 2 stored', `kept, not ${flow.status}`);
    assert.deepEqual([flow.shown.at(-1)!.fill, flow.shown.at(-1)!.shape], ['yellow', 'ring']);
    const { state, shared: view } = shown()!;
    assert.equal(state.kind, 'databaseAway');
    assert.match(state.message!, /cannot be reached at 127\.0\.0\.1:1/);
    assert.equal(view!.kept, 2);
    assert.ok(!JSON.stringify([shown(), flow.shown, logged()]).includes(password));
  });

  it('warns once that user ids travel unencrypted to another machine, and only then', async () => {
    const warnings = async (url: string): Promise<number> => {
      await load([shared(), ...flow.nodes()], credentials(url), flow);
      await until(() => flow.status === 'database unreachable', `away, not ${flow.status}`);
      const many = logged().filter((line) => line.startsWith('User IDs travel unencrypted')).length;
      await unload();
      return many;
    };
    const there = `postgres://me:${password}@database.invalid/db`;
    assert.equal(await warnings(there), 1);
    assert.equal(await warnings(`${there}?sslmode=verify-full`), 0);
    assert.equal(await warnings(`postgres://me:${password}@127.0.0.1:1/db`), 0);
  });

  it('disagrees with one of the same member that names another database', async () => {
    const other = new Flow('other');
    const nodes = [
      shared(),
      shared({ id: 'second', name: 'Second' }),
      ...flow.nodes(),
      ...other.nodes({ account: 'second' }),
    ];
    const elsewhere = { second: { username: 'me', password, databaseUrl: `${databaseUrl}_2` } };
    await load(nodes, { ...credentials(), ...elsewhere }, flow, other);
    await other.send({ payload: entry(1) });
    assert.match(other.error, /The accounts Second and Seven serve the same member, but store their queues/);
    await until(() => other.status === 'accounts conflict', 'accounts conflict');
  });

  it('is refused with a sentence while its URL or its TLS configuration is missing', async () => {
    const second = new Flow('second');
    const nodes = [
      shared(),
      shared({ id: 'tls', databaseTls: 'gone' }),
      ...flow.nodes(),
      ...second.nodes({ account: 'tls' }),
    ];
    await load(
      nodes,
      { ...credentials('', 'tls'), tls: { ...(credentials() as any).account } },
      flow,
      second,
    );
    await flow.send({ payload: entry(1) });
    assert.match(flow.error, /Database URL: needed/);
    await second.send({ payload: entry(1) });
    assert.match(second.error, /Database TLS: the chosen configuration/);
  });
});

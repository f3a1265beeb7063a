// Orphaned shared queues in a real PostgreSQL, and local buffers for them: listed, purged, erased.
import assert from 'node:assert/strict';
import { engines } from '../../nodes/account/process-wide';
import { Actions } from '../../nodes/sidebar/actions';
import { OrphanedQueues, type ShownOrphaned } from '../../nodes/account/queue/orphaned-queues';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import type { EngineInfo } from '../../src/delivery/registry';
import { QueueError } from '../../src/queue/store';
import type { DatabaseQueues, OrphanedSharedQueue } from '../../src/queue-postgres/database-queues';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { cleanUps } from '../support/clean-up';
import { ownPostgres, type OwnDatabase } from '../support/services';
import { leftOrigin, takeForMember } from '../support/orphaned-shared-queue';
import { customAccount, entry, Flow, idfa, load, nodesUserDir, unload, until, useNodeRed } from './out-flow';

const password = 's3cr3t-word';
const list = (): EngineInfo[] => engines.list();

async function purgeTwice(actions: Actions, body: object): Promise<object> {
  const first = await actions.act('purgeOrphaned', body);
  assert.equal(first.status, 409);
  return (await actions.act('purgeOrphaned', { ...body, ...first.body })).body;
}

describe('an orphaned shared queue', function () {
  this.timeout(30_000);
  const ends = cleanUps();
  let database: OwnDatabase;
  let sandbox: Sandbox;
  let flow: Flow;
  let logged: string[];

  useNodeRed();
  before(async function () {
    database = await ownPostgres(this, ends, 'audience_left_test');
  });
  beforeEach(async () => {
    sandbox = await startSandbox({ users: { me: password }, member: 7 });
    flow = new Flow();
    logged = [];
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox.close();
  });

  const databaseUrl = (): string => Object.assign(new URL(database.url), { password }).href;
  const start = (url = databaseUrl(), out: object = {}): Promise<void> => {
    const account = customAccount(sandbox.url, { queue: 'shared', databaseBy: 'url', name: 'Seven' });
    const credentials = { account: { username: 'me', password, databaseUrl: url } };
    return load([account, ...flow.nodes(out)], credentials, flow);
  };
  const leftFiles = (): OrphanedQueues => new OrphanedQueues(nodesUserDir(), list);
  const orphanedQueues = (): Orphaned => new Orphaned(engines, leftFiles());
  const actionsOf = (orphaned: Orphaned): Actions =>
    new Actions(engines, orphaned, (text) => logged.push(text));
  const sharedIn = (orphaned: Orphaned): readonly ShownOrphaned[] =>
    orphaned.list().filter(({ kind }) => kind === 'shared' || kind === 'database');

  const leave = (member: string, ...users: number[]): Promise<PostgresLog> =>
    takeForMember(databaseUrl(), member, users.map(idfa));

  /** As the tab would show it soon. */
  async function shown(orphaned: Orphaned): Promise<readonly ShownOrphaned[]> {
    await until(() => sharedIn(orphaned).length > 0, 'something is found');
    return sharedIn(orphaned);
  }

  it('is listed by member, host and database, purged when asked twice, and erased from', async () => {
    const gone = { id: 'gone', name: 'gone' };
    await (await leave('8', 1, 2, 2)).close(gone);
    const used = await leave('9', 2);
    const other = { id: 'other', name: 'node-9' };
    await used.claim(other, false, null, 1_000);
    await start();
    await flow.send({ payload: entry(2) });
    await flow.send({ control: 'pause' });
    flow.give({ payload: entry(2) });
    const shared = orphanedQueues();
    const found = await shown(shared);
    assert.equal(found.length, 1, 'not those that this Node-RED, or another one, uses');
    const [one] = found;
    const { hostname, port, pathname } = new URL(database.url);
    const { host, database: name, origin, member, waiting, key } = one!;
    assert.deepEqual(
      [host, name, origin, member, waiting],
      [`${hostname}:${port || '5432'}`, pathname.slice(1), leftOrigin, '8', 3],
    );
    assert.match(key, / instant_audience_8_\w+$/);
    const known = JSON.stringify([found, list().map(({ database }) => database)]);
    assert.ok(!known.includes(password) && !known.includes('postgres://'));
    const actions = actionsOf(shared);
    const erased = await actions.act('erase', { user: idfa(2), domain: 'idfa' });
    // Of the one left here two, and the one that waits in the account's own.
    assert.deepEqual(erased, { status: 200, body: { code: 'erased', entries: 3, inFlight: 0, segments: 0 } });
    assert.equal((await actions.act('purgeOrphaned', { queue: key, confirm: 'guessed' })).status, 409);
    assert.deepEqual(await purgeTwice(actions, { queue: key }), { code: 'purged', entries: 1, inFlight: 0 });
    await until(() => sharedIn(shared).length === 0, 'nothing waits there');
    assert.match(
      logged.join('\n'),
      /shared queue instant_audience_8_\w+, which no account uses, was purged: 1 entries/,
    );
    assert.ok(!logged.join('\n').includes(password) && !logged.join('\n').includes(idfa(2)));
    await used.close(other);
  });

  it('is not purged once an instance uses it again, with an error', async () => {
    const gone = { id: 'gone', name: 'gone' };
    await (await leave('10', 1)).close(gone);
    await start();
    const shared = orphanedQueues();
    const [one] = await shown(shared);
    const actions = actionsOf(shared);
    const first = await actions.act('purgeOrphaned', { queue: one!.key });
    const log = new PostgresLog({ url: databaseUrl(), origin: leftOrigin, member: '10' });
    await log.open();
    await log.claim({ id: 'back', name: 'node-3' }, false, null, 1_000);
    const { status, body } = await actions.act('purgeOrphaned', { queue: one!.key, ...first.body });
    assert.deepEqual([status, (body as any).trouble], [500, 'database_locked']);
    assert.ok(!JSON.stringify(body).includes(password));
    await log.close({ id: 'back', name: 'node-3' });
  });

  it('leaves what was kept for it on this machine in a file that is listed, purged and erased from', async () => {
    const nowhere = `postgres://me:${password}@127.0.0.1:1/db`;
    await start(nowhere, { completeOn: 'queued' });
    await flow.send({ payload: [entry(1), entry(2), entry(3)] });
    const shared = orphanedQueues();
    const [problem] = await shown(shared);
    assert.ok(problem?.kind === 'database');
    assert.deepEqual([problem.host, problem.database], ['127.0.0.1:1', 'db']);
    assert.equal(problem.problem?.trouble, 'database_unavailable');
    assert.ok(!JSON.stringify(problem).includes(password));
    const own = list().find(({ origin }) => origin === sandbox.url)!;
    assert.ok(
      !leftFiles()
        .list()
        .some(({ member, kind }) => kind === 'buffer' && member === own.member),
      'it is in use',
    );
    const partly = await actionsOf(shared).act('erase', { user: idfa(1), domain: 'idfa' });
    const { code, entries, missed, trouble } = partly.body as any;
    assert.deepEqual(
      [partly.status, code, entries, missed, trouble],
      [207, 'erasedPartly', 1, 'database', 'database_unavailable'],
    );
    await unload();
    await engines.closeParked();
    assert.deepEqual(sharedIn(shared), [], 'no account names the database any more');
    const left = leftFiles()
      .list()
      .find(({ kind }) => kind === 'buffer')!;
    assert.deepEqual([left.waiting, left.member, left.problem], [2, '7', null]);
    assert.match(left.key, /-kept\.sqlite$/);
    const erased = await actionsOf(shared).act('erase', { user: idfa(2), domain: 'idfa' });
    assert.deepEqual(erased, { status: 200, body: { code: 'erased', entries: 1, inFlight: 0, segments: 0 } });
    // An account takes up what is left.
    await start(nowhere, { completeOn: 'queued' });
    await until(() => list().some(({ engine }) => engine.stats().shared?.kept === 1), 'one is kept still');
    await unload();
    await engines.closeParked();
    const purged = await purgeTwice(actionsOf(shared), { queue: left.key });
    assert.deepEqual(purged, { code: 'purged', entries: 1, inFlight: 0 });
    assert.ok(
      !leftFiles()
        .list()
        .some(({ kind }) => kind === 'buffer'),
    );
  });
});

describe('the list of orphaned shared queues', () => {
  const place = { host: 'db:5432', database: 'audience' };
  const queue = (member: string, changes: Partial<OrphanedSharedQueue> = {}): OrphanedSharedQueue => {
    const schema = `instant_audience_${member}`;
    const figures = { waiting: 1, oldestAppendedWallMs: 1, usedBy: [], accounts: [] };
    return { schema, origin: 'https://a.example', member, ...figures, ...changes };
  };
  const engine = (queues: Partial<DatabaseQueues>, identity = 'x'): EngineInfo =>
    ({ origin: 'o', member: '1', database: { identity, queues: { place, ...queues } } }) as EngineInfo;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const orphanedOf = (list: () => EngineInfo[], monoMs?: () => number): Orphaned => {
    const files = new OrphanedQueues('/nowhere', list);
    return new Orphaned({ list, closeIdle: () => Promise.resolve() }, files, undefined, monoMs);
  };
  const members = (orphaned: Orphaned): string[] =>
    orphaned.list().map(({ member, problem }) => problem?.trouble ?? member);

  it('asks a database when it is asked itself, every half a minute, once for all accounts that name it', async () => {
    let asked = 0;
    let nowMs = 0;
    const queues = { list: () => Promise.resolve([queue(String((asked += 1)))]) };
    const shared = orphanedOf(
      () => [engine(queues), engine(queues)],
      () => nowMs,
    );
    assert.deepEqual([members(shared), asked], [[], 1]);
    await turn();
    for (; nowMs < 30_000; nowMs += 1_000) assert.deepEqual([members(shared), asked], [['1'], 1]);
    assert.deepEqual([members(shared), asked], [['1'], 2]);
    await turn();
    assert.deepEqual(members(shared), ['2']);
    nowMs += 3_600_000;
    assert.deepEqual(members(shared), [], 'nobody has looked for an hour');
  });

  it('shows nothing of a database that does not answer but that, and waits for its answer before it asks again', async () => {
    let asked = 0;
    let nowMs = 0;
    let answer: (found: Promise<OrphanedSharedQueue[]>) => void = () => undefined;
    const queues = {
      list: () => {
        asked += 1;
        return new Promise<OrphanedSharedQueue[]>((resolve) => (answer = resolve));
      },
    };
    const shared = orphanedOf(
      () => [engine(queues)],
      () => nowMs,
    );
    shared.list();
    answer(Promise.resolve([queue('5'), queue('6', { usedBy: ['node-2'] }), queue('7', { waiting: 0 })]));
    await turn();
    assert.deepEqual(members(shared), ['5']);
    nowMs = 40_000;
    shared.list();
    nowMs = 90_000;
    shared.list();
    assert.equal(asked, 2);
    answer(Promise.reject(new QueueError('unavailable', 'It does not answer.')));
    await turn();
    nowMs = 95_000;
    assert.deepEqual(members(shared), ['database_unavailable']);
  });

  it('takes two users of one database for two ways to it, and shows a queue once', async () => {
    const first = { list: () => Promise.resolve([queue('5')]) };
    const second = { list: () => Promise.resolve([queue('5'), queue('6')]) };
    const shared = orphanedOf(() => [engine(first), engine(second, 'y')]);
    shared.list();
    await turn();
    assert.deepEqual(members(shared), ['5', '6']);
  });

  it('erases from all orphaned queues, and continues after a database that fails', async () => {
    const erased: string[] = [];
    const fails = { list: () => Promise.reject(new QueueError('readonly', 'No.')) };
    const works = {
      list: () => Promise.resolve([queue('5', { waiting: 0 }), queue('6', { usedBy: ['node-2'] })]),
      erase: (schema: string, [key]: readonly string[]) => {
        erased.push(`${schema} ${key}`);
        return Promise.resolve(2);
      },
    };
    const shared = orphanedOf(() => [engine(fails), engine(works, 'y')]);
    const { entries, problems } = await shared.erase(['idfa a']);
    assert.deepEqual([entries, erased], [2, ['instant_audience_5 idfa a']]);
    assert.deepEqual(problems, [{ trouble: 'database_readonly', reason: 'No.', ...place }]);
  });
});

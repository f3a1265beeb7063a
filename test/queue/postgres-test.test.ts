// Test of a shared queue's database, on a real PostgreSQL: each result, and that nothing is changed or
// disclosed.
import assert from 'node:assert/strict';
import { testDatabase, type DatabaseTest } from '../../src/queue-postgres/postgres-test';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import { cleanUps } from '../support/clean-up';
import { ownPostgres, postgresAt, type OwnDatabase } from '../support/services';

const name = { origin: 'https://form.example', member: '7' };
const schema = schemaOf(name);
const user = 'form_tester';
const password = 's3cr3t@word';

describe('the test of a shared queue’s database', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  let database: OwnDatabase;
  const told: string[] = [];

  before(async function () {
    database = await ownPostgres(this, ends, 'audience_form_test');
    await sql(`DROP ROLE IF EXISTS ${user}; CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
    ends(() => sql(`DROP OWNED BY ${user}; DROP ROLE ${user}`));
  });

  const sql = async (text: string): Promise<unknown[]> => {
    const client = await postgresAt(database.url);
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  };
  const asTester = (changes: (url: URL) => void = () => undefined): string => {
    const url = new URL(database.url);
    url.username = user;
    url.password = encodeURIComponent(password);
    changes(url);
    return url.href;
  };
  const test = async (url: string): Promise<DatabaseTest> => {
    const found = await testDatabase({ url, ...name });
    told.push(JSON.stringify(found));
    return found;
  };
  const codeOf = async (url: string): Promise<string> => {
    const found = await test(url);
    return found.kind === 'failed' ? found.code : found.kind;
  };

  it('reports that the tables can be created, and creates none', async () => {
    const found = await test(database.url);
    assert.ok(found.kind === 'works' && found.isNew);
    assert.equal(found.host, new URL(database.url).host);
    assert.deepEqual(await sql(`SELECT 1 FROM pg_namespace WHERE nspname = '${schema}'`), []);
  });

  it('reports the names needed for a statement when the right to create the tables is missing', async () => {
    const { host: _, ...found } = await test(asTester());
    assert.deepEqual(found, { kind: 'failed', code: 'rights', user, database: 'audience_form_test', schema });
    await sql(`GRANT CREATE ON DATABASE audience_form_test TO ${user}`);
    assert.ok((await test(asTester())).kind === 'works');
    await sql(`REVOKE CREATE ON DATABASE audience_form_test FROM ${user}`);
  });

  it('reports pending entries and the active instance, once there are tables', async () => {
    const log = new PostgresLog({ url: database.url, ...name });
    await log.open();
    try {
      const instance = { id: 'i', name: 'node-2' };
      const row = {
        lane: 'add',
        userHash: 1,
        source: { node: 'n', account: 'a' },
        eventWallMs: 1,
        appendedWallMs: 1,
        body: '{}',
      } as const;
      const caps = { maxEntries: 9, maxChars: 99 };
      await log.append({ producerId: 's', batchSequence: 1, instance: 'i', rows: [row, row], ...caps });
      const found = { kind: 'works', host: new URL(database.url).host, isNew: false, waiting: 2 };
      assert.deepEqual(await test(database.url), { ...found, sender: null });
      const { fencingToken: token } = await log.claim(instance, true, null, 30_000);
      assert.deepEqual(await test(database.url), { ...found, sender: 'node-2' });
      await log.release(instance, token);
      assert.deepEqual(await test(database.url), { ...found, sender: null });
    } finally {
      await log.close({ id: 'i', name: 'node-2' });
    }
  });

  it('reports that the tables belong to another user', async () => {
    assert.equal(await codeOf(asTester()), 'schemaRights');
    await sql(`GRANT USAGE ON SCHEMA ${schema} TO ${user}`);
    assert.equal(await codeOf(asTester()), 'schemaRights');
    await sql(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${user}`);
    assert.equal(await codeOf(asTester()), 'schemaRights', 'reading is not enough');
    await sql(`GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${user}`);
    assert.equal((await test(asTester())).kind, 'works');
  });

  it('reports tables of a newer version', async () => {
    await sql(`UPDATE ${schema}.format SET version = 999`);
    assert.equal(await codeOf(database.url), 'newer_version');
  });

  it('reports a read-only database', async () => {
    await sql(`ALTER ROLE ${user} SET default_transaction_read_only = on`);
    assert.equal(await codeOf(asTester()), 'standby');
    await sql(`ALTER ROLE ${user} RESET default_transaction_read_only`);
  });

  it('reports each obstacle to a connection', async () => {
    const { host } = new URL(database.url);
    assert.equal(await codeOf(asTester((url) => (url.pathname = '/not_there'))), 'noDatabase');
    assert.equal(await codeOf('postgres://me:s3cr3t%40word@127.0.0.1:1/db'), 'unreachable');
    assert.equal(await codeOf('postgres://me:s3cr3t%40word@nowhere.invalid/db'), 'unknownHost');
    assert.equal(await codeOf(`postgres://no_such_user:s3cr3t%40word@${host}/audience_form_test`), 'login');
    assert.equal(await codeOf(`postgres://me:s3cr3t%zz@${host}/db`), 'url');
    const [tls] = (await sql('SHOW ssl')) as { ssl: string }[];
    if (tls!.ssl === 'off') assert.equal(await codeOf(`${database.url}?sslmode=verify-full`), 'tls');
    await sql(`ALTER ROLE ${user} CONNECTION LIMIT 0`);
    assert.equal(await codeOf(asTester()), 'busy');
    await sql(`ALTER ROLE ${user} CONNECTION LIMIT -1`);
  });

  it('disclosed no password and no URL', () => {
    assert.ok(told.length > 15);
    for (const text of told) assert.doesNotMatch(text, /s3cr3t|postgres:\/\/(?!user:password@)/);
  });
});

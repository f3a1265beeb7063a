// docs/several-machines.md and docs/internals/queues.md against a real PostgreSQL: their statements give the rights that a
// shared queue needs.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { QueueError } from '../../src/queue/store';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import { cleanUps } from '../support/clean-up';
import { somePostgres, postgresAt } from '../support/services';

const docs = path.join(__dirname, '..', '..', 'docs');
const setUp = readFileSync(path.join(docs, 'several-machines.md'), 'utf8');
const rights = readFileSync(path.join(docs, 'internals', 'queues.md'), 'utf8');
const queue = { origin: 'https://streaming-data.appnexus.com', member: '1661' };
const schema = schemaOf(queue);
/** In place of the page's name, which may be taken on this server, as may that of another run of this test. */
const name = `audience_of_the_docs_${process.pid}`;

describe('docs/several-machines.md and docs/internals/queues.md', function () {
  this.timeout(20_000);
  const ends = cleanUps();
  const blocksOf = (page: string): string[] =>
    [...page.matchAll(/```sql\n([^`]+)```/g)].map(([, sql]) =>
      sql!.replaceAll(/\b(ROLE|DATABASE|TO|FROM|AUTHORIZATION) audience\b/g, `$1 ${name}`),
    );
  const [create, look, drop] = blocksOf(setUp);
  const [revoke, createSchema, grant] = blocksOf(rights);
  let administrator: string;
  let owner: string;
  let user: string;
  let number = 0;

  const administrate = async (sql: string, url = administrator): Promise<unknown[]> => {
    const client = await postgresAt(url);
    try {
      const results: unknown[] = [];
      // One by one: CREATE DATABASE stands alone in its transaction.
      for (const statement of sql.split(';').filter((text) => text.trim() !== ''))
        results.push(...((await client.query(statement)).rows as unknown[]));
      return results;
    } finally {
      await client.end();
    }
  };
  const inDatabase = (sql: string): Promise<unknown[]> => administrate(sql, as(administrator, 'postgres'));
  const dropAll = async (): Promise<void> => {
    await administrate(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await administrate(`DROP ROLE IF EXISTS ${name}; DROP ROLE IF EXISTS ${name}_owner`);
  };

  before(async function () {
    administrator = (await somePostgres(this, ends)).url;
    await dropAll();
    ends(dropAll);
    user = as(administrator, `${name}:secret`);
    owner = as(administrator, `${name}_owner:secret`);
  });

  /** A queue at work: takes an entry, holds the lease, and ends what it took. */
  async function works(url: string): Promise<void> {
    number += 1;
    const me = { id: `instance-${number}`, name: 'node-1' };
    const log = new PostgresLog({ url, ...queue });
    try {
      await log.open();
      const row = { lane: 'add', userHash: 1, source: { node: 'out', account: 'account' } } as const;
      const times = { eventWallMs: Date.now(), appendedWallMs: Date.now() };
      const caps = { maxEntries: 10, maxChars: 1_000 };
      await log.append({
        producerId: me.id,
        batchSequence: 1,
        instance: me.id,
        rows: [{ ...row, ...times, body: '{}' }],
        ...caps,
      });
      const { fencingToken: token, ours } = await log.claim(me, true, null, 3_000);
      assert.ok(ours);
      const store = log.store(me, token);
      await store.open();
      const rows = await store.read('add', 0, Number.MAX_SAFE_INTEGER, 10);
      await store.setMeta('key', 'value');
      await store.commit({ begin: [{ post: 1, userHashes: [1] }] });
      const outcomes = rows.map(({ seq, source }) => ({ seq, source, instance: me.id, report: '{}' }));
      await store.commit({ remove: rows.map(({ seq }) => seq), settle: [1], outcomes });
      const [stored] = await log.outcomes(me, [], 10);
      assert.deepEqual(await log.outcomes(me, [stored!.id], 10), []);
      await log.setPaused(false);
      await log.flush();
      const id = await log.requestDeletion({ throughSeq: 1, askedMs: Date.now(), user: null });
      await log.deletions();
      await log.finishDeletion(me, token, id, { entries: 0, inFlight: 0, segments: 0 });
      await store.close();
      await log.release(me, token);
    } finally {
      await log.close(me);
    }
  }

  it('names the schema as it will be, in statements that are complete', () => {
    for (const page of [setUp, rights]) assert.equal(blocksOf(page).length, 3);
    for (const used of `${setUp}${rights}`.matchAll(/instant_audience_\w+/g))
      assert.ok(
        [
          schema,
          'instant_audience_sender',
          'instant_audience_kept_entries',
          'instant_audience_late',
          'instant_audience_instances',
        ].includes(used[0]),
        used[0],
      );
  });

  it('gives a role what it needs, and may take away the right to create once the tables are there', async () => {
    await administrate(create!);
    await works(user);
    await administrate(revoke!);
    await works(user);
  });

  it('says what lets a role work that may not create a schema', async () => {
    await inDatabase(`DROP SCHEMA ${schema} CASCADE`);
    await assert.rejects(works(user), (error) => error instanceof QueueError && error.code === 'readonly');
    await inDatabase(createSchema!);
    await works(user);
  });

  it('says what is enough for a role that owns nothing', async () => {
    await inDatabase(`DROP SCHEMA ${schema} CASCADE`);
    await administrate(`CREATE ROLE ${name}_owner LOGIN PASSWORD 'secret'`);
    await administrate(`GRANT CONNECT, CREATE ON DATABASE ${name} TO ${name}_owner`);
    await works(owner);
    await assert.rejects(works(user), QueueError);
    await inDatabase(grant!);
    await works(user);
  });

  it('says how to look at a queue, and how to remove it', async () => {
    const [seen] = (await inDatabase(look!)) as Record<string, unknown>[];
    assert.deepEqual(Object.keys(seen!), ['waiting', 'holder_name', 'fencing_token', 'held']);
    assert.equal(seen!.held, false);
    await inDatabase(drop!);
    assert.deepEqual(await inDatabase(`SELECT FROM pg_namespace WHERE nspname = '${schema}'`), []);
  });

  function as(url: string, login: string): string {
    const changed = new URL(url);
    changed.pathname = `/${name}`;
    const [username, password = ''] = login.split(':');
    Object.assign(changed, { username, password });
    return changed.href;
  }
});

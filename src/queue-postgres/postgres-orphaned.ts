// Orphaned shared queues in a database: no engine uses them, because their account was deleted or serves
// another member now. Lists, purges and erases; never changes a queue that some instance uses.

import { hashUserKey } from '../entry/keys';
import { isBodyOf } from '../entry/read-body';
import type { DatabasePlace, DatabaseQueues, OrphanedSharedQueue } from './database-queues';
import { addressOf, nameOf, type Address, type TlsSettings } from './postgres-address';
import { postgresError, toPostgresError } from './postgres-errors';
import { systemClock, type Clock } from '../clock';
import { HostChoice, Line, type Values } from './postgres-line';
import { PostgresLog } from './postgres-log';
import { postgresModule } from './postgres-module';
import { schemaPrefix, type QueueName } from './postgres-schema';
import { postgresSql } from './postgres-sql';
import { eraseMembersParts, storedKey } from './postgres-sync-sql';
import { aliveMs, type StoredOutcomes } from '../queue/shared-log';
import { memberKeysOf, newSuppressionKey, suppressionHashOf, suppressionKeyNote } from '../queue/suppression';

/** Removes the outcomes of a user from a text; only the engine knows its format. */
export type OutcomesWithout = (text: string, userKeys: readonly string[]) => string;

export interface OrphanedOptions {
  readonly url: string;
  readonly tls?: TlsSettings | null;
  readonly clock?: Clock;
}

export function queuesOf(options: OrphanedOptions, outcomesWithout: OutcomesWithout): DatabaseQueues {
  return {
    place: placeOf(options),
    list: () => listQueues(options),
    purge: (schema) => purgeQueue(options, schema),
    erase: (schema, userKeys) => eraseFrom(options, schema, userKeys, outcomesWithout),
    logOf: ({ origin, member }) => new PostgresLog({ ...options, origin, member }),
  };
}

/** Null when the URL cannot be read. */
export function placeOf({ url, tls }: OrphanedOptions): DatabasePlace | null {
  try {
    const { hosts, database } = addressOf(url, tls ?? null);
    return { host: hosts.map(nameOf).join(', '), database };
  } catch {
    return null;
  }
}

const rowsPerPage = 2_000;
const outcomesPerSearch = 50;
const rowsPerDelete = 5_000;

/** The queues that the database user may read. */
export function listQueues(options: OrphanedOptions): Promise<OrphanedSharedQueue[]> {
  return withLine(options, '', async (run) => {
    const found = await run<{ schema: string }>(
      `SELECT n.nspname AS schema FROM pg_catalog.pg_namespace AS n
       JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'format'
       WHERE left(n.nspname, ${schemaPrefix.length}) = $1
         AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
       ORDER BY 1`,
      [schemaPrefix],
    );
    const queues: OrphanedSharedQueue[] = [];
    // Schemas of others may have a similar name.
    for (const { schema } of found) if (ours.test(schema)) queues.push(await lookAt(run, schema));
    return queues;
  });
}

/**
 * Purges a queue; numbers, in-flight records and login times stay. Resolves to the number of entries that were
 * pending. Rejects with `locked` while an instance uses the queue.
 */
export function purgeQueue(options: OrphanedOptions, schema: string): Promise<number> {
  return withLine(options, named(schema), async (run, address) => {
    for (let waiting = 0; ;) {
      const first = `SELECT seq FROM ${schema}.entry ORDER BY seq LIMIT ${rowsPerDelete}`;
      const deleted = await removeUnused(run, address, schema, first, []);
      waiting += deleted.waiting;
      if (deleted.rows === 0) return waiting;
    }
  });
}

/**
 * Erases a user, also from outcomes that were not read. Resolves to the number of entries that were pending.
 * Rejects as `purgeQueue` does.
 */
export function eraseFrom(
  options: OrphanedOptions,
  schema: string,
  userKeys: readonly string[],
  outcomesWithout: OutcomesWithout,
): Promise<number> {
  return withLine(options, named(schema), async (run, address) => {
    const { rowsOf } = postgresSql(schema, false);
    let waiting = 0;
    for (const hash of userKeys.map(hashUserKey)) {
      for (let after = 0; after < Infinity;) {
        const range = [[hash], [after], [Number.MAX_SAFE_INTEGER], rowsPerPage];
        const found = await run<{ seq: number; body: string }>(rowsOf, range);
        const seqs = found.filter(({ body }) => isBodyOf(userKeys, body)).map(({ seq }) => seq);
        if (seqs.length > 0)
          waiting += (await removeUnused(run, address, schema, 'SELECT unnest($1::bigint[])', [seqs]))
            .waiting;
        after = found.length < rowsPerPage ? Infinity : found.at(-1)!.seq;
      }
    }
    await eraseFromOutcomes(run, address, schema, (text) => outcomesWithout(text, userKeys));
    const asked = `DELETE FROM ${schema}.deletion WHERE user_keys && $1::text[]`;
    await changeUnused(run, address, schema, asked, [userKeys]);
    await eraseMember(run, address, schema, userKeys);
    return waiting;
  });
}

type Run = Line['run'];

const living = `seen_at >= clock_timestamp() - interval '${aliveMs} ms'`;

interface LookedAt extends QueueName {
  readonly waiting: number;
  readonly oldest: number | null;
  readonly used_by: string[];
  readonly accounts: string[];
}

async function lookAt(run: Run, schema: string): Promise<OrphanedSharedQueue> {
  const [found] = await run<LookedAt>(
    `SELECT origin, member, waiting::float8 AS waiting,
       (SELECT taken_wall FROM ${schema}.entry WHERE state = 0 ORDER BY seq LIMIT 1) AS oldest,
       (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM ${schema}.instance WHERE ${living}) AS used_by,
       (SELECT coalesce(json_agg(DISTINCT account), '[]') FROM ${schema}.source) AS accounts
     FROM ${schema}.format, ${schema}.total WHERE total.id = 1`,
  );
  const { origin, member, waiting, oldest, used_by, accounts } = found!;
  return { schema, origin, member, waiting, oldestAppendedWallMs: oldest, usedBy: used_by, accounts };
}

/** Deletes rows by their numbers, in the order in which an append locks. `which` selects the numbers. */
async function removeUnused(
  run: Run,
  address: Address,
  schema: string,
  which: string,
  values: Values,
): Promise<{ rows: number; waiting: number }> {
  const [deleted] = await run<{ rows: number; waiting: number; used_by: string | null }>(
    `WITH used AS MATERIALIZED (SELECT name FROM ${schema}.instance WHERE ${living} LIMIT 1), removed AS (
       DELETE FROM ${schema}.entry WHERE seq IN (${which}) AND NOT EXISTS (SELECT FROM used) RETURNING state, chars
     ), summed AS (
       UPDATE ${schema}.total SET waiting = waiting - (SELECT count(*) FROM removed WHERE state = 0),
         chars = chars - (SELECT coalesce(sum(chars), 0) FROM removed)
       WHERE id = 1
     )
     SELECT count(*)::float8 AS rows, (count(*) FILTER (WHERE state = 0))::float8 AS waiting,
       (SELECT name FROM used) AS used_by
     FROM removed`,
    values,
  );
  if (deleted!.used_by !== null) throw postgresError('locked', deleted!.used_by, address, schema);
  return deleted!;
}

/** As in a queue file (orphaned-queue.ts), but of the staged rows only those of the user go. */
async function eraseMember(
  run: Run,
  address: Address,
  schema: string,
  userKeys: readonly string[],
): Promise<void> {
  const keys = userKeys.flatMap(memberKeysOf).map(storedKey);
  const ofRuns = `SELECT run FROM ${schema}.synced UNION SELECT run FROM ${schema}.dropped_run`;
  const staged = `DELETE FROM ${schema}.staged WHERE run IN (${ofRuns}) AND key = ANY($1::text[])`;
  await changeUnused(run, address, schema, staged, [keys]);
  const [removed] = await run<{ members: number; used_by: string | null }>(
    `WITH used AS MATERIALIZED (SELECT name FROM ${schema}.instance WHERE ${living} LIMIT 1),
     ${eraseMembersParts(schema, 'NOT EXISTS (SELECT FROM used)')}
     SELECT (SELECT count(*) FROM removed)::float8 AS members, (SELECT name FROM used) AS used_by`,
    [keys],
  );
  if (removed!.used_by !== null) throw postgresError('locked', removed!.used_by, address, schema);
  if (removed!.members === 0) return;
  const { getMeta, now } = postgresSql(schema, false);
  const meta = `INSERT INTO ${schema}.meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`;
  await run(meta, [suppressionKeyNote, newSuppressionKey()]);
  const [note] = await run<{ value: string }>(getMeta, [suppressionKeyNote]);
  const hashes = userKeys.map((userKey) => suppressionHashOf(note!.value, userKey));
  const suppression = `INSERT INTO ${schema}.suppression (hash, since_wall) SELECT unnest($1::text[]), (${now})`;
  await run(`${suppression} ON CONFLICT DO NOTHING`, [hashes]);
}

async function eraseFromOutcomes(
  run: Run,
  address: Address,
  schema: string,
  without: (text: string) => string,
): Promise<void> {
  for (let after = 0; ;) {
    const found = await run<StoredOutcomes>(
      `SELECT id::float8 AS id, text FROM ${schema}.outcome WHERE id > $1 ORDER BY outcome.id LIMIT $2`,
      [after, outcomesPerSearch],
    );
    for (const { id, text } of found) {
      const left = without(text);
      const change = `UPDATE ${schema}.outcome SET text = $2 WHERE id = $1`;
      if (left !== text) await changeUnused(run, address, schema, change, [id, left]);
    }
    if (found.length < outcomesPerSearch) return;
    after = found.at(-1)!.id;
  }
}

/** `change` must have a WHERE. */
async function changeUnused(
  run: Run,
  address: Address,
  schema: string,
  change: string,
  values: Values,
): Promise<void> {
  const [changed] = await run<{ used_by: string | null }>(
    `WITH used AS MATERIALIZED (SELECT name FROM ${schema}.instance WHERE ${living} LIMIT 1),
       changed AS (${change} AND NOT EXISTS (SELECT FROM used))
     SELECT (SELECT name FROM used) AS used_by`,
    values,
  );
  if (changed!.used_by !== null) throw postgresError('locked', changed!.used_by, address, schema);
}

/** Opens a connection for one call. Rejects with QueueErrors. */
async function withLine<T>(
  { url, tls, clock }: OrphanedOptions,
  schema: string,
  call: (run: Run, address: Address) => Promise<T>,
): Promise<T> {
  const address = addressOf(url, tls ?? null);
  const line = new Line({
    makeClient: await postgresModule(),
    address,
    hosts: new HostChoice(address.hosts),
    clock: clock ?? systemClock,
  });
  try {
    return await call((sql, values) => line.run(sql, values), address);
  } catch (error) {
    throw toPostgresError(error, address, schema);
  } finally {
    await line.close();
  }
}

const ours = /^instant_audience_[a-z0-9_]{1,46}$/;

/** Names come from outside, and are inserted into statements unchanged. */
function named(schema: string): string {
  if (!ours.test(schema)) throw new TypeError('not the name of a queue');
  return schema;
}

// Test of a database for a form: whether it can hold a shared queue. Changes nothing in it.

import { shortenThrown } from '../entry/shorten';
import { QueueError } from '../queue/store';
import { addressOf, nameOf, type Address, type TlsSettings } from './postgres-address';
import { troubleOf, type Trouble } from './postgres-errors';
import { systemClock } from '../clock';
import { HostChoice, Line } from './postgres-line';
import { postgresModule } from './postgres-module';
import { schemaOf, steps, versionIn, type QueueName } from './postgres-schema';

export interface TestedDatabase extends QueueName {
  readonly url: string;
  readonly tls?: TlsSettings | null;
}

export type DatabaseTest =
  | {
      readonly kind: 'works';
      readonly host: string;
      /** Whether the queue's tables do not exist but can be created. */
      readonly isNew: boolean;
      readonly waiting: number;
      /** Name of the active instance; null without one. */
      readonly sender: string | null;
    }
  | ({ readonly kind: 'failed'; readonly host: string } & Failure);

type Failure =
  | { readonly code: Exclude<Trouble, 'rights'>; readonly reason: string }
  /** The URL is invalid; `reason` does not show it. */
  | { readonly code: 'url'; readonly reason: string }
  /** No right to create the schema, or to use the existing one. Names as in the database. */
  | {
      readonly code: 'rights' | 'schemaRights';
      readonly user: string;
      readonly database: string;
      readonly schema: string;
    };

/** Never rejects. The result shows no part of the login, except the user's name when a right is missing. */
export async function testDatabase(tested: TestedDatabase): Promise<DatabaseTest> {
  let address: Address;
  try {
    address = addressOf(tested.url, tested.tls ?? null);
  } catch (error) {
    return { kind: 'failed', host: '', code: 'url', reason: shortenThrown(error) };
  }
  const host = address.hosts.map(nameOf).join(', ');
  try {
    const makeClient = await postgresModule();
    const hosts = new HostChoice(address.hosts);
    const line = new Line({ makeClient, address, hosts, clock: systemClock });
    try {
      return { host, ...(await look(line, address, schemaOf(tested))) };
    } finally {
      void line.close();
    }
  } catch (error) {
    const { trouble, detail } = troubleOf(error, address);
    const reason = error instanceof QueueError ? error.message : detail;
    // A missing right to connect or to read, which the database's own message explains best.
    return { kind: 'failed', host, code: trouble === 'rights' ? 'failed' : trouble, reason };
  }
}

interface Look {
  readonly user: string;
  readonly database: string;
  readonly may_create: boolean;
  /** Null: there is no such schema. */
  readonly may_use: boolean | null;
}

type WithoutHost<T> = T extends unknown ? Omit<T, 'host'> : never;

async function look(line: Line, address: Address, schema: string): Promise<WithoutHost<DatabaseTest>> {
  const [found] = await line.run<Look>(
    `SELECT current_user::text AS "user", current_database()::text AS database,
      has_database_privilege(current_database(), 'CREATE') AS may_create,
      (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = $1) AS may_use`,
    [schema],
  );
  const { user, database, may_create, may_use } = found!;
  const missing = { kind: 'failed', user, database, schema } as const;
  if (may_use === null)
    return may_create
      ? { kind: 'works', isNew: true, waiting: 0, sender: null }
      : { ...missing, code: 'rights' };
  if (!may_use) return { ...missing, code: 'schemaRights' };
  try {
    return await lookInto(line, schema);
  } catch (error) {
    if (troubleOf(error, address).trouble === 'rights') return { ...missing, code: 'schemaRights' };
    throw error;
  }
}

/** Checks an existing schema; an administrator may have created it empty. */
async function lookInto(line: Line, schema: string): Promise<WithoutHost<DatabaseTest>> {
  const version = await versionIn(line.run.bind(line), schema);
  if (version > steps.length)
    return {
      kind: 'failed',
      code: 'newer_version',
      reason: `format ${version}; this version reads up to ${steps.length}`,
    };
  if (version === 0) return { kind: 'works', isNew: true, waiting: 0, sender: null };
  // Changes nothing, but needs the right to update.
  await line.run(`UPDATE ${schema}.total SET waiting = waiting WHERE id = 0`);
  const [queue] = await line.run<{ waiting: number; sender: string | null }>(
    `SELECT waiting::float8 AS waiting,
      (SELECT holder_name FROM ${schema}.lease WHERE holder IS NOT NULL AND expires_at > now()) AS sender
     FROM ${schema}.total`,
  );
  return { kind: 'works', isNew: false, waiting: queue?.waiting ?? 0, sender: queue?.sender ?? null };
}

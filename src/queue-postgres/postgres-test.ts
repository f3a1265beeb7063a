// Whether a database can hold a shared queue, tried for somebody who fills in a form. Nothing in it is changed.

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
      /** The tables of this queue are not there, and can be made. */
      readonly isNew: boolean;
      readonly waiting: number;
      /** Name of the process that sends; null when none does. */
      readonly sender: string | null;
    }
  | ({ readonly kind: 'failed'; readonly host: string } & Failure);

type Failure =
  | { readonly code: Exclude<Trouble, 'rights'>; readonly reason: string }
  /** The URL is none; `reason` does not show it. */
  | { readonly code: 'url'; readonly reason: string }
  /** No right to make the schema, or to use the one that is there. Names as the database has them. */
  | {
      readonly code: 'rights' | 'schemaRights';
      readonly user: string;
      readonly database: string;
      readonly schema: string;
    };

/** Never rejects. Nothing of the login is in what it tells, but for the user's name where a right is missing. */
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
    // A right to connect, or to look, which the database tells best.
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

/** Of a schema that is there; an administrator may have made it with nothing in it. */
async function lookInto(line: Line, schema: string): Promise<WithoutHost<DatabaseTest>> {
  const version = await versionIn(line.run.bind(line), schema);
  if (version > steps.length)
    return {
      kind: 'failed',
      code: 'newer_version',
      reason: `format ${version}, this version knows up to ${steps.length}`,
    };
  if (version === 0) return { kind: 'works', isNew: true, waiting: 0, sender: null };
  // Changes nothing, but needs the right to.
  await line.run(`UPDATE ${schema}.total SET waiting = waiting WHERE id = 0`);
  const [queue] = await line.run<{ waiting: number; sender: string | null }>(
    `SELECT waiting::float8 AS waiting,
      (SELECT holder_name FROM ${schema}.lease WHERE holder IS NOT NULL AND expires_at > now()) AS sender
     FROM ${schema}.total`,
  );
  return { kind: 'works', isNew: false, waiting: queue?.waiting ?? 0, sender: queue?.sender ?? null };
}

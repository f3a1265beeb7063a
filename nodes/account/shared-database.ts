// Where the store of shared queues comes in: an account opens a queue in it, and its form tries whether that would work.

import { PostgresLog } from '../../src/outbox/postgres-log';
import type { SharedLog } from '../../src/outbox/shared-log';
import type { DatabaseConnection } from './database';
import type { DatabaseTest } from './database-test';

/** The queue of a service and member; several have their places in one database. */
export function openSharedLog({ url, tls }: DatabaseConnection, origin: string, member: string): SharedLog {
  return new PostgresLog({ url, tls: tls ?? null, origin, member });
}

/** Tries what an account would do, and changes nothing that is there. */
export function testDatabase(_database: DatabaseConnection): Promise<DatabaseTest> {
  const message = 'A queue in a shared database is not in this build yet.';
  return Promise.resolve({ kind: 'failed', code: 'unavailable', message });
}

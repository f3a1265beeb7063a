// Database of a shared queue: its address and TLS, from the settings and Node-RED's `tls-config` node.

import { createHash } from 'node:crypto';
import type { NodeAPI } from 'node-red';
import { type DatabasePlace, meaningOf, travelsInClear } from '../../../src/queue-postgres/index';
import type { ServiceTls } from '../../../src/service/index';
import type { Problem } from '../account-api';
import { tlsOf } from './connection';
import type { DatabaseSettings } from '../settings';

export interface DatabaseConnection {
  readonly url: string;
  readonly tls: ServiceTls | null;
}

/** What the store needs, or that the chosen TLS configuration is missing. */
export function databaseConnection(
  RED: NodeAPI,
  { url, tls: id }: DatabaseSettings,
): DatabaseConnection | Problem {
  const tls = tlsOf(RED, id);
  if (tls === 'missing') return { key: 'error.database_tls_missing' };
  return { url, tls };
}

/** Whether user ids travel unencrypted to another machine. */
export function isInClear({ url, tls }: DatabaseConnection): boolean {
  return travelsInClear(url, tls !== null);
}

/** A digest, since it stands for the password: the same for accounts that mean the same database. */
export function identityOf(connection: DatabaseConnection): string {
  const { url, tls } = connection;
  return createHash('sha256')
    .update(JSON.stringify([meaningOf(url), tls]))
    .digest('hex');
}

/** Names a database among those that accounts use, whoever logs in there. */
export function databaseName({ host, database }: DatabasePlace): string {
  return `${host}/${database}`;
}

/** Names a shared queue in the tab's calls. */
export function sharedQueueKey(place: DatabasePlace, schema: string): string {
  return `${databaseName(place)} ${schema}`;
}

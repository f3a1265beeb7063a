// Loads the PostgreSQL client when a shared log is first opened, so that it uses no memory otherwise.

import type { Client, ClientConfig } from 'pg';

import { QueueError } from '../queue/store';

export type MakeClient = (config: ClientConfig) => Client;

/** Rejects with a QueueError `unavailable` when it is not installed. */
export async function postgresModule(load: () => Promise<unknown> = () => import('pg')): Promise<MakeClient> {
  try {
    const { default: pg } = (await load()) as { default: { Client: new (config: ClientConfig) => Client } };
    return (config) => new pg.Client(config);
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw new QueueError(
      'unavailable',
      `The client for PostgreSQL (the package pg) cannot be loaded (${detail}). Install this package again with its dependencies.`,
    );
  }
}

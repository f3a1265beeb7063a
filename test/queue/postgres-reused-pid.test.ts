// Reused backend number on a real server: a healthy connection of another line has the number that an abandoned
// backend had before a restart.
import { strict as assert } from 'node:assert';
import type { Client } from 'pg';

import { addressOf } from '../../src/queue-postgres/postgres-address';
import { systemClock } from '../../src/clock';
import { HostChoice, Line } from '../../src/queue-postgres/postgres-line';
import { postgresModule } from '../../src/queue-postgres/postgres-module';
import type { MakeClient } from '../../src/queue-postgres/postgres-module';
import { findPostgres, freshPostgresDatabase } from '../support/services';

describe('an abandoned backend', () => {
  it('is not mistaken for a later one with the same number', async function () {
    this.timeout(60_000);
    const server = await findPostgres();
    if (server === null) this.skip();
    const own = await freshPostgresDatabase(server, 'review_pid');
    const makeClient = await postgresModule();
    const address = addressOf(own.url, null);
    const lineOf = (make: MakeClient) =>
      new Line({ address, hosts: new HostChoice(address.hosts), clock: systemClock, makeClient: make });
    const other = lineOf(makeClient);
    const pidOf = async (line: Line) =>
      (await line.run<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid;
    const pid = await pidOf(other);
    let made = 0;
    const pretending = ((config: never) => {
      const client = (makeClient as (config: never) => Client)(config);
      made += 1;
      // The first connection's backend had, before the restart, the number that the other line has now.
      if (made === 1) Object.defineProperty(client, 'processID', { get: () => pid, set: () => undefined });
      return client;
    }) as unknown as MakeClient;
    const line = lineOf(pretending);
    await line.run('SELECT 1');
    line.break();
    await line.run('SELECT 1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = await pidOf(other);
    await line.close();
    await other.close();
    assert.equal(after, pid, 'the other line lost its connection');
  });
});

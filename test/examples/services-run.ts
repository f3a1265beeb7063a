// Shared run of the tests of services.
import { strict as assert } from 'node:assert';
import { freshPostgresDatabase, postgresAt, type Database, type Service } from '../support/services';

/** Nothing listens there. */
export const nowhere = 9;

export async function using(service: Service, use: () => Promise<void>): Promise<void> {
  try {
    await use();
  } finally {
    await service.stop();
  }
}

export async function makeAndReadTable(server: Database): Promise<void> {
  const { url, drop } = await freshPostgresDatabase(server, 'services_test');
  const client = await postgresAt(url);
  try {
    await client.query('CREATE TABLE audience_changes (id int); INSERT INTO audience_changes VALUES (7)');
    assert.deepEqual((await client.query('SELECT id FROM audience_changes')).rows, [{ id: 7 }]);
  } finally {
    await client.end();
  }
  await drop();
  const again = await freshPostgresDatabase(server, 'services_test');
  const second = await postgresAt(again.url);
  await assert.rejects(second.query('SELECT id FROM audience_changes'), /does not exist/);
  await second.end();
  await again.drop();
}

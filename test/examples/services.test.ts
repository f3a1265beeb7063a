// The services of the examples' tests, on a machine where nothing runs: what is installed, and what npm has.
import { strict as assert } from 'node:assert';
import { connectAsync } from 'mqtt';
import {
  findBroker,
  findMariaDb,
  findPostgres,
  freshPostgresDatabase,
  mariaDbAt,
  needService,
  postgresAt,
  type Broker,
  type Database,
} from '../support/services';

/** Nothing listens there. */
const nowhere = 9;

describe('a machine on which no service runs', function () {
  this.timeout(60_000);

  for (const installed of [true, false]) {
    const from = installed ? 'what is installed' : 'npm';

    it(`gets a broker from ${from}`, async () => {
      const broker = await findBroker({ port: nowhere, installed });
      assert.ok(broker);
      await using(broker, () => publishAndReceive(broker));
    });

    it(`gets a PostgreSQL from ${from}, and each test its own tables`, async () => {
      const postgres = await findPostgres({ port: nowhere, installed });
      assert.ok(postgres);
      await using(postgres, () => makeAndReadTable(postgres));
    });
  }

  it('gets a MariaDB from what is installed', async function () {
    const mariaDb = await findMariaDb({ port: nowhere });
    needService(this, mariaDb, 'MariaDB to start');
    await using(mariaDb, async () => {
      const client = await mariaDbAt(mariaDb.url);
      const [rows] = await client.query('SELECT 1 AS one').finally(() => client.end());
      assert.deepEqual(rows, [{ one: 1 }]);
    });
  });

  it('gets no MariaDB from npm, which has none', async () => {
    assert.equal(await findMariaDb({ port: nowhere, installed: false }), null);
  });
});

async function using(service: Broker | Database, use: () => Promise<void>): Promise<void> {
  try {
    await use();
  } finally {
    await service.stop();
  }
}

async function publishAndReceive({ port }: Broker): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`);
  try {
    await client.subscribeAsync('here', { qos: 1 });
    const received = new Promise<string>((resolve) =>
      client.once('message', (_topic, payload) => resolve(payload.toString())),
    );
    await client.publishAsync('here', 'arrived', { qos: 1 });
    assert.equal(await received, 'arrived');
  } finally {
    await client.endAsync();
  }
}

async function makeAndReadTable(server: Database): Promise<void> {
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

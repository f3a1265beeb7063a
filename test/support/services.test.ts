// The services of the examples' tests, on a machine where nothing runs: what starts fast. The rest is in the long run.
import { strict as assert } from 'node:assert';
import { connectAsync } from 'mqtt';
import { findBroker, findMariaDb, findPostgres, type Broker } from './services';
import { makeAndReadTable, nowhere, using } from '../examples/services-run';

describe('a machine on which no service runs', function () {
  this.timeout(60_000);

  for (const installed of [true, false]) {
    it(`gets a broker from ${installed ? 'what is installed' : 'npm'}`, async () => {
      const broker = await findBroker({ port: nowhere, installed });
      assert.ok(broker);
      await using(broker, () => publishAndReceive(broker));
    });
  }

  it('gets a PostgreSQL, and each test its own tables', async () => {
    const postgres = await findPostgres({ port: nowhere });
    assert.ok(postgres);
    await using(postgres, () => makeAndReadTable(postgres));
  });

  it('gets no MariaDB from npm, which has none', async () => {
    assert.equal(await findMariaDb({ port: nowhere, installed: false }), null);
  });
});

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

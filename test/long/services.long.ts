// The services of the examples' tests, on a machine where nothing runs: what takes a while to start.
import { strict as assert } from 'node:assert';
import { makeAndReadTable, nowhere, using } from '../examples/services-run';
import { until } from '../support/node-red';
import { amqpAt, findMariaDb, findPostgres, findRabbitMq, mariaDbAt, needService } from '../support/services';

describe('a machine on which no database and no message queue runs', function () {
  this.timeout(120_000);

  it('gets a RabbitMQ from what is installed', async function () {
    const rabbitMq = await findRabbitMq({ port: nowhere });
    needService(this, rabbitMq, 'RabbitMQ to start');
    await using(rabbitMq, async () => {
      const { model, end } = await amqpAt(rabbitMq.url);
      const channel = await model.createChannel();
      await channel.assertQueue('here');
      channel.sendToQueue('here', Buffer.from('arrived'));
      await until(async () => (await channel.get('here', { noAck: true })) !== false, 5_000, 'what was sent');
      await end();
    });
  });

  it('gets a PostgreSQL from npm, and each test its own tables', async () => {
    const postgres = await findPostgres({ port: nowhere, installed: false });
    assert.ok(postgres);
    await using(postgres, () => makeAndReadTable(postgres));
  });

  it('gets a MariaDB from what is installed', async function () {
    const mariaDb = await findMariaDb({ port: nowhere });
    needService(this, mariaDb, 'MariaDB to start');
    await using(mariaDb, async () => {
      const client = await mariaDbAt(mariaDb.url);
      try {
        const [rows] = await client.query('SELECT 1 AS one');
        assert.deepEqual(rows, [{ one: 1 }]);
      } finally {
        await client.end();
      }
    });
  });
});

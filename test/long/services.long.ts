// The services of the examples' tests, on a machine where nothing runs: what takes a while to start.
import { strict as assert } from 'node:assert';
import { makeAndReadTable, nowhere, using } from '../examples/services-run';
import { findMariaDb, findPostgres, mariaDbAt, needService } from '../support/services';

describe('a machine on which no database runs', function () {
  this.timeout(120_000);

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
      const [rows] = await client.query('SELECT 1 AS one').finally(() => client.end());
      assert.deepEqual(rows, [{ one: 1 }]);
    });
  });
});

// The database flows killed five times, and from a PostgreSQL that npm brings.
import { databaseToAudience } from '../examples/database-run';
import { mariaDb, postgres } from '../examples/databases';
import { nowhere } from '../examples/services-run';
import { findPostgres } from '../support/services';

const killAt = [0.1, 0.25, 0.4, 0.55, 0.7];

describe('database to audience, killed five times', function () {
  this.timeout(180_000);
  databaseToAudience({ ...postgres, killAt });
});

describe('database to audience (MariaDB), killed five times', function () {
  this.timeout(180_000);
  databaseToAudience({ ...mariaDb, killAt });
});

describe('database to audience from an embedded PostgreSQL', function () {
  this.timeout(180_000);
  databaseToAudience({
    ...postgres,
    killAt: [0.3],
    find: () => findPostgres({ port: nowhere, installed: false }),
  });
});

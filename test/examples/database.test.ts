// “database to audience”, fed from real tables: PostgreSQL and MariaDB.
import { databaseToAudience } from './database-run';
import { mariaDb, postgres } from './databases';

describe('database to audience', function () {
  this.timeout(90_000);
  databaseToAudience({ ...postgres, killAt: [0.2, 0.5] });
});

describe('database to audience (MariaDB)', function () {
  this.timeout(90_000);
  databaseToAudience({ ...mariaDb, killAt: [0.3] });
});

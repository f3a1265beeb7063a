// “database to audience”, fed from real tables: PostgreSQL and MariaDB.
import {
  findMariaDb,
  findPostgres,
  freshMariaDbDatabase,
  freshPostgresDatabase,
  mariaDbAt,
  postgresAt,
} from '../support/services';
import { databaseToAudience } from './database-run';

describe('database to audience', function () {
  this.timeout(90_000);
  databaseToAudience({
    example: 'database to audience',
    name: 'PostgreSQL',
    module: 'pg',
    find: findPostgres,
    fresh: freshPostgresDatabase,
    begin: 'BEGIN',
    connect: async (url) => {
      const client = await postgresAt(url);
      return { query: async (sql) => (await client.query(sql)).rows as unknown[], end: () => client.end() };
    },
  });
});

describe('database to audience (MariaDB)', function () {
  this.timeout(90_000);
  databaseToAudience({
    example: 'database to audience (MariaDB)',
    name: 'MariaDB',
    module: 'mysql2',
    find: findMariaDb,
    fresh: freshMariaDbDatabase,
    begin: 'START TRANSACTION',
    connect: async (url) => {
      const client = await mariaDbAt(url);
      return { query: async (sql) => (await client.query(sql))[0] as unknown[], end: () => client.end() };
    },
  });
});

// The two databases of the example “database to audience”.
import {
  findMariaDb,
  findPostgres,
  freshMariaDbDatabase,
  freshPostgresDatabase,
  mariaDbAt,
  postgresAt,
} from '../support/services';
import type { Kind } from './database-run';

export const postgres: Omit<Kind, 'killAt'> = {
  example: 'database to audience',
  name: 'PostgreSQL',
  module: 'pg',
  find: () => findPostgres(),
  fresh: freshPostgresDatabase,
  begin: 'BEGIN',
  connect: async (url) => {
    const client = await postgresAt(url);
    return { query: async (sql) => (await client.query(sql)).rows as unknown[], end: () => client.end() };
  },
};

export const mariaDb: Omit<Kind, 'killAt'> = {
  example: 'database to audience (MariaDB)',
  name: 'MariaDB',
  module: 'mysql2',
  find: () => findMariaDb(),
  fresh: freshMariaDbDatabase,
  begin: 'START TRANSACTION',
  connect: async (url) => {
    const client = await mariaDbAt(url);
    return { query: async (sql) => (await client.query(sql))[0] as unknown[], end: () => client.end() };
  },
};

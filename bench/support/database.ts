// The PostgreSQL that a shared queue is measured on: the one that runs here or is installed, with a database of its own.
import { readFileSync } from 'node:fs';
import { findPostgres, freshPostgresDatabase, postgresAt } from '../../test/support/services';

export interface BenchDatabase {
  readonly url: string;
  /** Transactions that its database has committed, ever. */
  transactions(): Promise<number>;
  /** CPU of the connections that our processes have now, as the system counts it; NaN where that is not Linux. */
  cpuMs(): Promise<number>;
  drop(): Promise<void>;
}

/** Null where there is none. */
export async function openDatabase(): Promise<BenchDatabase | null> {
  const server = await findPostgres();
  if (server === null) return null;
  const name = `instant_audience_bench_${process.pid}`;
  const own = await freshPostgresDatabase(server, name);
  // From another database, so that the question does not count.
  const ask = async <T extends object>(sql: string): Promise<T[]> => {
    const client = await postgresAt(server.url);
    try {
      return (await client.query<T>(sql, [name])).rows;
    } finally {
      await client.end();
    }
  };
  return {
    url: own.url,
    async transactions() {
      const [found] = await ask<{ count: number }>(
        'SELECT xact_commit::float8 AS count FROM pg_stat_database WHERE datname = $1',
      );
      return found!.count;
    },
    async cpuMs() {
      const found = await ask<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE datname = $1');
      return found.reduce((sum, { pid }) => sum + cpuMsOf(pid), 0);
    },
    async drop() {
      await own.drop();
      await server.stop();
    },
  };
}

const msPerTick = 10;

/** CPU of a process as the system counts it; NaN where that is not Linux. */
export function cpuMsOf(pid: number): number {
  if (process.platform !== 'linux') return NaN;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * msPerTick;
}

// Stores that fulfil the contract of a shared log, each with its own queue and a clock that tests can advance.

import { systemClock, type Clock } from '../../src/clock';
import { PostgresLog, type PostgresLogOptions } from '../../src/queue-postgres/postgres-log';
import { schemaOf } from '../../src/queue-postgres/postgres-schema';
import type { Instance, SharedLog } from '../../src/queue/shared-log';
import { ownPostgres, postgresAt, type Ends, type OwnDatabase } from '../support/services';
import { MemoryLogStore, MemorySharedLog } from './memory-shared-log';

/** One queue, as several instances use it. */
export interface SharedQueue {
  /** The open handle of another instance; its machine's clock is ahead by `skewMs`. */
  log(skewMs?: number): Promise<SharedLog>;
  /** Advances the store's clock, or makes it seem so. */
  pass(ms: number): Promise<void>;
  /** Closes what is still open. */
  end(): Promise<void>;
}

export class MemoryQueue implements SharedQueue {
  #aheadMs = 0;
  readonly logStore = new MemoryLogStore({
    wallMs: () => Date.now() + this.#aheadMs,
    after(delayMs, call) {
      const timer = setTimeout(call, delayMs);
      return () => clearTimeout(timer);
    },
  });

  async log(skewMs = 0): Promise<SharedLog> {
    const log = new MemorySharedLog(this.logStore, { skewMs });
    await log.open();
    return log;
  }

  pass(ms: number): Promise<void> {
    this.#aheadMs += ms;
    return Promise.resolve();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}

/** Queues in a separate database on the server that the other tests use. */
export class TestDatabase {
  #queues = 0;

  private constructor(private readonly own: OwnDatabase) {}

  static async find(context: Mocha.Context, ends: Ends): Promise<TestDatabase> {
    return new TestDatabase(await ownPostgres(context, ends, `instant_audience_${process.pid}`));
  }

  get url(): string {
    return this.own.url;
  }

  queue(): PostgresQueue {
    return new PostgresQueue(this, `member ${this.#queues++}`);
  }

  async query<T extends object>(sql: string, values: unknown[] = []): Promise<T[]> {
    const client = await postgresAt(this.own.url);
    try {
      return (await client.query<T>(sql, values)).rows;
    } finally {
      await client.end();
    }
  }
}

export class PostgresQueue implements SharedQueue {
  readonly origin = 'https://service.test';
  readonly schema: string;
  readonly #logs: PostgresLog[] = [];

  constructor(
    readonly database: TestDatabase,
    readonly member: string,
  ) {
    this.schema = schemaOf({ origin: this.origin, member });
  }

  async log(skewMs = 0, more: Partial<PostgresLogOptions> = {}): Promise<PostgresLog> {
    const log = this.closed({ clock: skewedClock(skewMs), ...more });
    await log.open();
    return log;
  }

  /** A log that is not open yet. */
  closed(more: Partial<PostgresLogOptions> = {}): PostgresLog {
    const { origin, member, database } = this;
    const log = new PostgresLog({ url: database.url, origin, member, ...more });
    this.#logs.push(log);
    return log;
  }

  async pass(ms: number): Promise<void> {
    const earlier = `- interval '${ms} ms'`;
    await this.database.query(`UPDATE ${this.schema}.lease SET expires_at = expires_at ${earlier}`);
    for (const table of ['instance', 'producer'])
      await this.database.query(`UPDATE ${this.schema}.${table} SET seen_at = seen_at ${earlier}`);
    await this.database.query(`UPDATE ${this.schema}.deletion SET done_at = done_at ${earlier}`);
  }

  async end(): Promise<void> {
    for (const log of this.#logs) await log.close(nobody);
  }
}

const nobody: Instance = { id: 'nobody', name: 'nobody' };

function skewedClock(skewMs: number): Clock {
  return { ...systemClock, wallMs: () => Date.now() + skewMs };
}

export function processNamed(id: string): Instance {
  return { id, name: `machine of ${id}` };
}

export const leaseMs = 60_000;
export const [one, two] = [processNamed('one'), processNamed('two')];

/** Wins the lease, and opens the holder's store. */
export async function hold(log: PostgresLog, holder = one) {
  const { fencingToken: token } = await log.claim(holder, true, null, leaseMs);
  const store = log.store(holder, token);
  await store.open();
  return { token, store };
}

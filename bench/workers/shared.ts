// Process with a shared queue, as an account node makes it, without Node-RED; or only with its log.
import { randomUUID } from 'node:crypto';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { Engine as EngineType } from '../../src/delivery/engine';
import type { SharedRow } from '../../src/queue/shared-log';
import { cpuUs, nowMs, sleep, turn } from '../support/process';
import { entryOf, rowOf, source } from './entries';
import { accountAt, caps, checked, Engine, PostgresLog, SqliteStore, systemClock } from './package';
import { serve } from './serve';

export interface Sharing {
  readonly databaseUrl: string;
  /** Of the queue. */
  readonly member: string;
  readonly serviceUrl: string;
  /** Of the process; its posts carry it as their token. */
  readonly name: string;
  readonly limits: Limits;
}

const origin = 'https://bench.test';

let queue: EngineType;
let nextUser = 0;
let trickling: NodeJS.Timeout | undefined;

function submit(numbers: readonly number[], completeOn: 'accepted' | 'queued', onEnd: () => void): void {
  const entries = numbers.map((number) => checked(entryOf(number)));
  queue.submit({ source, entries, indexes: null, completeOn, onEnd });
}

export const operations = {
  /** Resolves when it knows who sends. */
  async open({ databaseUrl, member, serviceUrl, name, limits }: Sharing): Promise<void> {
    queue = new Engine({
      ...caps,
      shared: {
        log: new PostgresLog({ url: databaseUrl, origin, member }),
        localBuffer: new SqliteStore(':memory:'),
        instance: { id: randomUUID(), name },
      },
      clock: systemClock,
      random: Math.random,
      limits,
    });
    queue.attach(accountAt(serviceUrl, limits.maxConcurrent, name));
    queue.onRecovered('bench', () => undefined);
    queue.start();
    while (queue.stats().shared?.sender == null) await sleep(5);
  },

  /** Ten new users every 50 ms, from `first` on. */
  trickle(first: number): void {
    nextUser = first;
    trickling = setInterval(() => {
      const numbers = Array.from({ length: 10 }, () => nextUser++);
      submit(numbers, 'queued', () => undefined);
    }, 50);
  },

  /** One message for each user; resolves when all of them are accepted. */
  async feed(first: number, users: number): Promise<void> {
    let open = users;
    const ended = (): void => void (open -= 1);
    for (let user = 0; user < users; user += 1) {
      submit([first + user], 'accepted', ended);
      if (user % 1000 === 999) await turn();
    }
    while (open > 0) await sleep(5);
  },

  cpuMs: () => cpuUs() / 1000,

  async close(): Promise<void> {
    clearInterval(trickling);
    await queue.park(5000);
    await queue.close();
  },

  /** Milliseconds of each batch that is appended to the log, and of each plain insert of the same rows, in turns. */
  async append(
    { databaseUrl, member, name }: Pick<Sharing, 'databaseUrl' | 'member' | 'name'>,
    batches: number,
    rowsPerBatch: number,
    plain: boolean,
  ): Promise<{ appendMs: number[]; plainMs: number[] }> {
    const log = new PostgresLog({ url: databaseUrl, origin, member });
    await log.open();
    const inserts = plain ? await plainTable(databaseUrl) : null;
    const [appendMs, plainMs]: [number[], number[]] = [[], []];
    for (let batch = 1; batch <= batches; batch += 1) {
      const rows = Array.from({ length: rowsPerBatch }, (_, at) => rowOf(batch * rowsPerBatch + at));
      const startedMs = nowMs();
      await log.append({
        producerId: name,
        batchSequence: batch,
        instance: name,
        rows,
        maxEntries: caps.queueMaxEntries,
        maxChars: caps.queueMaxBytes,
      });
      const appendedMs = nowMs();
      await inserts?.insert(rows);
      appendMs.push(appendedMs - startedMs);
      plainMs.push(nowMs() - appendedMs);
    }
    await inserts?.end();
    await log.close({ id: name, name });
    return { appendMs, plainMs };
  },
};

/** What a table with a number, a user and a body takes, one statement for many rows. */
async function plainTable(url: string) {
  const { Client } = await import('pg');
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    'CREATE TABLE IF NOT EXISTS plain (seq bigserial PRIMARY KEY, "user" bigint NOT NULL, body text NOT NULL)',
  );
  return {
    insert: (rows: readonly SharedRow[]) =>
      client.query('INSERT INTO plain ("user", body) SELECT * FROM unnest($1::bigint[], $2::text[])', [
        rows.map(({ userHash }) => userHash),
        rows.map(({ body }) => body),
      ]),
    end: () => client.end(),
  };
}
serve(operations);

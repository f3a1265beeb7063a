// Shared log in a PostgreSQL database: appends, the lease, control state, outcomes and notifications. `pg` is
// only loaded with it.

import { QueueError, type QueueStore } from '../queue/store';
import { addressOf, type TlsSettings } from './postgres-address';
import { Database } from './postgres-database';
import { CallError, toPostgresError } from './postgres-errors';
import { systemClock, type Clock } from '../clock';
import type { Values } from './postgres-line';
import { postgresModule } from './postgres-module';
import { NewsLine } from './postgres-news';
import { PostgresStore } from './postgres-store';
import type { QueueName, Step } from './postgres-schema';
import { laneCodes } from '../queue/row-codes';
import type {
  Appended,
  Batch,
  Claim,
  SharedDeletion,
  SharedDeletionRequest,
  SharedDeletionResult,
  Instance,
  News,
  SharedLog,
  StoredOutcomes,
} from '../queue/shared-log';

export interface PostgresLogOptions extends QueueName {
  /** `postgres://user:password@host:5432/database`, with `sslmode` as in psql. */
  readonly url: string;
  /** Node-RED's `tls-config`, if the account has one. */
  readonly tls?: TlsSettings | null;
  readonly clock?: Clock;
  /** For tests: the migrations of this version. */
  readonly steps?: readonly Step[];
}

type ControlCall =
  | 'release'
  | 'getMeta'
  | 'setMeta'
  | 'replaceMeta'
  | 'outcomes'
  | 'setPaused'
  | 'flush'
  | 'requestDeletion'
  | 'deletions'
  | 'finishDeletion';

/** Null in a producer's `through`: another connection appended the batch meanwhile. */
const notNullViolation = '23502';
/** Tries of a claim; an instance that loses a race for the lease sees the winner at its next try. */
const looks = 3;

interface ClaimRecord {
  readonly now: number;
  readonly taken: number | null;
  readonly fencing_token: number;
  readonly holder: string | null;
  readonly holder_name: string | null;
  readonly left: number;
  readonly last_seq: number;
  readonly waiting: number;
  readonly others: Instance[];
  readonly paused: boolean;
  readonly flushes: number;
  readonly deletions: number;
  readonly has_outcomes: boolean;
}

interface DeletionRecord {
  readonly id: number;
  readonly through_seq: number;
  readonly asked_wall: number;
  readonly user_keys: readonly string[] | null;
  readonly user_id: string | null;
  readonly done: boolean;
  readonly entries: number | null;
  readonly in_flight: number | null;
  readonly segments: number | null;
}

export class PostgresLog implements SharedLog {
  #database: Database | null = null;
  #news: NewsLine | null = null;
  #listener: ((news: News) => void) | null = null;
  /** Id of this instance, once it has claimed; notifications about outcomes of others are ignored. */
  #instance: string | null = null;
  /** Number of closes, so that an `open` in progress leaves nothing behind. */
  #closes = 0;

  constructor(private readonly options: PostgresLogOptions) {}

  async open(): Promise<void> {
    if (this.#database !== null) return;
    const { url, tls, origin, member, clock, steps } = this.options;
    const closes = this.#closes;
    const database = new Database(
      await postgresModule(),
      addressOf(url, tls ?? null),
      { origin, member },
      clock ?? systemClock,
    );
    try {
      await database.prepare(steps);
      if (this.#closes !== closes) throw database.error('failed', 'it was closed while it was being opened');
    } catch (error) {
      await database.close();
      throw error;
    }
    this.#database = database;
    this.#news = new NewsLine(database.lineOptions, database.schema, (news, to) => {
      if (to === null || this.#instance === null || to === this.#instance) this.#listener?.(news);
    });
    this.#news.start();
  }

  async append(batch: Batch): Promise<Appended> {
    const database = this.#opened();
    const { rows, instance } = batch;
    const instanceSources = rows.map(({ source }) => ({ ...source, instance }));
    const sources = await database.idsOf(database.appends, instanceSources);
    const { time } = database;
    const values = [
      batch.producerId,
      batch.batchSequence,
      rows.length,
      rows.reduce((sum, { body }) => sum + body.length, 0),
      batch.maxEntries,
      batch.maxChars,
      rows.map(({ lane }) => laneCodes[lane]),
      rows.map(({ userHash }) => userHash),
      sources,
      rows.map(({ body }) => body.length),
      rows.map(({ eventWallMs }) => time.toDatabase(eventWallMs)),
      rows.map(({ appendedWallMs }) => time.toDatabase(appendedWallMs)),
      rows.map(({ body }) => body),
      batch.sync?.states.map(({ segment }) => segment) ?? [],
      batch.sync?.states.map(({ text }) => text) ?? [],
      batch.sync?.fencingToken ?? null,
    ];
    try {
      const [answer] = await database.appends.run<{
        before: number | null;
        waiting: number;
        is_fenced: boolean;
      }>(database.sql.append, values);
      const before = answer?.before ?? null;
      if (before !== null) return { kind: 'appended', firstSeq: before + 1, lastSeq: before + rows.length };
      const appended = await this.#appendedBefore(batch);
      if (appended === null && answer?.is_fenced === true)
        throw database.error('fenced', `fencing token ${batch.sync?.fencingToken} is over`);
      return appended ?? { kind: 'full', waiting: answer?.waiting ?? 0 };
    } catch (error) {
      if (!(error instanceof CallError) || error.sqlState !== notNullViolation) throw this.#toError(error);
      const appended = await this.#appendedBefore(batch);
      if (appended === null) throw this.#toError(error);
      return appended;
    }
  }

  async appendedThrough(producerId: string): Promise<number> {
    return (await this.#producerOf(producerId))?.through ?? 0;
  }

  async claim(
    instance: Instance,
    wants: boolean,
    fencingToken: number | null,
    leaseMs: number,
  ): Promise<Claim> {
    const database = this.#opened();
    this.#instance = instance.id;
    for (let look = 1; ; look++) {
      const sentMs = database.clock.monoMs();
      const found = await this.#claimOnce(database, [
        instance.id,
        instance.name,
        wants,
        fencingToken,
        leaseMs,
        database.control.pid,
      ]);
      database.time.measured(sentMs, found.now);
      const isLost = wants && found.taken === null && found.holder === null && look < looks;
      if (!isLost) return claimOf(instance, found);
    }
  }

  async release(instance: Instance, fencingToken: number): Promise<void> {
    await this.#control('release', [instance.id, fencingToken]);
  }

  /** Throws a QueueError `closed` before `open`. */
  store(instance: Instance, fencingToken: number): QueueStore {
    return new PostgresStore(this.#opened(), instance.id, fencingToken);
  }

  readonly meta = {
    getMeta: async (key: string): Promise<string | null> => {
      const [found] = await this.#control<{ value: string }>('getMeta', [key]);
      return found?.value ?? null;
    },
    setMeta: async (key: string, value: string): Promise<void> => {
      await this.#control('setMeta', [key, value]);
    },
    replaceMeta: async (key: string, before: string | null, value: string): Promise<boolean> =>
      (await this.#control('replaceMeta', [key, before, value])).length > 0,
  };

  nowMs(): number {
    const { time, clock } = this.#opened();
    return time.toDatabase(clock.wallMs());
  }

  outcomes(
    instance: Instance,
    reported: readonly number[],
    limit: number,
  ): Promise<readonly StoredOutcomes[]> {
    return this.#control<StoredOutcomes>('outcomes', [instance.id, reported, limit]);
  }

  async setPaused(paused: boolean): Promise<void> {
    await this.#control('setPaused', [paused]);
  }

  async flush(): Promise<void> {
    await this.#control('flush', []);
  }

  async requestDeletion({ throughSeq, askedMs, user }: SharedDeletionRequest): Promise<number> {
    const values = [throughSeq, askedMs, user?.keys ?? null, user?.id ?? null];
    const [requested] = await this.#control<{ id: number }>('requestDeletion', values);
    return requested!.id;
  }

  async deletions(): Promise<readonly SharedDeletion[]> {
    const found = await this.#control<DeletionRecord>('deletions', []);
    return found.map(({ id, through_seq, asked_wall, user_keys: keys, user_id, done, ...result }) => ({
      id,
      throughSeq: through_seq,
      askedMs: asked_wall,
      user: keys === null ? null : { keys, id: user_id ?? '' },
      result: done
        ? { entries: result.entries ?? 0, inFlight: result.in_flight ?? 0, segments: result.segments ?? 0 }
        : null,
    }));
  }

  async finishDeletion(
    instance: Instance,
    fencingToken: number,
    id: number,
    { entries, inFlight, segments }: SharedDeletionResult,
  ): Promise<void> {
    const values = [instance.id, fencingToken, id, entries, inFlight, segments];
    await this.#control('finishDeletion', values);
  }

  onNews(listener: (news: News) => void): void {
    this.#listener = listener;
  }

  async close(instance: Instance): Promise<void> {
    this.#closes += 1;
    const database = this.#database;
    if (database === null) return;
    this.#listener = null;
    await this.#news?.close();
    // Without the database the others are not informed; the instance is gone anyway.
    await database.run(database.control, database.sql.bye, [instance.id]).catch(() => undefined);
    this.#database = null;
    await database.close();
  }

  /** Null: it was not appended. */
  async #appendedBefore({ producerId, batchSequence }: Batch): Promise<Appended | null> {
    const found = await this.#producerOf(producerId);
    if (found === null || found.through < batchSequence) return null;
    if (found.through > batchSequence) return { kind: 'before' };
    return { kind: 'appended', firstSeq: found.first, lastSeq: found.last };
  }

  async #producerOf(producerId: string): Promise<{ through: number; first: number; last: number } | null> {
    const database = this.#opened();
    const [found] = await database.run<{ through: number; first: number; last: number }>(
      database.appends,
      database.sql.producerOf,
      [producerId],
    );
    return found ?? null;
  }

  async #claimOnce(
    database: Database,
    values: readonly (string | number | boolean | null)[],
  ): Promise<ClaimRecord> {
    try {
      const [found] = await database.run<ClaimRecord>(database.control, database.sql.claim, values);
      if (found === undefined) throw database.error('damaged', 'its lease or its totals are missing');
      return found;
    } catch (error) {
      // A server that is read-only now is not the one that the other instances use.
      if (error instanceof QueueError && ['unavailable', 'readonly'].includes(error.code))
        this.#news?.doubt();
      throw error;
    }
  }

  async #control<T extends object>(what: ControlCall, values: Values): Promise<T[]> {
    const database = this.#opened();
    return await database.run<T>(database.control, database.sql[what], values);
  }

  #opened(): Database {
    if (this.#database === null) throw new QueueError('closed', 'The shared queue is not open.');
    return this.#database;
  }

  #toError(error: unknown): QueueError {
    const { address, schema } = this.#opened();
    return toPostgresError(error, address, schema);
  }
}

function claimOf(instance: Instance, found: ClaimRecord): Claim {
  const ours = found.taken !== null;
  const other = found.holder === null ? null : { id: found.holder, name: found.holder_name ?? '' };
  return {
    fencingToken: found.taken ?? found.fencing_token,
    holder: ours ? instance : other,
    ours,
    leftMs: found.left,
    lastSeq: found.last_seq,
    waiting: found.waiting,
    instances: [instance, ...found.others],
    control: { paused: found.paused, flushes: found.flushes, deletions: found.deletions },
    hasOutcomes: found.has_outcomes,
  };
}

// Queue store of the lease holder: reads a shared log and acknowledges, while the lease is held under its
// fencing token.

import { batchesOf } from '../queue/batches';
import { isEmpty } from '../queue/commit-parts';
import type {
  Commit,
  OutcomeRow,
  Lane,
  RecoveredRecord,
  Opened,
  QueueStore,
  Row,
  UserRange,
} from '../queue/store';
import type { Database } from './postgres-database';
import { CallError, toPostgresError } from './postgres-errors';
import type { Line } from './postgres-line';
import type { CommitParts } from './postgres-sql';
import { PostgresSync } from './postgres-sync';
import { lanesByCode, statesByCode } from '../queue/row-codes';

/** Interval of tries while the result of a commit is unknown. */
const lookAgainMs = 250;

interface EntryRecord {
  readonly seq: number;
  readonly lane: number;
  readonly state: number;
  readonly user: number;
  readonly source: number;
  readonly event_wall: number;
  readonly taken_wall: number;
  readonly body: string;
}

export class PostgresStore implements QueueStore {
  readonly durable = true;
  readonly sync: PostgresSync;
  #isOpen = false;
  /** The lease's commit count as known here; no other instance changes it while this one holds the lease. */
  #commits = 0;
  #line: Line | null = null;
  #syncLine: Line | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly database: Database,
    private readonly holder: string,
    private readonly fencingToken: number,
  ) {
    this.sync = new PostgresSync(
      database,
      [holder, fencingToken],
      () => this.#fenced(),
      (call) => this.#call(call),
      () => this.#ofSync(),
    );
  }

  open(): Promise<Opened> {
    return this.#inOrder(async () => {
      if (this.#isOpen) throw this.database.error('failed', 'it is open already');
      this.#line ??= this.database.line();
      const opened = await this.#takeOver(this.#line);
      this.#isOpen = true;
      return opened;
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#call(async (line) => {
      if (isEmpty(commit)) return;
      if (commit.append !== undefined && commit.append.length > 0)
        throw this.database.error('failed', 'new rows go in by `append` of the shared log');
      await this.#carryOut(line, this.#partsOf(commit));
    });
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<readonly Row[]> {
    return this.#call(async (line) => {
      const { readAdds, readRemovals, readBulk } = this.database.sql;
      const page = { add: readAdds, removal: readRemovals, bulk: readBulk }[lane];
      const values = [whole(afterSeq), whole(throughSeq), whole(limit)];
      const found = await this.database.run<EntryRecord>(line, page, values);
      return this.#rowsOf(line, found);
    });
  }

  rowsOfUsers(ranges: readonly UserRange[], limit: number): Promise<readonly (readonly Row[])[]> {
    return this.#call(async (line) => {
      const found = await this.database.run<EntryRecord & { readonly place: number }>(
        line,
        this.database.sql.rowsOf,
        [
          ranges.map(({ userHash }) => userHash),
          ranges.map(({ afterSeq }) => whole(afterSeq)),
          ranges.map(({ throughSeq }) => whole(throughSeq)),
          whole(limit),
        ],
      );
      const rows = await this.#rowsOf(line, found);
      const lists = ranges.map((): Row[] => []);
      rows.forEach((row, at) => lists[found[at]!.place - 1]!.push(row));
      return lists;
    });
  }

  getMeta(key: string): Promise<string | null> {
    return this.#call(async (line) => {
      const [found] = await this.database.run<{ value: string }>(line, this.database.sql.getMeta, [key]);
      return found?.value ?? null;
    });
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.#call(async (line) => {
      const { setMetaHeld } = this.database.sql;
      const held = await this.database.run(line, setMetaHeld, [this.holder, this.fencingToken, key, value]);
      if (held.length === 0) throw this.#fenced();
    });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#last;
    await this.#line?.close();
    await this.#syncLine?.close();
    this.#line = null;
    this.#syncLine = null;
  }

  async #takeOver(line: Line): Promise<Opened> {
    const { database } = this;
    const { sql } = database;
    const [held] = await database.run<{ commits: number }>(line, sql.takeOver, [
      this.holder,
      this.fencingToken,
    ]);
    if (held === undefined) throw this.#fenced();
    const sentMs = database.clock.monoMs();
    const [totals] = await database.run<{ now: number; last_seq: number; waiting: number; chars: number }>(
      line,
      sql.opened,
    );
    if (totals === undefined) throw database.error('damaged', 'its totals are missing');
    database.time.measured(sentMs, totals.now);
    const records = await database.run<{ post: number; users: number[]; until_wall: number | null }>(
      line,
      sql.inFlightRecords,
    );
    const [oldest] = await database.run<{ taken_wall: number }>(line, sql.oldest);
    this.#commits = held.commits;
    return {
      lastSeq: totals.last_seq,
      waiting: totals.waiting,
      bodyChars: totals.chars,
      recovered: records.map(({ post, users, until_wall }): RecoveredRecord => ({
        post,
        userHashes: users,
        untilWallMs: until_wall === null ? null : database.time.fromDatabase(until_wall),
      })),
      oldestAppendedWallMs: oldest === undefined ? null : database.time.fromDatabase(oldest.taken_wall),
    };
  }

  /**
   * Resolves once the commit is carried out. When its result is lost, the commit is sent again until there is
   * one. The lease's commit count lets it through only once, so a repeated or late one has no effect.
   */
  async #carryOut(line: Line, parts: CommitParts): Promise<void> {
    const { text, values } = this.database.sql.commit(parts);
    for (let isSent = false; ;) {
      if (this.database.isClosed) throw this.database.error('closed', '');
      try {
        const [answer] = await line.run<{ done: boolean }>(text, values);
        if (answer?.done !== true) await this.#explain(line, parts);
        this.#commits = parts.commits + 1;
        return;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        if (error.carriedOut === 'unknown') isSent = true;
        if (!isSent) throw toPostgresError(error, this.database.address, this.database.schema);
      }
      await new Promise<void>((resolve) => void this.database.clock.after(lookAgainMs, resolve));
    }
  }

  /**
   * Determines why a commit was not let through. Resolves when it had been carried out before, whoever holds
   * the lease now. Rejects with a QueueError or a CallError.
   */
  async #explain(line: Line, parts: CommitParts): Promise<void> {
    const [lease] = await line.run<{
      fencing_token: number;
      holder: string | null;
      reached: number | null;
      departed: boolean;
    }>(this.database.sql.lease, [parts.mustBeNew, this.fencingToken]);
    if (lease?.reached === parts.commits + 1) return;
    if (lease?.fencing_token !== this.fencingToken || lease.holder !== this.holder) throw this.#fenced();
    if (lease.reached !== parts.commits) throw this.database.error('fenced', 'its store was opened twice');
    if (lease.departed) throw this.database.error('failed', 'a post is on its way already');
    throw this.database.error('failed', 'for an unknown reason');
  }

  /** Combines all parts of a commit about the same number; later parts take precedence. */
  #partsOf(commit: Commit): CommitParts {
    const remove = new Set(commit.remove);
    const repeat = new Set(commit.repeat);
    for (const seq of remove) repeat.delete(seq);
    const settle = new Set(commit.settle);
    const { time } = this.database;
    const unknown = new Map(
      commit.unknown?.map(({ post, untilWallMs }) => [post, time.toDatabase(untilWallMs)]),
    );
    const begin = commit.begin ?? [];
    const beginning = new Set(begin.map(({ post }) => post));
    if (beginning.size < begin.length) throw this.database.error('failed', 'a post begins twice');
    return {
      holder: this.holder,
      fencingToken: this.fencingToken,
      commits: this.#commits,
      remove: [...remove],
      repeat: [...repeat],
      mustBeNew: [...beginning],
      begin: begin
        .filter(({ post }) => !settle.has(post))
        .map(({ post, userHashes }) => ({
          post,
          users: `{${userHashes.join(',')}}`,
          untilMs: unknown.get(post) ?? null,
        })),
      unknown: [...unknown].filter(([post]) => !beginning.has(post) && !settle.has(post)),
      settle: [...settle].filter((post) => !beginning.has(post)),
      outcomes: outcomesOf(commit.outcomes ?? []),
      members: commit.members ?? [],
      syncStates: commit.syncStates ?? [],
    };
  }

  async #rowsOf(line: Line, found: readonly EntryRecord[]): Promise<Row[]> {
    const instanceSources = await this.database.instanceSourcesOf(
      line,
      new Set(found.map(({ source }) => source)),
    );
    const { time } = this.database;
    return found.map((entry): Row => {
      const instanceSource = instanceSources.get(entry.source);
      const [lane, state] = [lanesByCode[entry.lane], statesByCode[entry.state]];
      if (instanceSource === undefined || lane === undefined || state === undefined)
        throw this.database.error('damaged', `entry ${entry.seq} is not valid`);
      return {
        seq: entry.seq,
        lane,
        state,
        userHash: entry.user,
        source: { node: instanceSource.node, account: instanceSource.account },
        instance: instanceSource.instance,
        eventWallMs: time.fromDatabase(entry.event_wall),
        eventMonoMs: 0,
        appendedWallMs: time.fromDatabase(entry.taken_wall),
        body: entry.body,
      };
    });
  }

  #ofSync(): Line {
    if (!this.#isOpen) throw this.database.error('closed', '');
    return (this.#syncLine ??= this.database.line());
  }

  #fenced(): Error {
    return this.database.error('fenced', `fencing token ${this.fencingToken} is over`);
  }

  #call<T>(call: (line: Line) => Promise<T>): Promise<T> {
    const line = this.#line;
    if (!this.#isOpen || line === null) return Promise.reject(this.database.error('closed', ''));
    return this.#inOrder(() => call(line));
  }

  #inOrder<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** One row per instance, or several when there are many outcomes, since a reader reads many rows at once. */
function outcomesOf(outcomes: readonly OutcomeRow[]): [instance: string, text: string][] {
  const byInstance = new Map<string, { readonly body: string }[]>();
  for (const { seq, source, instance, report } of outcomes) {
    const its = byInstance.get(instance) ?? [];
    its.push({ body: JSON.stringify({ seq, node: source.node, account: source.account, report }) });
    byInstance.set(instance, its);
  }
  return [...byInstance].flatMap(([instance, its]) =>
    batchesOf(its).map((batch): [string, string] => [
      instance,
      `[${batch.map(({ body }) => body).join(',')}]`,
    ]),
  );
}

/** The number as the database's integer types need it. */
function whole(number: number): number {
  return Math.min(number, Number.MAX_SAFE_INTEGER);
}

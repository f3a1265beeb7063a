// Sync store of a shared queue, as the lease holder uses it: whatever it changes, it changes under its fencing token.

import { comparedPage, noCounts, type FoundRecord } from '../queue/compared-page';
import { suppressionHashOfMember, suppressionKeyNote } from '../queue/suppression';
import type {
  ComparedPage,
  ComparisonRules,
  StagedRow,
  SyncedSegment,
  SyncState,
  SyncStore,
} from '../queue/sync-store';
import type { Database } from './postgres-database';
import type { Line, Values } from './postgres-line';
import { memberKeyOfStored, optional, postgresSyncSql, storedKey } from './postgres-sync-sql';

/** Before and after every key, in the order of their bytes. */
const beforeKeys = '';
const afterKeys = '\u{10FFFF}';

interface MemberRecord extends FoundRecord {
  readonly key: string;
}

interface SegmentRecord {
  readonly id: number;
  readonly run: number | null;
  readonly staged: number;
}

const stages = ['none', 'gathering', 'prepared'] as const;

export class PostgresSync implements SyncStore {
  readonly #sql: ReturnType<typeof postgresSyncSql>;

  /**
   * `line`: of the store, for what changes members, so that it never meets a commit; `ownLine`: for everything else, so that
   * no commit waits for it.
   */
  constructor(
    private readonly database: Database,
    private readonly fence: readonly [holder: string, fencingToken: number],
    private readonly fenced: () => Error,
    private readonly line: <T>(call: (line: Line) => Promise<T>) => Promise<T>,
    private readonly ownLine: () => Line,
  ) {
    this.#sql = postgresSyncSql(database.schema);
  }

  segments(): Promise<readonly SyncedSegment[]> {
    return this.#read<SyncedSegment>(this.#sql.segments, [this.#nowMinutes()]);
  }

  async keep(segment: string): Promise<void> {
    await this.#change(this.#sql.keep, [segment]);
  }

  async forget(segment: string): Promise<void> {
    await this.#change(this.#sql.forget, [segment]);
    while ((await this.#change(this.#sql.deleteForgotten, [])) > 0);
    await this.#deleteDropped();
  }

  async setState({ segment, text }: SyncState): Promise<void> {
    await this.#change(this.#sql.setState, [segment, text]);
  }

  async beginStaging(segment: string): Promise<void> {
    if ((await this.#change(this.#sql.beginStaging, [segment])) === 0) throw this.#notKept(segment);
    await this.#deleteDropped();
  }

  async stage(segment: string, rows: readonly StagedRow[]): Promise<void> {
    if (rows.length === 0) return;
    const last = [...new Map(rows.map((row) => [row.memberKey, row])).values()];
    const open = await this.#change(this.#sql.stage, [
      segment,
      last.map(({ memberKey }) => storedKey(memberKey)),
      last.map(({ value }) => optional(value)),
      last.map(({ expiration }) => optional(expiration)),
    ]);
    if (open === 0) throw this.#noRun(segment);
  }

  async endStaging(segment: string): Promise<number> {
    const users = await this.#change<number | null>(this.#sql.endStaging, [segment]);
    if (users === null) throw this.#noRun(segment);
    for (const analyze of this.#sql.analyze) await this.#read(analyze, []);
    return users;
  }

  async dropStaging(segment: string): Promise<void> {
    await this.#change(this.#sql.dropStaging, [segment]);
    await this.#deleteDropped();
  }

  async staged(segment: string): Promise<'none' | 'gathering' | 'prepared'> {
    return stages[(await this.#find(segment))?.staged ?? 0]!;
  }

  async compare(
    segment: string,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): Promise<ComparedPage> {
    const its = await this.#find(segment);
    if (its === undefined) throw this.#notKept(segment);
    if (stages[its.staged] !== 'prepared') throw this.#noRun(segment);
    const { id, run } = its as SegmentRecord & { readonly run: number };
    const after = afterKey === null ? beforeKeys : storedKey(afterKey);
    const [last] = await this.#read<{ key: string | null }>(this.#sql.lastKey, [
      after,
      mostRows - 1,
      id,
      run,
    ]);
    const range = [after, last?.key ?? afterKeys];
    const values = [rules.nowMinutes, rules.refreshPercent, id, rules.resends ? 1 : 0, run];
    const records = await this.#read<MemberRecord>(this.#sql.compare, [...range, ...values]);
    const [count] = await this.#read<{ rows: number }>(this.#sql.countStaged, [...range, run]);
    const isSuppressed = await this.#suppressed(records);
    return comparedPage(
      {
        records,
        ofTheRun: count!.rows,
        through: keyOf(last),
        keyIn: ({ key }) => memberKeyOfStored(key),
        isSuppressed,
      },
      rules,
      counting,
    );
  }

  async due(
    segment: string,
    rules: Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>,
    afterKey: string | null,
    mostRows: number,
  ): Promise<ComparedPage> {
    const counts = noCounts();
    const its = await this.#find(segment);
    if (its === undefined) return { through: null, counts, changes: [] };
    const after = afterKey === null ? beforeKeys : storedKey(afterKey);
    const [last] = await this.#read<{ key: string | null }>(this.#sql.lastMember, [
      after,
      mostRows - 1,
      its.id,
    ]);
    const range = [after, last?.key ?? afterKeys];
    const rows = await this.#read<MemberRecord & { is_over: boolean }>(this.#sql.due, [
      ...range,
      rules.nowMinutes,
      rules.refreshPercent,
      its.id,
    ]);
    const [count] = await this.#read<{ rows: number }>(this.#sql.countMembers, [...range, its.id]);
    const over = rows.filter(({ is_over }) => is_over).map(({ key }) => key);
    if (over.length > 0) await this.#changeMembers(this.#sql.removeOver, [its.id, over, rules.nowMinutes]);
    const changes = rows
      .filter(({ is_over }) => !is_over)
      .map(({ key, value, expiration }) => ({
        kind: 'refresh' as const,
        memberKey: memberKeyOfStored(key),
        value,
        expiration,
      }));
    counts.refresh = changes.length;
    counts.unchanged = count!.rows - rows.length;
    return { through: keyOf(last), counts, changes };
  }

  async segmentsOf(
    memberKeys: readonly string[],
  ): Promise<readonly { segment: string; memberKey: string }[]> {
    const found = await this.#read<{ segment: string; key: string }>(this.#sql.segmentsOf, [
      memberKeys.map(storedKey),
    ]);
    return found.map(({ segment, key }) => ({ segment, memberKey: memberKeyOfStored(key) }));
  }

  async suppress(hashes: readonly string[], memberKeys: readonly string[]): Promise<void> {
    const { time, clock } = this.database;
    const values = [hashes, time.toDatabase(clock.wallMs()), memberKeys.map(storedKey)];
    await this.#changeMembers(this.#sql.suppress, values);
  }

  async suppressions(): Promise<readonly { hash: string; sinceWallMs: number }[]> {
    const found = await this.#read<{ hash: string; since_wall: number }>(this.#sql.suppressions, []);
    const { time } = this.database;
    return found.map(({ hash, since_wall }) => ({ hash, sinceWallMs: time.fromDatabase(since_wall) }));
  }

  async liftSuppressions(hashes: readonly string[]): Promise<void> {
    await this.#change(this.#sql.lift, [hashes]);
  }

  async #suppressed(records: readonly FoundRecord[]): Promise<((memberKey: string) => boolean) | null> {
    if (records.length === 0) return null;
    const hashes = new Set((await this.suppressions()).map(({ hash }) => hash));
    if (hashes.size === 0) return null;
    const [note] = await this.#read<{ value: string }>(this.database.sql.getMeta, [suppressionKeyNote]);
    return note === undefined
      ? null
      : (memberKey) => hashes.has(suppressionHashOfMember(note.value, memberKey));
  }

  async #deleteDropped(): Promise<void> {
    while ((await this.#change(this.#sql.deleteDropped, [])) > 0);
  }

  async #find(segment: string): Promise<SegmentRecord | undefined> {
    return (await this.#read<SegmentRecord>(this.#sql.idOf, [segment]))[0];
  }

  #read<T extends object>(sql: string, values: Values): Promise<T[]> {
    return this.database.run<T>(this.ownLine(), sql, values);
  }

  #change<T = number>(sql: string, values: Values): Promise<T> {
    return this.#fencedOn(this.ownLine(), sql, values);
  }

  #changeMembers(sql: string, values: Values): Promise<number> {
    return this.line((line) => this.#fencedOn(line, sql, values));
  }

  async #fencedOn<T>(line: Line, sql: string, values: Values): Promise<T> {
    interface Result {
      readonly held: boolean;
      readonly changed: T;
    }
    const [result] = await this.database.run<Result>(line, sql, [...this.fence, ...values]);
    if (result?.held !== true) throw this.fenced();
    return result.changed;
  }

  #nowMinutes(): number {
    return Math.floor(this.database.clock.wallMs() / 60_000);
  }

  #notKept(segment: string): Error {
    return this.database.error('failed', `the members of ${segment} are not kept`);
  }

  #noRun(segment: string): Error {
    return this.database.error('failed', `no run of ${segment} is open, or its rows are not prepared`);
  }
}

function keyOf(last: { readonly key: string | null } | undefined): string | null {
  const key = last?.key ?? null;
  return key === null ? null : memberKeyOfStored(key);
}

// Comparison of the rows of a run with the members of its segment, page by page, in the thread of the queue. The file of the
// rows is attached for one page at a time, so that a commit never depends on it.

import { existsSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { comparedPage, type FoundRecord } from '../compared-page';
import { syncSql } from '../sync-sql';
import type { ComparedPage, ComparisonRules } from '../sync-store';
import { afterKeys, membersOfSegment, type Key, type MemberTables } from './member-tables';
import type { RowCipher } from './row-cipher';
import { queueError, stagingError } from './sqlite-errors';
import { removeStaging, stagedIn, type StagingFiles } from './staging-files';
import type { Suppressions } from './suppressions';

interface MemberRecord extends FoundRecord {
  readonly key: Key;
  readonly encrypted: Uint8Array | null;
}

export class Comparison {
  #statements: ReturnType<typeof prepareAll> | null = null;

  constructor(
    private readonly db: DatabaseSync,
    private readonly cipher: RowCipher,
    private readonly members: MemberTables,
    private readonly suppressions: Suppressions,
  ) {}

  /** Drops rows that were staged under another key. */
  staged(files: StagingFiles): 'none' | 'gathering' | 'prepared' {
    const found = stagedIn(files);
    if (found === 'none') return 'none';
    const stamp = this.#attached(found === 'prepared' ? files.sorted : files.gathered, () =>
      this.db.prepare('SELECT stamp FROM staging.run').get(),
    );
    if (stamp?.stamp === this.cipher.stamp) return found;
    removeStaging(files);
    return 'none';
  }

  /** See `SyncStore.compare`. */
  compare(
    { sorted }: StagingFiles,
    id: number,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): ComparedPage {
    if (!existsSync(sorted)) throw queueError('failed', sorted, 'no rows are prepared');
    return this.#attached(sorted, () => {
      const { lastKey, compare, countStaged } = (this.#statements ??= prepareAll(this.db));
      const after = this.members.startAfter(afterKey);
      const last = lastKey.get(after, mostRows - 1, id) as
        | Pick<MemberRecord, 'key' | 'encrypted'>
        | undefined;
      const range = [after, last?.key ?? afterKeys] as const;
      const values = [rules.nowMinutes, rules.refreshPercent, id, rules.resends ? 1 : 0];
      return comparedPage(
        {
          records: compare.all(...range, ...values) as unknown as MemberRecord[],
          ofTheRun: countStaged.get(...range)?.rows as number,
          through: last === undefined ? null : this.#keyIn(last),
          keyIn: (record) => (record.of_run === 1 ? this.#keyIn(record) : this.cipher.memberKeyIn(record)),
          isSuppressed: this.suppressions.any ? (memberKey) => this.suppressions.has(memberKey) : null,
        },
        rules,
        counting,
      );
    });
  }

  /** Of a staged row. */
  #keyIn(record: Pick<MemberRecord, 'key' | 'encrypted'>): string {
    const memberKey = this.cipher.openMember(record);
    if (memberKey === null) throw new Error('a row cannot be opened');
    return memberKey;
  }

  /** Attaches the file for `work`. Errors are about the file, unless it can be read. */
  #attached<T>(path: string, work: () => T): T {
    try {
      this.db.prepare('ATTACH ? AS staging').run(path);
    } catch (error) {
      throw stagingError(error, path);
    }
    try {
      return work();
    } catch (error) {
      const isOfQueue = 'errcode' in (error as object) && this.#isReadable();
      throw isOfQueue ? error : stagingError(error, path);
    } finally {
      this.db.exec('DETACH staging');
    }
  }

  #isReadable(): boolean {
    try {
      this.db.prepare('SELECT max(length(key) + ifnull(value, 0)) FROM staging.staged').get();
      return true;
    } catch {
      return false;
    }
  }
}

function prepareAll(db: DatabaseSync): Record<'lastKey' | 'compare' | 'countStaged', StatementSync> {
  const sql = syncSql({
    members: membersOfSegment,
    staged: 'staging.staged',
    names: ['encrypted'],
    at: (place) => `?${place}`,
  });
  const keyAt = (of: string): string => `
    SELECT * FROM (SELECT key, encrypted FROM ${of} AND key > ?1 ORDER BY key LIMIT 1 OFFSET ?2)`;
  return {
    /** The last key of a page: the first that so many rows of either reach. */
    lastKey: db.prepare(`
      SELECT key, encrypted FROM (
        ${keyAt('staging.staged WHERE true')} UNION ALL ${keyAt('member WHERE segment = ?3')}
      ) ORDER BY key LIMIT 1`),
    compare: db.prepare(sql.compare),
    countStaged: db.prepare('SELECT count(*) AS rows FROM staging.staged WHERE key > ? AND key <= ?'),
  };
}

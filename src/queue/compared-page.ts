// A page of a comparison, of the records that every store finds by the same statement (sync-sql.ts).

import { found } from './sync-sql';
import type { AudienceChange, ChangeKind, ComparedPage, ComparisonRules } from './sync-store';

export interface FoundRecord {
  readonly value: number | null;
  readonly expiration: number | null;
  readonly kind: number;
  /** 1: the run has the user. */
  readonly of_run: number;
}

const kindsByCode = Object.keys(found) as (keyof typeof found)[];

export interface Found<R extends FoundRecord> {
  readonly records: readonly R[];
  /** Number of users of the run in the page. */
  readonly ofTheRun: number;
  readonly through: string | null;
  readonly keyIn: (record: R) => string;
  /** Null: nobody is suppressed. */
  readonly isSuppressed: ((memberKey: string) => boolean) | null;
}

export function noCounts(): Record<keyof ComparedPage['counts'], number> {
  return { add: 0, remove: 0, change: 0, refresh: 0, unchanged: 0, rejectedBefore: 0, suppressed: 0 };
}

export function comparedPage<R extends FoundRecord>(
  { records, ofTheRun, through, keyIn, isSuppressed }: Found<R>,
  { removes }: Pick<ComparisonRules, 'removes'>,
  counting: boolean,
): ComparedPage {
  const counts = noCounts();
  const changes: AudienceChange[] = [];
  counts.unchanged = ofTheRun - records.filter(({ of_run }) => of_run === 1).length;
  for (const record of records) {
    const kind = kindOf(record, removes);
    const isOffered = kind === 'add' || kind === 'change' || kind === 'refresh';
    if (isOffered && isSuppressed?.(keyIn(record)) === true) counts.suppressed += 1;
    else {
      counts[kind] += 1;
      if (counting || kind === 'unchanged' || kind === 'rejectedBefore') continue;
      changes.push({ kind, memberKey: keyIn(record), value: record.value, expiration: record.expiration });
    }
  }
  return { through, counts, changes };
}

function kindOf(record: FoundRecord, removes: boolean): ChangeKind | 'unchanged' | 'rejectedBefore' {
  const kind = kindsByCode[record.kind]!;
  if (kind === 'remove' && !removes) return 'unchanged';
  return kind === 'erase' ? 'remove' : kind;
}

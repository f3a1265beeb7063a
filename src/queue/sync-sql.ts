// What the tables of the synced segments mean in every store, and the statements that the stores share (sync.md,
// "Tables").

import type { MemberChange } from './sync-store';

/**
 * Codes of the states of a member. Part of the stores: never change them. `erased`: a member until the removal is accepted.
 * `changeRejected`: still a member, but with the terms that the service rejected last.
 */
export const memberCodes = {
  member: 0,
  live: 1,
  rejected: 2,
  erased: 3,
  changeRejected: 4,
} as const satisfies Record<Exclude<MemberChange['state'], 'gone'> | 'changeRejected', number>;

/** The end under which rejected users are counted. */
export const rejectedEnd = -1;

/**
 * Epoch minutes from which a member whose change was rejected counts. The terms on which the service has the user are not
 * kept, so the user stays a member until a removal or an add is accepted.
 */
export const changeRejectedSince = 2 ** 40;

interface MemberRow {
  readonly state: number;
  readonly since: number;
  readonly expiration: number | null;
}

/** State and start of the row of a change, of whose user `before` was known. */
export function stateAfter(
  change: Pick<MemberChange, 'sinceMinutes'> & { readonly state: Exclude<MemberChange['state'], 'gone'> },
  before: MemberRow | null,
): Pick<MemberRow, 'state' | 'since'> {
  const { sinceMinutes: since } = change;
  // What is acknowledged of an erased user was on its way before.
  if (before?.state === memberCodes.erased) return { state: memberCodes.erased, since };
  if (change.state === 'rejected' && before !== null && isMemberAt(since, before))
    return { state: memberCodes.changeRejected, since: changeRejectedSince };
  return { state: memberCodes[change.state], since };
}

function isMemberAt(minutes: number, row: MemberRow): boolean {
  const end = endOf(row);
  return end === 0 || end > minutes;
}

/** Whether a change that the service rejected leaves a member, as in `stateAfter`; `m` is the row before, `c` the change. */
export const isChangeRejectedSql = `c.state = ${memberCodes.rejected} AND m.key IS NOT NULL AND (${endOfSql('m')} = 0 OR ${endOfSql('m')} > c.since)`;

/** A membership that never runs out is renewed as if it lasted 180 days, after which the platform forgets a user. */
const endlessMinutes = 180 * 24 * 60;

/**
 * Epoch minutes in which a membership runs out; 0: never, also where the member's default is unknown. Members are
 * counted by their ends.
 */
export function endOf(row: MemberRow): number {
  if (row.state === memberCodes.rejected) return rejectedEnd;
  return row.expiration === null || row.expiration === 0 ? 0 : row.since + row.expiration;
}

/** The same in SQL, for the row of this name. */
export function endOfSql(row: string): string {
  return `CASE WHEN ${row}.state = ${memberCodes.rejected} THEN ${rejectedEnd}
    WHEN coalesce(${row}.expiration, 0) = 0 THEN 0 ELSE ${row}.since + ${row}.expiration END`;
}

/** Codes of what a comparison finds; `unchanged` is counted, not read. */
export const found = {
  add: 0,
  remove: 1,
  change: 2,
  refresh: 3,
  rejectedBefore: 4,
  erase: 5,
  unchanged: 6,
} as const;

/** Differences between the two databases. */
export interface SyncDialect {
  /** The members of the segment in parameter 5, and the prepared rows of its run. */
  readonly members: string;
  readonly staged: string;
  /** Columns beside `key`, `value` and `expiration` that tell the member key. */
  readonly names: readonly string[];
  /** A parameter by its position, from 1. */
  readonly at: (place: number) => string;
}

/**
 * Statements over the keys after parameter 1 up to parameter 2. Parameter 3 are the epoch minutes, 4 the per cent at which
 * memberships are renewed, 6 is 1 if every row is offered; what `staged` needs comes after them.
 */
export function syncSql({ members, staged, names, at }: SyncDialect) {
  const range = (of: string): string => `${of}.key > ${at(1)} AND ${of}.key <= ${at(2)}`;
  const [now, percent, resends] = [at(3), at(4), at(6)];
  const columns = (of: string): string =>
    ['key', 'value', 'expiration', ...names].map((name) => `${of}.${name}`).join(', ');
  const hasRunOut = `m.expiration > 0 AND m.since + m.expiration <= ${now}`;
  const lasts = `CASE WHEN coalesce(m.expiration, 0) = 0 THEN ${endlessMinutes} ELSE m.expiration END`;
  const isDue = `${percent} > 0 AND (m.since + ${lasts} - ${now}) * 100 <= ${lasts} * ${percent}`;
  return {
    /**
     * What differs, in order of the keys; `of_run`: the run has the user, and the terms are those of the run, otherwise those
     * of the member.
     */
    compare: `
      SELECT * FROM (
        SELECT ${columns('s')}, 1 AS of_run, CASE
          WHEN m.key IS NULL THEN ${found.add}
          WHEN m.state = ${memberCodes.erased} THEN ${found.erase}
          WHEN m.state IN (${memberCodes.rejected}, ${memberCodes.changeRejected}) THEN CASE
            WHEN ${resends} <> 1 AND m.value IS NOT DISTINCT FROM s.value AND m.expiration IS NOT DISTINCT FROM s.expiration
            THEN ${found.rejectedBefore}
            WHEN m.state = ${memberCodes.changeRejected} THEN ${found.change} ELSE ${found.add} END
          WHEN ${hasRunOut} THEN ${found.add}
          WHEN m.value IS DISTINCT FROM s.value THEN ${found.change}
          WHEN ${resends} = 1 OR m.state = ${memberCodes.live} OR (${isDue}) THEN ${found.refresh}
          ELSE ${found.unchanged} END AS kind
        FROM ${staged} AS s LEFT JOIN ${members} AS m ON m.key = s.key WHERE ${range('s')}
      ) AS of_the_run WHERE kind <> ${found.unchanged}
      UNION ALL
      SELECT ${columns('m')}, 0 AS of_run,
        CASE m.state WHEN ${memberCodes.erased} THEN ${found.erase} ELSE ${found.remove} END AS kind
      FROM ${members} AS m
      WHERE ${range('m')} AND m.state <> ${memberCodes.rejected} AND NOT coalesce(${hasRunOut}, false)
        AND NOT EXISTS (SELECT 1 FROM ${staged} AS s WHERE s.key = m.key)
      ORDER BY key`,
    /** Members to be renewed, and those that have run out. */
    due: `
      SELECT ${columns('m')}, m.state, m.since, coalesce(${hasRunOut}, false) AS is_over FROM ${members} AS m
      WHERE ${range('m')} AND m.state <> ${memberCodes.rejected}
        AND (coalesce(${hasRunOut}, false) OR (m.state = ${memberCodes.member} AND ${isDue}))
      ORDER BY m.key`,
  };
}

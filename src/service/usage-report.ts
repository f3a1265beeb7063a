// Usage report in the form that flows receive: numbers, ISO times, lists from the log lines, and the raw record.
import type { LoggedAssociation, LoggedSegment, UsageHour, UsageReport } from './usage';

export interface UsageCounts {
  readonly validUsers: number;
  readonly invalidUsers: number;
  readonly adds: number;
  readonly removes: number;
  readonly inactiveSegments: number;
  readonly unauthorizedSegments: number;
  /** Number of segments that do not exist. */
  readonly invalidSegments: number;
  readonly otherErrors: number;
}

/** One hour, or the sum of a range. Each list is a sample of at most 200 elements, and null without log lines. */
export interface CleanHour {
  /** Start of the hour; for a sum, the date that the service gives. */
  readonly hour: string | null;
  readonly member: number | null;
  /** Valid users in per cent. */
  readonly matchRate: number | null;
  readonly counts: UsageCounts;
  /** User ids that are unknown to the platform. */
  readonly invalidUsers: readonly string[] | null;
  readonly validUsers: readonly string[] | null;
  readonly inactiveSegments: readonly LoggedSegment[] | null;
  readonly unauthorizedSegments: readonly LoggedSegment[] | null;
  readonly invalidSegments: readonly LoggedSegment[] | null;
  readonly validSegments: readonly LoggedSegment[] | null;
  readonly additions: readonly LoggedAssociation[] | null;
  readonly removals: readonly LoggedAssociation[] | null;
  /** Log lines of an unknown kind. */
  readonly otherLines: readonly string[] | null;
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface CleanReport {
  readonly aggregated: boolean;
  readonly hours: readonly CleanHour[];
  /** Sum of all hours. */
  readonly total: UsageCounts & { readonly matchRate: number | null };
}

export function cleanReport({ aggregated, hours }: UsageReport): CleanReport {
  return { aggregated, hours: hours.map(cleanHour), total: totalOf(hours) };
}

function cleanHour(hour: UsageHour): CleanHour {
  const { log } = hour;
  return {
    hour: hour.processedHourMs === null ? null : new Date(hour.processedHourMs).toISOString(),
    member: hour.memberId,
    matchRate: hour.matchRate,
    counts: countsOf(hour),
    invalidUsers: log?.inactiveUsers ?? null,
    validUsers: log?.validUsers ?? null,
    inactiveSegments: log?.inactiveSegments ?? null,
    unauthorizedSegments: log?.unauthorizedSegments ?? null,
    invalidSegments: log?.invalidSegments ?? null,
    validSegments: log?.validSegments ?? null,
    additions: log?.additions ?? null,
    removals: log?.removals ?? null,
    otherLines: log?.other ?? null,
    raw: hour.raw,
  };
}

export function countsOf(hour: UsageHour): UsageCounts {
  return {
    validUsers: hour.validUsers,
    invalidUsers: hour.invalidUsers,
    adds: hour.validAdds,
    removes: hour.validRemoves,
    inactiveSegments: hour.inactiveSegments,
    unauthorizedSegments: hour.unauthorizedSegments,
    invalidSegments: hour.invalidSegments,
    otherErrors: hour.otherErrors,
  };
}

export const noCounts: UsageCounts = {
  validUsers: 0,
  invalidUsers: 0,
  adds: 0,
  removes: 0,
  inactiveSegments: 0,
  unauthorizedSegments: 0,
  invalidSegments: 0,
  otherErrors: 0,
};

/** The sum of each of these fields. */
export function sumOf<Name extends string>(
  names: readonly Name[],
  all: readonly Readonly<Record<Name, number>>[],
): Record<Name, number> {
  const sums = names.map((name) => [name, all.reduce((sum, one) => sum + one[name], 0)] as const);
  return Object.fromEntries(sums) as Record<Name, number>;
}

export function sumCounts(all: readonly UsageCounts[]): UsageCounts {
  return sumOf(Object.keys(noCounts) as (keyof UsageCounts)[], all);
}

/** With the match rate by the service's own formula: valid ÷ (valid + invalid users) × 100, rounded to a tenth. */
function totalOf(hours: readonly UsageHour[]): CleanReport['total'] {
  const counts = sumCounts(hours.map(countsOf));
  const users = counts.validUsers + counts.invalidUsers;
  return { ...counts, matchRate: users === 0 ? null : Math.round((counts.validUsers / users) * 1000) / 10 };
}

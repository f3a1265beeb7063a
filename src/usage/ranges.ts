// Time ranges of usage reports, in whole hours, by which the service counts (service.md 4).

import { hourMs, hourOf, keptHours } from '../queue/hour-ring';

/** Both inclusive, epoch ms. */
export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Number of full hours in each named range. */
const namedRanges = { hour: 1, day: 24, twoWeeks: 336 } as const;
export type NamedRange = keyof typeof namedRanges;

/** The range of a report on request: the last full hours and the current one. */
export function rangeUntilNow(name: NamedRange, nowMs: number): Range {
  return { fromMs: (hourOf(nowMs) - namedRanges[name]) * hourMs, toMs: nowMs };
}

/** A periodic report also covers the hours of failed reports before it, up to this number. */
const maxMissedHours = 24;

/**
 * The range of a periodic report: full hours only, so that successive reports contain each hour once.
 *
 * @param doneMs exclusive end of the last successful report; null without one
 */
export function rangeOfFullHours(name: NamedRange, nowMs: number, doneMs: number | null): Range {
  const end = hourOf(nowMs);
  const missed = doneMs === null ? 0 : Math.min(maxMissedHours, end - hourOf(doneMs));
  return { fromMs: (end - Math.max(namedRanges[name], missed)) * hourMs, toMs: end * hourMs - 1000 };
}

export type RangeProblem = 'range_order' | 'range_future' | 'range_long';

/** Checks a requested range and limits it to the present, or returns its problem. */
export function checkRange(fromMs: number, toMs: number, nowMs: number): Range | RangeProblem {
  if (fromMs > nowMs) return 'range_future';
  if (fromMs > toMs) return 'range_order';
  const end = Math.min(toMs, nowMs);
  return hourOf(end) - hourOf(fromMs) >= keptHours ? 'range_long' : { fromMs, toMs: end };
}

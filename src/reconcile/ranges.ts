// The ranges that usage statistics are read for: whole hours, as the service counts.

import { hourMs, hourOf, keptHours } from '../outbox/hour-ring';

/** Both inclusive, epoch ms. */
export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

/** How many full hours each named range has. */
const namedRanges = { hour: 1, day: 24, twoWeeks: 336 } as const;
export type NamedRange = keyof typeof namedRanges;

/** For somebody who asks now: the last full hours, and what there is of the one that runs. */
export function rangeUntilNow(name: NamedRange, nowMs: number): Range {
  return { fromMs: (hourOf(nowMs) - namedRanges[name]) * hourMs, toMs: nowMs };
}

/** A report by itself that failed is made up for by the next, up to so many hours later. */
const mostMissedHours = 24;

/**
 * For a report by itself: full hours only, so that successive ones of an hour each tell everything once.
 *
 * @param doneMs until when the last one went (exclusive); null when there was none
 */
export function rangeOfFullHours(name: NamedRange, nowMs: number, doneMs: number | null): Range {
  const end = hourOf(nowMs);
  const missed = doneMs === null ? 0 : Math.min(mostMissedHours, end - hourOf(doneMs));
  return { fromMs: (end - Math.max(namedRanges[name], missed)) * hourMs, toMs: end * hourMs - 1000 };
}

export type RangeProblem = 'range_order' | 'range_future' | 'range_long';

/** A range that somebody names, cut off at now; or what is wrong with it. */
export function checkRange(fromMs: number, toMs: number, nowMs: number): Range | RangeProblem {
  if (fromMs > nowMs) return 'range_future';
  if (fromMs > toMs) return 'range_order';
  const end = Math.min(toMs, nowMs);
  return hourOf(end) - hourOf(fromMs) >= keptHours ? 'range_long' : { fromMs, toMs: end };
}

// What the service has said of each hour, kept for 30 days beside the queue: counts and segments, never a user id.

import * as z from 'zod';
import { hourMs, hourOf, type HourRing } from '../outbox/hour-ring';
import type { LoggedSegment, UsageHour } from '../service/usage';
import { countsOf, noCounts } from '../service/usage-report';
import type { ProcessedHour } from './reconcile';

/** Part of a key in the store: never change it. */
export const usageRingName = 'processed';

const number = z.number();
const segments = z.array(z.object({ id: number, code: z.string(), memberId: number }));
const keptSchema = z.object({
  /** Epoch ms at which the service said so. */
  readAtMs: number,
  counts: z.object({
    validUsers: number,
    invalidUsers: number,
    adds: number,
    removes: number,
    inactiveSegments: number,
    unauthorizedSegments: number,
    invalidSegments: number,
    otherErrors: number,
  }),
  inactive: segments,
  unauthorized: segments,
  invalid: segments,
});

export interface KeptHour extends ProcessedHour {
  /** Epoch ms. */
  readonly readAtMs: number;
}

export class UsageHistory {
  constructor(private readonly ring: HourRing) {}

  /** Null when the hour was never read. Rejects as the outbox does. */
  async get(hour: number): Promise<KeptHour | null> {
    const read = keptSchema.safeParse(await this.ring.get(hour));
    return read.success ? { hour, ...read.data } : null;
  }

  async put({ hour, counts, inactive, unauthorized, invalid, readAtMs }: KeptHour): Promise<void> {
    await this.ring.set(hour, { readAtMs, counts, inactive, unauthorized, invalid });
  }
}

/**
 * The hours from `first` to `last` as the service reported them. One that it left out is as it was known, or has
 * nothing to count.
 */
export function processedHours(
  report: readonly UsageHour[],
  first: number,
  last: number,
  known: ReadonlyMap<number, ProcessedHour> | null,
): Map<number, ProcessedHour> {
  const hours = new Map<number, ProcessedHour>();
  for (let hour = first; hour <= last; hour += 1) {
    const nothing = { hour, counts: noCounts, inactive: [], unauthorized: [], invalid: [] };
    hours.set(hour, known?.get(hour) ?? nothing);
  }
  for (const record of report) {
    const hour = record.processedHourMs === null ? null : hourOf(record.processedHourMs);
    if (hour === null || !hours.has(hour)) continue;
    const { log } = record;
    hours.set(hour, {
      hour,
      counts: countsOf(record),
      inactive: plain(log?.inactiveSegments),
      unauthorized: plain(log?.unauthorizedSegments),
      invalid: plain(log?.invalidSegments),
    });
  }
  return hours;
}

/** The service lists at most 200; whatever it may list one day, no more is kept. */
const mostSegments = 200;

function plain(list: readonly LoggedSegment[] = []): LoggedSegment[] {
  return list.slice(0, mostSegments);
}

/** After so long the service has nothing to add to an hour. */
const finalAfterMs = 2 * hourMs;

export function isFinal(kept: KeptHour | null): boolean {
  return kept !== null && kept.readAtMs >= (kept.hour + 1) * hourMs + finalAfterMs;
}

// History of the service's usage statistics: counts and segments of each hour for 30 days, stored in the queue without
// user ids.

import * as z from 'zod';
import { hourMs, hourOf, type HourRing } from '../queue/hour-ring';
import type { LoggedSegment, UsageHour } from '../service/usage';
import { countsOf, noCounts } from '../service/usage-report';
import type { ProcessedHour } from './reconcile';

/** Part of a key saved in queues: never change it. */
export const usageRingName = 'processed';

const number = z.number();
const segments = z.array(z.object({ id: number, code: z.string(), memberId: number }));
const storedSchema = z.object({
  /** Epoch ms of the read from the service. */
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

export interface StoredHour extends ProcessedHour {
  /** Epoch ms. */
  readonly readAtMs: number;
}

export class UsageHistory {
  constructor(private readonly ring: HourRing) {}

  /** Null if the hour was never read. Rejects if the queue does. */
  async get(hour: number): Promise<StoredHour | null> {
    const read = storedSchema.safeParse(await this.ring.get(hour));
    return read.success ? { hour, ...read.data } : null;
  }

  async put({ hour, counts, inactive, unauthorized, invalid, readAtMs }: StoredHour): Promise<void> {
    await this.ring.set(hour, { readAtMs, counts, inactive, unauthorized, invalid });
  }
}

/**
 * The reported hours from `first` to `last`. An hour missing in the report is taken from `stored`, or has zero counts.
 */
export function processedHours(
  report: readonly UsageHour[],
  first: number,
  last: number,
  stored: ReadonlyMap<number, ProcessedHour>,
): Map<number, ProcessedHour> {
  const hours = new Map<number, ProcessedHour>();
  for (let hour = first; hour <= last; hour += 1) {
    const nothing = { hour, counts: noCounts, inactive: [], unauthorized: [], invalid: [] };
    hours.set(hour, stored.get(hour) ?? nothing);
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

/** The service lists at most 200 today; the limit bounds the stored size if it ever lists more. */
const maxSegments = 200;

function plain(list: readonly LoggedSegment[] = []): LoggedSegment[] {
  return list.slice(0, maxSegments);
}

/** From this time after its end, the service's counts of an hour no longer change. */
const finalAfterMs = 2 * hourMs;

/** Whether an hour was read after its counts had become final. */
export function isFinal(stored: StoredHour | null): boolean {
  return stored !== null && stored.readAtMs >= (stored.hour + 1) * hourMs + finalAfterMs;
}

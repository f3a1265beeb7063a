// State of the sync of one segment as plain data: what a run needs to go on after a crash. It is stored as JSON
// (`SyncState.text`), with each chunk of changes in one commit.

import * as z from 'zod/mini';

const count = z.number();
const params = z.record(z.string(), z.union([z.string(), z.number()]));

/** Why a run was not applied; the node has the sentences. */
const problem = z.object({
  code: z.enum([
    /** Nothing is wrong: only the counts were asked for. */
    'preview',
    /** No usable row. Params: `rows`, `invalid`. */
    'empty',
    /** Params: `removed`, `known`, `limit`. */
    'too_many_removals',
    /** Parts of the audience are missing. Params: `missing`. */
    'parts_missing',
    /** The next run began before the last part of this one came. Params: `rows`. */
    'replaced',
    /** The last part did not come in time. Params: `rows`, `minutes`. */
    'timed_out',
    /** The source reported an error. Params: `reason`. */
    'source_failed',
    /** The process ended before the last part came. */
    'interrupted',
    /** The rows could not be stored. Params: `reason`. */
    'not_stored',
  ]),
  params,
});
export type Problem = z.infer<typeof problem>;

const changes = z.object({ add: count, remove: count, change: count, refresh: count });
export type Changes = z.infer<typeof changes>;

const counts = z.extend(changes, { unchanged: count, rejectedBefore: count, suppressed: count });
export type Counts = z.infer<typeof counts>;

const options = z.object({ preview: z.boolean(), force: z.boolean(), resend: z.boolean() });
export type RunOptions = z.infer<typeof options>;

const tally = z.object({
  /** Rows that came, usable or not. */
  rows: count,
  invalid: count,
  noConsent: z.nullable(count),
});
export type Tally = z.infer<typeof tally>;

const openRun = z.extend(tally, {
  run: count,
  /**
   * `gathering`: its rows are coming. `gathered`: all rows came. `counting`: how much it would change. `refused`: not applied, and
   * kept. `sending`: changes are being appended. `settling`: the last of them wait for their outcome.
   */
  phase: z.enum(['gathering', 'gathered', 'counting', 'refused', 'sending', 'settling']),
  startedWallMs: count,
  /** When the run was refused, or its last part came. */
  touchedWallMs: count,
  options,
  /** Users in it; 0 until it is prepared. */
  users: count,
  /** Smallest expiration of its rows in minutes; null: the member's default, or no rows. */
  expiration: z.nullable(count),
  problem: z.nullable(problem),
  /** What the counting pass found. */
  counted: counts,
  /** Where the comparison goes on, as the store gave it. */
  cursor: z.nullable(z.string()),
  /** Changes that were appended. */
  appended: changes,
  /** Those of them that the service rejected. */
  rejected: changes,
});
export type OpenRun = z.infer<typeof openRun>;

const report = z.object({
  status: z.enum(['ended', 'replaced', 'preview', 'refused']),
  run: count,
  rows: count,
  members: count,
  added: count,
  removed: count,
  changed: count,
  refreshed: count,
  unchanged: count,
  invalid: count,
  rejected: count,
  /** Rows without consent, if the node asks for it. */
  no_consent: z.optional(count),
  /** Users who were erased, and are not added again. */
  suppressed: z.optional(count),
  refused: z.optional(problem),
  tookMs: count,
});
export type RunReport = z.infer<typeof report>;

const syncedState = z.object({
  version: z.literal(1),
  /** Number of the last run. */
  runs: count,
  /** The last run that was applied to its end. */
  ended: z.nullable(z.object({ wallMs: count, expiration: z.nullable(count), report })),
  open: z.nullable(openRun),
  /** Asked for by `msg.control`, for the next run. */
  next: z.object({ preview: z.boolean(), resend: z.boolean() }),
});
export type SyncedState = z.infer<typeof syncedState>;

export const noChanges: Changes = { add: 0, remove: 0, change: 0, refresh: 0 };
export const noCounts: Counts = { ...noChanges, unchanged: 0, rejectedBefore: 0, suppressed: 0 };

export const newState: SyncedState = {
  version: 1,
  runs: 0,
  ended: null,
  open: null,
  next: { preview: false, resend: false },
};

/** A text that cannot be read is as good as none: the next run compares again. */
export function readState(text: string | null): SyncedState {
  if (text === null) return newState;
  try {
    return z.parse(syncedState, JSON.parse(text));
  } catch {
    return newState;
  }
}

export function sum<T extends Partial<Record<string, number>>>(
  one: T,
  other: { readonly [Name in keyof T]: number },
): T {
  const names = Object.keys(one) as (keyof T & string)[];
  return Object.fromEntries(names.map((name) => [name, one[name]! + other[name]])) as T;
}

export function total({ add, remove, change, refresh }: Changes): number {
  return add + remove + change + refresh;
}

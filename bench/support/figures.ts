// Statistics: medians, percentiles, and the rate of a bursty stream.

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** One post at the service: when it took effect, and how many it held. */
export interface Arrival {
  readonly atMs: number;
  readonly users: number;
  readonly updates: number;
  /** The token that it came with. */
  readonly token: string;
}

/**
 * Users (or updates) a second between two moments at which the same part of the quota was used, so that it does
 * not matter whether posts come evenly or in bursts: from the first post after `quota` users to the last one that
 * has a whole number of quotas in between.
 */
export function steadyRate(arrivals: readonly Arrival[], quota: number, of: 'users' | 'updates'): number {
  let before = 0;
  let counted = 0;
  let start: { atMs: number; before: number; counted: number } | null = null;
  let rate = NaN;
  for (const arrival of arrivals) {
    if (start === null && before >= quota) start = { atMs: arrival.atMs, before, counted };
    if (start !== null && before > start.before && (before - start.before) % quota === 0) {
      rate = ((counted - start.counted) * 1000) / (arrival.atMs - start.atMs);
    }
    before += arrival.users;
    counted += arrival[of];
  }
  return rate;
}

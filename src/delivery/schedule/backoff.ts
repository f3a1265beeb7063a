// Backoff: exponential with full jitter, without a limit of tries (promise 9).

/** Milliseconds to wait after the `failures`-th failure in a row (from 1). `random` returns 0 … 1. */
export function backoffMs(failures: number, random: () => number, baseMs = 500, capMs = 30_000): number {
  const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(ceilingMs * random());
}

// One-line results of the process tests: entries in, memberships at the end, duration.
import { performance } from 'node:perf_hooks';

/** Prints one line under the test that runs. */
export function tell(...parts: readonly string[]): void {
  console.log(`      ${parts.join(' · ')}`);
}

export function count(number: number, what: string): string {
  return `${number.toLocaleString('en-US')} ${what}`;
}

/** Seconds since a `performance.now()`. */
export function since(startedMs: number): string {
  return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
}

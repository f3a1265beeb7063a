// Machine clock: monotonic time that also counts while the machine sleeps. On Linux `performance.now()` stops
// during sleep; on macOS and Windows it does not.

import { uptime } from 'node:os';

/** Readings of the machine's clocks, in ms. */
export interface Readings {
  /** Monotonic; may stop while the machine sleeps. */
  monoMs(): number;
  /** Epoch; may jump. */
  wallMs(): number;
  /**
   * Since the machine was started, including sleep, with a resolution of one second. Slow, because it reads a
   * file.
   */
  uptimeMs(): number;
}

/**
 * The wall clock jumps ahead by more than this after a sleep. The uptime tells a sleep from a clock that was
 * set.
 */
const noticedMs = 500;
/** Differences below this may come from the uptime's resolution. */
const coarseMs = 1_500;

/** Counts a sleep once it is longer than 1.5 s. */
export class MachineClock {
  #sleptMs = 0;
  #wallAheadMs: number;
  readonly #uptimeAheadMs: number;

  constructor(private readonly readings: Readings) {
    const monoMs = readings.monoMs();
    this.#wallAheadMs = readings.wallMs() - monoMs;
    this.#uptimeAheadMs = readings.uptimeMs() - monoMs;
  }

  /** Monotonic ms, including the machine's sleep. */
  monoMs(): number {
    const monoMs = this.readings.monoMs();
    return monoMs + this.#sleptUntil(monoMs);
  }

  /** The part of `monoMs` in which the machine slept. */
  sleptMs(): number {
    return this.#sleptUntil(this.readings.monoMs());
  }

  #sleptUntil(monoMs: number): number {
    const { readings } = this;
    const wallAheadMs = readings.wallMs() - monoMs;
    if (Math.abs(wallAheadMs - this.#wallAheadMs) > noticedMs) {
      this.#wallAheadMs = wallAheadMs;
      const sleptMs = readings.uptimeMs() - monoMs - this.#uptimeAheadMs;
      if (sleptMs - this.#sleptMs > coarseMs) this.#sleptMs = sleptMs;
    }
    return this.#sleptMs;
  }
}

export const machineClock = new MachineClock({
  monoMs: () => performance.now(),
  wallMs: () => Date.now(),
  uptimeMs: () => uptime() * 1000,
});

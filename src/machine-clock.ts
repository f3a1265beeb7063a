// Time as it passes outside of this machine: also while the machine sleeps. On Linux `performance.now()` stands still then, on
// macOS and Windows it does not.

import { uptime } from 'node:os';

/** What the machine's clocks say, in ms. */
export interface Readings {
  /** Monotonic; may stand still while the machine sleeps. */
  monoMs(): number;
  /** Epoch; may jump. */
  wallMs(): number;
  /** Since the machine was started, with its sleep, to a second; slow, as it reads a file. */
  uptimeMs(): number;
}

/** The wall clock is ahead by more than this after a sleep; the uptime tells that from a clock that was set. */
const noticedMs = 500;
/** Less than this between two clocks may be due to the uptime's whole seconds. */
const coarseMs = 1_500;

/** Sleep counts once there is more than 1.5 s of it. */
export class MachineClock {
  #sleptMs = 0;
  #wallAheadMs: number;
  readonly #uptimeAheadMs: number;

  constructor(private readonly readings: Readings) {
    const monoMs = readings.monoMs();
    this.#wallAheadMs = readings.wallMs() - monoMs;
    this.#uptimeAheadMs = readings.uptimeMs() - monoMs;
  }

  /** Monotonic ms, with the time in which the machine slept. */
  monoMs(): number {
    return this.readings.monoMs() + this.sleptMs();
  }

  /** The part of `monoMs` in which the machine slept. */
  sleptMs(): number {
    const { readings } = this;
    const monoMs = readings.monoMs();
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

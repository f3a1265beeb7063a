// Clock: time as the package reads it; tests pass their own.

import { machineClock } from './machine-clock';

export interface Clock {
  /** Monotonic ms, including the machine's sleep; never steps back and is independent of the wall clock. */
  monoMs(): number;
  /** The part of `monoMs` in which the machine slept: it sent and received nothing, and no timer ran. */
  sleptMs(): number;
  /** Epoch ms; may jump. */
  wallMs(): number;
  /**
   * Calls once after `delayMs`; returns a function that cancels it. A timer alone does not keep the process
   * alive.
   */
  after(delayMs: number, call: () => void): () => void;
  /** Calls once at the end of this turn of the event loop. */
  endOfTurn(call: () => void): void;
}

/** For code that only reads times. */
export type Times = Pick<Clock, 'monoMs' | 'wallMs'>;
/** For code that also waits. */
export type Timers = Times & Pick<Clock, 'after'>;

/** Resolves when `done` has settled, or after `maxMs`. */
export function within(clock: Clock, maxMs: number, done: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(maxMs, resolve);
    const end = (): void => {
      cancel();
      resolve();
    };
    done.then(end, end);
  });
}

export const systemClock: Clock = {
  monoMs: () => machineClock.monoMs(),
  sleptMs: () => machineClock.sleptMs(),
  wallMs: () => Date.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs).unref();
    return () => clearTimeout(timer);
  },
  endOfTurn(call) {
    setImmediate(call);
  },
};

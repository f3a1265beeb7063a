// Time as the package sees it; tests hand in a clock of their own.

import { machineClock } from './machine-clock';

export interface Clock {
  /** Monotonic milliseconds, the machine's sleep included; never steps back, unaffected by the wall clock. */
  monoMs(): number;
  /** The part of `monoMs` in which the machine slept: nothing of it was sent or received then, and no timer ran. */
  sleptMs(): number;
  /** Epoch milliseconds; may jump. */
  wallMs(): number;
  /** Calls once after `delayMs`; returns what cancels it. A timer alone does not keep the process alive. */
  after(delayMs: number, call: () => void): () => void;
  /** Calls once at the end of this turn of the event loop. */
  endOfTurn(call: () => void): void;
}

/** For what reads times only. */
export type Times = Pick<Clock, 'monoMs' | 'wallMs'>;
/** For what also waits. */
export type Timers = Times & Pick<Clock, 'after'>;

/** Resolves when `done` has ended, or after `maxMs`. */
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

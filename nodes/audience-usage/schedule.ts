// Hourly schedule: a call some minutes after each hour, when the service has counted it.

import { systemClock, type Timers } from '../../src/clock';
import type { EngineState } from '../../src/delivery/index';
import { hourMs, hourOf } from '../../src/queue/index';

/**
 * Decides which instance makes the hourly report: of those that share a queue, the active one. Without an active
 * instance, or while it is unknown, a later report makes up for the hour.
 */
export function reporter(state: EngineState | null): 'here' | 'elsewhere' | 'unknown' {
  if (state?.kind === 'standby') return state.sender === null ? 'unknown' : 'elsewhere';
  return state?.kind === 'databaseAway' ? 'unknown' : 'here';
}

/** After the hour: five minutes, and up to two more so that instances do not ask at the same time. */
const delayMs = 5 * 60_000;
const spreadMs = 2 * 60_000;

/** A copy, in which tests end the waits of an hour alone. */
export const systemHourlyClock = { ...systemClock };

/** Returns what ends it. */
export function everyHour(call: () => void, clock: Timers, random: () => number): () => void {
  const offsetMs = delayMs + Math.floor(random() * spreadMs);
  const next = (): (() => void) => {
    const nowMs = clock.wallMs();
    const atMs = hourOf(nowMs - offsetMs) * hourMs + hourMs + offsetMs;
    return clock.after(atMs - nowMs, () => {
      cancel = next();
      call();
    });
  };
  let cancel = next();
  return () => cancel();
}

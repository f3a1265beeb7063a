// Hourly schedule: a call some minutes after each hour, when the service has counted it.

import { systemClock, type Timers } from '../../src/clock';
import type { EngineState } from '../../src/delivery/engine';
import { hourMs, hourOf } from '../../src/queue/hour-ring';

/**
 * Who makes the report of an hour: several may share a queue, and it is made once, where it is sent. While nobody
 * sends, or nobody knows who does, the hour is left to be made up for.
 */
export function reporter(state: EngineState | null): 'here' | 'elsewhere' | 'unknown' {
  if (state?.kind === 'standby') return state.sender === null ? 'unknown' : 'elsewhere';
  return state?.kind === 'apart' ? 'unknown' : 'here';
}

/** After the hour: five minutes, and up to two more so that not everybody asks at once. */
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

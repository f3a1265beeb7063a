// Time as the service's client needs it; the engine's own clock fits this shape.

import { machineClock } from '../machine-clock';

export interface ServiceClock {
  /** Monotonic milliseconds, the machine's sleep included. */
  monoMs(): number;
  /** Epoch milliseconds; may jump. */
  wallMs(): number;
}

export const systemServiceClock: ServiceClock = {
  monoMs: () => machineClock.monoMs(),
  wallMs: () => Date.now(),
};

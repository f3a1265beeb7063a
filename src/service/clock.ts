// Time as the service's client needs it; the engine's own clock fits this shape.

export interface ServiceClock {
  /** Monotonic milliseconds. */
  monoMs(): number;
  /** Epoch milliseconds; may jump. */
  wallMs(): number;
}

export const systemServiceClock: ServiceClock = {
  monoMs: () => performance.now(),
  wallMs: () => Date.now(),
};

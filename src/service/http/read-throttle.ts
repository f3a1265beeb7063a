// Throttles all reads of this process to the service's limits per host and member (service.md 3.2 and 5).
import pThrottle from 'p-throttle';
import type { ReadOutcome } from '../reply/outcome';

/**
 * Lengthens each interval: the throttle counts calls when they are made, the service when they arrive, so a slow call
 * could arrive together with those of the next interval.
 */
const slowestMs = 1_000;
/** Units that the calls of one interval share. A call takes `units / limit`, so callers may have different limits. */
const units = 1e12;

const throttles = new Map<string, ReadThrottle>();

/** The throttle for a host and member in this process. `intervalMs` is the time over which the service counts. */
export function readThrottleOf(host: string, member: string, intervalMs: number): ReadThrottle {
  const key = `${host} ${member} ${intervalMs}`;
  const found = throttles.get(key);
  // Throttles stay in the map for good: a client may still use one, and a second for the same host would double the
  // rate.
  if (found !== undefined) return found;
  const throttle = new ReadThrottle(intervalMs);
  throttles.set(key, throttle);
  return throttle;
}

export class ReadThrottle {
  readonly #throttled: (limit: number, call: () => Promise<unknown>) => Promise<unknown>;
  /** End of the wait that the service asked for; monotonic ms. */
  #pausedUntilMs = -Infinity;

  constructor(intervalMs: number) {
    const weight = (limit: number): number => Math.floor(units / limit);
    const throttle = pThrottle({ limit: units, interval: intervalMs + slowestMs, strict: true, weight });
    this.#throttled = throttle((_limit: number, call: () => Promise<unknown>) => call());
  }

  /**
   * Makes the call when the throttle allows. After a `rateLimited` outcome no call is made until `retryAfterMs` is
   * over; until then every call ends at once as `rateLimited`. Rejects only if `call` does.
   *
   * @param limit calls per interval; a caller with a smaller limit takes a larger share for each call
   */
  async run<T>(limit: number, call: () => Promise<ReadOutcome<T>>): Promise<ReadOutcome<T>> {
    const throttled = async (): Promise<ReadOutcome<T>> => this.#limited() ?? this.#note(await call());
    return this.#limited() ?? (this.#throttled(limit, throttled) as Promise<ReadOutcome<T>>);
  }

  #note<T>(outcome: ReadOutcome<T>): ReadOutcome<T> {
    if (outcome.kind === 'rateLimited')
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, performance.now() + outcome.retryAfterMs);
    return outcome;
  }

  #limited(): ReadOutcome<never> | null {
    const retryAfterMs = Math.ceil(this.#pausedUntilMs - performance.now());
    if (retryAfterMs <= 0) return null;
    const message = `The service limits the rate of reads; next try in ${Math.ceil(retryAfterMs / 1000)} s.`;
    return { kind: 'rateLimited', retryAfterMs, message };
  }
}

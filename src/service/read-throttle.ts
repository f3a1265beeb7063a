// Reads keep to the service's limits for a host and member, whoever in this process makes them (service.md 3.2 and 5).
import type { ReadOutcome } from './outcome';

/**
 * The throttle counts when calls are made, the service when they come. So that slow ones do not meet those of the next
 * interval there, an interval is longer by so much.
 */
const slowestMs = 1_000;
/** A call takes a part of these, so that callers with different limits can share a throttle. */
const units = 1e12;

const throttles = new Map<string, ReadThrottle>();

/** The throttle of a host and member in this process. `intervalMs` is the time over which its limit counts. */
export function readThrottleOf(host: string, member: string, intervalMs: number): ReadThrottle {
  const key = `${host} ${member} ${intervalMs}`;
  const found = throttles.get(key);
  // Never forgotten: somebody may hold it, and two would let twice as many through.
  if (found !== undefined) return found;
  const throttle = new ReadThrottle(intervalMs);
  throttles.set(key, throttle);
  return throttle;
}

type Throttled = <T>(limit: number, call: () => Promise<T>) => Promise<T>;

export class ReadThrottle {
  #throttled: Promise<Throttled> | null = null;
  /** By the service's `Retry-After`; monotonic ms. */
  #pausedUntilMs = -Infinity;

  constructor(private readonly intervalMs: number) {}

  /**
   * Makes the call when its turn has come. Once the service has limited one, none is made before the time is over that
   * it asked for: until then each comes to that limit at once. Rejects only if `call` does.
   *
   * @param limit calls in an interval; of callers with different limits each takes its share
   */
  async run<T>(limit: number, call: () => Promise<ReadOutcome<T>>): Promise<ReadOutcome<T>> {
    const throttled = await (this.#throttled ??= loadThrottle(this.intervalMs + slowestMs));
    return this.#limited() ?? throttled(limit, async () => this.#limited() ?? this.#note(await call()));
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

/** p-throttle is an ES module, so it comes by a dynamic import. */
async function loadThrottle(interval: number): Promise<Throttled> {
  const { default: pThrottle } = await import('p-throttle');
  const weight = (limit: number): number => Math.floor(units / limit);
  const throttle = pThrottle({ limit: units, interval, strict: true, weight });
  const throttled = throttle((_limit: number, call: () => Promise<unknown>) => call());
  return (limit, call) => throttled(limit, call) as ReturnType<typeof call>;
}

// Real time for a world, which passes by itself.
import { performance } from 'node:perf_hooks';
import type { WorldTime } from '../world/virtual-time';

export class RealTime implements WorldTime {
  events = 0;
  readonly thrown: unknown[] = [];
  readonly #beganMs = performance.now();
  readonly #timers = new Set<NodeJS.Timeout>();
  #ended = false;

  get nowMs(): number {
    return performance.now() - this.#beganMs;
  }

  after(delayMs: number, call: () => void): () => void {
    if (this.#ended || delayMs === Infinity) return () => undefined;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.events += 1;
      try {
        call();
      } catch (error) {
        this.thrown.push(error);
      }
    }, delayMs);
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }

  /** Resolves at that time. */
  reached(atMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(atMs - this.nowMs, resolve));
  }

  /** Stops everything. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

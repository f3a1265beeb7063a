// Counting in a sliding window: how much happened in the last second, and the worst second so far.

/**
 * Weights over time. A window is half open: of two events exactly `lengthMs` apart, only one is ever inside.
 * `peak` is therefore the largest sum in any window at all, since every window's content lies within the
 * window that ends with its last event.
 */
export class SlidingWindow {
  #times: number[] = [];
  #weights: number[] = [];
  /** Index of the oldest event that is still inside. */
  #first = 0;
  #sum = 0;
  #peak = 0;

  constructor(private readonly lengthMs: number) {}

  get peak(): number {
    return this.#peak;
  }

  /** Counts an event now. Times must not decrease. */
  add(atMs: number, weight: number): void {
    this.#forget(atMs);
    this.#times.push(atMs);
    this.#weights.push(weight);
    this.#sum += weight;
    if (this.#sum > this.#peak) this.#peak = this.#sum;
  }

  /** What an event at `atMs` would find in its window. */
  sum(atMs: number): number {
    this.#forget(atMs);
    return this.#sum;
  }

  #forget(atMs: number): void {
    while (this.#first < this.#times.length && atMs - this.#times[this.#first]! >= this.lengthMs) {
      this.#sum -= this.#weights[this.#first]!;
      this.#first += 1;
    }
    // Cut off in lumps, so that forgetting stays cheap and memory stays within twice the window.
    if (this.#first > 64 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first);
      this.#weights = this.#weights.slice(this.#first);
      this.#first = 0;
    }
  }
}

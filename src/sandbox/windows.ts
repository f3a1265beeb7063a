// Sliding window: the sum of weights within the last `lengthMs`, and its peak.

/**
 * The window is half open: of two events with exactly `lengthMs` between them, only one is inside. `peak` is the largest sum of all
 * windows, since the events of every window also lie within the window that ends with the last of them.
 */
export class SlidingWindow {
  #times: number[] = [];
  #weights: number[] = [];
  /** Index of the oldest event inside the window. */
  #first = 0;
  #sum = 0;
  #peak = 0;

  constructor(private readonly lengthMs: number) {}

  get peak(): number {
    return this.#peak;
  }

  /** Adds an event. Times must not decrease. */
  add(atMs: number, weight: number): void {
    this.#forget(atMs);
    this.#times.push(atMs);
    this.#weights.push(weight);
    this.#sum += weight;
    if (this.#sum > this.#peak) this.#peak = this.#sum;
  }

  /** Sum of the events in the window that ends at `atMs`. */
  sum(atMs: number): number {
    this.#forget(atMs);
    return this.#sum;
  }

  #forget(atMs: number): void {
    while (this.#first < this.#times.length && atMs - this.#times[this.#first]! >= this.lengthMs) {
      this.#sum -= this.#weights[this.#first]!;
      this.#first += 1;
    }
    // Removes old events in bulk, which is cheap and bounds memory to twice the window.
    if (this.#first > 64 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first);
      this.#weights = this.#weights.slice(this.#first);
      this.#first = 0;
    }
  }
}

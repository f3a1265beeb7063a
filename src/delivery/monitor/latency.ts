// Latency histogram: time from accepted into the queue to delivered, in steps of a quarter octave. Costs a few
// ns per entry.

const stepsPerOctave = 4;
/** Up to 2^24 ms (four and a half hours); longer times count there. */
const steps = 24 * stepsPerOctave;

/** Bucket bounds for Prometheus, in ms: every second octave. */
export const latencyBoundsMs: readonly number[] = Array.from({ length: 11 }, (_, at) => 4 ** (at + 2));

export class Latency {
  private readonly counts = new Float64Array(steps + 1);
  count = 0;
  sumMs = 0;

  add(ms: number): void {
    const at = ms <= 1 ? 0 : Math.min(steps, Math.ceil(Math.log2(ms) * stepsPerOctave));
    this.counts[at]! += 1;
    this.count += 1;
    this.sumMs += ms;
  }

  /** In ms, at most a fifth too high; null when nothing was counted. */
  percentile(part: number): number | null {
    if (this.count === 0) return null;
    let left = Math.ceil(this.count * part);
    for (let at = 0; at <= steps; at += 1) {
      left -= this.counts[at]!;
      if (left <= 0) return 2 ** (at / stepsPerOctave);
    }
    return 2 ** 24;
  }

  /** Number of entries that took up to `ms`, which is one of `latencyBoundsMs`. */
  countUpTo(ms: number): number {
    const last = Math.round(Math.log2(ms) * stepsPerOctave);
    let count = 0;
    for (let at = 0; at <= last; at += 1) count += this.counts[at]!;
    return count;
  }

  clear(): void {
    this.counts.fill(0);
    this.count = 0;
    this.sumMs = 0;
  }
}

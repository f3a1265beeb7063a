// History: samples of the last hour of one engine, for charts. A sample is taken every ten seconds, whether
// anyone looks or not.

export const sampleEveryMs = 10_000;
const mostSamples = 360;

export interface Sample {
  /** Epoch ms. */
  readonly atMs: number;
  /** Users accepted per second since the previous sample. */
  readonly usersPerSecond: number;
  readonly waiting: number;
  /**
   * From accepted into the queue to delivered, for entries delivered since the previous sample; null without
   * any.
   */
  readonly medianMs: number | null;
  readonly slowMs: number | null;
}

export class History {
  private readonly samples: Sample[] = [];

  add(sample: Sample): void {
    this.samples.push(sample);
    if (this.samples.length > mostSamples) this.samples.shift();
  }

  /** Oldest first. */
  list(): readonly Sample[] {
    return this.samples;
  }

  get last(): Sample | null {
    return this.samples.at(-1) ?? null;
  }
}

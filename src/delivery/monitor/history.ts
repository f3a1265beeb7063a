// The last hour of one engine in samples: what charts draw. A few numbers every ten seconds, whoever looks or not.

export const sampleEveryMs = 10_000;
const mostSamples = 360;

export interface Sample {
  /** Epoch ms. */
  readonly atMs: number;
  /** Users accepted a second, since the sample before. */
  readonly usersPerSecond: number;
  readonly waiting: number;
  /** From taken to accepted, of what was accepted since the sample before; null when nothing was. */
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

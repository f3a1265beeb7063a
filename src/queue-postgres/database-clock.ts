// Database clock: estimates the database's time from calls, assuming the middle of the round trip. So instances
// on machines with different clocks agree on the times that they store.

/** A jump of either clock is detected by the next measurement, after this time at the latest. */
const keptMs = 60_000;
/** The database's clock has a resolution of a microsecond, this machine's of a millisecond. */
const coarseMs = 1;

interface Measured {
  /** The database's epoch ms minus this machine's monotonic ms, which never jumps. */
  readonly minusMonoMs: number;
  readonly wayMs: number;
  readonly atMonoMs: number;
}

export class DatabaseClock {
  #best: Measured | null = null;

  constructor(private readonly clock: { monoMs(): number; wallMs(): number }) {}

  /** Adds a measurement: a call sent at `sentMonoMs`, which has just returned, read `databaseMs`. */
  measured(sentMonoMs: number, databaseMs: number): void {
    const atMonoMs = this.clock.monoMs();
    const wayMs = atMonoMs - sentMonoMs;
    const isOld = this.#best === null || atMonoMs - this.#best.atMonoMs > keptMs;
    if (isOld || wayMs <= this.#best!.wayMs) {
      this.#best = { minusMonoMs: databaseMs - (sentMonoMs + wayMs / 2), wayMs, atMonoMs };
    }
  }

  toDatabase(wallMs: number): number {
    return wallMs + this.#aheadMs;
  }

  fromDatabase(databaseMs: number): number {
    return databaseMs - this.#aheadMs;
  }

  /** How far the database is ahead; 0 while that is within the error of the measurement. */
  get #aheadMs(): number {
    if (this.#best === null) return 0;
    // Time may pass between two readings of the clocks, so their difference is not known more precisely than
    // that.
    const beforeMs = this.clock.monoMs();
    const wallMs = this.clock.wallMs();
    const lookMs = this.clock.monoMs() - beforeMs;
    const aheadMs = this.#best.minusMonoMs - (wallMs - (beforeMs + lookMs / 2));
    const wrongMs = (this.#best.wayMs + lookMs) / 2 + coarseMs;
    return Math.abs(aheadMs) <= wrongMs ? 0 : Math.round(aheadMs);
  }
}

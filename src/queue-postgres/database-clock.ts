// What a database's clock says, as far as it is known here: measured at calls, from the middle of the way there and
// back. Machines whose clocks differ so agree on the times that they store.

/** A jump of either clock is known by the next measurement after so long at the latest. */
const keptMs = 60_000;
/** The database's clock is read to a microsecond, this machine's to a millisecond. */
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

  /** A call that left at `sentMonoMs` and is back just now read `databaseMs`. */
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

  /** How far the database is ahead; 0 when it is no further than what a measurement can be wrong by. */
  get #aheadMs(): number {
    if (this.#best === null) return 0;
    // Anything may come between two looks at the clocks: what they are apart is known no better than that.
    const beforeMs = this.clock.monoMs();
    const wallMs = this.clock.wallMs();
    const lookMs = this.clock.monoMs() - beforeMs;
    const aheadMs = this.#best.minusMonoMs - (wallMs - (beforeMs + lookMs / 2));
    const wrongMs = (this.#best.wayMs + lookMs) / 2 + coarseMs;
    return Math.abs(aheadMs) <= wrongMs ? 0 : Math.round(aheadMs);
  }
}

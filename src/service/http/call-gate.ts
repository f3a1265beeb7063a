// Limits the calls in flight, of all kinds together (service.md 3.2).

/** Grants permits first come, first served. */
export class CallGate {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Runs `call` once a permit is free; if one is free now, without a turn of the event loop in between. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#inFlight < this.#max) this.#inFlight += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      // The permit goes straight to the next caller in line, so that no new caller overtakes it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#inFlight -= 1;
      else next();
    }
  }
}

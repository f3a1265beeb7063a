// How many calls may be on their way at a time, whatever their kind (service.md 3.2).

/** Hands out permits in the order in which they were asked for. */
export class CallGate {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Runs `call` as soon as a permit is free: at once, in the same turn, when one is. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#inFlight < this.#max) this.#inFlight += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      // A permit passes straight to the next in line, so that nobody overtakes.
      const next = this.#waiting.shift();
      if (next === undefined) this.#inFlight -= 1;
      else next();
    }
  }
}

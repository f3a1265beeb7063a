// Calls one after the other, results in their order; one that fails keeps none back.

export class InTurn {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when what was called before is over. */
  async over(): Promise<void> {
    await this.#last;
  }
}

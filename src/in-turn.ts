// Runs asynchronous calls one after the other; a failed call does not stop the next.

export class InTurn {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when every earlier call has settled. */
  async over(): Promise<void> {
    await this.#last;
  }
}

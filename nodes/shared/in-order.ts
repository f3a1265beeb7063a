// Delivers results in the order in which their messages came, even when an earlier one takes longer.

export class InOrder {
  private tail: Promise<void> | null = null;

  /** Delivers at once when nothing waits and the result is there. Neither argument may throw or reject. */
  deliver<T>(result: T | Promise<T>, deliver: (result: T) => void): void {
    if (this.tail === null && !(result instanceof Promise)) {
      deliver(result);
      return;
    }
    const before = this.tail ?? Promise.resolve();
    const mine = before.then(async () => {
      deliver(await result);
      if (this.tail === mine) this.tail = null;
    });
    this.tail = mine;
  }
}

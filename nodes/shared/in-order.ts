// Delivery of results in the order of their messages, even when an earlier result takes longer.

/** The last message, at any node, that waits for one with very many entries; null for none. */
let behindLong: Promise<void> | null = null;

/** Of one node. */
export class InOrder {
  private tail: Promise<void> | null = null;

  /** Resolves when all results so far are delivered. */
  async settled(): Promise<void> {
    await this.tail;
  }

  /**
   * Delivers at once when nothing waits and the result is there. Neither argument may throw or reject.
   *
   * @param isLong the work has been interrupted, so that others have their turn. Messages that meanwhile arrive at any node
   *   are delivered after it: a purchase at one node must not overtake the list of views at another.
   * @returns whether it is delivered
   */
  deliver<T>(result: T | Promise<T>, isLong: boolean, deliver: (result: T) => void): boolean {
    const { tail } = this;
    if (tail === null && behindLong === null && !(result instanceof Promise)) {
      deliver(result);
      return true;
    }
    const before = Promise.all([tail, behindLong]);
    const mine = before.then(async () => {
      deliver(await result);
      if (this.tail === mine) this.tail = null;
      if (behindLong === mine) behindLong = null;
    });
    this.tail = mine;
    if (isLong || behindLong !== null) behindLong = mine;
    return false;
  }
}

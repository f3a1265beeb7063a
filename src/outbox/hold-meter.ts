// Tells when commits hold the event loop too long, too often.

const longMs = 10;
const outOf = 20;
const tooMany = 3;

export class HoldMeter {
  #lately: boolean[] = [];

  /** Takes how long a commit held the event loop; true when at least 3 of the last 20 took more than 10 ms. */
  tooLong(heldMs: number): boolean {
    this.#lately.push(heldMs > longMs);
    if (this.#lately.length > outOf) this.#lately.shift();
    return this.#lately.filter(Boolean).length >= tooMany;
  }
}

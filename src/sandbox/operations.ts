// Log of the last applied operations, in the order in which they took effect.
export interface Operation {
  /** Number of the operation from 1, counting those that the log has dropped. */
  readonly seq: number;
  /** Number of its post from 1, among the applied posts. */
  readonly post: number;
  readonly atWallMs: number;
  readonly segment: string;
  readonly user_id: string;
  readonly domain: string | null;
  readonly value: number | null;
  /** Minutes as sent: 0 never expires, -1 removes, null when the block had none. */
  readonly expiration: number | null;
}

export class OperationLog {
  /** The last operations; the oldest is overwritten first. */
  readonly #ring: Operation[] = [];
  #recorded = 0;

  /** @param limit number of operations in the log; 0 disables it */
  constructor(private readonly limit: number) {}

  record(operation: Omit<Operation, 'seq'>): void {
    if (this.limit === 0) return;
    const at = this.#recorded % this.limit;
    this.#recorded += 1;
    this.#ring[at] = { seq: this.#recorded, ...operation };
  }

  list(): Operation[] {
    const oldest = this.#ring.length < this.limit ? 0 : this.#recorded % this.limit;
    return [...this.#ring.slice(oldest), ...this.#ring.slice(0, oldest)];
  }

  clear(): void {
    this.#recorded = 0;
    this.#ring.length = 0;
  }
}

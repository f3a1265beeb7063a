// Log of the last applied operations, in the order in which they took effect.
import type { SegmentKey } from './catalogue';

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

/**
 * A ring buffer by column, so that recording allocates no object: benchmarks record about 100,000 operations a second.
 */
export class OperationLog {
  readonly #posts: number[] = [];
  readonly #times: number[] = [];
  readonly #segments: SegmentKey[] = [];
  readonly #users: string[] = [];
  readonly #domains: string[] = [];
  readonly #values: (number | null)[] = [];
  readonly #expirations: (number | null)[] = [];
  #recorded = 0;

  /** @param limit number of operations in the log; 0 disables it */
  constructor(private readonly limit: number) {}

  record(
    post: number,
    atWallMs: number,
    segment: SegmentKey,
    domain: string,
    userId: string,
    value: number | null,
    expiration: number | null,
  ): void {
    if (this.limit === 0) return;
    const at = this.#recorded % this.limit;
    this.#recorded += 1;
    this.#posts[at] = post;
    this.#times[at] = atWallMs;
    this.#segments[at] = segment;
    this.#users[at] = userId;
    this.#domains[at] = domain;
    this.#values[at] = value;
    this.#expirations[at] = expiration;
  }

  list(): Operation[] {
    const length = Math.min(this.#recorded, this.limit);
    return Array.from({ length }, (_, index) => this.#operation(this.#recorded - length + index));
  }

  clear(): void {
    this.#recorded = 0;
    for (const column of [this.#users, this.#domains, this.#segments]) column.length = 0;
  }

  #operation(number: number): Operation {
    const at = number % this.limit;
    const domain = this.#domains[at]!;
    return {
      seq: number + 1,
      post: this.#posts[at]!,
      atWallMs: this.#times[at]!,
      segment: String(this.#segments[at]!),
      user_id: this.#users[at]!,
      domain: domain === '' ? null : domain,
      value: this.#values[at]!,
      expiration: this.#expirations[at]!,
    };
  }
}

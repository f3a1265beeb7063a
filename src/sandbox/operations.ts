// The last operations that were applied, in the order in which they took effect.
import type { SegmentKey } from './catalogue';

export interface Operation {
  /** Counts all operations from 1, also those that the log has dropped. */
  readonly seq: number;
  /** Which post brought it: counts the applied posts from 1. */
  readonly post: number;
  readonly atWallMs: number;
  readonly segment: string;
  readonly user_id: string;
  readonly domain: string | null;
  readonly value: number | null;
  /** Minutes as sent: 0 never expires, -1 removed, null was left out. */
  readonly expiration: number | null;
}

/** A ring of columns: recording builds no object, since benchmarks record some 100,000 a second. */
export class OperationLog {
  readonly #posts: number[] = [];
  readonly #times: number[] = [];
  readonly #segments: SegmentKey[] = [];
  readonly #users: string[] = [];
  readonly #domains: string[] = [];
  readonly #values: (number | null)[] = [];
  readonly #expirations: (number | null)[] = [];
  #recorded = 0;

  /** `limit`: how many of the last operations are kept; 0 keeps none. */
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
    const kept = Math.min(this.#recorded, this.limit);
    return Array.from({ length: kept }, (_, index) => this.#operation(this.#recorded - kept + index));
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

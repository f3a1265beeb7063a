// Rate limiter: which requests may be sent now, so that no one-second window at the service exceeds its limits.
//
// A permit is freed one second after its reply *settled*. The service acts between send and reply, so two
// actions of one permit always have at least a second between them, whatever the latency or the wall clock (promise 3).

import { Fifo } from '../pending/fifo';
import type { RequestLimits } from './request-limits';

/** Limits that are absent have their documented values. */
export interface Limits extends Partial<RequestLimits> {
  readonly postsPerSecond: number;
  readonly usersPerSecond: number;
  /** Maximum number of requests in flight. */
  readonly maxConcurrent: number;
}

/** Part of the quota that one request uses. */
export interface Permit {
  readonly users: number;
}

interface Cooling {
  freeAtMs: number;
  readonly users: number;
  readonly calls: number;
}

/** Added to the second after a reply, since clocks may differ in their last digits. */
export const settleMarginMs = 5;

/** All times are monotonic milliseconds. */
export class RateLimiter {
  private usedPosts = 0;
  private usedUsers = 0;
  private calls = 0;
  private readonly settled = new FutureQuota();
  private readonly ambiguous = new FutureQuota();

  /** After a start one second counts as used, because the requests of an earlier process are unknown. */
  constructor(
    private limits: Limits,
    private readonly lateMarginMs: number,
    nowMs: number,
  ) {
    this.usedPosts = limits.postsPerSecond;
    this.usedUsers = limits.usersPerSecond;
    this.settled.push(
      { freeAtMs: nowMs + 1000 + settleMarginMs, users: this.usedUsers, calls: 0 },
      this.usedPosts,
    );
  }

  setLimits(limits: Limits): void {
    this.limits = limits;
  }

  /** Free quota at `nowMs`. */
  free(nowMs: number): { posts: number; users: number; calls: number } {
    this.freeDue(nowMs);
    return {
      posts: Math.max(0, this.limits.postsPerSecond - this.usedPosts),
      users: Math.max(0, this.limits.usersPerSecond - this.usedUsers),
      calls: Math.max(0, this.limits.maxConcurrent - this.calls),
    };
  }

  /** Takes a permit for one request with `users` users. Call `free` before. */
  take(users: number): Permit {
    this.usedPosts += 1;
    this.usedUsers += users;
    this.calls += 1;
    return { users };
  }

  /**
   * The service replied at `nowMs`. `floorMs` is the network part of the delay, which can be deducted (0 when
   * unknown).
   */
  settle(permit: Permit, nowMs: number, floorMs: number): void {
    this.calls -= 1;
    this.settled.push(
      { freeAtMs: nowMs + 1000 + settleMarginMs - floorMs, users: permit.users, calls: 0 },
      1,
    );
  }

  /**
   * The request was ambiguous: it may run until `lateMarginMs` have passed, and uses the quota for a second
   * more.
   */
  settleAmbiguous(permit: Permit, nowMs: number): void {
    this.ambiguous.push(
      { freeAtMs: nowMs + this.lateMarginMs + 1000 + settleMarginMs, users: permit.users, calls: 1 },
      1,
    );
  }

  /** A recovered in-flight request that may run until `untilMs`. Call in the order of that time. */
  recover(users: number, untilMs: number): void {
    this.ambiguous.push(
      { freeAtMs: untilMs + 1000 + settleMarginMs, users: this.take(users).users, calls: 1 },
      1,
    );
  }

  /** The machine slept for `forMs`: ambiguous requests may run that much longer. */
  slept(forMs: number): void {
    this.ambiguous.delay(forMs);
  }

  /** The request was not sent: frees its permit. */
  cancel(permit: Permit): void {
    this.usedPosts -= 1;
    this.usedUsers -= permit.users;
    this.calls -= 1;
  }

  /** Monotonic ms when the next part of the quota becomes free, or Infinity. */
  nextFreeAtMs(): number {
    return Math.min(this.settled.headMs(), this.ambiguous.headMs());
  }

  private freeDue(nowMs: number): void {
    for (const queue of [this.settled, this.ambiguous]) {
      for (let due = queue.shift(nowMs); due !== null; due = queue.shift(nowMs)) {
        this.usedPosts -= due.posts;
        this.usedUsers -= due.users;
        this.calls -= due.calls;
      }
    }
  }
}

/** Permits that become free later, in order: times never step back, so the first is always the next. */
class FutureQuota {
  private readonly items = new Fifo<Cooling & { posts: number }>();
  private lastMs = -Infinity;

  push(cooling: Cooling, posts: number): void {
    this.lastMs = Math.max(this.lastMs, cooling.freeAtMs);
    this.items.push({ ...cooling, freeAtMs: this.lastMs, posts });
  }

  delay(byMs: number): void {
    this.lastMs += byMs;
    for (const item of this.items) item.freeAtMs += byMs;
  }

  headMs(): number {
    return this.items.peek()?.freeAtMs ?? Infinity;
  }

  shift(nowMs: number): (Cooling & { posts: number }) | null {
    return this.headMs() > nowMs ? null : (this.items.shift() ?? null);
  }
}

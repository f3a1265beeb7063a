// Searches a rejected batch by bisection: halves a group of users until the bad entries stand alone.
//
// Promise 9: uses at most a quarter of both quotas. An entry is rejected only if the service accepted something
// after the entry's first refusal; until then the entry is probed alone with backoff.

import { Fifo } from '../pending/fifo';
import { DueHeap } from '../pending/heap';
import { RateLimiter, type Limits } from './rate-limiter';
import type { User } from '../pending/user';

/** Users that share a request. */
export interface Group {
  readonly users: readonly User[];
  /** One user with one block that was refused before: there is nothing to halve. */
  readonly probe: boolean;
}

export class Bisection {
  private readonly groups = new Fifo<Group>();
  private readonly probes = new DueHeap<Group>();
  private readonly rateLimiter: RateLimiter;
  private largest: number;

  constructor(limits: Limits, lateMarginMs: number, nowMs: number) {
    this.rateLimiter = new RateLimiter(quarter(limits), lateMarginMs, nowMs);
    this.largest = quarter(limits).usersPerSecond;
  }

  setLimits(limits: Limits): void {
    this.rateLimiter.setLimits(quarter(limits));
    this.largest = quarter(limits).usersPerSecond;
  }

  get size(): number {
    return this.groups.size + this.probes.size;
  }

  /** Whether groups wait to be halved further. */
  get searches(): boolean {
    return this.groups.size > 0;
  }

  /** Halves the users of a refused body (into more parts when a half exceeds the quarter of the quota). */
  split(users: readonly User[]): void {
    const half = Math.min(Math.ceil(users.length / 2), this.largest);
    for (let at = 0; at < users.length; at += half) {
      this.push({ users: users.slice(at, at + half), probe: false });
    }
  }

  /** Adds a group that is sent as it is. */
  push(group: Group): void {
    for (const user of group.users) user.troubled().inBisection = true;
    this.groups.push(group);
  }

  /** Schedules another try at `dueMs` for a user whose single block was refused. */
  probeAt(dueMs: number, user: User): void {
    user.troubled().inBisection = true;
    this.probes.push(dueMs, { users: [user], probe: true });
  }

  /** The next group that may be sent at `nowMs` within the quarter, or null. Probes only if `probesToo`. */
  next(nowMs: number, freeUsers: number, probesToo: boolean): Group | null {
    const free = this.rateLimiter.free(nowMs);
    if (free.posts < 1) return null;
    const first = this.groups.peek();
    if (first !== undefined && first.users.length > this.largest) {
      this.split(this.groups.shift()!.users);
      return this.next(nowMs, freeUsers, probesToo);
    }
    if (first !== undefined && first.users.length <= Math.min(free.users, freeUsers)) {
      return this.groups.shift() ?? null;
    }
    return probesToo && free.users >= 1 && freeUsers >= 1 ? this.probes.popDue(nowMs) : null;
  }

  /**
   * Monotonic ms when a further group may be sent; Infinity if none waits, -Infinity if time is not the
   * obstacle. `freeUsers` and `freeAtMs` refer to the whole quota; `probesFromMs` is when probes are allowed.
   */
  nextAtMs(nowMs: number, freeUsers: number, freeAtMs: number, probesFromMs: number): number {
    const free = this.rateLimiter.free(nowMs);
    const quarterAtMs = free.posts >= 1 && free.users >= 1 ? -Infinity : this.rateLimiter.nextFreeAtMs();
    const probeAtMs = Math.max(this.probes.nextAtMs(), probesFromMs);
    return Math.max(quarterAtMs, Math.min(this.groupAtMs(free.users, freeUsers, freeAtMs), probeAtMs));
  }

  private groupAtMs(quarterUsers: number, freeUsers: number, freeAtMs: number): number {
    const first = this.groups.peek();
    if (first === undefined) return Infinity;
    const users = Math.min(first.users.length, this.largest);
    if (users > quarterUsers) return this.rateLimiter.nextFreeAtMs();
    return users > freeUsers ? freeAtMs : -Infinity;
  }

  /** Rate limiter of the quarter; its permits end like those of the whole quota. */
  get quota(): RateLimiter {
    return this.rateLimiter;
  }
}

function quarter(limits: Limits): Limits {
  return {
    postsPerSecond: Math.max(1, Math.floor(limits.postsPerSecond / 4)),
    usersPerSecond: Math.max(1, Math.floor(limits.usersPerSecond / 4)),
    maxConcurrent: limits.maxConcurrent,
  };
}

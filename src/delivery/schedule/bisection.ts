// Searching for what the service refused: groups of users whose body came back, halved until the bad stand alone.
//
// Promise 9: within a quarter of both quotas; an entry is rejected only if something was accepted after its first
// refusal, until then it is probed alone with backoff.

import { Fifo } from '../pending/fifo';
import { DueHeap } from '../pending/heap';
import { RateLimiter, type Limits } from './rate-limiter';
import type { User } from '../pending/user';

/** Users that go in one request of their own. */
export interface Group {
  readonly users: readonly User[];
  /** Alone, with one block, refused before: nothing is left to halve. */
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

  /** Whether groups wait that were refused together and not yet apart. */
  get searches(): boolean {
    return this.groups.size > 0;
  }

  /** A refused body's users: in two halves (or more, where a half is over the quarter of the quota). */
  split(users: readonly User[]): void {
    const half = Math.min(Math.ceil(users.length / 2), this.largest);
    for (let at = 0; at < users.length; at += half) {
      this.push({ users: users.slice(at, at + half), probe: false });
    }
  }

  /** A group to be sent again as it is. */
  push(group: Group): void {
    for (const user of group.users) user.isolated = true;
    this.groups.push(group);
  }

  /** One user whose single block was refused: tried again at `dueMs`. */
  probeAt(dueMs: number, user: User): void {
    user.isolated = true;
    this.probes.push(dueMs, { users: [user], probe: true });
  }

  /** The next group that may go at `nowMs` within the quarter, or null. Probes only when `probesToo`. */
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
   * When a further group may go, or Infinity; -Infinity when the clock does not stand in the way. `freeUsers` and
   * `freeAtMs` are those of the whole quota, `probesFromMs` is when probes are allowed.
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

  /** The share of the quarter of one post; ended as the engine's own grants are. */
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

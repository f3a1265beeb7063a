// The member's limits: what is let through, and the worst that was tried, whether let through or not.
import type { Times } from '../clock';
import { SlidingWindow } from './windows';

/** The limits of service.md 3.2; `Infinity` lifts one. */
export interface Limits {
  readonly postsPerSecond: number;
  readonly usersPerSecond: number;
  /** Of usage statistics. */
  readonly getsPerSecond: number;
  /** Of segments, listed or made, which another host of the service serves. */
  readonly segmentReadsPerMinute: number;
  /** Calls in flight, of all kinds together. */
  readonly concurrent: number;
  readonly usersPerCall: number;
  readonly segmentsPerUser: number;
  readonly bodyBytes: number;
}

export const documentedLimits: Limits = {
  postsPerSecond: 100,
  usersPerSecond: 1000,
  getsPerSecond: 1000,
  segmentReadsPerMinute: 100,
  concurrent: 15,
  usersPerCall: 1000,
  segmentsPerUser: 100,
  bodyBytes: 1_000_000,
};

/** What was tried, so that a client's test can assert that it never tried too much. Refused calls count too. */
export interface Peaks {
  readonly totals: {
    readonly posts: number;
    readonly users: number;
    readonly gets: number;
    /** Successful ones. */
    readonly authentications: number;
    /** Calls refused for a limit per second or for the calls in flight. */
    readonly rateLimited: number;
    /** Users that came twice within one request (undocumented: a client must not do that). */
    readonly repeatedUsers: number;
    /** Segments that came twice for a user within one request (undocumented as well). */
    readonly repeatedSegments: number;
  };
  readonly worst: {
    /** In any half-open window of one second. */
    readonly postsPerSecond: number;
    readonly usersPerSecond: number;
    readonly getsPerSecond: number;
    /** Calls of all kinds in flight at once; a request that is applied late is in flight until then. */
    readonly concurrent: number;
    readonly concurrentPosts: number;
    /** Successful authentications of one login in any five minutes. */
    readonly authenticationsIn5Minutes: number;
    readonly usersPerCall: number;
    readonly segmentsPerUser: number;
    readonly bodyBytes: number;
  };
}

interface Rate {
  /** Everything that came: what peaks speak of. */
  readonly tried: SlidingWindow;
  /** What was let through: what the limit is held against. */
  readonly admitted: SlidingWindow;
}

const newRate = (): Rate => ({ tried: new SlidingWindow(1000), admitted: new SlidingWindow(1000) });
const minuteMs = 60_000;

export class Quota {
  /** Written by whoever sees them happen. */
  readonly totals = { posts: 0, users: 0, gets: 0, rateLimited: 0, repeatedUsers: 0, repeatedSegments: 0 };
  readonly #worst = { concurrent: 0, concurrentPosts: 0, usersPerCall: 0, segmentsPerUser: 0, bodyBytes: 0 };
  #posts = newRate();
  #users = newRate();
  #gets = newRate();
  /** Let through. */
  #segmentCalls = new SlidingWindow(minuteMs);
  #concurrent = 0;
  #concurrentPosts = 0;

  constructor(
    /** May change at any time. */
    public limits: Limits,
    private readonly clock: Times,
  ) {}

  /** A call has come in. False when too many are in flight; `end` is due in any case. */
  begin(isPost: boolean): boolean {
    this.#concurrent += 1;
    if (isPost) this.#concurrentPosts += 1;
    this.#worst.concurrent = Math.max(this.#worst.concurrent, this.#concurrent);
    this.#worst.concurrentPosts = Math.max(this.#worst.concurrentPosts, this.#concurrentPosts);
    return this.#concurrent <= this.limits.concurrent;
  }

  end(isPost: boolean): void {
    this.#concurrent -= 1;
    if (isPost) this.#concurrentPosts -= 1;
  }

  /** The service turns to a post: it counts, whatever becomes of it. */
  notePost(users: number, bodyBytes: number): void {
    const now = this.clock.monoMs();
    this.totals.posts += 1;
    this.totals.users += users;
    this.#posts.tried.add(now, 1);
    this.#users.tried.add(now, Math.min(users, this.limits.usersPerCall));
    this.#worst.usersPerCall = Math.max(this.#worst.usersPerCall, users);
    this.#worst.bodyBytes = Math.max(this.#worst.bodyBytes, bodyBytes);
  }

  noteSegments(segmentsOfUser: number): void {
    if (segmentsOfUser > this.#worst.segmentsPerUser) this.#worst.segmentsPerUser = segmentsOfUser;
  }

  /** Lets a post through, or says which limit it breaks. Users past the limit per call are not applied, nor counted. */
  admitPost(users: number): 'posts' | 'users' | null {
    const now = this.clock.monoMs();
    const taken = Math.min(users, this.limits.usersPerCall);
    if (this.#posts.admitted.sum(now) + 1 > this.limits.postsPerSecond) return 'posts';
    if (this.#users.admitted.sum(now) + taken > this.limits.usersPerSecond) return 'users';
    this.#posts.admitted.add(now, 1);
    this.#users.admitted.add(now, taken);
    return null;
  }

  noteGet(): void {
    this.totals.gets += 1;
    this.#gets.tried.add(this.clock.monoMs(), 1);
  }

  admitGet(): boolean {
    const now = this.clock.monoMs();
    if (this.#gets.admitted.sum(now) + 1 > this.limits.getsPerSecond) return false;
    this.#gets.admitted.add(now, 1);
    return true;
  }

  admitSegmentCall(): boolean {
    const now = this.clock.monoMs();
    if (this.#segmentCalls.sum(now) + 1 > this.limits.segmentReadsPerMinute) return false;
    this.#segmentCalls.add(now, 1);
    return true;
  }

  peaks(authentications: { readonly total: number; readonly worstIn5Minutes: number }): Peaks {
    return {
      totals: { ...this.totals, authentications: authentications.total },
      worst: {
        postsPerSecond: this.#posts.tried.peak,
        usersPerSecond: this.#users.tried.peak,
        getsPerSecond: this.#gets.tried.peak,
        ...this.#worst,
        authenticationsIn5Minutes: authentications.worstIn5Minutes,
      },
    };
  }

  /** Forgets the past; calls in flight stay counted. */
  reset(): void {
    Object.assign(this.totals, {
      posts: 0,
      users: 0,
      gets: 0,
      rateLimited: 0,
      repeatedUsers: 0,
      repeatedSegments: 0,
    });
    Object.assign(this.#worst, {
      concurrent: this.#concurrent,
      concurrentPosts: this.#concurrentPosts,
      usersPerCall: 0,
      segmentsPerUser: 0,
      bodyBytes: 0,
    });
    [this.#posts, this.#users, this.#gets] = [newRate(), newRate(), newRate()];
    this.#segmentCalls = new SlidingWindow(minuteMs);
  }
}

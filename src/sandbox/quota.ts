// Quota of the sandbox's member: admits calls within the limits, and records the peaks of all calls, admitted or
// refused.
import type { Times } from '../clock';
import { SlidingWindow } from './windows';

/** The limits of service.md 3.2 and 5; `Infinity` disables one. */
export interface Limits {
  readonly postsPerSecond: number;
  readonly usersPerSecond: number;
  /** Reads of usage statistics. */
  readonly getsPerSecond: number;
  /** Calls of `/segment`, read or write, which the service serves on another host. */
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

/** Highest load, so that the tests of a client can assert that it keeps to the limits. Refused calls count too. */
export interface Peaks {
  readonly totals: {
    readonly posts: number;
    readonly users: number;
    readonly gets: number;
    /** Successful authentications. */
    readonly authentications: number;
    /** Calls refused by a rate limit or the limit of calls in flight. */
    readonly rateLimited: number;
    /** Users that occurred twice in one request, which is undocumented, so clients must avoid it. */
    readonly repeatedUsers: number;
    /** Segments that occurred twice for a user in one request, undocumented as well. */
    readonly repeatedSegments: number;
  };
  readonly worst: {
    /** Maximum in any half-open window of one second, as are users and reads. */
    readonly postsPerSecond: number;
    readonly usersPerSecond: number;
    readonly getsPerSecond: number;
    /** Calls of all kinds in flight at once; a request that is applied late counts until then. */
    readonly concurrent: number;
    readonly concurrentPosts: number;
    /** Successful authentications of one login in any five minutes. */
    readonly authenticationsIn5Minutes: number;
    readonly usersPerCall: number;
    readonly segmentsPerUser: number;
    readonly bodyBytes: number;
  };
}

/** Length of the window of each rate. */
const windowsMs = {
  postsPerSecond: 1000,
  usersPerSecond: 1000,
  getsPerSecond: 1000,
  segmentReadsPerMinute: 60_000,
} as const;
type Rate = keyof typeof windowsMs;

const newWindows = () => {
  const windows = Object.entries(windowsMs).map(([rate, lengthMs]) => [rate, new SlidingWindow(lengthMs)]);
  return Object.fromEntries(windows) as Record<Rate, SlidingWindow>;
};

const noTotals = () => ({
  posts: 0,
  users: 0,
  gets: 0,
  rateLimited: 0,
  repeatedUsers: 0,
  repeatedSegments: 0,
});
const noWorst = () => ({
  concurrent: 0,
  concurrentPosts: 0,
  usersPerCall: 0,
  segmentsPerUser: 0,
  bodyBytes: 0,
});

export class Quota {
  /** Counters, some of which other parts of the sandbox increment. */
  readonly totals = noTotals();
  readonly #worst = noWorst();
  /** All calls, for the peaks. */
  #tried = newWindows();
  /** Admitted calls, for the limits. */
  #admitted = newWindows();
  #concurrent = 0;
  #concurrentPosts = 0;

  constructor(
    /** May change at any time. */
    public limits: Limits,
    private readonly clock: Times,
  ) {}

  /** Counts a call in flight; false when there are too many. Either way the caller has to call `end` later. */
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

  /** Records a post in totals and peaks, whatever its outcome. */
  notePost(users: number, bodyBytes: number): void {
    const now = this.clock.monoMs();
    this.totals.posts += 1;
    this.totals.users += users;
    this.#tried.postsPerSecond.add(now, 1);
    this.#tried.usersPerSecond.add(now, Math.min(users, this.limits.usersPerCall));
    this.#worst.usersPerCall = Math.max(this.#worst.usersPerCall, users);
    this.#worst.bodyBytes = Math.max(this.#worst.bodyBytes, bodyBytes);
  }

  noteSegments(segmentsOfUser: number): void {
    if (segmentsOfUser > this.#worst.segmentsPerUser) this.#worst.segmentsPerUser = segmentsOfUser;
  }

  noteGet(): void {
    this.totals.gets += 1;
    this.#tried.getsPerSecond.add(this.clock.monoMs(), 1);
  }

  /** Admits a post (null) or returns the limit that it exceeds. Users beyond the limit per call are not counted. */
  admitPost(users: number): Rate | null {
    return this.admit({ postsPerSecond: 1, usersPerSecond: Math.min(users, this.limits.usersPerCall) });
  }

  /** Admits a call (null) that counts this much, or returns the first limit that it exceeds. */
  admit(counts: Readonly<Partial<Record<Rate, number>>>): Rate | null {
    const now = this.clock.monoMs();
    const rates = Object.entries(counts) as [Rate, number][];
    for (const [rate, count] of rates)
      if (this.#admitted[rate].sum(now) + count > this.limits[rate]) return rate;
    for (const [rate, count] of rates) this.#admitted[rate].add(now, count);
    return null;
  }

  peaks(authentications: { readonly total: number; readonly worstIn5Minutes: number }): Peaks {
    return {
      totals: { ...this.totals, authentications: authentications.total },
      worst: {
        postsPerSecond: this.#tried.postsPerSecond.peak,
        usersPerSecond: this.#tried.usersPerSecond.peak,
        getsPerSecond: this.#tried.getsPerSecond.peak,
        ...this.#worst,
        authenticationsIn5Minutes: authentications.worstIn5Minutes,
      },
    };
  }

  /** Resets totals, peaks and windows; calls in flight stay counted. */
  reset(): void {
    Object.assign(this.totals, noTotals());
    const inFlight = { concurrent: this.#concurrent, concurrentPosts: this.#concurrentPosts };
    Object.assign(this.#worst, noWorst(), inFlight);
    [this.#tried, this.#admitted] = [newWindows(), newWindows()];
  }
}

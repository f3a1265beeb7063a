// Scheduler: decides which users go into the next request, and when it is sent (promises 3, 6 and 7).

import type { Clock } from '../../clock';
import type { PendingUsers } from '../pending/pending-users';
import type { CircuitBreaker } from './circuit-breaker';
import { Bisection, type Group } from './bisection';
import type { PendingBlock } from '../pending/pending-entry';
import { RateLimiter, type Limits } from './rate-limiter';
import type { Logins } from './login';
import { BatchBuilder } from './batch-builder';
import type { Post } from './post';
import { requestLimitsOf, type RequestLimits } from './request-limits';
import type { User } from '../pending/user';

/** Maximum time to linger for a fuller batch, when less than half of the permits are free. */
const lingerMs = 20;
/**
 * With a backlog, one request takes at most this part of the users of a second, so that quota is freed in small
 * parts.
 */
const postsPerFullQuota = 10;
/**
 * With less than half of the users of a second free, requests are spread over this time. So a path that suddenly gets faster brings
 * at most one of them too early (promise 3).
 */
const spreadOverMs = 900;
/** While other accounts have live entries, every request of this number is of an account that has only bulk entries. */
const postsPerBulk = 10;
/** A request may leave this much before it is due, when a commit delayed the one before. */
const catchUpMs = 20;

interface Free {
  readonly posts: number;
  readonly users: number;
}

export class Scheduler {
  readonly rateLimiter: RateLimiter;
  readonly bisection: Bisection;
  /** Limits of one request. */
  request: RequestLimits;
  private lingerSinceMs: number | null = null;
  private nextAccount = 0;
  private bulkPlace = 0;
  private lastPost = 0;
  /** Whether the next try, while everything is refused, takes the newest user: a good one may be behind many bad ones. */
  private triesNewest = false;
  /** Monotonic ms at which the next request is due, with the spacing of `spreadOverMs`. */
  private dueMs = -Infinity;

  constructor(
    private limits: Limits,
    lateMarginMs: number,
    clock: Clock,
    private readonly pendingUsers: PendingUsers,
    private readonly logins: Logins,
    private readonly circuitBreaker: CircuitBreaker,
  ) {
    this.request = requestLimitsOf(limits);
    const nowMs = clock.monoMs();
    this.rateLimiter = new RateLimiter(limits, lateMarginMs, nowMs);
    this.bisection = new Bisection(limits, lateMarginMs, nowMs);
  }

  setLimits(limits: Limits): void {
    this.limits = limits;
    this.request = requestLimitsOf(limits);
    this.rateLimiter.setLimits(limits);
    this.bisection.setLimits(limits);
    // The last request may have been sent under larger limits.
    this.dueMs = -Infinity;
  }

  /** Sends ready users without lingering. */
  endLinger(): void {
    this.lingerSinceMs = -Infinity;
  }

  /** Builds all requests that may be sent at `nowMs`. Their users are in flight and their permits are taken. */
  nextPosts(nowMs: number): Post[] {
    const posts: Post[] = [];
    while (nowMs >= this.circuitBreaker.closedUntilMs) {
      const free = this.rateLimiter.free(nowMs);
      if (free.posts < 1 || free.users < 1 || free.calls < 1) break;
      const post = this.nextSearch(nowMs, free.users) ?? this.nextFresh(nowMs, free);
      if (post === null) break;
      this.circuitBreaker.sending();
      posts.push(post);
    }
    return posts;
  }

  /** A request was not sent: its users wait again and its permit is free. */
  cancel(post: Post, nowMs: number): void {
    this.circuitBreaker.cancelled();
    this.rateLimiter.cancel(post.permit);
    if (post.search !== null) this.bisection.quota.cancel(post.search.permit);
    for (const { user, blocks } of post.users) {
      for (const block of blocks) if (block.state === 'inFlight') block.state = 'waiting';
      user.flight = null;
    }
    this.searchAgain(post, nowMs);
    for (const { user } of post.users) this.pendingUsers.update(user, nowMs);
  }

  /** A request of a bisection had no conclusive outcome: repeats it. */
  searchAgain(post: Post, nowMs: number): void {
    if (post.search === null) return;
    const { group } = post.search;
    if (!group.probe) this.bisection.push(group);
    else for (const user of group.users) this.bisection.probeAt(nowMs + 1000, user);
  }

  leaveSearch(user: User, nowMs: number): void {
    if (user.trouble !== null) user.trouble.inBisection = false;
    this.pendingUsers.update(user, nowMs);
  }

  /** Monotonic ms at which the passing of time alone lets a request be sent, or Infinity. */
  nextAtMs(nowMs: number): number {
    const someReady = this.someSendable;
    if (!someReady && this.bisection.size === 0) return Infinity;
    const free = this.rateLimiter.free(nowMs);
    const freeAtMs = this.rateLimiter.nextFreeAtMs();
    const quotaAtMs = free.posts >= 1 && free.users >= 1 && free.calls >= 1 ? -Infinity : freeAtMs;
    const spacedUntilMs = Math.min(this.spacedUntilMs(free), freeAtMs);
    const lingerUntilMs =
      this.lingerSinceMs === null ? -Infinity : Math.min(this.lingerSinceMs + lingerMs, freeAtMs);
    const freshAtMs = someReady
      ? Math.max(lingerUntilMs, spacedUntilMs, this.circuitBreaker.triesFromMs)
      : Infinity;
    const searchAtMs = this.someLoginReady
      ? this.bisection.nextAtMs(nowMs, free.users, freeAtMs, this.probesFromMs)
      : Infinity;
    return Math.max(this.circuitBreaker.closedUntilMs, quotaAtMs, Math.min(freshAtMs, searchAtMs));
  }

  // ── Bisection ─────────────────────────────────────────────────────────────────────────────────────────────

  private nextSearch(nowMs: number, freeUsers: number): Post | null {
    if (this.bisection.size === 0 || !this.someLoginReady) return null;
    const probesToo = nowMs >= this.probesFromMs;
    for (;;) {
      const group = this.bisection.next(nowMs, freeUsers, probesToo);
      if (group === null) return null;
      const post = this.packGroup(group, nowMs);
      if (post === null) continue;
      if (group.probe) this.circuitBreaker.tried(nowMs);
      return post;
    }
  }

  /** While everything is refused there are few tries: users that were not refused yet come first. */
  private get probesFromMs(): number {
    const othersFirst = this.circuitBreaker.refusesEverything && this.someSendable;
    return othersFirst ? Infinity : this.circuitBreaker.triesFromMs;
  }

  private packGroup(group: Group, nowMs: number): Post | null {
    const batchBuilder = new BatchBuilder(nowMs, this.request.maxBodyBytes);
    let account: string | null = null;
    const left: User[] = [];
    for (const user of group.users) {
      this.pendingUsers.merge(user);
      const selection = user.flight === null ? this.select(user, nowMs) : null;
      if (selection === null) {
        this.leaveSearch(user, nowMs);
        continue;
      }
      account ??= selection.account;
      const isFull = batchBuilder.size >= this.request.usersPerPost;
      if (isFull || selection.account !== account) left.push(user);
      else if (batchBuilder.add(user, selection.blocks) === 0) {
        if (batchBuilder.size > 0) left.push(user);
        else this.rejectTooLarge(user, selection.blocks[0]!, nowMs);
      }
    }
    if (left.length > 0) this.bisection.push({ users: left, probe: false });
    if (batchBuilder.size === 0 || account === null) return null;
    return this.makePost(batchBuilder, account, {
      users: batchBuilder.users.map(({ user }) => user),
      probe: group.probe,
    });
  }

  // ── Other users ─────────────────────────────────────────────────────────────────────────────────────────────

  private nextFresh(nowMs: number, free: Free): Post | null {
    if (nowMs < this.circuitBreaker.triesFromMs) return null;
    for (let accounts = this.accountsReady(); accounts.length > 0; accounts = this.accountsReady()) {
      if (this.lingers(accounts, nowMs, free) || nowMs < this.spacedUntilMs(free)) return null;
      const account = this.accountInTurn(accounts);
      const most = Math.min(free.users, this.request.usersPerPost, this.spread());
      const batchBuilder = this.fill(account, most, nowMs);
      if (batchBuilder.size === 0) continue;
      this.lingerSinceMs = null;
      if (this.circuitBreaker.refusesEverything) {
        this.circuitBreaker.tried(nowMs);
        this.triesNewest = !this.triesNewest;
      }
      return this.makePost(batchBuilder, account, null);
    }
    this.lingerSinceMs = null;
    return null;
  }

  private accountInTurn(accounts: readonly string[]): string {
    const among = accounts.length === 1 ? accounts : this.accountsFirst(accounts);
    this.nextAccount = (this.nextAccount + 1) % among.length;
    return among[this.nextAccount]!;
  }

  /** Those with live entries, or at times the others. */
  private accountsFirst(accounts: readonly string[]): readonly string[] {
    const { ready } = this.pendingUsers.readiness;
    const live = accounts.filter((account) => ready.someLive(account));
    if (live.length === 0 || live.length === accounts.length) return accounts;
    this.bulkPlace = (this.bulkPlace + 1) % postsPerBulk;
    return this.bulkPlace === 0 ? accounts.filter((account) => !live.includes(account)) : live;
  }

  /**
   * Number of users that each request must carry, so that the quota of requests does not run out before that of
   * users.
   */
  private usersPerPermit(): number {
    const { usersPerSecond, postsPerSecond } = this.limits;
    return Math.min(this.request.usersPerPost, Math.max(1, Math.ceil(usersPerSecond / postsPerSecond)));
  }

  /** Monotonic ms until which spacing holds back the next request. */
  private spacedUntilMs(free: Free): number {
    return free.users * 2 > this.limits.usersPerSecond ? -Infinity : this.dueMs;
  }

  /** A request with so many users leaves now: when the next one is due. */
  private space(users: number, nowMs: number): void {
    const fromMs = Math.min(nowMs, Math.max(this.dueMs, nowMs - catchUpMs));
    this.dueMs = fromMs + (spreadOverMs * users) / this.limits.usersPerSecond;
  }

  private spread(): number {
    // One user shows whether everything is still refused, and leaves nothing to bisect.
    if (this.circuitBreaker.refusesEverything) return 1;
    if (this.circuitBreaker.outage) return this.usersPerPermit();
    return Math.max(this.usersPerPermit(), Math.ceil(this.limits.usersPerSecond / postsPerFullQuota));
  }

  /**
   * Promise 6: sends at once while more than half of the permits are free, else with enough users or after
   * `lingerMs`.
   */
  private lingers(accounts: readonly string[], nowMs: number, free: Free): boolean {
    if (free.posts * 2 > this.limits.postsPerSecond) return false;
    let ready = 0;
    for (const account of accounts) ready += this.pendingUsers.readiness.ready.size(account);
    if (Math.min(ready, free.users) >= this.usersPerPermit()) return false;
    this.lingerSinceMs ??= nowMs;
    return nowMs < this.lingerSinceMs + lingerMs;
  }

  private fill(account: string, most: number, nowMs: number): BatchBuilder {
    const { ready } = this.pendingUsers.readiness;
    const newest = this.circuitBreaker.refusesEverything && this.triesNewest;
    const batchBuilder = new BatchBuilder(nowMs, this.request.maxBodyBytes);
    while (batchBuilder.size < most) {
      const user = newest ? ready.pop(account) : ready.shift(account);
      if (user === null) break;
      if (user.flight !== null || user.inBisection) continue;
      this.pendingUsers.merge(user);
      const selection = this.select(user, nowMs);
      if (selection === null) this.pendingUsers.update(user, nowMs);
      else if (selection.account !== account) ready.put(user, selection.account);
      else if (batchBuilder.add(user, selection.blocks) === 0) {
        if (batchBuilder.size > 0) {
          ready.putBack(user, account);
          break;
        }
        this.rejectTooLarge(user, selection.blocks[0]!, nowMs);
      }
    }
    return batchBuilder;
  }

  /** A block accepted under a higher limit does not fit into any request. */
  private rejectTooLarge(user: User, block: PendingBlock, nowMs: number): void {
    const { maxBodyBytes } = this.request;
    const text = `This block is too large for any request, which has less than ${maxBodyBytes} bytes.`;
    this.pendingUsers.reject(block, 'too_large', text);
    this.leaveSearch(user, nowMs);
  }

  private select(user: User, nowMs: number): ReturnType<User['select']> {
    const held = this.pendingUsers.readiness.heldNow(nowMs);
    return user.select(this.request.blocksPerUser, this.readyLogin, nowMs, held);
  }

  /** The account that sends entries of `account`, if it can send now; else null. */
  private readonly readyLogin = (account: string): string | null => {
    const serving = this.logins.serving(account);
    return serving !== null && this.logins.isReady(serving) ? serving : null;
  };

  private accountsReady(): string[] {
    return this.logins
      .accounts()
      .filter(
        (account) => this.logins.isReady(account) && this.pendingUsers.readiness.ready.size(account) > 0,
      );
  }

  /** Whether something may be sent with the login of this account once it has a token. */
  readonly wantsToken = (account: string): boolean =>
    this.pendingUsers.readiness.ready.size(account) > 0 ||
    this.pendingUsers.readiness.someHeld ||
    this.bisection.size > 0;

  /** Whether a user that is not in a bisection can be sent now. */
  get someSendable(): boolean {
    return this.accountsReady().length > 0;
  }

  get someLoginReady(): boolean {
    return this.logins.accounts().some((account) => this.logins.isReady(account));
  }

  private makePost(batchBuilder: BatchBuilder, account: string, group: Group | null): Post {
    const { users } = batchBuilder;
    for (const { user, blocks } of users) {
      user.flight = blocks;
      for (const block of blocks) block.state = 'inFlight';
    }
    this.space(users.length, batchBuilder.nowMonoMs);
    return {
      number: ++this.lastPost,
      account,
      body: batchBuilder.body(),
      madeMs: batchBuilder.nowMonoMs,
      users,
      permit: this.rateLimiter.take(users.length),
      search: group === null ? null : { group, permit: this.bisection.quota.take(users.length) },
      sentMs: 0,
    };
  }
}

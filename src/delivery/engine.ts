// The delivery engine of one member: takes entries, keeps them in the queue, sends them within the quota, and gives every
// one of them exactly one end. This is what nodes, operators and accounts ask of it, whether the queue is this process's own
// or shared with others; a sender (sender.ts) does the work while this process holds the lease, which that of an own queue
// always is.

import type { QueueStore } from '../queue/store';
import { LoginTimes } from '../service/login/login-times';
import { commonOf, type Common, type EngineOptions } from './engine-options';
import type { EngineStats } from './engine-stats';
import type { Monitor } from './monitor/monitor';
import type { SentCountStore } from './monitor/sent-counts';
import { RecentUsers } from './pending/recent-users';
import type { Submission } from './producer';
import type { Deleted } from './respond/deletions';
import type { Recovered } from './pending-messages';
import type { NodeListeners } from './respond/node-listeners';
import type { QueueCaps } from './respond/not-accepted';
import type { Counters } from './respond/reports';
import type { Login, Logins } from './schedule/login';
import type { Limits } from './schedule/rate-limiter';
import { alwaysHeld, Sender } from './sender';
import { SharedQueue } from './shared/shared-queue';

export { defaultPageRows, type EngineOptions } from './engine-options';
export type { EngineState, EngineStats } from './engine-stats';
export type { Recovered } from './pending-messages';
export type { Submission } from './producer';
export type { Counters } from './respond/reports';
export type { QueueCaps } from './respond/not-accepted';

/** For nodes: nothing of it stops the other accounts of the member for good. */
export type MemberQueue = Omit<
  Engine,
  | 'loginTimes'
  | 'recentUsers'
  | 'attach'
  | 'detach'
  | 'setLimits'
  | 'setQueueCaps'
  | 'start'
  | 'park'
  | 'unpark'
  | 'close'
>;

export class Engine {
  readonly durable: boolean;
  /** When user names logged in. */
  readonly loginTimes: LoginTimes;
  /** Small values beside the queue. They can be had while it is open. */
  readonly meta: Pick<QueueStore, 'getMeta' | 'setMeta'>;
  /** What an operator sees beside `stats`. */
  readonly monitor: Monitor;
  readonly logins: Logins;
  /** Says which entries of another queue may be submitted. */
  readonly recentUsers: RecentUsers;
  private readonly listeners: NodeListeners;
  private readonly common: Common;
  private readonly queue: Sender | SharedQueue;

  constructor(options: EngineOptions) {
    this.common = commonOf(options);
    ({ monitor: this.monitor, logins: this.logins } = this.common);
    ({ listeners: this.listeners } = this.common.reporter);
    const { clock, shared, store } = options;
    this.recentUsers = new RecentUsers(clock.wallMs());
    if (shared === undefined) {
      this.queue = new Sender(this.common, store, alwaysHeld(this.common), this.recentUsers);
      ({ durable: this.durable } = store);
      this.meta = store;
      this.loginTimes = new LoginTimes(store, () => clock.wallMs());
    } else {
      this.queue = new SharedQueue(this.common, shared);
      this.durable = true;
      this.meta = shared.log.meta;
      this.loginTimes = new LoginTimes(shared.log.meta, () => shared.log.nowMs());
    }
  }

  private get sender(): Sender | null {
    return this.queue instanceof Sender ? this.queue : this.queue.sender;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens the queue; keeps trying while it cannot be opened. Input is refused with the reason until then. */
  start(): void {
    this.queue.start();
  }

  /**
   * Nothing new departs until `unpark`; resolves when what is on its way has ended, or after `maxMs`: what has not been
   * written by then stays.
   */
  park(maxMs: number): Promise<void> {
    return this.queue.park(maxMs);
  }

  /** Goes on after `park`. */
  unpark(): void {
    this.queue.unpark();
  }

  /** Resolves when what is on its way now has ended, or after `maxMs`. What departs later is not waited for. */
  settled(maxMs: number): Promise<void> {
    return this.queue.settled(maxMs);
  }

  /** Ends for good: closes the queue and leaves no timer. Call `park` before. */
  close(): Promise<void> {
    return this.queue.close();
  }

  // ── The accounts that use it ────────────────────────────────────────────────────────────────────────────────

  attach(login: Login): void {
    this.logins.attach(login);
    this.queue.loginsChanged();
  }

  /** The account is gone: its entries go with the login of another account of this member, if there is one. */
  detach(account: string): void {
    this.logins.detach(account);
    this.sender?.loginsChanged();
  }

  /** The smallest limits of the accounts that use this engine. */
  setLimits(limits: Limits): void {
    this.common.limits = limits;
    this.sender?.setLimits(limits);
  }

  /** Their smallest caps. What was taken stays, also above a lower one. */
  setQueueCaps(caps: QueueCaps): void {
    this.common.caps = caps;
  }

  // ── What nodes ask ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a message's entries, all or none. `onEnd` is called exactly once, never before this returns. While the engine is
   * parked nothing departs: a message ends as `parked` once it is durable, and is refused where it could not be.
   *
   * @param moved they waited in another queue: they are older than what else is submitted
   */
  submit(submission: Submission, moved = false): void {
    if (!moved) this.recentUsers.appended(submission.entries, this.common.settings.clock.wallMs());
    this.queue.submit(submission);
  }

  /** Calls with what ends, or ended while the node was away, without its message. One listener a node. */
  onRecovered(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.listeners.listen(node, listener);
  }

  /**
   * A node begins to close: what ends without its message waits, as what it had not passed on. Its open messages still end
   * normally. What waits of it in memory only is discarded now, so that nothing more of it is sent.
   */
  away(node: string, unreported: readonly Recovered[]): void {
    this.listeners.away(node, unreported);
    if (!this.durable) this.sender?.discard(node);
  }

  /**
   * A node that is away has closed: its open messages end, and late outcomes wait for it if it `returns`. Without effect for a
   * node that is back already, because it did not close in time.
   */
  leave(node: string, returns: boolean): void {
    if (!this.listeners.isAbsent(node)) return;
    this.release(node);
    this.listeners.closed(node, returns);
  }

  /** Its open messages end. With a durable queue their entries stay queued, otherwise they are discarded. */
  release(node: string): void {
    // Before those go who are to hear it.
    this.sender?.parts.reports.reportNow();
    this.listeners.unlisten(node);
    this.queue.closeNode(node);
  }

  /**
   * Adds to these segments wait until the time given (epoch ms, by the block's key); removals, and everything else, do
   * not. What one owner (a node) asks for takes the place of what it asked for before.
   */
  holdSegments(owner: string, untils: ReadonlyMap<string, number>): void {
    this.common.holds.set(owner, untils);
    this.sender?.holdSegments(owner, untils);
  }

  // ── What an operator asks ───────────────────────────────────────────────────────────────────────────────────

  /** Sends what is ready now: ends every hold, backoff and wait, except the service's own. */
  flush(): void {
    this.queue.flush();
  }

  pause(): void {
    this.queue.setPaused(true);
  }

  resume(): void {
    this.queue.setPaused(false);
  }

  /**
   * Deletes everything that waits: it ends as rejected with the code `purged`. Resolves when that is so for all of it, also on
   * disk; rejects when the engine closes before, and with DeletedPartly.
   */
  purge(): Promise<Deleted> {
    return this.queue.delete(null);
  }

  /**
   * Forgets a user: what waits ends as rejected with the code `erased`, and is taken off the disk. Resolves and rejects
   * as `purge` does. What was sent before stays at the service.
   *
   * @param userKeys the keys (`userKeyOf`) by which the user may be known
   */
  erase(userKeys: readonly string[], userId: string): Promise<Deleted> {
    return this.queue.delete({ keys: userKeys, id: userId });
  }

  // ── What an operator sees ───────────────────────────────────────────────────────────────────────────────────

  stats(): EngineStats {
    return this.queue.stats();
  }

  /** Of a shared queue: of the whole queue since this process sends; while it stands by, of what it took itself. */
  get counters(): Readonly<Counters> {
    return this.queue.counters;
  }

  /** What was sent and accepted, hour by hour. */
  get sent(): SentCountStore {
    return this.queue.sent;
  }

  /** Adds to the last hour's samples; call it every `sampleEveryMs`. */
  sample(): void {
    this.monitor.sample(this.sender?.parts.outcomes.usersAccepted ?? 0, this.queue.waiting);
  }
}

// The delivery engine of one member: accepts entries, keeps them in the queue, sends them within the quota, and reports
// exactly one outcome for each. Nodes, operators and accounts use this class for local and for shared queues. A sender
// (sender.ts) does the work while this process holds the lease. A local queue always holds its lease.

import type { QueueStore } from '../queue/store';
import { LoginTimes } from '../service/login/login-times';
import { commonOf, type Common, type EngineOptions } from './engine-options';
import type { EngineStats } from './engine-stats';
import type { Monitor } from './monitor/monitor';
import type { SentCountStore } from './monitor/sent-counts';
import { RecentUsers } from './pending/recent-users';
import type { Submission } from './submission';
import type { Deleted, Erased } from './respond/deletions';
import type { Recovered } from './pending-messages';
import type { NodeListeners } from './respond/node-listeners';
import type { QueueCaps } from './respond/not-accepted';
import type { Counters } from './respond/reports';
import type { Login, Logins } from './schedule/login';
import type { Limits } from './schedule/rate-limiter';
import { alwaysHeld, Sender } from './sender';
import { SharedQueue } from './shared/shared-queue';
import type { MemberSync } from './sync/member-sync';
import { erasureNode } from './sync/suppressions';

export { defaultPageRows, type EngineOptions } from './engine-options';
export type { EngineState, EngineStats } from './engine-stats';
export type { Recovered } from './pending-messages';
export type { Submission } from './submission';
export type { Counters } from './respond/reports';
export type { QueueCaps } from './respond/not-accepted';

/** The engine for nodes: without the methods that would affect other accounts of the member. */
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
  | 'someMayRun'
  | 'close'
>;

export class Engine {
  readonly durable: boolean;
  /** When user names logged in. */
  readonly loginTimes: LoginTimes;
  /** Small values beside the queue. Available while the queue is open. */
  readonly meta: Pick<QueueStore, 'getMeta' | 'setMeta'>;
  /** What an operator sees beside `stats`. */
  readonly monitor: Monitor;
  readonly logins: Logins;
  /** Says which entries of another queue may be submitted. */
  readonly recentUsers: RecentUsers;
  private readonly listeners: NodeListeners;
  private readonly common: Common;
  private readonly queue: Sender | SharedQueue;
  private readonly leaseListeners = new Set<() => void>();

  constructor(options: EngineOptions) {
    this.common = commonOf(options);
    ({ monitor: this.monitor, logins: this.logins } = this.common);
    ({ listeners: this.listeners } = this.common.reporter);
    const { clock, shared, store } = options;
    this.recentUsers = new RecentUsers(clock.wallMs());
    if (shared === undefined) {
      const lease = alwaysHeld(this.common, (submission) => this.submit(submission));
      this.queue = new Sender(this.common, store, lease, this.recentUsers);
      ({ durable: this.durable } = store);
      this.meta = store;
      this.loginTimes = new LoginTimes(store, () => clock.wallMs());
    } else {
      this.queue = new SharedQueue(this.common, shared, () => {
        for (const listener of this.leaseListeners) listener();
      });
      this.durable = true;
      this.meta = shared.log.meta;
      this.loginTimes = new LoginTimes(shared.log.meta, () => shared.log.nowMs());
    }
    this.onRecovered(erasureNode, (recovered) => this.removedErased(recovered));
  }

  private get sender(): Sender | null {
    return this.queue instanceof Sender ? this.queue : this.queue.sender;
  }

  /** For the sync of segments. Null for a queue in memory, and while this instance does not send. */
  get sync(): MemberSync | null {
    return this.sender?.sync ?? null;
  }

  /** Name of the other instance that sends, and carries out the runs of synced segments; null for none, as far as is known. */
  get otherSender(): string | null {
    return this.queue instanceof Sender ? null : this.queue.otherSender;
  }

  /** Calls when `sync` or `otherSender` may have changed. Returns a function that ends this. */
  onLease(listener: () => void): () => void {
    this.leaseListeners.add(listener);
    return () => void this.leaseListeners.delete(listener);
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens the queue; keeps trying while it cannot be opened. Input is refused with the reason until then. */
  start(): void {
    this.queue.start();
  }

  /**
   * Stops new requests until `unpark`. Resolves when the requests in flight have ended, or after `maxMs`. A request that has
   * not been written by then stays in the queue.
   */
  park(maxMs: number): Promise<void> {
    return this.queue.park(maxMs);
  }

  /** Goes on after `park`. */
  unpark(): void {
    this.queue.unpark();
  }

  /** Resolves when the requests that are in flight now have ended, or after `maxMs`. Ignores later requests. */
  settled(maxMs: number): Promise<void> {
    return this.queue.settled(maxMs);
  }

  /** Whether a request of this process is in flight, or had no reply and may still run. */
  get someMayRun(): boolean {
    return this.sender?.someMayRun ?? false;
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

  /** Their smallest caps. Accepted entries stay, also above a lower cap. */
  setQueueCaps(caps: QueueCaps): void {
    this.common.caps = caps;
  }

  // ── What nodes ask ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a message's entries, all or none. `onEnd` is called exactly once, never before this returns. While the engine is
   * parked, a message ends as `parked` once it is durable; a queue in memory refuses it.
   *
   * @param moved the entries come from another queue, and are older than all other submitted entries
   */
  submit(submission: Submission, moved = false): void {
    if (!moved) this.recentUsers.appended(submission.entries, this.common.settings.clock.wallMs());
    this.queue.submit(submission);
  }

  /** Reports late outcomes to a node, also those from its absence. One listener for each node. */
  onRecovered(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.listeners.listen(node, listener);
  }

  /**
   * A node begins to close. Its late outcomes are kept, together with those in `unreported`. Its pending messages still end
   * normally. A queue in memory discards the node's entries now, so that no more of them are sent.
   */
  away(node: string, unreported: readonly Recovered[]): void {
    this.listeners.away(node, unreported);
    if (!this.durable) this.sender?.discard(node);
  }

  /**
   * A node that is away has closed. Its pending messages end; its late outcomes are kept if it `returns`. Does nothing if the
   * node is back already, because it did not close in time.
   */
  leave(node: string, returns: boolean): void {
    if (!this.listeners.isAbsent(node)) return;
    this.release(node);
    this.listeners.closed(node, returns);
  }

  /** Ends the node's pending messages. A durable queue keeps their entries, a queue in memory discards them. */
  release(node: string): void {
    // Before the listener is removed.
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

  /** Whether so many messages wait to be queued that a further one may be checked later. */
  get isBehind(): boolean {
    // Users are recorded as messages are submitted.
    return !this.recentUsers.records && this.queue.isBehind;
  }

  // ── What an operator asks ───────────────────────────────────────────────────────────────────────────────────

  /** Sends everything pending now: ends linger and backoffs, but no warm-up and no wait that the service asked for. */
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
   * Deletes all pending entries: each ends as rejected with the code `purged`. Resolves when this is done and durable. Rejects
   * if the engine closes before, and with DeletedPartly.
   */
  async purge(): Promise<Deleted> {
    const { entries, inFlight } = await this.queue.delete(null);
    return { entries, inFlight };
  }

  /**
   * Erases a user: each pending entry ends as rejected with the code `erased`, and is deleted from disk. Resolves and rejects
   * like `purge`. Memberships that were sent before stay at the service, unless a synced segment has the user, or may have:
   * then the user is also removed from every synced segment, and suppressed.
   *
   * @param userKeys the keys (`userKeyOf`) by which the user may be known
   */
  erase(userKeys: readonly string[], userId: string): Promise<Erased> {
    return this.queue.delete({ keys: userKeys, id: userId });
  }

  /** What became of the removals of erased users; nobody else is told. */
  private removedErased(recovered: readonly Recovered[]): void {
    const rejected = recovered.filter(({ end }) => end === 'rejected').length;
    if (rejected > 0)
      this.common.log('warn', `${rejected} erased users could not be removed from their synced segments.`);
  }

  // ── What an operator sees ───────────────────────────────────────────────────────────────────────────────────

  stats(): EngineStats {
    return this.queue.stats();
  }

  /** A shared queue counts all entries while this process is active, and only its own entries while it is standby. */
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

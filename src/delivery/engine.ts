// The delivery engine of one member: takes entries, keeps them in the store, sends them within the quota, and
// gives every one of them exactly one end. Its turns (turns.ts) do the work; here is what others ask of it.

import { HourRing } from '../queue/hour-ring';
import type { Opened, QueueStore, Row } from '../queue/store';
import { within } from '../clock';
import { LoginTimes } from '../service/login/login-times';
import type { EngineOptions } from './engine-options';
import { partsOf, type EngineParts } from './engine-parts';
import { statsOf, type EngineStats } from './engine-stats';
import type { Monitor } from './monitor/monitor';
import type { SentCountStore } from './monitor/sent-counts';
import { RecentUsers } from './pending/recent-users';
import { closedEnd, type MessageEnd } from './pending-messages';
import type { FreshRow, Submission } from './producer';
import type { Deleted } from './respond/deletions';
import type { Recovered } from './respond/entry-end';
import { asQueueError, nothingEnd, openingEnd, type QueueCaps } from './respond/not-accepted';
import type { Counters } from './respond/reports';
import type { Login, Logins } from './schedule/login';
import type { Limits } from './schedule/rate-limiter';
import { Turns } from './turns';

export { defaultPageRows, type EngineOptions, type SharedPart } from './engine-options';
export { defaultMaxOpenMessages } from './engine-parts';
export type { EngineState, EngineStats } from './engine-stats';
export type { Recovered } from './respond/entry-end';
export type { Submission } from './producer';
export type { Counters } from './respond/reports';
export type { QueueCaps } from './respond/not-accepted';

/** Part of the store: never change it. */
const recentUsersKey = 'recent users';
const openRetryMs = 5_000;
/** Messages that may wait for the store to be opened. */
const mostUnopened = 50_000;

export class Engine {
  /** When user names logged in. */
  readonly loginTimes: LoginTimes;
  private readonly recentUsers: RecentUsers;
  private readonly parts: EngineParts;
  private readonly turns: Turns;
  private cancelRetry: (() => void) | null = null;

  constructor(options: EngineOptions) {
    const { store, clock } = options;
    this.loginTimes = new LoginTimes(store, () => clock.wallMs());
    this.recentUsers = new RecentUsers(clock.wallMs());
    this.parts = partsOf(options, {
      ask: () => this.turns.ask(),
      mayLeave: () => this.turns.mayLeave,
      storeFailed: (error) => this.turns.storeFailed(error),
    });
    this.turns = new Turns(this.parts);
  }

  get durable(): boolean {
    return this.parts.store.durable;
  }

  get logins(): Logins {
    return this.parts.logins;
  }

  /** What was sent and accepted, hour by hour. */
  get sent(): SentCountStore {
    return this.parts.sent;
  }

  /** What an operator sees beside `stats`. */
  get monitor(): Monitor {
    return this.parts.monitor;
  }

  /** Erased entries whose message was gone: counted as rejected, told to nobody. */
  get erasedUnreported(): number {
    return this.parts.reporter.erasedUnreported;
  }

  get counters(): Readonly<Counters> {
    return this.parts.reports.counters;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens the store; keeps trying while it cannot be opened. Input is refused with the reason until then. */
  start(): void {
    this.open().then(
      (opened) => {
        if (!this.turns.closed) this.turns.found(opened);
      },
      (error: unknown) => {
        if (this.turns.closed) return;
        this.turns.notFound(asQueueError(error));
        this.cancelRetry = this.parts.clock.after(openRetryMs, () => this.start());
      },
    );
  }

  private async open(): Promise<Opened> {
    const opened = await this.parts.store.open();
    try {
      await this.parts.deleter.resume(opened.lastSeq);
      await this.parts.warmUps.load(this.parts.store);
      if (this.parts.shared === null)
        this.recentUsers.opened(opened.lastSeq, await this.parts.store.getMeta(recentUsersKey));
    } catch (error) {
      // One that is open already cannot be opened when this is tried again.
      await this.parts.store.close().catch(() => undefined);
      throw error;
    }
    return opened;
  }

  /** The smallest limits of the accounts that use this engine. */
  setLimits(limits: Limits): void {
    this.parts.scheduler.setLimits(limits);
    this.turns.ask();
  }

  /** Their smallest caps. */
  setQueueCaps(caps: QueueCaps): void {
    this.parts.producer.setQueueCaps(caps);
  }

  attach(login: Login): void {
    this.parts.logins.attach(login);
    this.parts.pendingUsers.requeueHeld(this.parts.clock.monoMs());
    this.turns.ask();
  }

  /** The account closes, perhaps only for a deploy: its entries wait. */
  suspend(account: string): void {
    this.parts.logins.setState(account, { kind: 'away' });
  }

  /** The account is gone: its entries go with the login of another account of this member, if there is one. */
  detach(account: string): void {
    this.parts.logins.detach(account);
    this.parts.pendingUsers.requeueHeld(this.parts.clock.monoMs());
    this.turns.ask();
  }

  /**
   * Nothing new departs until `unpark`; resolves when what is on its way has ended, or after `maxMs`: what has not been
   * written by then stays.
   */
  async park(maxMs: number): Promise<void> {
    this.turns.park(maxMs);
    // A process that stops does not close its engines.
    const saved = this.turns
      .settled()
      .then(() => this.sent.save())
      .then(() => this.saveRecentUsers());
    await within(this.parts.clock, maxMs, saved);
    this.parts.tally.flush();
  }

  /** A process that cannot write them knows less when it starts again. */
  private async saveRecentUsers(): Promise<void> {
    if (!this.turns.opened || this.turns.closed || this.parts.shared !== null) return;
    const text = this.recentUsers.text(this.parts.producer.lastSeq);
    await this.parts.store.setMeta(recentUsersKey, text).catch(() => undefined);
  }

  /** Resolves when what is on its way now has ended, or after `maxMs`. What departs later is not waited for. */
  settled(maxMs: number): Promise<void> {
    return within(this.parts.clock, maxMs, this.turns.settled());
  }

  /** Small values beside the queue. They can be had while the store is open. */
  get meta(): Pick<QueueStore, 'getMeta' | 'setMeta'> {
    return this.parts.store;
  }

  /** Values of the last 30 days' hours, beside the queue. They can be had while the store is open. */
  hourRing(name: string): HourRing {
    return new HourRing(this.parts.store, name);
  }

  /** Goes on after `park`. */
  unpark(): void {
    this.turns.unpark();
  }

  /** Ends for good: closes the store and leaves no timer. Call `park` before. */
  async close(): Promise<void> {
    this.cancelRetry?.();
    this.turns.close();
    this.parts.reports.reportNow();
    this.parts.tally.flush();
    await this.sent.close();
    this.parts.deleter.close();
    await this.parts.store.close();
  }

  // ── What nodes ask ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a message's entries, all or none. `onEnd` is called exactly once, never before this returns. While the engine is
   * parked nothing departs: a message ends as `parked` once it is durable, and is refused where it could not be.
   */
  submit(submission: Submission): void {
    this.recentUsers.appended(submission.entries, this.parts.clock.wallMs());
    this.submitMoved(submission);
  }

  /** Notes from now on whose entries it takes, so that older ones can come from another queue. See `RecentUsers`. */
  recordUsers(): void {
    this.recentUsers.record();
  }

  /** Whether a row that waited in another queue may be submitted: nothing newer of its user was taken. */
  takesMoved(row: Row): boolean {
    return this.recentUsers.allows(row);
  }

  /** These were submitted: a later process does not take them again. */
  tookMoved(rows: readonly Row[]): void {
    this.recentUsers.appendedMoved(rows);
  }

  /** As `submit`, for entries that waited in another queue: they are older than what is submitted. */
  submitMoved(submission: Submission): void {
    const end = this.endAtOnce(submission);
    if (end !== null) {
      this.parts.clock.endOfTurn(() => submission.onEnd(end));
      return;
    }
    this.parts.producer.push(this.turns.parked ? parkedOf(submission) : submission);
    this.turns.ask();
  }

  private endAtOnce({ entries }: Submission): MessageEnd | null {
    const { opened, trouble, closed, parked } = this.turns;
    if (closed || (parked && !this.durable)) return closedEnd;
    if (entries.length === 0) return nothingEnd;
    const isTooFull = !opened && trouble === null && this.parts.producer.size >= mostUnopened;
    return isTooFull ? openingEnd : null;
  }

  /** Other processes append to the log: it goes to this number now. Without effect until it is open. */
  logReaches(lastSeq: number): void {
    if (this.turns.opened && this.parts.producer.logReaches(lastSeq)) this.turns.ask();
  }

  /** Rows that this process has appended: they need not be read back, unless others have appended before them. */
  appended(firstSeq: number, rows: readonly FreshRow[]): void {
    if (this.turns.opened && this.parts.producer.appended(firstSeq, rows)) this.turns.ask();
  }

  /** See `partsOf`. */
  takesOneMore(): boolean {
    return this.parts.takesOneMore();
  }

  /** Tells at once what has ended, before those go who are to hear it. */
  tellNow(): void {
    this.parts.reports.reportNow();
  }

  /** Calls with what ends without its message. One listener a node. */
  onRecovered(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.parts.reporter.listen(node, listener);
  }

  /** A node begins to close: what waits of it in memory only is discarded now, so that nothing more of it is sent. */
  closing(node: string): void {
    if (!this.durable) this.discard(node);
  }

  private discard(node: string): void {
    this.parts.producer.refuse(closedEnd, node);
    this.parts.producer.abandon(node, this.parts.clock.monoMs());
    this.turns.ask();
  }

  /**
   * A node has closed: its open messages end. With a durable store their entries stay queued, otherwise they are discarded.
   */
  release(node: string): void {
    this.parts.reports.reportNow();
    this.parts.reporter.unlisten(node);
    if (this.durable) {
      this.parts.producer.closeNode(node);
      return;
    }
    this.parts.pendingMessages.closeNode(node, [], closedEnd);
    this.discard(node);
  }

  /** Sends what is ready now: ends every hold, backoff and wait, except the service's own. */
  flush(): void {
    this.turns.flush();
  }

  /**
   * Adds to these segments wait until the time given (epoch ms, by the block's key); removals, and everything else, do
   * not. What one owner (a node) asks for takes the place of what it asked for before.
   */
  holdSegments(owner: string, untils: ReadonlyMap<string, number>): void {
    if (this.parts.warmUps.ask(owner, untils)) this.turns.warmUpsChanged();
  }

  pause(): void {
    this.turns.paused = true;
  }

  resume(): void {
    this.turns.paused = false;
    this.turns.ask();
  }

  /**
   * Gives up everything that waits: it ends as rejected with the code `purged`. Resolves when that is so for all of
   * it, also on disk; rejects when the engine closes before.
   */
  purge(mostSeq = Infinity): Promise<Deleted> {
    return this.parts.deleter.purge(mostSeq);
  }

  /**
   * Forgets a user: what waits ends as rejected with the code `erased`, and is taken off the disk. Resolves and rejects
   * as `purge` does. What was sent before stays at the service.
   *
   * @param userKeys the keys (`userKeyOf`) by which the user may be known
   */
  erase(userKeys: readonly string[], userId: string, mostSeq = Infinity): Promise<Deleted> {
    this.monitor.forget(userKeys, userId);
    return this.parts.deleter.erase(userKeys, mostSeq).then((deleted) => {
      // What was rejected or logged meanwhile.
      this.monitor.forget(userKeys, userId);
      return deleted;
    });
  }

  /** Adds to the last hour's samples; call it every `sampleEveryMs`. */
  sample(): void {
    this.monitor.sample(this.parts.outcomes.usersAccepted, this.counters.waiting);
  }

  stats(): EngineStats {
    return statsOf(this.parts, this.turns);
  }
}

function parkedOf(submission: Submission): Submission {
  const { onEnd } = submission;
  return {
    ...submission,
    completeOn: 'queued',
    onEnd: (end) => onEnd(end.kind === 'queued' ? { kind: 'parked' } : end),
  };
}

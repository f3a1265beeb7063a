// The delivery engine of one member: takes entries, keeps them in the store, sends them within the quota, and
// gives every one of them exactly one end.
//
// All state changes happen in one turn, which runs alone: replies, pages and input only queue up until then. A
// turn decides what is taken, what has ended and what departs; one commit makes that durable; only after it do
// requests leave and messages end. So a crash at any moment finds an store that explains everything on the wire.

import { HourRing } from '../queue/hour-ring';
import type { Commit, Opened, QueueStore, QueueError, Row } from '../queue/store';
import { within, type Clock } from '../clock';
import { LoginTimes } from '../service/login/login-times';
import { PendingUsers } from './pending/pending-users';
import type { Deleted } from './respond/deletions';
import { Deleter } from './respond/deleter';
import { Scheduler } from './schedule/scheduler';
import type { Recovered } from './respond/entry-end';
import { CircuitBreaker, type AskedWait } from './schedule/circuit-breaker';
import { Producer, type FreshRow, type Submission } from './producer';
import { CommitBuffer } from './commit-buffer';
import type { Limits } from './schedule/rate-limiter';
import { LogTally } from './monitor/log-tally';
import { Logins, type Login } from './schedule/login';
import { Outcomes } from './respond/outcomes';
import { Monitor } from './monitor/monitor';
import { ReadAhead, type ReadPage } from './pending/read-ahead';
import type { Post } from './schedule/post';
import { SentLedger } from './monitor/sent-counts';
import { outcomesOfOthers } from './shared/stored-outcomes';
import { RecentUsers } from './pending/recent-users';
import { outcomeOf, Reporter, type Outcome } from './respond/reporter';
import { Reports, type Counters } from './respond/reports';
import type { SharedView } from './shared/shared-request';
import { closedEnd, PendingMessages, type MessageEnd } from './pending-messages';
import { RequestsInFlight } from './schedule/requests-in-flight';
import type { Item } from './pending/item';
import { asQueueError, nothingEnd, openingEnd, storeEnd, type QueueCaps } from './respond/not-accepted';
import { tooManyHeldText, WarmUps } from './pending/warm-ups';

export type { Recovered } from './respond/entry-end';
export type { Submission } from './producer';
export type { Counters } from './respond/reports';
export type { QueueCaps } from './respond/not-accepted';

/** Read from the queue at a time. */
export const defaultPageRows = 2_000;

export interface EngineOptions extends QueueCaps {
  readonly store: QueueStore;
  readonly clock: Clock;
  /** 0 … 1. */
  readonly random: () => number;
  readonly limits: Limits;
  /** Entries of one lane kept in memory, further ones of a user counting little; the rest is on disk only. */
  readonly memoryMark?: number;
  readonly pageRows?: number;
  /** How long a request without a reply may still run at the service. */
  readonly lateMarginMs?: number;
  /** Messages that may wait for an outcome at a time. */
  readonly maxOpenMessages?: number;
  /** Blocks of a message that are taken before others of the process have their turn. */
  readonly blocksPerSlice?: number;
  /** What an operator sees beside `stats`, when it is to outlive the engine. */
  readonly monitor?: Monitor;
  /** What the service asked for, when it is to outlive the engine. */
  readonly askedWait?: AskedWait;
  /** When several processes append to the store. */
  readonly shared?: SharedPart;
  /** For an operator's log: one sentence, no secrets. */
  readonly log?: (level: 'info' | 'warn' | 'error', text: string) => void;
}

/**
 * The engine of a process that holds the lease of a shared log (see shared-queue.ts). It takes nothing itself: `submit`
 * is not for it, rows come from the log.
 */
export interface SharedPart {
  /** The process that it is part of. */
  readonly instance: string;
  /** Entries that this process took have ended, durably. The commit stores those of other instances (`Commit.outcomes`). */
  readonly report: (outcomes: readonly Outcome[]) => void;
  /** The log is open, and what waits in it known. */
  readonly opened: () => void;
  /** Whether the lease is held under which this engine sends. */
  readonly mayPost: () => boolean;
}

/** What the engine is doing, for a status. */
export type EngineState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'outbox'; readonly code: QueueError['code']; readonly message: string }
  /** Of a shared queue: another process sends, or nobody does yet. */
  | { readonly kind: 'standby'; readonly sender: string | null }
  /** Of a shared queue: its database cannot be reached, so entries are kept here and handed over later. */
  | { readonly kind: 'apart'; readonly message: string; readonly kept: number }
  | { readonly kind: 'parked' }
  /** By an operator. */
  | { readonly kind: 'paused' }
  | { readonly kind: 'rateLimited'; readonly untilMs: number }
  | {
      readonly kind: 'login';
      readonly account: string;
      readonly final: boolean;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'trouble'; readonly code: string; readonly message: string }
  /** The service refuses bodies and has accepted nothing since. */
  | { readonly kind: 'refusing'; readonly message: string }
  | { readonly kind: 'working' }
  | { readonly kind: 'idle' };

export interface EngineStats {
  readonly state: EngineState;
  readonly counters: Readonly<Counters>;
  readonly postsInFlight: number;
  /** Users accepted in the last whole second. */
  readonly usersPerSecond: number;
  /** Age of the oldest waiting entry in ms, wherever it waits; 0 when none does. */
  readonly oldestMs: number;
  /** Of a queue that several processes share. */
  readonly shared?: SharedView;
}

/** Part of the store: never change it. */
const recentUsersKey = 'recent users';
const storeRetryMs = 1_000;
const openRetryMs = 5_000;
/** Messages that may wait for the store to be opened. */
const mostUnopened = 50_000;
/** Messages that may wait for an outcome at a time. */
export const defaultMaxOpenMessages = 50_000;
/** When a process gives up on a request. */
const requestTimeoutMs = 10_000;

export class Engine {
  readonly logins = new Logins();
  /** When user names logged in. */
  readonly loginTimes: LoginTimes;
  /** What was sent and accepted, hour by hour. */
  readonly sent: SentLedger;
  /** What an operator sees beside `stats`. */
  readonly monitor: Monitor;
  private readonly recentUsers: RecentUsers;
  private readonly store: QueueStore;
  private readonly clock: Clock;
  private readonly lateMarginMs: number;
  private readonly log: NonNullable<EngineOptions['log']>;
  private readonly tally: LogTally;
  private readonly warmUps: WarmUps;
  private readonly commitBuffer = new CommitBuffer();
  private readonly pendingMessages: PendingMessages;
  private readonly reporter: Reporter;
  private readonly readAhead: ReadAhead;
  private readonly reports: Reports;
  private readonly circuitBreaker: CircuitBreaker;
  private readonly pendingUsers: PendingUsers;
  private readonly scheduler: Scheduler;
  private readonly outcomes: Outcomes;
  private readonly producer: Producer;
  private readonly requestsInFlight: RequestsInFlight;
  private readonly deleter: Deleter;
  private readonly shared: SharedPart | null;

  /** Pages for the next turn. */
  private pages: ReadPage[] = [];
  /** Posts of this turn, which leave after its commit. */
  private departing: Post[] = [];

  private opened = false;
  private closed = false;
  /** A commit is under way, or a turn that goes on later. */
  private committing = false;
  /** Of these the turn. */
  private taking = false;
  private turnAsked = false;
  /** Asked for while a commit was under way. */
  private turnMissed = false;
  private cancelWake: (() => void) | null = null;
  private cancelRetry: (() => void) | null = null;
  private wakeAtMs = Infinity;
  /** `Clock.sleptMs` at the last turn. */
  private sleptMs: number;

  private parked = false;
  /** Monotonic ms from which nothing leaves that still waits for its token or for a connection. */
  private leavesUntilMs = Infinity;
  private paused = false;
  private flushAsked = false;
  private storeTrouble: QueueError | null = null;
  private storeRetryAtMs = -Infinity;
  /** Posts of an earlier process that may still run. */
  private readonly recoveredRequests = { posts: [] as number[], users: new Set<number>(), untilMs: Infinity };
  /** Posts that departed and whose outcome is not durable yet, the oldest first. */
  private readonly openPosts = new Set<number>();
  /** Posts whose outcome is in the next commit. */
  private settling: number[] = [];
  private lastPost = 0;
  /** Each waits for the posts up to one and for the messages up to another. */
  private waiters: { readonly post: number; readonly message: number; readonly done: () => void }[] = [];

  constructor(options: EngineOptions) {
    const { store, clock, random, limits, lateMarginMs = 20_000 } = options;
    this.store = store;
    this.clock = clock;
    this.sleptMs = clock.sleptMs();
    this.lateMarginMs = lateMarginMs;
    this.loginTimes = new LoginTimes(store, () => clock.wallMs());
    this.recentUsers = new RecentUsers(clock.wallMs());
    this.monitor = options.monitor ?? new Monitor(clock);
    this.shared = options.shared ?? null;
    const log: NonNullable<EngineOptions['log']> = (level, text) => {
      this.monitor.logged(level, text);
      options.log?.(level, text);
    };
    this.log = log;
    this.readAhead = new ReadAhead(store, options.memoryMark ?? 10_000, options.pageRows ?? defaultPageRows);
    this.tally = new LogTally(clock, log);
    this.pendingMessages = new PendingMessages(options.maxOpenMessages ?? defaultMaxOpenMessages);
    this.reporter = new Reporter(this.pendingMessages, this.tally);
    this.reports = new Reports(
      clock,
      (ended) => this.monitor.ended(ended),
      (ended) => this.report(ended),
    );
    this.circuitBreaker = new CircuitBreaker(random, options.askedWait);
    const { commitBuffer, readAhead, reports, logins, circuitBreaker } = this;
    this.warmUps = new WarmUps(clock);
    this.pendingUsers = new PendingUsers(
      commitBuffer,
      readAhead,
      reports,
      logins,
      this.recoveredRequests,
      this.warmUps,
    );
    const { pendingUsers } = this;
    this.scheduler = new Scheduler(limits, lateMarginMs, clock, pendingUsers, logins, circuitBreaker);
    const { scheduler } = this;
    this.sent = new SentLedger(store, clock);
    const { sent } = this;
    const { unaccounted } = this.monitor;
    const shared = [
      pendingUsers,
      scheduler,
      circuitBreaker,
      logins,
      commitBuffer,
      log,
      sent,
      unaccounted,
    ] as const;
    this.outcomes = new Outcomes(clock, random, lateMarginMs, ...shared);
    const { pendingMessages, outcomes, tally } = this;
    const parts = [commitBuffer, readAhead, pendingUsers, pendingMessages, reports, tally] as const;
    const takesOneMore = (): boolean => this.takesOneMore();
    this.producer = new Producer(
      store.durable,
      options,
      clock,
      ...parts,
      takesOneMore,
      options.blocksPerSlice,
    );
    const tokenCame = outcomes.tokenCame.bind(outcomes);
    const askTurn = (): void => this.askTurn();
    this.requestsInFlight = new RequestsInFlight(
      clock,
      logins,
      circuitBreaker,
      tokenCame,
      askTurn,
      () => this.mayLeave,
    );
    this.deleter = new Deleter({
      store,
      commitBuffer,
      readAhead,
      pendingUsers,
      producer: this.producer,
      deletions: pendingUsers.deletions,
      forgetUser: (userKeys) => outcomes.forgetCanary(userKeys),
      askTurn,
      failed: (error) => this.storeFailed(asQueueError(error)),
    });
  }

  get durable(): boolean {
    return this.store.durable;
  }

  /** Erased entries whose message was gone: counted as rejected, told to nobody. */
  get erasedUnreported(): number {
    return this.reporter.erasedUnreported;
  }

  get counters(): Readonly<Counters> {
    return this.reports.counters;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens the store; keeps trying while it cannot be opened. Input is refused with the reason until then. */
  start(): void {
    this.open().then(
      (opened) => {
        if (this.closed) return;
        this.storeTrouble = null;
        this.found(opened);
        this.shared?.opened();
        this.askTurn();
      },
      (error: unknown) => {
        if (this.closed) return;
        this.storeTrouble = asQueueError(error);
        this.log('error', this.storeTrouble.message);
        this.askTurn();
        this.cancelRetry = this.clock.after(openRetryMs, () => this.start());
      },
    );
  }

  private async open(): Promise<Opened> {
    const opened = await this.store.open();
    try {
      await this.deleter.resume(opened.lastSeq);
      await this.warmUps.load(this.store);
      if (this.shared === null)
        this.recentUsers.opened(opened.lastSeq, await this.store.getMeta(recentUsersKey));
    } catch (error) {
      // One that is open already cannot be opened when this is tried again.
      await this.store.close().catch(() => undefined);
      throw error;
    }
    return opened;
  }

  private found(opened: Opened): void {
    const nowMs = this.clock.monoMs();
    this.opened = true;
    this.producer.opened(opened, this.shared === null);
    this.readAhead.opened(opened);
    // Until when one may run was noted by a wall clock that may have been set since: each gets the whole margin. A
    // process that merely sleeps has not even given up on its requests yet.
    const untilMs = nowMs + this.lateMarginMs + (this.shared === null ? 0 : requestTimeoutMs);
    const { recoveredRequests, scheduler } = this;
    if (opened.flights.length > 0) recoveredRequests.untilMs = untilMs;
    for (const { post, userHashes } of opened.flights) {
      recoveredRequests.posts.push(post);
      for (const hash of userHashes) recoveredRequests.users.add(hash);
      scheduler.rateLimiter.inherit(userHashes.length, untilMs);
    }
  }

  /** The smallest limits of the accounts that use this engine. */
  setLimits(limits: Limits): void {
    this.scheduler.setLimits(limits);
    this.askTurn();
  }

  /** Their smallest caps. */
  setQueueCaps(caps: QueueCaps): void {
    this.producer.setQueueCaps(caps);
  }

  attach(login: Login): void {
    this.logins.attach(login);
    this.pendingUsers.requeueHeld(this.clock.monoMs());
    this.askTurn();
  }

  /** The account closes, perhaps only for a deploy: its entries wait. */
  suspend(account: string): void {
    this.logins.setState(account, { kind: 'away' });
  }

  /** The account is gone: its entries go with the login of another account of this member, if there is one. */
  detach(account: string): void {
    this.logins.detach(account);
    this.pendingUsers.requeueHeld(this.clock.monoMs());
    this.askTurn();
  }

  /**
   * Nothing new departs until `unpark`; resolves when what is on its way has ended, or after `maxMs`: what has not been
   * written by then stays.
   */
  async park(maxMs: number): Promise<void> {
    this.parked = true;
    this.leavesUntilMs = this.clock.monoMs() + maxMs;
    // A process that stops does not close its engines.
    const saved = this.allSettled()
      .then(() => this.sent.save())
      .then(() => this.saveRecentUsers());
    await within(this.clock, maxMs, saved);
    this.tally.flush();
  }

  /** A process that cannot write them knows less when it starts again. */
  private async saveRecentUsers(): Promise<void> {
    if (!this.opened || this.closed || this.shared !== null) return;
    const text = this.recentUsers.text(this.producer.lastSeq);
    await this.store.setMeta(recentUsersKey, text).catch(() => undefined);
  }

  /** Resolves when what is on its way now has ended, or after `maxMs`. What departs later is not waited for. */
  settled(maxMs: number): Promise<void> {
    return within(this.clock, maxMs, this.allSettled());
  }

  private allSettled(): Promise<void> {
    return new Promise((done) => {
      this.waiters.push({ post: this.lastPost, message: this.producer.pushed, done });
      if (!this.committing) this.tellSettled();
    });
  }

  /** Call when no commit is under way. */
  private tellSettled(): void {
    if (this.waiters.length === 0) return;
    const [oldestPost = Infinity] = this.openPosts;
    const taken = this.producer.pushed - this.producer.size;
    const left: typeof this.waiters = [];
    for (const waiter of this.waiters) {
      if (this.closed || (waiter.post < oldestPost && waiter.message <= taken)) waiter.done();
      else left.push(waiter);
    }
    this.waiters = left;
  }

  /** Small values beside the queue. They can be had while the store is open. */
  get meta(): Pick<QueueStore, 'getMeta' | 'setMeta'> {
    return this.store;
  }

  /** Values of the last 30 days' hours, beside the queue. They can be had while the store is open. */
  hourRing(name: string): HourRing {
    return new HourRing(this.store, name);
  }

  /** Goes on after `park`. */
  unpark(): void {
    this.parked = false;
    this.leavesUntilMs = Infinity;
    this.askTurn();
  }

  /** Ends for good: closes the store and leaves no timer. Call `park` before. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelWake?.();
    this.cancelWake = null;
    this.cancelRetry?.();
    if (this.taking) this.producer.uncommitted(closedEnd, this.clock.monoMs());
    this.producer.refuse(closedEnd);
    this.tellSettled();
    this.reports.tellNow();
    this.tally.flush();
    await this.sent.close();
    this.deleter.close();
    await this.store.close();
  }

  // ── What nodes ask ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a message's entries, all or none. `onEnd` is called exactly once, never before this returns. While the engine is
   * parked nothing departs: a message ends as `parked` once it is durable, and is refused where it could not be.
   */
  submit(submission: Submission): void {
    this.recentUsers.took(submission.entries, this.clock.wallMs());
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
    this.recentUsers.tookMoved(rows);
  }

  /** As `submit`, for entries that waited in another queue: they are older than what is submitted. */
  submitMoved(submission: Submission): void {
    const end = this.endAtOnce(submission);
    if (end !== null) {
      this.clock.endOfTurn(() => submission.onEnd(end));
      return;
    }
    this.producer.push(this.parked ? parkedOf(submission) : submission);
    this.askTurn();
  }

  private endAtOnce({ entries }: Submission): MessageEnd | null {
    if (this.closed || (this.parked && !this.durable)) return closedEnd;
    if (entries.length === 0) return nothingEnd;
    const isTooFull = !this.opened && this.storeTrouble === null && this.producer.size >= mostUnopened;
    return isTooFull ? openingEnd : null;
  }

  /** Other processes append to the log: it goes to this number now. Without effect until it is open. */
  logReaches(lastSeq: number): void {
    if (this.opened && this.producer.logReaches(lastSeq)) this.askTurn();
  }

  /** Rows that this process has appended: they need not be read back, unless others have appended before them. */
  appended(firstSeq: number, rows: readonly FreshRow[]): void {
    if (this.opened && this.producer.appended(firstSeq, rows)) this.askTurn();
  }

  /**
   * Whether a full queue takes one message all the same: once after each refusal, when all that waits was refused and
   * nothing has been accepted since. Nobody can know then what is at fault, so without it nothing would ever end.
   */
  takesOneMore(): boolean {
    const isToBeTried =
      this.pendingUsers.someReady || this.readAhead.unreadAny || this.scheduler.bisection.searches;
    return !isToBeTried && this.requestsInFlight.inFlight === 0 && this.circuitBreaker.takesOneMore();
  }

  /** The commit has stored those of other instances. */
  private report(ended: readonly Item[]): void {
    const { shared, reporter } = this;
    if (shared === null) reporter.report(ended.map(outcomeOf));
    else shared.report(ended.filter(({ source }) => source.instance === shared.instance).map(outcomeOf));
  }

  /** Tells at once what has ended, before those go who are to hear it. */
  tellNow(): void {
    this.reports.tellNow();
  }

  /** Calls with what ends without its message. One listener a node. */
  onRecovered(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.reporter.listen(node, listener);
  }

  /** A node begins to close: what waits of it in memory only is given up now, so that nothing more of it departs. */
  closing(node: string): void {
    if (!this.durable) this.discard(node);
  }

  private discard(node: string): void {
    this.producer.refuse(closedEnd, node);
    this.producer.abandon(node, this.clock.monoMs());
    this.askTurn();
  }

  /**
   * A node has closed: its open messages end. With a durable store their entries stay queued, else they are given up.
   */
  release(node: string): void {
    this.reports.tellNow();
    this.reporter.unlisten(node);
    if (this.durable) {
      this.producer.closeNode(node);
      return;
    }
    this.pendingMessages.closeNode(node, [], closedEnd);
    this.discard(node);
  }

  /** Sends what is ready now: ends every hold, backoff and wait, except the service's own. */
  flush(): void {
    this.flushAsked = true;
    this.askTurn();
  }

  /**
   * Adds to these segments wait until the time given (epoch ms, by the block's key); removals, and everything else, do
   * not. What one owner (a node) asks for takes the place of what it asked for before.
   */
  holdSegments(owner: string, untils: ReadonlyMap<string, number>): void {
    if (this.warmUps.ask(owner, untils)) this.warmUpsChanged();
  }

  private warmUpsChanged(): void {
    // Kept for the next process; should that fail, its nodes ask again soon.
    if (this.opened) this.warmUps.save(this.store).catch(() => undefined);
    this.pendingUsers.warmUpsChanged(this.clock.monoMs());
    this.askTurn();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.askTurn();
  }

  /**
   * Gives up everything that waits: it ends as rejected with the code `purged`. Resolves when that is so for all of
   * it, also on disk; rejects when the engine closes before.
   */
  purge(mostSeq = Infinity): Promise<Deleted> {
    return this.deleter.purge(mostSeq);
  }

  /**
   * Forgets a user: what waits ends as rejected with the code `erased`, and is taken off the disk. Resolves and rejects
   * as `purge` does. What was sent before stays at the service.
   *
   * @param userKeys the keys (`userKeyOf`) by which the user may be known
   */
  erase(userKeys: readonly string[], userId: string, mostSeq = Infinity): Promise<Deleted> {
    this.monitor.forget(userKeys, userId);
    return this.deleter.erase(userKeys, mostSeq).then((deleted) => {
      // What was rejected or logged meanwhile.
      this.monitor.forget(userKeys, userId);
      return deleted;
    });
  }

  /** Adds to the last hour's samples; call it every `sampleEveryMs`. */
  sample(): void {
    this.monitor.sample(this.outcomes.usersAccepted, this.counters.waiting);
  }

  stats(): EngineStats {
    const nowMs = this.clock.monoMs();
    const waiting = this.counters.waiting;
    // Of one lane those in memory are older than those that are not.
    const oldestWallMs = Math.min(this.pendingUsers.oldestTakenWallMs(), this.readAhead.unreadTakenWallMs);
    const oldestMs = waiting === 0 ? 0 : Math.max(0, this.clock.wallMs() - oldestWallMs);
    return {
      state: this.state(nowMs),
      counters: { ...this.counters },
      postsInFlight: this.requestsInFlight.inFlight,
      usersPerSecond: this.outcomes.usersPerSecond(nowMs),
      oldestMs,
    };
  }

  private state(nowMs: number): EngineState {
    const { storeTrouble: store, circuitBreaker } = this;
    if (store !== null) return { kind: 'outbox', code: store.code, message: store.message };
    if (!this.opened) return { kind: 'starting' };
    if (this.parked) return { kind: 'parked' };
    if (this.paused) return { kind: 'paused' };
    if (circuitBreaker.rateLimitedUntil > nowMs)
      return { kind: 'rateLimited', untilMs: circuitBreaker.rateLimitedUntil };
    for (const account of this.logins.accounts()) {
      const state = this.logins.state(account);
      if (state?.kind !== 'refused' && state?.kind !== 'wait') continue;
      const { code, message } = state;
      return { kind: 'login', account, final: state.kind === 'refused', code, message };
    }
    if (circuitBreaker.refusesEverything) return { kind: 'refusing', message: circuitBreaker.refusal };
    if (circuitBreaker.trouble !== null) return { ...circuitBreaker.trouble, kind: 'trouble' };
    return { kind: this.counters.waiting > 0 ? 'working' : 'idle' };
  }

  // ── The turn ────────────────────────────────────────────────────────────────────────────────────────────────

  private askTurn(): void {
    if (this.turnAsked || this.closed) return;
    this.turnAsked = true;
    this.clock.endOfTurn(() => {
      this.turnAsked = false;
      this.turn();
    });
  }

  private turn(): void {
    if (this.closed) return;
    if (this.committing) {
      this.turnMissed = true;
    } else if (this.opened) {
      const nowMs = this.clock.monoMs();
      this.noticeSleep(this.clock.sleptMs());
      for (const { post, outcome, atMs } of this.requestsInFlight.takeReplies()) {
        this.outcomes.settle(post, outcome, atMs);
        this.settling.push(post.number);
      }
      for (const read of this.pages.splice(0)) this.producer.takePage(read, nowMs);
      this.producer.takeAppended(nowMs);
      this.pendingUsers.pagesDone(this.producer.lastSeq);
      this.deleter.turn(nowMs);
      this.take(nowMs);
    } else if (this.storeTrouble !== null) {
      this.producer.refuse(storeEnd(this.storeTrouble));
    }
  }

  /**
   * A message with very many entries is taken in slices. Between two of them the process does what else there is, but the
   * turn goes on: nothing is sent, settled or committed before all of the message is taken.
   */
  private take(nowMs: number): void {
    this.taking = !this.producer.take(nowMs);
    this.committing = this.taking;
    if (!this.taking) {
      this.endTurn();
      return;
    }
    this.clock.endOfTurn(() => {
      if (!this.closed) this.take(nowMs);
    });
  }

  private endTurn(): void {
    const nowMs = this.clock.monoMs();
    this.noticeSleep(this.clock.sleptMs());
    this.takeDue(nowMs);
    if (this.mayDepart) this.depart(nowMs);
    this.askTokens();
    this.commit();
  }

  /**
   * What a lost request had still to go may be in this machine yet: it has as long for it as before the sleep. The timer,
   * which stood still, is set anew.
   */
  private noticeSleep(sleptMs: number): void {
    const forMs = sleptMs - this.sleptMs;
    if (forMs === 0) return;
    this.sleptMs = sleptMs;
    this.pendingUsers.slept(forMs);
    for (const rateLimiter of [this.scheduler.rateLimiter, this.scheduler.bisection.quota])
      rateLimiter.slept(forMs);
    this.recoveredRequests.untilMs += forMs;
    this.cancelWake?.();
    this.cancelWake = null;
  }

  /** Asked for each request right before it is written. */
  private get mayLeave(): boolean {
    if (this.closed || this.clock.monoMs() >= this.leavesUntilMs) return false;
    return this.shared === null || this.shared.mayPost();
  }

  /** A failing store must work again before anything leaves. */
  private get mayDepart(): boolean {
    return !this.parked && !this.paused && this.storeTrouble === null;
  }

  private depart(nowMs: number): void {
    this.departing = this.scheduler.depart(nowMs);
    for (const { number, users } of this.departing) {
      this.openPosts.add(number);
      this.lastPost = number;
      this.commitBuffer.depart({ post: number, userHashes: users.map(({ user }) => user.hash) });
    }
  }

  private commit(): void {
    const commit = this.commitBuffer.take();
    if (commit === null) {
      this.afterCommit();
      return;
    }
    this.committing = true;
    const outcomes =
      this.shared === null ? [] : outcomesOfOthers(this.reports.unreported, this.shared.instance);
    this.store.commit(outcomes.length === 0 ? commit : { ...commit, outcomes }).then(
      () => {
        this.committing = false;
        // What waited for the store may go on.
        if (this.storeTrouble !== null) this.turnMissed = true;
        this.storeTrouble = null;
        this.readAhead.committed(this.producer.lastSeq);
        this.afterCommit();
      },
      (error: unknown) => {
        this.committing = false;
        this.commitFailed(commit, asQueueError(error));
      },
    );
  }

  private afterCommit(): void {
    for (const post of this.departing.splice(0)) this.requestsInFlight.launch(post);
    this.producer.committed();
    this.reports.tell();
    this.deleter.committed();
    this.requestPages();
    this.goOn();
    for (const number of this.settling.splice(0)) this.openPosts.delete(number);
    this.tellSettled();
    this.armWake();
  }

  private requestPages(): void {
    if (this.closed) return;
    this.endFullHold();
    this.readAhead.request(
      (read) => {
        this.pages.push(read);
        this.askTurn();
      },
      (error) => this.storeFailed(asQueueError(error)),
      this.isStuck,
    );
  }

  /**
   * What is in memory waits for a search, for new segments, or for its login; what is behind it need not. Nor need what
   * a purge has still to end: what is read of it does not stay in memory.
   */
  private get isStuck(): boolean {
    const { scheduler, pendingUsers, deleter } = this;
    if (deleter.isPurging) return true;
    if (scheduler.someSendable) return false;
    const waitsForLogin = pendingUsers.someHeld && scheduler.someLoginReady;
    return waitsForLogin || scheduler.bisection.size > 0 || this.warmUps.any;
  }

  /** What waits for new segments fills the memory, and others wait behind it: that is worse than adds without effect. */
  private endFullHold(): void {
    if (!this.warmUps.any || this.pendingUsers.someReady || !this.readAhead.brimful) return;
    this.log('warn', tooManyHeldText);
    this.warmUps.clear();
    this.warmUpsChanged();
  }

  /** Nothing of this turn has happened: what departed comes back, what was taken is refused. */
  private commitFailed(commit: Commit, error: QueueError): void {
    const nowMs = this.clock.monoMs();
    this.storeFailed(error);
    this.commitBuffer.putBack(commit);
    for (const post of this.departing.splice(0)) {
      this.openPosts.delete(post.number);
      this.scheduler.cancel(post, nowMs);
    }
    this.producer.uncommitted(storeEnd(error), nowMs);
    // What had ended is said again by the next commit, and reported after it.
    this.goOn();
    this.armWake();
  }

  private storeFailed(error: QueueError): void {
    // That another process sends now is no trouble: this engine is about to be closed.
    const isNews = error.code !== 'fenced' && this.storeTrouble?.message !== error.message;
    if (isNews) this.log('error', error.message);
    this.storeTrouble = error;
    this.storeRetryAtMs = this.clock.monoMs() + storeRetryMs;
    this.armWake();
  }

  /** Another turn for what came up during the commit. */
  private goOn(): void {
    const more =
      this.turnMissed || this.producer.size > 0 || this.requestsInFlight.size > 0 || this.pages.length > 0;
    this.turnMissed = false;
    if (more) this.askTurn();
  }

  private armWake(): void {
    if (this.closed) return;
    const atMs = this.nextWakeMs();
    if (atMs >= this.wakeAtMs && this.cancelWake !== null) return;
    this.cancelWake?.();
    this.cancelWake = null;
    this.wakeAtMs = atMs;
    if (atMs === Infinity) return;
    this.cancelWake = this.clock.after(Math.max(0, Math.ceil(atMs - this.clock.monoMs())), () => {
      this.cancelWake = null;
      this.wakeAtMs = Infinity;
      this.askTurn();
    });
  }

  /** When the next turn has something to do that no reply, page or input will announce. */
  private nextWakeMs(): number {
    if (!this.opened || this.committing) return Infinity;
    const atMs = Math.min(this.pendingUsers.nextLateMs(), this.recoveredRequests.untilMs);
    if (this.storeTrouble !== null) return Math.min(atMs, this.storeRetryAtMs);
    if (!this.mayDepart) return atMs;
    const departAtMs = this.scheduler.nextAtMs(this.clock.monoMs());
    return Math.min(atMs, this.pendingUsers.nextRetryMs(), this.logins.nextAtMs(), departAtMs);
  }

  // ── What became due ─────────────────────────────────────────────────────────────────────────────────────────

  private takeDue(nowMs: number): void {
    this.logins.expireWaits(nowMs);
    this.warmUps.forgetOver(nowMs);
    // Nothing is older than the first number, so this tells the store nothing; it only shows whether it works.
    if (this.storeTrouble !== null && nowMs >= this.storeRetryAtMs)
      this.commitBuffer.dropTombstonesThrough(1);
    if (this.flushAsked) this.endWaits(nowMs);
    this.pendingUsers.takeDue(nowMs);
    if (nowMs >= this.recoveredRequests.untilMs) this.endRecoveredRequests();
  }

  private endRecoveredRequests(): void {
    const { recoveredRequests, commitBuffer } = this;
    for (const post of recoveredRequests.posts.splice(0)) commitBuffer.arrive(post);
    recoveredRequests.users.clear();
    recoveredRequests.untilMs = Infinity;
  }

  private endWaits(nowMs: number): void {
    this.flushAsked = false;
    this.circuitBreaker.openNow();
    this.scheduler.endHold();
    this.logins.endWaits();
    this.pendingUsers.endWaits(nowMs);
  }

  private askTokens(): void {
    if (this.parked) return;
    for (const account of this.logins.accounts()) {
      const wanted =
        this.pendingUsers.ready.size(account) > 0 ||
        this.pendingUsers.someHeld ||
        this.scheduler.bisection.size > 0;
      if (wanted) this.requestsInFlight.askToken(account);
    }
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

// The delivery engine of one member: takes entries, keeps them in the outbox, sends them within the quota, and
// gives every one of them exactly one end.
//
// All state changes happen in one turn, which runs alone: replies, pages and input only queue up until then. A
// turn decides what is taken, what has ended and what departs; one commit makes that durable; only after it do
// requests leave and messages end. So a crash at any moment finds an outbox that explains everything on the wire.

import type { CheckedEntry } from '../audience/entry';
import { hashUserKey } from '../audience/keys';
import { entryBody, parseBody } from '../audience/serialise';
import {
  OutboxError,
  type Commit,
  type NewRow,
  type Opened,
  type Outbox,
  type Row,
  type Source,
} from '../outbox/outbox';
import type { PostOutcome, TokenOutcome } from '../service/outcome';
import { verdicts, type SentEntry } from '../service/verdicts';
import { backoffMs } from './backoff';
import type { Clock } from './clock';
import { DueHeap } from './heap';
import { Isolation, type Group } from './isolation';
import { Journal } from './journal';
import { Ledger, type Grant, type Limits } from './ledger';
import { Logins, type Login } from './login';
import { Packer, type PackedUser } from './packer';
import { Pager, type ReadPage } from './pager';
import { ReadyUsers } from './ready';
import { Ticket, TicketBook, type TicketEnd } from './tickets';
import { Item, User, type Cell, type End, type Selection } from './user';

export interface EngineOptions {
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** 0 … 1. */
  readonly random: () => number;
  readonly limits: Limits;
  readonly queueMaxEntries: number;
  readonly queueMaxBytes: number;
  /** Entries of one lane kept in memory; the rest of the backlog is on disk only. */
  readonly memoryMark?: number;
  readonly pageRows?: number;
  /** How long a request without a reply may still run at the service. */
  readonly lateMarginMs?: number;
  /** Messages that may wait for an outcome at a time. */
  readonly maxOpenMessages?: number;
  /** For an operator's log: one sentence, no secrets. */
  readonly log?: (level: 'info' | 'warn' | 'error', text: string) => void;
}

/** Entries of one message. */
export interface Submission {
  /** The node that reports, and the account that sends. */
  readonly source: Source;
  readonly entries: readonly CheckedEntry[];
  /** Position in the input of each entry; null when they are the same. */
  readonly indexes: readonly number[] | null;
  /** When the message ends: with the outcome, or as soon as it is durably queued. */
  readonly completeOn: 'accepted' | 'queued';
  readonly onEnd: (end: TicketEnd) => void;
}

/** An entry that ended without its message. */
export interface Recovered {
  readonly entry: CheckedEntry;
  readonly end: Exclude<End, 'rejected'> | 'rejected';
  readonly rejection: { readonly code: string; readonly message: string } | null;
}

/** Counts of entries since the engine was opened; they always add up to `taken`. */
export interface Counters {
  /** Includes what was found waiting at the start. */
  taken: number;
  accepted: number;
  superseded: number;
  expired: number;
  rejected: number;
  /** Not ended yet. */
  waiting: number;
}

/** What the engine is doing, for a status. */
export type EngineState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'outbox'; readonly code: OutboxError['code']; readonly message: string }
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
  /** Age of the oldest waiting entry that is in memory, in ms; 0 when none waits. */
  readonly oldestMs: number;
}

interface Post {
  readonly number: number;
  readonly account: string;
  readonly body: string;
  readonly users: readonly PackedUser[];
  readonly grant: Grant;
  readonly group: Group | null;
  readonly groupGrant: Grant | null;
  sentMs: number;
}

type Settled = PostOutcome | { readonly kind: 'notSent'; readonly token: TokenOutcome };

/** While fewer users than this share of the quota wait, a post holds them all; it spreads the quota over time. */
const postsPerFullQuota = 10;
const usersPerPost = 1000;
const blocksPerUser = 100;
const holdMs = 20;
/** Refusals in a row, nothing accepted between them, after which the fault is taken to hit everything. */
const refusalsOfEverything = 4;
const configurationRetryMs = 60_000;
const outboxRetryMs = 1_000;
const rowsPerCommit = 1_000;

export class Engine {
  private readonly outbox: Outbox;
  private readonly clock: Clock;
  private readonly lateMarginMs: number;
  private readonly maxOpenMessages: number;
  private readonly log: NonNullable<EngineOptions['log']>;
  private readonly ledger: Ledger;
  private readonly isolation: Isolation;
  private readonly pager: Pager;
  private readonly journal = new Journal();
  private readonly tickets = new TicketBook();
  private readonly ready = new ReadyUsers();
  private readonly delayed = new DueHeap<User>();
  /** Users of lost requests, due when these can no longer run. */
  private readonly late = new DueHeap<User>();
  private readonly users = new Map<string, User>();
  readonly logins = new Logins();

  // Queues into the next turn.
  private readonly intake: Submission[] = [];
  private readonly settledPosts: { post: Post; outcome: Settled; atMs: number }[] = [];
  private readonly pages: ReadPage[] = [];

  // Out of this turn, after its commit.
  private departing: Post[] = [];
  private taken: { items: Item[]; submission: Submission; ticket: Ticket; rows: number; bytes: number }[] =
    [];
  private endedItems: Item[] = [];

  private opened = false;
  private closed = false;
  private committing = false;
  private turnAsked = false;
  /** Asked for while a commit was under way. */
  private turnMissed = false;
  private cancelWake: (() => void) | null = null;
  private wakeAtMs = Infinity;

  private parked = false;
  private paused = false;
  private flushAsked = false;
  private outboxTrouble: OutboxError | null = null;
  private outboxRetryAtMs = -Infinity;
  private rateLimitedUntilMs = -Infinity;
  /** Backoff after passing failures, and the outcome that caused it. */
  private gateUntilMs = -Infinity;
  private gateSetMs = -Infinity;
  private failures = 0;
  private trouble: { code: string; message: string } | null = null;
  /** Refused bodies since something was accepted. */
  private refusals = 0;
  private refusal = '';
  private refusingUntilMs = -Infinity;
  /** How often something was accepted. */
  private acceptances = 0;
  private heldSinceMs: number | null = null;

  private lastSeq = 0;
  private lastPost = 0;
  private startedWith = 0;
  private queuedBytes = 0;
  private postsInFlight = 0;
  private shieldsMade = false;
  private shieldsWhileReading: Item[] = [];
  private nextAccount = 0;
  private readonly leftovers: { post: number; atMs: number; users: number }[] = [];
  private readonly leftoverUsers = new Map<number, number>();
  private readonly abandoned = new Map<string, number>();
  private readonly recoveredListeners = new Map<string, (recovered: readonly Recovered[]) => void>();
  private readonly idleWaiters: (() => void)[] = [];
  private rate = { secondMs: 0, users: 0, last: 0 };

  readonly counters: Counters = { taken: 0, accepted: 0, superseded: 0, expired: 0, rejected: 0, waiting: 0 };

  constructor(private readonly options: EngineOptions) {
    const nowMs = options.clock.monoMs();
    this.outbox = options.outbox;
    this.clock = options.clock;
    this.lateMarginMs = options.lateMarginMs ?? 20_000;
    this.maxOpenMessages = options.maxOpenMessages ?? 50_000;
    this.log = options.log ?? ((): void => undefined);
    this.ledger = new Ledger(options.limits, this.lateMarginMs, nowMs);
    this.isolation = new Isolation(options.limits, this.lateMarginMs, nowMs);
    this.limits = options.limits;
    this.pager = new Pager(options.outbox, options.memoryMark ?? 50_000, options.pageRows ?? 5_000);
  }

  private limits: Limits;

  get durable(): boolean {
    return this.outbox.durable;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens the outbox; keeps trying while it cannot be opened. Input is refused with the reason until then. */
  start(): void {
    this.outbox.open().then(
      (opened) => {
        if (this.closed) return;
        this.outboxTrouble = null;
        this.found(opened);
        this.askTurn();
      },
      (error: unknown) => {
        if (this.closed) return;
        this.outboxTrouble = asOutboxError(error);
        this.log('error', this.outboxTrouble.message);
        this.askTurn();
        this.clock.after(5 * outboxRetryMs, () => {
          if (!this.closed && !this.opened) this.start();
        });
      },
    );
  }

  private found(opened: Opened): void {
    const nowMs = this.clock.monoMs();
    const wallMs = this.clock.wallMs();
    this.opened = true;
    this.lastSeq = opened.lastSeq;
    this.startedWith = opened.lastSeq;
    this.counters.waiting += opened.waiting;
    this.counters.taken += opened.waiting;
    this.queuedBytes += opened.bodyChars;
    this.shieldsMade = opened.lastSeq > 0;
    this.pager.opened(opened);
    for (const flight of opened.flights) {
      const leftMs =
        flight.untilWallMs === null
          ? this.lateMarginMs
          : Math.min(this.lateMarginMs, Math.max(0, flight.untilWallMs - wallMs));
      for (const hash of flight.userHashes) {
        this.leftoverUsers.set(hash, Math.max(nowMs + leftMs, this.leftoverUsers.get(hash) ?? 0));
      }
      this.leftovers.push({ post: flight.post, atMs: nowMs + leftMs, users: flight.userHashes.length });
    }
    this.leftovers.sort((a, b) => a.atMs - b.atMs);
    for (const { users, atMs } of this.leftovers) this.ledger.inherit(users, atMs);
  }

  /** The smallest limits of the accounts that use this engine. */
  setLimits(limits: Limits): void {
    this.limits = limits;
    this.ledger.setLimits(limits);
    this.isolation.setLimits(limits);
    this.askTurn();
  }

  attach(login: Login): void {
    this.logins.attach(login);
    this.askTurn();
  }

  /** The account closes, perhaps only for a deploy: its entries wait. */
  suspend(account: string): void {
    this.logins.setState(account, { kind: 'away' });
  }

  /** The account is gone: its entries go with the login of another account of this member, if there is one. */
  detach(account: string): void {
    this.logins.detach(account);
    for (const user of this.ready.drain(account)) this.settleUser(user, this.clock.monoMs());
    this.askTurn();
  }

  /** Nothing new departs until `resume`, and what is on its way may take up to `maxMs` to end. */
  async park(maxMs: number): Promise<void> {
    this.parked = true;
    if (!this.busy) return;
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(maxMs, resolve);
      this.idleWaiters.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Goes on after `park`. */
  unpark(): void {
    this.parked = false;
    this.askTurn();
  }

  /** Ends for good: closes the outbox and leaves no timer. Call `park` before. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelWake?.();
    this.cancelWake = null;
    const refused = this.intake.splice(0);
    for (const submission of refused) submission.onEnd(closedEnd);
    await this.outbox.close();
  }

  // ── What nodes ask ──────────────────────────────────────────────────────────────────────────────────────────

  /** Takes a message's entries, all or none. `onEnd` is called exactly once, never before this returns. */
  submit(submission: Submission): void {
    if (this.closed) {
      this.clock.endOfTurn(() => submission.onEnd(closedEnd));
      return;
    }
    this.intake.push(submission);
    this.askTurn();
  }

  /** Calls with what ends without its message. One listener a node. */
  onRecovered(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.recoveredListeners.set(node, listener);
  }

  /**
   * A node closes: its open messages end. With a durable outbox their entries stay queued, else they are given up.
   */
  release(node: string): void {
    this.recoveredListeners.delete(node);
    for (let at = this.intake.length - 1; at >= 0; at -= 1) {
      if (this.intake[at]!.source.node !== node) continue;
      const [submission] = this.intake.splice(at, 1);
      submission!.onEnd(closedEnd);
    }
    for (const ticket of this.tickets.ofNode(node)) {
      ticket.endEarly(this.durable ? { kind: 'parked' } : closedEnd);
      this.tickets.closed();
    }
    if (!this.durable) this.abandon(node);
  }

  private abandon(node: string): void {
    this.abandoned.set(node, this.lastSeq);
    for (const user of [...this.users.values()]) {
      for (const item of user.items) {
        if (item.source.node === node) this.giveUp(item);
      }
      this.settleUser(user, this.clock.monoMs());
    }
    this.askTurn();
  }

  private giveUp(item: Item): void {
    for (const cell of item.cells) {
      if (cell.state === 'waiting' || cell.state === 'absorbed')
        this.reject(cell, 'closed', 'The flow was stopped before this entry could be sent.');
    }
  }

  /** Sends what is ready now: ends every hold, backoff and wait. */
  flush(): void {
    this.flushAsked = true;
    this.askTurn();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.askTurn();
  }

  /** The credentials of an account changed or an operator wants another try: asks for a token afresh. */
  retryLogin(account: string): void {
    this.logins.setState(account, { kind: 'unknown' });
    this.askTurn();
  }

  stats(): EngineStats {
    const nowMs = this.clock.monoMs();
    const second = Math.floor(nowMs / 1000);
    const usersPerSecond =
      this.rate.secondMs === second - 1
        ? this.rate.users
        : this.rate.secondMs === second
          ? this.rate.last
          : 0;
    return {
      state: this.state(nowMs),
      counters: { ...this.counters },
      postsInFlight: this.postsInFlight,
      usersPerSecond,
      oldestMs: this.oldestMs(),
    };
  }

  private state(nowMs: number): EngineState {
    if (this.outboxTrouble !== null) {
      return { kind: 'outbox', code: this.outboxTrouble.code, message: this.outboxTrouble.message };
    }
    if (!this.opened) return { kind: 'starting' };
    if (this.parked) return { kind: 'parked' };
    if (this.paused) return { kind: 'paused' };
    if (this.rateLimitedUntilMs > nowMs) return { kind: 'rateLimited', untilMs: this.rateLimitedUntilMs };
    for (const account of this.logins.accounts()) {
      const state = this.logins.state(account);
      if (state?.kind === 'refused') return { ...state, kind: 'login', account, final: true };
      if (state?.kind === 'wait')
        return { kind: 'login', account, final: false, code: state.code, message: state.message };
    }
    if (this.refusals >= refusalsOfEverything) return { kind: 'refusing', message: this.refusal };
    if (this.trouble !== null) return { kind: 'trouble', ...this.trouble };
    return { kind: this.counters.waiting > 0 ? 'working' : 'idle' };
  }

  private oldestMs(): number {
    if (this.counters.waiting === 0) return 0;
    let oldestWallMs = Infinity;
    for (const user of this.users.values()) {
      for (const item of user.items) {
        if (item.open > 0) oldestWallMs = Math.min(oldestWallMs, item.takenWallMs);
      }
    }
    return oldestWallMs === Infinity ? 0 : Math.max(0, this.clock.wallMs() - oldestWallMs);
  }

  private get busy(): boolean {
    return (
      this.postsInFlight > 0 || this.committing || this.intake.length > 0 || this.settledPosts.length > 0
    );
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
      return;
    }
    if (!this.opened) {
      this.refuseIntake();
      return;
    }
    const nowMs = this.clock.monoMs();
    this.takeReplies();
    this.takePages(nowMs);
    this.takeIntake(nowMs);
    this.takeDue(nowMs);
    if (this.mayDepart(nowMs)) this.depart(nowMs);
    this.commit();
  }

  /** Before the outbox is open nothing can be taken durably. While it opens input waits; trouble refuses it. */
  private refuseIntake(): void {
    const trouble = this.outboxTrouble;
    if (trouble === null) return;
    for (const submission of this.intake.splice(0)) submission.onEnd(outboxEnd(trouble));
  }

  private commit(): void {
    const commit = this.journal.take();
    if (commit === null) {
      this.afterCommit();
      return;
    }
    this.committing = true;
    this.outbox.commit(commit).then(
      () => {
        this.committing = false;
        // What waited for the outbox may go on.
        if (this.outboxTrouble !== null) this.turnMissed = true;
        this.outboxTrouble = null;
        this.pager.committed(this.lastSeq);
        this.afterCommit();
      },
      (error: unknown) => {
        this.committing = false;
        this.commitFailed(commit, asOutboxError(error));
      },
    );
  }

  private afterCommit(): void {
    const departing = this.departing;
    const taken = this.taken;
    const ended = this.endedItems;
    this.departing = [];
    this.taken = [];
    this.endedItems = [];
    for (const post of departing) this.launch(post);
    for (const { submission, ticket } of taken) this.completeQueued(submission, ticket);
    this.report(ended);
    if (!this.closed) {
      this.pager.request(
        (read) => {
          this.pages.push(read);
          this.askTurn();
        },
        (error) => this.outboxFailed(asOutboxError(error)),
      );
    }
    this.goOn();
    if (!this.busy) for (const waiter of this.idleWaiters.splice(0)) waiter();
    this.armWake();
  }

  /** Nothing of this turn has happened: what departed comes back, what was taken is refused. */
  private commitFailed(commit: Commit, error: OutboxError): void {
    this.outboxFailed(error);
    this.journal.putBack(commit);
    const nowMs = this.clock.monoMs();
    for (const post of this.departing) {
      this.ledger.cancel(post.grant);
      if (post.groupGrant !== null) this.isolation.quota.cancel(post.groupGrant);
      for (const packed of post.users) this.comeBack(packed);
      this.regroup(post, nowMs);
      for (const { user } of post.users) this.settleUser(user, nowMs);
    }
    this.departing = [];
    const taken = this.taken;
    this.taken = [];
    for (const { items, submission, ticket, rows, bytes } of taken) {
      for (const item of items) this.untake(item, nowMs);
      this.counters.taken -= rows;
      this.counters.waiting -= rows;
      this.queuedBytes -= bytes;
      if (ticket.isOpen) this.tickets.closed();
      ticket.endEarly(outboxEnd(error));
      void submission;
    }
    // What had ended is said again by the next commit, and reported after it.
    this.goOn();
    this.armWake();
  }

  /** Another turn for what came up during the commit. */
  private goOn(): void {
    const more =
      this.turnMissed || this.intake.length > 0 || this.settledPosts.length > 0 || this.pages.length > 0;
    this.turnMissed = false;
    if (more) this.askTurn();
  }

  private outboxFailed(error: OutboxError): void {
    if (this.outboxTrouble?.message !== error.message) this.log('error', error.message);
    this.outboxTrouble = error;
    this.outboxRetryAtMs = this.clock.monoMs() + outboxRetryMs;
    this.armWake();
  }

  private untake(item: Item, nowMs: number): void {
    if (item.open === 0) {
      this.counters.waiting += 1;
      this.counters[endOf(item)] -= 1;
      this.endedItems = this.endedItems.filter((ended) => ended !== item);
    }
    const user = this.users.get(item.entry.userKey);
    if (user === undefined) return;
    user.items = user.items.filter((other) => other !== item);
    this.pager.unloaded(laneOf(item.entry));
    for (const cell of item.cells) {
      for (const older of cell.absorbed ?? []) older.state = 'waiting';
      cell.absorbed = null;
    }
    this.settleUser(user, nowMs);
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
    const nowMs = this.clock.monoMs();
    if (!this.opened || this.committing) return Infinity;
    let atMs = Math.min(this.late.nextAtMs(), this.leftovers[0]?.atMs ?? Infinity);
    if (this.outboxTrouble !== null) return Math.min(atMs, this.outboxRetryAtMs);
    if (this.parked || this.paused) return atMs;
    atMs = Math.min(atMs, this.delayed.nextAtMs(), this.logins.nextAtMs());
    if (this.someReady() || this.isolation.size > 0) atMs = Math.min(atMs, this.departAtMs(nowMs));
    return atMs;
  }

  /** When what is ready may go, as far as a clock decides it. */
  private departAtMs(nowMs: number): number {
    const blockedUntilMs = Math.max(this.rateLimitedUntilMs, this.gateUntilMs);
    const free = this.ledger.free(nowMs);
    const quotaAtMs =
      free.posts >= 1 && free.users >= 1 && free.calls >= 1 ? -Infinity : this.ledger.nextFreeAtMs();
    const heldAtMs =
      this.heldSinceMs === null ? -Infinity : Math.min(this.heldSinceMs + holdMs, this.ledger.nextFreeAtMs());
    const freshAtMs = this.someReady() ? Math.max(heldAtMs, this.refusingUntilMs) : Infinity;
    const groupAtMs = this.someLoginReady()
      ? this.isolation.nextAtMs(this.ledger.nextFreeAtMs(), this.probesFromMs())
      : Infinity;
    return Math.max(blockedUntilMs, quotaAtMs, Math.min(freshAtMs, groupAtMs));
  }

  private someReady(): boolean {
    for (const account of this.ready.accounts()) {
      if (this.ready.size(account) > 0 && this.logins.isReady(account)) return true;
    }
    return false;
  }

  // ── Taking in ───────────────────────────────────────────────────────────────────────────────────────────────

  private takeIntake(nowMs: number): void {
    let rows = 0;
    let count = 0;
    // What does not fit into one commit waits for the next turn, so that no turn holds the event loop for long.
    while (count < this.intake.length && rows < rowsPerCommit) {
      const submission = this.intake[count]!;
      count += 1;
      const refusal = this.refusalOf(submission);
      if (refusal !== null) {
        submission.onEnd(refusal);
        continue;
      }
      this.take(submission, nowMs);
      rows += submission.entries.length;
    }
    this.intake.splice(0, count);
  }

  private refusalOf(submission: Submission): TicketEnd | null {
    const { queueMaxEntries, queueMaxBytes } = this.options;
    if (
      this.counters.waiting + submission.entries.length > queueMaxEntries ||
      this.queuedBytes > queueMaxBytes
    ) {
      const params = {
        waiting: this.counters.waiting,
        most: queueMaxEntries,
        mb: Math.round(queueMaxBytes / 1_000_000),
      };
      return {
        kind: 'failed',
        code: 'queue_full',
        params,
        message: 'The queue is full; nothing of this message was taken.',
      };
    }
    if (!this.durable && this.tickets.open >= this.maxOpenMessages) {
      const params = { most: this.maxOpenMessages };
      return {
        kind: 'failed',
        code: 'too_many_open_messages',
        params,
        message: 'Too many messages wait for their outcome.',
      };
    }
    return null;
  }

  private take(submission: Submission, nowMs: number): void {
    const { entries, source } = submission;
    const wallMs = this.clock.wallMs();
    const ticket = this.newTicket(submission);
    const items: Item[] = [];
    let bytes = 0;
    ticket.firstSeq = this.lastSeq + 1;
    for (const entry of entries) {
      const seq = ++this.lastSeq;
      const ageMs = entry.eventTimeMs === null ? 0 : Math.max(0, wallMs - entry.eventTimeMs);
      const lane = laneOf(entry);
      const row: NewRow = {
        seq,
        lane,
        userHash: hashUserKey(entry.userKey),
        source,
        bornWallMs: wallMs - ageMs,
        bornMonoMs: nowMs - ageMs,
        takenWallMs: wallMs,
        body: entryBody(entry),
      };
      bytes += row.body.length;
      this.journal.appended(row);
      if (!this.pager.admits(lane, seq)) continue;
      const item = new Item(seq, entry, source, row.bornMonoMs, wallMs, 'waiting', ticket);
      items.push(item);
      this.admit(item, row.userHash, nowMs);
    }
    ticket.lastSeq = this.lastSeq;
    this.tickets.add(ticket);
    this.counters.taken += entries.length;
    this.counters.waiting += entries.length;
    this.queuedBytes += bytes;
    this.taken.push({ items, submission, ticket, rows: entries.length, bytes });
  }

  private newTicket({ source, entries, indexes, onEnd }: Submission): Ticket {
    const users = entries.length === 1 ? 1 : new Set(entries.map((entry) => entry.userKey)).size;
    let associations = 0;
    for (const entry of entries) associations += entry.blocks.length;
    return new Ticket(source.node, { entries: entries.length, users, associations }, indexes, onEnd);
  }

  /** Durable now: messages that asked for no more than that end, and those that would be one too many. */
  private completeQueued(submission: Submission, ticket: Ticket): void {
    if (!this.durable || !ticket.isOpen) return;
    const tooMany = this.tickets.open > this.maxOpenMessages;
    if (submission.completeOn !== 'queued' && !tooMany) return;
    ticket.endQueued(submission.completeOn === 'queued' ? 'asked' : 'tooManyOpen');
    this.tickets.closed();
  }

  /** Puts an entry into its user's hands. */
  private admit(item: Item, hash: number, nowMs: number): User {
    let user = this.users.get(item.entry.userKey);
    if (user === undefined) {
      user = new User(item.entry.userKey, hash);
      this.users.set(user.key, user);
      const untilMs = this.leftoverUsers.size === 0 ? undefined : this.leftoverUsers.get(hash);
      if (untilMs !== undefined) {
        user.suspectAll(untilMs);
        this.late.push(untilMs, user);
      }
    }
    user.add(item);
    // A newer state does not wait for the backoff of an older one.
    user.notBeforeMs = 0;
    this.enqueue(user, nowMs);
    return user;
  }

  private takePages(nowMs: number): void {
    for (const read of this.pages.splice(0)) {
      const touched = new Set<User>();
      for (const row of read.page.rows) {
        const user = this.admitRow(row, nowMs);
        if (user !== null) touched.add(user);
      }
      const shields = [
        ...read.page.shields.map((row) => this.itemOf(row, nowMs)),
        ...this.shieldsWhileReading,
      ];
      for (const shield of shields) {
        const user = shield === null ? undefined : this.users.get(shield.entry.userKey);
        if (shield === null || user === undefined || user.has(shield.seq)) continue;
        user.add(shield);
        this.pager.loaded(laneOf(shield.entry));
        touched.add(user);
      }
      this.pager.admitted(read);
      for (const user of touched) {
        if (user.flight === null) this.endCovered(user.merge());
        this.settleUser(user, nowMs);
      }
    }
    if (!this.pager.readingAny) this.shieldsWhileReading = [];
    this.dropShields();
  }

  private dropShields(): void {
    if (!this.shieldsMade || this.pager.readingAny) return;
    const floor = this.pager.shieldFloor(this.lastSeq);
    if (floor > 0) this.journal.dropShieldsThrough(floor);
    if (!this.pager.unreadAny) this.shieldsMade = false;
  }

  private admitRow(row: Row, nowMs: number): User | null {
    const item = this.itemOf(row, nowMs);
    if (item === null) return null;
    this.pager.loaded(laneOf(item.entry));
    const user = this.admit(item, row.userHash, nowMs);
    const abandonedSeq = this.abandoned.get(row.source.node);
    if (abandonedSeq !== undefined && row.seq <= abandonedSeq) this.giveUp(item);
    return user;
  }

  /** An entry as it was taken, read back from its row. A damaged row is set aside as rejected. */
  private itemOf(row: Row, nowMs: number): Item | null {
    let entry: CheckedEntry;
    try {
      entry = parseBody(row.body);
    } catch (error) {
      this.log('error', `Entry ${row.seq} in the queue cannot be read and was set aside: ${String(error)}`);
      this.journal.mark(row.seq, 'remove');
      if (row.state === 'waiting') {
        this.counters.waiting -= 1;
        this.counters.rejected += 1;
      }
      return null;
    }
    const ofThisProcess = row.seq > this.startedWith;
    const bornMonoMs = ofThisProcess
      ? row.bornMonoMs
      : nowMs - Math.max(0, this.clock.wallMs() - row.bornWallMs);
    return new Item(
      row.seq,
      entry,
      row.source,
      bornMonoMs,
      row.takenWallMs,
      row.state,
      this.tickets.find(row.seq),
    );
  }

  // ── What became due ─────────────────────────────────────────────────────────────────────────────────────────

  private takeDue(nowMs: number): void {
    this.logins.expireWaits(nowMs);
    // Nothing is older than the first number, so this tells the outbox nothing; it only shows whether it works.
    if (this.outboxTrouble !== null && nowMs >= this.outboxRetryAtMs) this.journal.dropShieldsThrough(1);
    if (this.flushAsked) this.endAllWaits(nowMs);
    for (let user = this.delayed.popDue(nowMs); user !== null; user = this.delayed.popDue(nowMs))
      this.enqueue(user, nowMs);
    for (let user = this.late.popDue(nowMs); user !== null; user = this.late.popDue(nowMs)) {
      // One in flight clears them when it comes back.
      if (user.flight !== null) continue;
      user.clearSuspects(nowMs);
      this.settleUser(user, nowMs);
    }
    while (this.leftovers.length > 0 && this.leftovers[0]!.atMs <= nowMs)
      this.journal.arrive(this.leftovers.shift()!.post);
    if (this.leftovers.length === 0) this.leftoverUsers.clear();
    for (const account of this.logins.accounts()) {
      if (this.logins.state(account)?.kind === 'unknown' && this.wantsLogin(account)) this.askToken(account);
    }
  }

  private endAllWaits(nowMs: number): void {
    this.flushAsked = false;
    this.gateUntilMs = -Infinity;
    this.refusingUntilMs = -Infinity;
    this.heldSinceMs = -Infinity;
    this.logins.endWaits();
    for (const user of this.users.values()) {
      user.notBeforeMs = 0;
      this.enqueue(user, nowMs);
    }
  }

  private wantsLogin(account: string): boolean {
    return this.ready.size(account) > 0 || this.isolation.size > 0;
  }

  private askToken(account: string): void {
    const login = this.logins.get(account);
    if (login === null || this.parked) return;
    this.logins.setState(account, { kind: 'asking' });
    void login.token().then((outcome) => {
      if (this.logins.get(account) !== login) return;
      this.tokenCame(account, outcome);
      this.askTurn();
    });
  }

  private tokenCame(account: string, outcome: TokenOutcome): void {
    switch (outcome.kind) {
      case 'token':
        this.logins.setState(account, { kind: 'ready' });
        break;
      case 'wait': {
        const untilMs = this.clock.monoMs() + outcome.retryAfterMs;
        this.logins.setState(account, {
          kind: 'wait',
          untilMs,
          code: outcome.code,
          message: outcome.message,
        });
        break;
      }
      case 'loginRefused':
        this.logins.setState(account, { kind: 'refused', code: outcome.code, message: outcome.message });
        this.log('error', outcome.message);
        break;
    }
  }

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────────

  private mayDepart(nowMs: number): boolean {
    if (this.parked || this.paused) return false;
    // A failing outbox must work again before anything leaves.
    if (this.outboxTrouble !== null) return false;
    return nowMs >= this.rateLimitedUntilMs && nowMs >= this.gateUntilMs;
  }

  private depart(nowMs: number): void {
    for (;;) {
      const free = this.ledger.free(nowMs);
      if (free.posts < 1 || free.users < 1 || free.calls < 1) return;
      const post = this.nextGroup(nowMs, free.users) ?? this.nextFresh(nowMs, free);
      if (post === null) return;
      this.departing.push(post);
    }
  }

  /** A group under search, within its quarter of the quota. */
  private nextGroup(nowMs: number, freeUsers: number): Post | null {
    if (this.isolation.size === 0 || !this.someLoginReady()) return null;
    const probesToo = nowMs >= this.probesFromMs();
    for (;;) {
      const group = this.isolation.next(nowMs, freeUsers, probesToo);
      if (group === null) return null;
      const post = this.packGroup(group, nowMs);
      if (post !== null) {
        if (group.probe) this.refusingUntilMs = nowMs + this.refusingDelayMs();
        return post;
      }
    }
  }

  /** While everything is refused, one probe at a time is enough to see when that ends. */
  private probesFromMs(): number {
    return this.refusals < refusalsOfEverything ? -Infinity : this.refusingUntilMs;
  }

  private someLoginReady(): boolean {
    return this.logins.accounts().some((account) => this.logins.isReady(account));
  }

  private packGroup(group: Group, nowMs: number): Post | null {
    const packer = new Packer(nowMs);
    let account: string | null = null;
    const left: User[] = [];
    for (const user of group.users) {
      this.endCovered(user.merge());
      const selection = user.select(blocksPerUser, (its) => this.readyLogin(its), nowMs);
      if (selection === null || user.flight !== null) {
        this.leaveIsolation(user, nowMs);
        continue;
      }
      account ??= selection.account;
      if (selection.account !== account || packer.add(user, selection) === 0) left.push(user);
    }
    if (left.length > 0) this.isolation.push({ users: left, probe: false });
    if (packer.size === 0 || account === null) return null;
    const sent = { users: packer.users.map(({ user }) => user), probe: group.probe };
    return this.makePost(packer, account, sent);
  }

  /** Users in order, removals first, when it is time (promise 6). */
  private nextFresh(nowMs: number, free: { posts: number; users: number }): Post | null {
    if (this.refusals >= refusalsOfEverything) {
      if (nowMs < this.refusingUntilMs) return null;
      this.refusingUntilMs = nowMs + this.refusingDelayMs();
    }
    const accounts = this.logins
      .accounts()
      .filter((account) => this.logins.isReady(account) && this.ready.size(account) > 0);
    if (accounts.length === 0) {
      this.heldSinceMs = null;
      return null;
    }
    if (this.holds(accounts, nowMs, free)) return null;
    this.nextAccount = (this.nextAccount + 1) % accounts.length;
    const account = accounts[this.nextAccount]!;
    const spread = Math.max(this.usersPerGrant(), Math.ceil(this.limits.usersPerSecond / postsPerFullQuota));
    const packer = this.fill(account, Math.min(free.users, usersPerPost, spread), nowMs);
    if (packer.size === 0) return this.nextFresh(nowMs, free);
    this.heldSinceMs = null;
    return this.makePost(packer, account, null);
  }

  /** Users that one post must carry for posts not to run out before users do. */
  private usersPerGrant(): number {
    return Math.max(1, Math.ceil(this.limits.usersPerSecond / this.limits.postsPerSecond));
  }

  private holds(accounts: readonly string[], nowMs: number, free: { posts: number; users: number }): boolean {
    if (free.posts * 2 > this.limits.postsPerSecond) return false;
    let ready = 0;
    for (const account of accounts) ready += this.ready.size(account);
    if (Math.min(ready, free.users) >= this.usersPerGrant()) return false;
    this.heldSinceMs ??= nowMs;
    return nowMs < this.heldSinceMs + holdMs;
  }

  private fill(account: string, most: number, nowMs: number): Packer {
    const packer = new Packer(nowMs);
    while (packer.size < most) {
      const user = this.ready.shift(account);
      if (user === null) break;
      if (user.flight !== null || user.isolated) continue;
      this.endCovered(user.merge());
      const selection = user.select(blocksPerUser, (its) => this.readyLogin(its), nowMs);
      if (selection === null) this.settleUser(user, nowMs);
      else if (selection.account !== account) this.ready.put(user, selection.account);
      else if (packer.add(user, selection) === 0) {
        if (packer.size > 0) {
          this.ready.putBack(user, account);
          break;
        }
        this.reject(
          selection.cells[0]!,
          'too_large',
          'This block is too large for any request of the service (1,000,000 bytes).',
        );
        this.settleUser(user, nowMs);
      }
    }
    return packer;
  }

  /** The account that serves an entry's, when it can send now. */
  private readyLogin(account: string): string | null {
    const serving = this.logins.serving(account);
    return serving !== null && this.logins.isReady(serving) ? serving : null;
  }

  private makePost(packer: Packer, account: string, group: Group | null): Post {
    const users = packer.users;
    for (const { user, selection } of users) {
      user.flight = selection.cells;
      for (const cell of selection.cells) cell.state = 'inFlight';
    }
    const number = ++this.lastPost;
    this.journal.depart({ post: number, userHashes: users.map(({ user }) => user.hash) });
    const groupGrant = group === null ? null : this.isolation.quota.take(users.length);
    return {
      number,
      account,
      body: packer.body(),
      users,
      grant: this.ledger.take(users.length),
      group,
      groupGrant,
      sentMs: 0,
    };
  }

  private launch(post: Post): void {
    this.postsInFlight += 1;
    post.sentMs = this.clock.monoMs();
    void this.send(post).then((outcome) => {
      this.postsInFlight -= 1;
      this.settledPosts.push({ post, outcome, atMs: this.clock.monoMs() });
      this.askTurn();
    });
  }

  private async send(post: Post): Promise<Settled> {
    const login = this.logins.get(post.account);
    if (login === null) return { kind: 'notSent', token: gone };
    const token = await login.token();
    if (token.kind !== 'token') return { kind: 'notSent', token };
    const outcome = await login.post(post.body, token.token);
    if (outcome.kind === 'deadToken') login.refused(token.token);
    return outcome;
  }

  // ── Outcomes ────────────────────────────────────────────────────────────────────────────────────────────────

  private takeReplies(): void {
    for (const { post, outcome, atMs } of this.settledPosts.splice(0)) {
      this.freeQuota(post, outcome, atMs);
      for (const { user } of post.users) user.flight = null;
      this.apply(post, outcome, atMs);
      for (const { user } of post.users) {
        if (user.suspectUntilMs <= atMs) user.clearSuspects(atMs);
        this.settleUser(user, atMs);
      }
    }
  }

  private freeQuota(post: Post, outcome: Settled, atMs: number): void {
    const lost = outcome.kind === 'passing' && outcome.ambiguous;
    if (lost) this.journal.lose(post.number, this.clock.wallMs() + this.lateMarginMs);
    else this.journal.arrive(post.number);
    const floorMs = lost ? 0 : (this.logins.get(post.account)?.networkFloorMs() ?? 0);
    const grants: [Ledger, Grant | null][] = [
      [this.ledger, post.grant],
      [this.isolation.quota, post.groupGrant],
    ];
    for (const [ledger, grant] of grants) {
      if (grant === null) continue;
      if (outcome.kind === 'notSent') ledger.cancel(grant);
      else if (lost) ledger.lose(grant, atMs);
      else ledger.settle(grant, atMs, floorMs);
    }
  }

  private apply(post: Post, outcome: Settled, nowMs: number): void {
    if (outcome.kind === 'accepted') {
      this.accepted(post, outcome.warnings, nowMs);
      return;
    }
    for (const packed of post.users) this.comeBack(packed);
    switch (outcome.kind) {
      case 'bodyRefused':
        this.bodyRefused(post, outcome, nowMs);
        return;
      case 'rateLimited':
        this.rateLimitedUntilMs = Math.max(this.rateLimitedUntilMs, nowMs + outcome.retryAfterMs);
        break;
      case 'passing':
        this.failed(post, outcome, nowMs);
        break;
      case 'configuration': {
        const untilMs = nowMs + configurationRetryMs * (0.5 + this.options.random() / 2);
        this.logins.setState(post.account, {
          kind: 'wait',
          untilMs,
          code: outcome.code,
          message: outcome.message,
        });
        this.log('error', outcome.message);
        break;
      }
      case 'loginRefused':
        this.logins.setState(post.account, { kind: 'refused', code: outcome.code, message: outcome.message });
        this.log('error', outcome.message);
        break;
      case 'deadToken':
        this.logins.setState(post.account, { kind: 'unknown' });
        break;
      case 'notSent':
        this.tokenCame(post.account, outcome.token);
        break;
    }
    this.regroup(post, nowMs);
  }

  private comeBack({ user, selection }: PackedUser): void {
    for (const cell of selection.cells) if (cell.state === 'inFlight') cell.state = 'waiting';
    user.flight = null;
  }

  /** A group whose post proved nothing is tried again as it is. */
  private regroup(post: Post, nowMs: number): void {
    if (post.group === null) return;
    if (post.group.probe)
      for (const user of post.group.users) this.isolation.probeAt(nowMs + this.probeDelayMs(user), user);
    else this.isolation.push(post.group);
  }

  private failed(
    post: Post,
    outcome: { ambiguous: boolean; code: string; message: string },
    nowMs: number,
  ): void {
    this.trouble = { code: outcome.code, message: outcome.message };
    if (post.sentMs >= this.gateSetMs) {
      this.failures += 1;
      // One lost reply among many is not yet an outage: its users wait, the others go on.
      if (this.failures > 1) {
        this.gateSetMs = nowMs;
        this.gateUntilMs = nowMs + backoffMs(this.failures - 1, this.options.random);
      }
    }
    const untilMs = nowMs + this.lateMarginMs;
    for (const { user, selection } of post.users) {
      user.failures += 1;
      user.notBeforeMs = nowMs + backoffMs(user.failures, this.options.random);
      if (!outcome.ambiguous) continue;
      user.suspect(selection.cells, untilMs);
      this.late.push(untilMs, user);
    }
  }

  private accepted(
    post: Post,
    warnings: readonly { message: string; entity: unknown }[],
    nowMs: number,
  ): void {
    this.acceptances += 1;
    this.failures = 0;
    this.refusals = 0;
    this.refusingUntilMs = -Infinity;
    this.trouble = null;
    this.countRate(post.users.length, nowMs);
    const told = warnings.length === 0 ? null : verdicts(sentEntries(post.body), warnings);
    for (let i = 0; i < post.users.length; i += 1) {
      const packed = post.users[i]!;
      const verdict = told?.[i] ?? null;
      if (verdict?.kind === 'again') {
        this.comeBack(packed);
        continue;
      }
      const { user, selection } = packed;
      user.failures = 0;
      user.blockLimit = user.blockLimit >= blocksPerUser / 2 ? Infinity : user.blockLimit * 2;
      selection.cells.forEach((cell, index) => {
        if (verdict?.kind === 'rejected') this.reject(cell, verdict.code, verdict.message);
        else if (verdict?.kind === 'partly' && verdict.blocks.has(index)) {
          const { code, message } = verdict.blocks.get(index)!;
          this.reject(cell, code, message);
        } else
          this.acceptedCell(user, cell, post.sentMs, verdict?.kind === 'accepted' ? verdict.warnings : null);
      });
    }
    for (const { user } of post.users) if (user.isolated) this.searchOn(user, nowMs);
  }

  /** A user under search goes on alone while some of its blocks have not been tried, else joins the others. */
  private searchOn(user: User, nowMs: number): void {
    if (user.blockLimit !== Infinity && user.waits) this.isolation.push({ users: [user], probe: false });
    else this.leaveIsolation(user, nowMs);
  }

  private acceptedCell(user: User, cell: Cell, sentMs: number, warnings: readonly string[] | null): void {
    if (warnings !== null && warnings.length > 0)
      cell.item.warnings = [...(cell.item.warnings ?? []), ...warnings];
    if (user.mayBeUndone(cell, sentMs)) cell.due = true;
    this.endCell(cell, cell.sentExpired ? 'expired' : 'accepted', null);
  }

  private countRate(users: number, nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (this.rate.secondMs !== second) {
      this.rate = {
        secondMs: second,
        users: 0,
        last: this.rate.secondMs === second - 1 ? this.rate.users : 0,
      };
    }
    this.rate.users += users;
  }

  // ── Refused bodies ──────────────────────────────────────────────────────────────────────────────────────────

  private bodyRefused(post: Post, outcome: { code: string; message: string }, nowMs: number): void {
    this.refusals += 1;
    this.refusal = outcome.message;
    for (const { selection } of post.users) {
      for (const cell of selection.cells)
        if (cell.refusedAtAcceptance < 0) cell.refusedAtAcceptance = this.acceptances;
    }
    const users = post.users.map(({ user }) => user);
    if (users.length > 1) {
      this.isolation.split(users);
      return;
    }
    this.searchUser(post.users[0]!, outcome, nowMs);
  }

  /** One user alone was refused: fewer of its blocks, or the one block that is left. */
  private searchUser(
    { user, selection }: PackedUser,
    outcome: { code: string; message: string },
    nowMs: number,
  ): void {
    const { cells } = selection;
    if (cells.length > 1) {
      user.blockLimit = Math.ceil(cells.length / 2);
      this.isolation.push({ users: [user], probe: false });
      return;
    }
    const cell = cells[0]!;
    user.blockLimit = 1;
    if (this.acceptances > cell.refusedAtAcceptance) {
      this.reject(cell, outcome.code, outcome.message);
      user.failures = 0;
      this.searchOn(user, nowMs);
      return;
    }
    user.failures += 1;
    this.isolation.probeAt(nowMs + this.probeDelayMs(user), user);
  }

  private leaveIsolation(user: User, nowMs: number): void {
    user.isolated = false;
    this.settleUser(user, nowMs);
  }

  private probeDelayMs(user: User): number {
    return 250 + backoffMs(user.failures, this.options.random, 500, 60_000);
  }

  private refusingDelayMs(): number {
    return (
      500 + backoffMs(Math.max(1, this.refusals - refusalsOfEverything), this.options.random, 500, 30_000)
    );
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  private reject(cell: Cell, code: string, message: string): void {
    cell.rejected = true;
    const where = cell.item.cells.length > 1 ? `seg_block[${cell.index}]: ` : '';
    this.endCell(cell, 'rejected', { code, message: where + message });
  }

  private endCovered(cells: readonly Cell[]): void {
    for (const cell of cells) this.endCell(cell, 'superseded', null);
  }

  private endCell(cell: Cell, end: End, rejection: { code: string; message: string } | null): void {
    const { item } = cell;
    cell.state = 'ended';
    if (!cell.again) {
      cell.again = true;
      item.open -= 1;
      if (end === 'accepted') item.acceptedBlocks += 1;
      else if (end === 'expired') item.expiredBlocks += 1;
      else if (end === 'rejected') item.rejection ??= rejection;
      if (item.open === 0) this.itemEnded(item);
    }
    const absorbed = cell.absorbed;
    if (absorbed === null) return;
    cell.absorbed = null;
    for (const older of absorbed) {
      if (end === 'rejected') older.rejected = true;
      this.endCell(older, end === 'rejected' ? 'rejected' : 'superseded', rejection);
    }
  }

  private itemEnded(item: Item): void {
    this.counters.waiting -= 1;
    this.counters[endOf(item)] += 1;
    this.endedItems.push(item);
  }

  /** After its commit: tells the messages, or the node when the message is gone. */
  private report(ended: readonly Item[]): void {
    const orphans = new Map<string, Recovered[]>();
    for (const item of ended) {
      const { ticket } = item;
      if (ticket?.isOpen === true) {
        ticket.entryEnded(item);
        if (!ticket.isOpen) this.tickets.closed();
        continue;
      }
      if (item.rejection?.code === 'closed') continue;
      const list = orphans.get(item.source.node) ?? [];
      list.push({ entry: item.entry, end: endOf(item), rejection: item.rejection });
      orphans.set(item.source.node, list);
    }
    for (const [node, recovered] of orphans) {
      const listener = this.recoveredListeners.get(node);
      if (listener !== undefined) listener(recovered);
      else this.logUnclaimed(node, recovered);
    }
  }

  private logUnclaimed(node: string, recovered: readonly Recovered[]): void {
    const rejected = recovered.filter(({ end }) => end === 'rejected');
    this.log(
      'info',
      `${recovered.length - rejected.length} queued entries of the removed node ${node} were delivered.`,
    );
    for (const { rejection } of rejected)
      this.log(
        'warn',
        `A queued entry of the removed node ${node} was rejected: ${rejection?.message ?? ''}`,
      );
  }

  // ── One user after a change ─────────────────────────────────────────────────────────────────────────────────

  /** Forgets what no longer matters and queues the user again when something waits. */
  private settleUser(user: User, nowMs: number): void {
    for (const item of user.takeRetired()) this.retire(item);
    for (const item of user.items) {
      if (item.open > 0 || item.row === 'repeat') continue;
      // Ended, but something older of this user is not: kept until that has ended too.
      item.row = 'repeat';
      this.journal.mark(item.seq, 'repeat');
    }
    if (user.idle) {
      this.users.delete(user.key);
      this.ready.forget(user);
      return;
    }
    this.enqueue(user, nowMs);
  }

  private retire(item: Item): void {
    this.pager.unloaded(laneOf(item.entry));
    if (item.row !== 'shield') this.queuedBytes -= bodyChars(item.entry);
    const changedNothing = item.cells.every((cell) => cell.rejected);
    if (changedNothing || !this.pager.hasUnreadBefore(item.seq)) {
      this.journal.mark(item.seq, 'remove');
      return;
    }
    this.shieldsMade = true;
    if (this.pager.readingAny) this.shieldsWhileReading.push(shieldOf(item));
    if (item.row !== 'shield') this.journal.mark(item.seq, 'shield');
  }

  private enqueue(user: User, nowMs: number): void {
    if (user.flight !== null || user.isolated || !user.waits) return;
    if (user.notBeforeMs > nowMs) {
      this.ready.forget(user);
      this.delayed.push(user.notBeforeMs, user);
      return;
    }
    const first = firstWaiting(user);
    const account = first === null ? null : this.logins.serving(first.item.source.account);
    this.ready.put(user, account ?? first?.item.source.account ?? '');
  }
}

const gone: TokenOutcome = {
  kind: 'wait',
  retryAfterMs: 1000,
  code: 'no_account',
  message: 'The account is gone.',
};
const closedEnd = {
  kind: 'failed',
  code: 'closed',
  params: {},
  message: 'The flow was stopped before this message could be delivered.',
} as const;

function outboxEnd(error: OutboxError): {
  kind: 'failed';
  code: string;
  message: string;
  params: { reason: string };
} {
  return { kind: 'failed', code: 'outbox', message: error.message, params: { reason: error.message } };
}

function laneOf(entry: CheckedEntry): 'removal' | 'add' {
  return entry.removes ? 'removal' : 'add';
}

function endOf(item: Item): Recovered['end'] {
  if (item.rejection !== null) return 'rejected';
  if (item.expiredBlocks > 0) return 'expired';
  return item.acceptedBlocks > 0 ? 'accepted' : 'superseded';
}

function firstWaiting(user: User): Cell | null {
  for (const item of user.items) for (const cell of item.cells) if (cell.state === 'waiting') return cell;
  return null;
}

function shieldOf(item: Item): Item {
  return new Item(item.seq, item.entry, item.source, item.bornMonoMs, item.takenWallMs, 'shield', null);
}

function bodyChars(entry: CheckedEntry): number {
  let chars = entry.userHead.length + 2;
  for (const block of entry.blocks) {
    chars += block.head.length + 2 + (block.expiration === null ? 0 : 14 + String(block.expiration).length);
  }
  return chars - 1;
}

function sentEntries(body: string): SentEntry[] {
  return (JSON.parse(body) as { rt_segment: SentEntry[] }).rt_segment;
}

function asOutboxError(error: unknown): OutboxError {
  if (error instanceof OutboxError) return error;
  return new OutboxError('failed', error instanceof Error ? error.message : String(error), { cause: error });
}

export type { Selection };

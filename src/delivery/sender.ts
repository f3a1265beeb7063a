// The sender: reads the queue, sends within the quota, and acknowledges, under one lease. Its turns (turns.ts) do the work.
// A local queue always holds its lease. In a shared queue each lease has its own sender, so a take-over works like a start
// after a crash.

import { QueueError, type Opened, type QueueStore } from '../queue/store';
import type { SharedDeletionRequest } from '../queue/shared-log';
import { within } from '../clock';
import type { Common } from './engine-options';
import type { SenderLease } from './sender-lease';
import { partsOf, type EngineParts } from './engine-parts';
import { statsOf, type EngineStats } from './engine-stats';
import type { SentCountStore } from './monitor/sent-counts';
import type { RecentUsers } from './pending/recent-users';
import { closedEnd, type MessageEnd } from './pending-messages';
import type { FreshRow } from './loader';
import { submissionWith, type BulkChunk, type Submission } from './submission';
import type { OnBegin } from './respond/deleter';
import type { Deleted, Erased } from './respond/deletions';
import { asQueueError, nothingEnd, openingEnd } from './respond/not-accepted';
import type { Counters } from './respond/reports';
import type { Limits } from './schedule/rate-limiter';
import { MemberSync } from './sync/member-sync';
import { Turns } from './turns';

/** Part of the store: never change it. */
const recentUsersKey = 'recent users';
const openRetryMs = 5_000;
/** Messages that may wait for the store to be opened. */
const mostUnopened = 50_000;

/** The lease of a local queue. */
export function alwaysHeld({ reporter }: Common, submit: SenderLease['submit']): SenderLease {
  return {
    instance: undefined,
    report: (outcomes) => reporter.report(outcomes),
    opened: () => undefined,
    mayPost: () => true,
    submit,
  };
}

export class Sender {
  readonly parts: EngineParts;
  /** Null for a store that keeps no members. */
  readonly sync: MemberSync | null;
  private readonly turns: Turns;
  private cancelRetry: (() => void) | null = null;
  private readonly whenOpened = Promise.withResolvers<undefined>();

  /** @param recentUsers null for a shared queue */
  constructor(
    private readonly common: Common,
    store: QueueStore,
    lease: SenderLease,
    private readonly recentUsers: RecentUsers | null = null,
  ) {
    this.parts = partsOf(common, store, lease, {
      ask: () => this.turns.ask(),
      mayLeave: () => this.turns.mayLeave,
      storeFailed: (error) => this.turns.storeFailed(error),
      isClosed: () => this.turns.closed,
    });
    this.turns = new Turns(this.parts);
    const { opened, parts } = this;
    this.sync = store.sync === undefined ? null : new MemberSync(store.sync, parts, opened, lease.submit);
    // Nobody may wait for it.
    this.opened.catch(() => undefined);
    for (const [owner, untils] of common.holds) this.holdSegments(owner, untils);
  }

  /** Resolves once the queue is open. Rejects if it is closed before. */
  get opened(): Promise<void> {
    return this.whenOpened.promise;
  }

  get sent(): SentCountStore {
    return this.parts.sent;
  }

  get counters(): Readonly<Counters> {
    return this.parts.reports.counters;
  }

  get waiting(): number {
    return this.counters.waiting;
  }

  stats(): EngineStats {
    return statsOf(this.parts, this.turns);
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens the store; keeps trying while it cannot be opened. */
  start(): void {
    this.open().then(
      (opened) => {
        if (this.turns.closed) return;
        this.turns.found(opened);
        this.whenOpened.resolve(undefined);
      },
      (error: unknown) => {
        if (this.turns.closed) return;
        this.turns.notFound(asQueueError(error));
        this.cancelRetry = this.parts.clock.after(openRetryMs, () => this.start());
      },
    );
  }

  private async open(): Promise<Opened> {
    const { store, deleter, recoveredRequests, warmUps } = this.parts;
    const opened = await store.open();
    recoveredRequests.found(opened.recovered);
    try {
      await deleter.resume(opened.lastSeq);
      await warmUps.load(store);
      await this.loadSync(opened.lastSeq);
      this.recentUsers?.opened(opened.lastSeq, await store.getMeta(recentUsersKey));
    } catch (error) {
      // An open store could not be opened again by the next try.
      await store.close().catch(() => undefined);
      throw error;
    }
    return opened;
  }

  private async loadSync(lastSeq: number): Promise<void> {
    const { store, suppressions, members, bulkEntries } = this.parts;
    if (store.sync === undefined) return;
    await suppressions.load(store, store.sync);
    for (const { segment } of await store.sync.segments()) members.keep(segment);
    await bulkEntries.count(store, lastSeq);
  }

  async park(maxMs: number): Promise<void> {
    this.turns.park(this.parts.clock.monoMs() + maxMs);
    // Saved here, because a process that stops does not close its engines.
    const saved = this.turns
      .settled()
      .then(() => this.sent.save())
      .then(() => this.saveRecentUsers());
    await within(this.parts.clock, maxMs, saved);
    this.common.tally.flush();
  }

  /** If this fails, the next process allows fewer moved rows. */
  private async saveRecentUsers(): Promise<void> {
    if (!this.turns.opened || this.turns.closed || this.recentUsers === null) return;
    const text = this.recentUsers.text(this.parts.loader.lastSeq);
    await this.parts.store.setMeta(recentUsersKey, text).catch(() => undefined);
  }

  settled(maxMs: number): Promise<void> {
    return within(this.parts.clock, maxMs, this.turns.settled());
  }

  unpark(): void {
    this.turns.park(Infinity);
  }

  /** Whether a request is in flight, or had no reply and may still run. */
  get someMayRun(): boolean {
    const { requestsInFlight, outcomes } = this.parts;
    const { inFlight, size } = requestsInFlight;
    return inFlight > 0 || size > 0 || outcomes.ambiguousUntilMs < Infinity;
  }

  async close(): Promise<void> {
    this.cancelRetry?.();
    this.whenOpened.reject(new QueueError('closed', closedEnd.message));
    this.turns.close();
    this.parts.reports.reportNow();
    this.common.tally.flush();
    await this.sent.close();
    this.parts.deleter.close();
    await this.parts.store.close();
  }

  // ── Messages and rows ───────────────────────────────────────────────────────────────────────────────────────

  /** For a local queue. */
  submit(submission: Submission): void {
    const end = this.endAtOnce(submission);
    if (end !== null) {
      this.parts.clock.endOfTurn(() => submission.onEnd(end));
      return;
    }
    this.parts.producer.push(this.turns.parked ? parkedOf(submission) : submission);
    this.turns.ask();
  }

  get isBehind(): boolean {
    return this.parts.producer.isBehind;
  }

  private endAtOnce({ entries }: Submission): MessageEnd | null {
    const { opened, trouble, closed, parked } = this.turns;
    if (closed || (parked && !this.parts.store.durable)) return closedEnd;
    if (entries.length === 0) return nothingEnd;
    const isTooFull = !opened && trouble === null && this.parts.producer.size >= mostUnopened;
    return isTooFull ? openingEnd : null;
  }

  /** Other processes have appended rows up to this number. Does nothing until the queue is open. */
  logReaches(lastSeq: number): void {
    if (this.turns.opened && this.parts.loader.logReaches(lastSeq)) this.turns.ask();
  }

  /** This process has appended these rows. They are read back only if other processes have appended before them. */
  appended(firstSeq: number, rows: readonly FreshRow[], bulk?: BulkChunk): void {
    if (this.turns.opened && this.parts.loader.appended(firstSeq, rows, bulk)) this.turns.ask();
  }

  closeNode(node: string): void {
    if (this.parts.store.durable) {
      this.parts.producer.closeNode(node);
      return;
    }
    this.parts.pendingMessages.closeNode(node, [], closedEnd);
    this.discard(node);
  }

  /** Discards the pending entries of a node. */
  discard(node: string): void {
    this.parts.producer.refuse(closedEnd, node);
    this.parts.loader.abandon(node, this.parts.clock.monoMs());
    this.turns.ask();
  }

  // ── What is asked for ───────────────────────────────────────────────────────────────────────────────────────

  /** A login was attached or detached. */
  loginsChanged(): void {
    this.parts.pendingUsers.readiness.requeueHeld(this.parts.clock.monoMs());
    this.turns.ask();
  }

  setLimits(limits: Limits): void {
    this.parts.scheduler.setLimits(limits);
    this.turns.ask();
  }

  holdSegments(owner: string, untils: ReadonlyMap<string, number>): void {
    if (this.parts.warmUps.ask(owner, untils)) this.turns.warmUpsChanged();
  }

  flush(): void {
    this.turns.flush();
  }

  setPaused(paused: boolean): void {
    if (this.turns.paused === paused) return;
    this.turns.paused = paused;
    this.turns.ask();
  }

  /** `Engine.purge` (null) and `Engine.erase`, of rows up to `mostSeq`. */
  async delete(user: SharedDeletionRequest['user'], mostSeq = Infinity): Promise<Erased> {
    const { deleter } = this.parts;
    if (user === null) return { ...(await deleter.purge(mostSeq)), segments: 0 };
    const { monitor } = this.common;
    monitor.forget(user.keys, user.id);
    const erase = (onBegin: OnBegin): Promise<Deleted> => deleter.erase(user.keys, mostSeq, onBegin);
    const erased =
      this.sync === null
        ? { ...(await erase(() => undefined)), segments: 0 }
        : await this.sync.erase(user.keys, user.id, erase);
    // Entries that were rejected or logged meanwhile.
    monitor.forget(user.keys, user.id);
    return erased;
  }
}

function parkedOf(submission: Submission): Submission {
  const { onEnd } = submission;
  return submissionWith(submission, {
    completeOn: 'queued',
    onEnd: (end) => onEnd(end.kind === 'queued' ? { kind: 'parked' } : end),
  });
}

// A queue that several processes share. Each process appends entries to the shared log. The holder of the lease runs a
// sender on the log; the other processes stand by.
//
// A takeover works like a start after a crash: the sender opens the log, finds the requests that were in flight, and resends
// their users once the requests can no longer run (promise 2). Commits of the old holder fail from then on, because each
// carries its fencing token.

import { aliveMs, type Claim, type Instance, type SharedDeletionRequest } from '../../queue/shared-log';
import { within } from '../../clock';
import type { Common, SharedQueueOptions } from '../engine-options';
import type { EngineStats } from '../engine-stats';
import { SentCountStore } from '../monitor/sent-counts';
import { closedEnd } from '../pending-messages';
import type { Submission } from '../submission';
import type { Erased } from '../respond/deletions';
import { asQueueError } from '../respond/not-accepted';
import type { Counters } from '../respond/reports';
import { Sender } from '../sender';
import { LeaseKeeper } from './lease-keeper';
import { LocalBuffer } from './local-buffer';
import { OutcomeReader } from './outcome-reader';
import { BulkAppender } from './bulk-appender';
import { SharedDeletions } from './shared-deletions';
import { SharedProducer } from './shared-producer';
import { sharedStatsOf } from './shared-stats';

/** After a login was refused here, another process may try with its own. */
const stepAsideMs = 60_000;
/** So much earlier than the others this process counts itself as gone, since clocks differ. */
const marginMs = 5_000;
/** Longest wait for the database in each of the two last steps of a close. */
const goodbyeMs = 2_000;

export class SharedQueue {
  /** While this process holds the lease. */
  sender: Sender | null = null;
  private senderClosing: Promise<unknown> = Promise.resolve();
  private readonly producer: SharedProducer;
  private readonly lease: LeaseKeeper;
  private readonly outcomes: OutcomeReader;
  private readonly deletions: SharedDeletions;
  private readonly bulk: BulkAppender;
  /** Of this process while it stands by: reads what the holder has counted. */
  private readonly othersSent: SentCountStore;
  private claim: Claim | null = null;
  /** Monotonic ms at which the last claim was sent, or the log was opened. */
  private lastSignMs = 0;
  /** The last pause or resume, until the database has it: what it says meanwhile is out of date. */
  private asked: { readonly paused: boolean } | null = null;
  private unreachable: unknown = null;
  /** Entries in the log when it was last heard of. */
  private lastInLog = 0;
  /** The last `park`, until `unpark`. */
  private parking: { readonly startedMs: number } | null = null;
  private life: 'new' | 'open' | 'closed' = 'new';
  private cancelReopen: (() => void) | null = null;

  constructor(
    private readonly common: Common,
    private readonly options: SharedQueueOptions,
    /** This instance begins or ceases to send, or another one does. */
    private readonly leaseChanged: () => void,
  ) {
    const { log, instance, localBuffer } = options;
    const { clock } = common.settings;
    this.othersSent = new SentCountStore(log.meta, clock);
    this.producer = new SharedProducer({
      common,
      log,
      localBuffer: new LocalBuffer(localBuffer, log, instance.id),
      instance: instance.id,
      takesOneMore: () => this.sender?.parts.takesOneMore() ?? false,
      appended: (firstSeq, rows) => this.sender?.appended(firstSeq, rows),
    });
    this.bulk = new BulkAppender(common, log, instance);
    this.outcomes = new OutcomeReader({
      log,
      instance,
      clock,
      report: (outcomes) => this.producer.report(outcomes),
      write: common.log,
    });
    this.deletions = new SharedDeletions({
      common,
      log,
      instance,
      producer: this.producer,
      claim: () => this.lease.claim(),
      newestSeq: () => this.newestSeq(),
    });
    this.lease = new LeaseKeeper({
      log,
      instance,
      clock,
      events: {
        claimed: (claim, askedMs) => this.claimed(claim, askedMs),
        gained: (gained) => this.takeOver(gained),
        lost: () => this.stepDown(),
        unreachable: (error) => (this.unreachable = error),
      },
    });
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    this.producer.start();
    this.options.log.onNews(({ kind }) => {
      if (kind === 'outcomes') this.outcomes.read();
      // The claim tells how far the log goes, and what operators asked for.
      else if (kind !== 'lost') this.lease.claim();
    });
    this.openLog();
  }

  private openLog(): void {
    this.options.log.open().then(
      () => {
        if (this.life === 'closed') return;
        this.life = 'open';
        this.lastSignMs = this.common.settings.clock.monoMs();
        this.lease.start();
        if (this.parking !== null) this.lease.setWants(false);
      },
      (error: unknown) => {
        if (this.life === 'closed') return;
        this.tellUnreachable(error);
        this.cancelReopen = this.common.settings.clock.after(1_000, () => this.openLog());
      },
    );
  }

  private tellUnreachable(error: unknown): void {
    const { message } = asQueueError(error);
    if (this.unreachable === null || asQueueError(this.unreachable).message !== message)
      this.common.log('warn', message);
    this.unreachable = error;
  }

  private claimed(claim: Claim, askedMs: number): void {
    const before = this.claim;
    const silentMs = this.common.settings.clock.monoMs() - this.lastSignMs;
    this.claim = claim;
    this.lastSignMs = askedMs;
    if (silentMs > aliveMs - marginMs && this.mayOthersHaveSent(claim, before)) this.producer.wasGone();
    this.lastInLog = claim.waiting;
    this.unreachable = null;
    this.producer.way.retryNow();
    this.sender?.logReaches(claim.lastSeq);
    this.deletions.claimed(claim.control.deletions);
    if (claim.hasOutcomes) this.outcomes.read();
    if (before !== null) this.obey(claim, before);
    const news = before?.holder?.id === claim.holder?.id ? null : holderText(claim, this.options.instance);
    if (news !== null) this.common.log('info', news);
    if (before === null || before.holder?.id !== claim.holder?.id) this.leaseChanged();
    this.stepAside(claim);
  }

  /** Whether another process may have held the lease between two claims, and reported what came of our entries. */
  private mayOthersHaveSent({ ours, fencingToken }: Claim, before: Claim | null): boolean {
    if (before === null) return true;
    const { holder } = before;
    const wasOthers = holder !== null && holder.id !== this.options.instance.id;
    return wasOthers || fencingToken > before.fencingToken + (ours ? 1 : 0);
  }

  /** What operators asked for since the claim before. */
  private obey({ control }: Claim, { control: before }: Claim): void {
    if (this.asked === null) this.sender?.setPaused(control.paused);
    if (control.flushes !== before.flushes) this.sender?.flush();
  }

  /** Where no login works, another instance may have one that does. One that works goes on here, whatever others do. */
  private stepAside(claim: Claim): void {
    if (this.sender === null || claim.instances.length < 2 || this.lease.isAside) return;
    if (!this.common.logins.allRefused) return;
    this.common.log('warn', 'The login was refused, so another Node-RED may send instead.');
    this.lease.stepAside(stepAsideMs);
  }

  /** This process sends now. */
  private takeOver({ fencingToken, control }: Claim): void {
    const { log, instance } = this.options;
    this.common.logins.forgetStates();
    const sender = new Sender(this.common, log.store(instance, fencingToken), {
      instance: instance.id,
      report: (outcomes) => this.producer.report(outcomes),
      opened: () => this.senderOpened(sender, fencingToken),
      // Not under a later lease either: others may have sent meanwhile.
      mayPost: () => this.lease.mayPost(fencingToken),
      submit: (submission) => {
        if (submission.bulk === undefined) this.submit(submission);
        else this.bulk.append(submission, submission.bulk, chunkSender);
      },
    });
    const chunkSender = {
      fencingToken,
      isActive: () => this.sender === sender,
      appended: sender.appended.bind(sender),
    };
    this.sender = sender;
    if ((this.asked ?? control).paused) sender.setPaused(true);
    sender.start();
    this.leaseChanged();
  }

  private senderOpened(sender: Sender, fencingToken: number): void {
    if (this.sender !== sender) return;
    sender.logReaches(this.claim?.lastSeq ?? 0);
    this.deletions.activated(fencingToken, ({ throughSeq, user }) => {
      sender.logReaches(throughSeq);
      return sender.delete(user, throughSeq);
    });
  }

  private stepDown(): void {
    const { sender } = this;
    if (sender === null) return;
    this.sender = null;
    this.lastInLog = sender.waiting;
    this.common.logins.forgetStates();
    this.deletions.deactivated();
    this.senderClosing = sender.close().catch(() => undefined);
    if (this.life !== 'closed' && this.parking === null)
      this.common.log('info', `This Node-RED (${this.options.instance.name}) no longer sends.`);
    this.leaseChanged();
  }

  async park(maxMs: number): Promise<void> {
    const { clock } = this.common.settings;
    const parking = { startedMs: clock.monoMs() };
    this.parking = parking;
    // Another instance sends meanwhile.
    this.lease.setWants(false);
    await Promise.all([this.sender?.park(maxMs), this.producer.drain(maxMs)]);
    // Unparked meanwhile, and perhaps parked again: the later `park` releases the lease.
    if (this.parking !== parking) return;
    const leftMs = Math.max(100, maxMs - (clock.monoMs() - parking.startedMs));
    await within(clock, leftMs, this.lease.release());
  }

  async settled(maxMs: number): Promise<void> {
    const placed = within(this.common.settings.clock, maxMs, this.producer.placed());
    await Promise.all([this.sender?.settled(maxMs), placed]);
  }

  unpark(): void {
    if (this.parking === null) return;
    this.parking = null;
    this.sender?.unpark();
    if (this.life === 'open') this.lease.setWants(true);
  }

  /**
   * Resolves when the file on this machine is closed, and also the log if the database answers. Whether a commit without an
   * answer was stored shows when the log is next opened.
   */
  async close(): Promise<void> {
    const { clock } = this.common.settings;
    const { log, instance } = this.options;
    this.life = 'closed';
    this.cancelReopen?.();
    // At once, so that nothing leaves any more.
    const released = this.lease.release();
    this.lease.close();
    this.outcomes.close();
    this.deletions.close();
    await this.producer.drain(0);
    await this.producer.close();
    const gone = released.then(() => this.senderClosing);
    await within(clock, goodbyeMs, gone);
    await within(clock, goodbyeMs, log.close(instance));
  }

  submit(submission: Submission): void {
    // Entries submitted before the release are still stored; nobody would store later ones.
    if (this.parking !== null) this.common.settings.clock.endOfTurn(() => submission.onEnd(closedEnd));
    else this.producer.submit(submission);
  }

  get isBehind(): boolean {
    return this.producer.isBehind;
  }

  closeNode(node: string): void {
    this.producer.closeNode(node);
  }

  /** A login came. */
  loginsChanged(): void {
    this.sender?.loginsChanged();
    // Perhaps a better password.
    this.lease.comeBack();
  }

  // ── What an operator sees ───────────────────────────────────────────────────────────────────────────────────

  get counters(): Readonly<Counters> {
    return this.sender?.counters ?? this.producer.counters;
  }

  get waiting(): number {
    return this.sender?.waiting ?? this.claim?.waiting ?? this.producer.counters.waiting;
  }

  /** Name of the instance that sends, if it is another one. */
  get otherSender(): string | null {
    const { claim, sender } = this;
    return sender !== null || claim === null || claim.ours ? null : (claim.holder?.name ?? null);
  }

  get sent(): SentCountStore {
    return this.sender?.sent ?? this.othersSent;
  }

  stats(): EngineStats {
    const { claim, sender, producer, lastInLog, unreachable } = this;
    const { instance } = this.options;
    const parked = this.parking !== null;
    return sharedStatsOf({ instance, claim, sender, producer, lastInLog, unreachable, parked });
  }

  // ── What an operator asks ───────────────────────────────────────────────────────────────────────────────────

  flush(): void {
    this.producer.way.retryNow();
    this.ask(this.options.log.flush());
  }

  setPaused(paused: boolean): void {
    // At once, without waiting for the database: the flow's next entry must not be sent.
    this.sender?.setPaused(paused);
    const asked = { paused };
    this.asked = asked;
    const stored = this.options.log.setPaused(paused).finally(() => {
      if (this.asked === asked) this.asked = null;
    });
    this.ask(stored);
  }

  private ask(asking: Promise<void>): void {
    asking.then(
      () => this.lease.claim(),
      (error: unknown) => {
        if (this.life !== 'closed') this.common.log('error', asQueueError(error).message);
      },
    );
  }

  delete(user: SharedDeletionRequest['user']): Promise<Erased> {
    return this.deletions.delete(user);
  }

  /** The number of the last row. Rejects with a QueueError while the log cannot be reached, or opened. */
  private async newestSeq(): Promise<number> {
    if (this.life === 'open') await this.lease.refresh();
    if (this.unreachable !== null) throw asQueueError(this.unreachable);
    return this.claim?.lastSeq ?? 0;
  }
}

function holderText({ ours, holder }: Claim, { name }: Instance): string | null {
  if (ours) return `This Node-RED (${name}) sends now.`;
  return holder === null ? null : `Standing by: ${holder.name} sends.`;
}

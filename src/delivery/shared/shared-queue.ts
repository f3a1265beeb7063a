// The delivery of a member whose queue several processes share. Each process takes messages into the common log; the
// one that holds the lease runs an engine over it, and the others stand by.
//
// To take over is what a start after a crash is: the engine opens the log, finds what was on its way, and repeats it
// once more when it can no longer run (promise 2). Nothing of the old holder counts from then on, because each of its
// commits is made under its epoch.

import { HourRing } from '../../queue/hour-ring';
import type { QueueStore } from '../../queue/store';
import type {
  Claim,
  SharedDeletion,
  SharedDeletionRequest,
  Instance,
  SharedLog,
} from '../../queue/shared-log';
import { LoginTimes } from '../../service/login/login-times';
import { within, type Clock } from '../../clock';
import type { HeldQueue } from './member-queue';
import { SharedDeletions } from './shared-deletions';
import { DeletedPartly, type Deleted } from '../respond/deletions';
import { defaultMaxOpenMessages, Engine, type EngineOptions, type EngineStats } from '../engine';
import type { Recovered } from '../respond/entry-end';
import type { Submission } from '../producer';
import { LeaseKeeper } from './lease-keeper';
import type { Limits } from '../schedule/rate-limiter';
import { Logins, type Login } from '../schedule/login';
import { Monitor } from '../monitor/monitor';
import type { Counters } from '../respond/reports';
import { SentCountStore } from '../monitor/sent-counts';
import { OutcomeReader } from './outcome-reader';
import { SharedProducer } from './shared-producer';
import type { SharedView } from './shared-request';
import { LocalBuffer } from './local-buffer';
import { closedEnd } from '../pending-messages';
import { asQueueError, type QueueCaps } from '../respond/not-accepted';

export interface SharedQueueOptions extends Omit<EngineOptions, 'store' | 'monitor' | 'shared'> {
  readonly sharedLog: SharedLog;
  /** Where entries wait on this machine while the log cannot be reached. */
  readonly localBuffer: QueueStore;
  readonly instance: Instance;
  /** How long the lease lasts without renewal. */
  readonly leaseMs?: number;
}

/** So that after a crash another sends within five seconds, with the second that counts as used. */
const defaultLeaseMs = 3_000;
/** After a login was refused here, another process may try with its own. */
const stepAsideMs = 60_000;
/** A database that does not answer is not waited for any longer, twice, when the queue is closed. */
const goodbyeMs = 2_000;

export class SharedQueue implements HeldQueue {
  readonly durable = true;
  readonly monitor: Monitor;
  readonly loginTimes: LoginTimes;
  private readonly options: SharedQueueOptions;
  private readonly log: SharedLog;
  private readonly clock: Clock;
  private readonly instance: Instance;
  private readonly producer: SharedProducer;
  private readonly localBuffer: LocalBuffer;
  private readonly lease: LeaseKeeper;
  private readonly outcomes: OutcomeReader;
  private readonly deletions: SharedDeletions;
  /** Of this process while it stands by: reads what the holder has counted. */
  private readonly othersSent: SentCountStore;
  private readonly write: NonNullable<EngineOptions['log']>;
  private engine: Engine | null = null;
  private engineClosing: Promise<unknown> = Promise.resolve();
  private claim: Claim | null = null;
  private unreachable: unknown = null;
  /** Entries in the log when it was last heard of. */
  private lastInLog = 0;
  private limits: Limits;
  private caps: QueueCaps;
  private readonly attached = new Map<string, Login>();
  private readonly away = new Set<string>();
  /** Of a process that stands by. */
  private readonly idleLogins = new Logins();
  private readonly holds = new Map<string, ReadonlyMap<string, number>>();
  private parked = false;
  private parkings = 0;
  private closed = false;
  private opened = false;
  private cancelReopen: (() => void) | null = null;
  private cancelStepAside: (() => void) | null = null;

  constructor(options: SharedQueueOptions) {
    this.options = options;
    const { sharedLog, instance, clock } = options;
    this.log = sharedLog;
    this.clock = clock;
    this.instance = instance;
    this.limits = options.limits;
    this.caps = options;
    this.monitor = new Monitor(clock);
    this.loginTimes = new LoginTimes(sharedLog.meta, () => sharedLog.nowMs());
    this.write = (level, text) => {
      this.monitor.logged(level, text);
      options.log?.(level, text);
    };
    this.othersSent = new SentCountStore(sharedLog.meta, clock);
    this.localBuffer = new LocalBuffer(options.localBuffer, sharedLog, instance.id);
    this.producer = new SharedProducer({
      log: sharedLog,
      localBuffer: this.localBuffer,
      instance: instance.id,
      clock,
      caps: options,
      maxOpenMessages: options.maxOpenMessages ?? defaultMaxOpenMessages,
      takesOneMore: () => this.engine?.takesOneMore() ?? false,
      appended: (firstSeq, rows) => this.engine?.appended(firstSeq, rows),
      write: this.write,
    });
    this.outcomes = new OutcomeReader({
      log: sharedLog,
      instance,
      clock,
      report: (outcomes) => this.producer.report(outcomes),
      write: this.write,
    });
    this.deletions = new SharedDeletions({
      log: sharedLog,
      instance,
      clock,
      deleteKept: (deletion) => this.deleteKept(deletion),
      claim: () => this.lease.claim(),
    });
    this.lease = new LeaseKeeper({
      log: sharedLog,
      instance,
      clock,
      leaseMs: options.leaseMs ?? defaultLeaseMs,
      events: {
        claimed: (claim) => this.claimed(claim),
        gained: (gained) => this.takeOver(gained),
        lost: () => this.stepDown(),
        unreachable: (error) => (this.unreachable = error),
      },
    });
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    this.producer.start();
    this.log.onNews(({ kind }) => {
      if (kind === 'outcomes') this.outcomes.read();
      // The claim tells how far the log goes, and what operators asked for.
      else if (kind !== 'lost') this.lease.claim();
    });
    this.openLog();
  }

  private openLog(): void {
    this.log.open().then(
      () => {
        if (this.closed) return;
        this.opened = true;
        this.lease.start();
        if (this.parked) this.lease.setWants(false);
      },
      (error: unknown) => {
        if (this.closed) return;
        this.tellUnreachable(error);
        this.cancelReopen = this.clock.after(1_000, () => this.openLog());
      },
    );
  }

  private tellUnreachable(error: unknown): void {
    const { message } = asQueueError(error);
    if (this.unreachable === null || asQueueError(this.unreachable).message !== message)
      this.write('warn', message);
    this.unreachable = error;
  }

  private claimed(claim: Claim): void {
    const before = this.claim;
    this.claim = claim;
    this.lastInLog = claim.waiting;
    this.unreachable = null;
    this.producer.retryNow();
    this.engine?.logReaches(claim.lastSeq);
    this.deletions.claimed(claim.control.deletions);
    if (claim.hasOutcomes) this.outcomes.read();
    if (before !== null) this.obey(claim, before);
    if (before?.holder?.id !== claim.holder?.id) this.tellHolder(claim);
    this.stepAside(claim);
  }

  /** What operators asked for since the claim before. */
  private obey({ control }: Claim, { control: before }: Claim): void {
    const { engine } = this;
    if (engine === null) return;
    if (control.paused && !before.paused) engine.pause();
    if (!control.paused && before.paused) engine.resume();
    if (control.flushes !== before.flushes) engine.flush();
  }

  private tellHolder({ ours, holder }: Claim): void {
    if (ours) this.write('info', `This Node-RED (${this.instance.name}) sends now.`);
    else if (holder !== null) this.write('info', `Standing by: ${holder.name} sends.`);
  }

  /** Where no login works, another instance may have one that does. One that works goes on here, whatever others do. */
  private stepAside(claim: Claim): void {
    if (this.engine === null || claim.instances.length < 2 || this.cancelStepAside !== null) return;
    if (!this.engine.logins.allRefused) return;
    this.write('warn', 'The login was refused, so another Node-RED may send instead.');
    void this.lease.release();
    this.cancelStepAside = this.clock.after(stepAsideMs, () => {
      this.cancelStepAside = null;
      this.lease.setWants(!this.parked);
    });
  }

  /** This process sends now. */
  private takeOver({ epoch, control }: Claim): void {
    const { options, instance } = this;
    const engine = new Engine({
      ...options,
      ...this.caps,
      limits: this.limits,
      store: this.log.store(instance, epoch),
      monitor: this.monitor,
      shared: {
        instance: instance.id,
        report: (outcomes) => this.producer.report(outcomes),
        opened: () => this.engineOpened(engine, epoch),
        // Not under a later lease either: others may have sent meanwhile.
        mayPost: () => this.lease.mayPost(epoch),
      },
      log: (level, text) => {
        if (this.engine === engine) options.log?.(level, text);
      },
    });
    this.engine = engine;
    for (const login of this.attached.values()) engine.attach(login);
    for (const account of this.away) engine.suspend(account);
    for (const [owner, untils] of this.holds) engine.holdSegments(owner, untils);
    if (control.paused) engine.pause();
    engine.start();
  }

  private engineOpened(engine: Engine, epoch: number): void {
    if (this.engine !== engine) return;
    engine.logReaches(this.claim?.lastSeq ?? 0);
    this.deletions.activated(epoch, ({ throughSeq, user }) => {
      engine.logReaches(throughSeq);
      return user === null ? engine.purge(throughSeq) : engine.erase(user.keys, user.id, throughSeq);
    });
  }

  private stepDown(): void {
    const { engine } = this;
    if (engine === null) return;
    this.engine = null;
    this.lastInLog = engine.counters.waiting;
    this.deletions.deactivated();
    this.engineClosing = engine.close().catch(() => undefined);
    if (!this.closed && !this.parked)
      this.write('info', `This Node-RED (${this.instance.name}) does not send any more.`);
  }

  async park(maxMs: number): Promise<void> {
    this.parked = true;
    const parking = (this.parkings += 1);
    const startedMs = this.clock.monoMs();
    // So that another goes on meanwhile.
    this.lease.setWants(false);
    await Promise.all([this.engine?.park(maxMs), this.producer.drain(maxMs)]);
    // Came back, and perhaps went again: then the lease is the later one's to give up.
    if (this.isBack(parking)) return;
    const leftMs = Math.max(100, maxMs - (this.clock.monoMs() - startedMs));
    await within(this.clock, leftMs, this.lease.release());
  }

  async settled(maxMs: number): Promise<void> {
    const placed = within(this.clock, maxMs, this.producer.placed());
    await Promise.all([this.engine?.settled(maxMs), placed]);
  }

  private isBack(parking: number): boolean {
    return !this.parked || this.parkings !== parking;
  }

  unpark(): void {
    if (!this.parked) return;
    this.parked = false;
    this.engine?.unpark();
    if (this.opened) this.lease.setWants(true);
  }

  /**
   * Resolves when the file on this machine is closed, and the log, too, if the database answers. What became of a commit
   * whose answer is lost shows when the log is opened next.
   */
  async close(): Promise<void> {
    const { clock, log, instance } = this;
    this.closed = true;
    this.cancelReopen?.();
    this.cancelStepAside?.();
    // At once, so that nothing leaves any more.
    const released = this.lease.release();
    this.lease.close();
    this.outcomes.close();
    this.deletions.close();
    await this.producer.drain(0);
    await this.producer.close();
    await within(
      clock,
      goodbyeMs,
      released.then(() => this.engineClosing),
    );
    await within(
      clock,
      goodbyeMs,
      log.close(instance).catch(() => undefined),
    );
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  submit(submission: Submission): void {
    // What was handed in before the release is still written down; what comes after it would be written by nobody.
    if (this.parked) this.clock.endOfTurn(() => submission.onEnd(closedEnd));
    else this.producer.submit(submission);
  }

  onRecovered(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.producer.reporter.listen(node, listener);
  }

  closing(): void {
    // Everything that it takes is durable, so nothing is discarded.
  }

  release(node: string): void {
    this.engine?.tellNow();
    this.producer.release(node);
  }

  // ── What an operator sees ───────────────────────────────────────────────────────────────────────────────────

  /** Of the whole queue since this process sends; while it stands by, of what it took itself. */
  get counters(): Readonly<Counters> {
    return this.engine?.counters ?? this.producer.counters;
  }

  get erasedUnreported(): number {
    return this.producer.reporter.erasedUnreported;
  }

  get logins(): Logins {
    return this.engine?.logins ?? this.idleLogins;
  }

  get sent(): SentCountStore {
    return this.engine?.sent ?? this.othersSent;
  }

  stats(): EngineStats {
    const shared = this.view();
    // Why the log cannot be opened, rather than that the intake finds it closed.
    const trouble = this.unreachable === null ? this.producer.trouble : asQueueError(this.unreachable);
    const stats: EngineStats = this.engine?.stats() ?? {
      state: this.standbyState(),
      counters: { ...this.producer.counters },
      postsInFlight: 0,
      usersPerSecond: 0,
      oldestMs: this.producer.oldestMs,
    };
    if (trouble === null) return { ...stats, shared };
    return {
      ...stats,
      state: { kind: 'databaseAway', message: trouble.message, kept: this.producer.kept },
      shared,
    };
  }

  private standbyState(): EngineStats['state'] {
    if (this.parked) return { kind: 'parked' };
    if (this.claim === null) return { kind: 'starting' };
    return { kind: 'standby', sender: this.claim.holder?.name ?? null };
  }

  private view(): SharedView {
    const { claim, instance, engine } = this;
    return {
      sender: engine !== null ? instance.name : (claim?.holder?.name ?? null),
      isSender: engine !== null,
      instances: (claim?.instances ?? [instance]).map(({ name }) => name),
      kept: this.producer.kept,
      // The engine reads what was appended a moment later.
      inLog: Math.max(
        engine?.counters.waiting ?? this.lastInLog,
        this.producer.counters.waiting - this.producer.kept,
      ),
    };
  }

  sample(): void {
    if (this.engine !== null) this.engine.sample();
    else this.monitor.sample(0, this.claim?.waiting ?? this.producer.counters.waiting);
  }

  get meta(): Pick<QueueStore, 'getMeta' | 'setMeta'> {
    return this.log.meta;
  }

  hourRing(name: string): HourRing {
    return new HourRing(this.log.meta, name);
  }

  // ── What an operator asks ───────────────────────────────────────────────────────────────────────────────────

  flush(): void {
    this.producer.retryNow();
    this.ask(this.log.flush());
  }

  pause(): void {
    this.ask(this.log.setPaused(true));
  }

  resume(): void {
    this.ask(this.log.setPaused(false));
  }

  private ask(asking: Promise<void>): void {
    asking.then(
      () => this.lease.claim(),
      (error: unknown) => {
        if (!this.closed) this.write('error', asQueueError(error).message);
      },
    );
  }

  /**
   * Gives up what waits in the log and what this machine keeps. The others give up what they keep, which is not counted, as
   * soon as they hear of it. Rejects with DeletedPartly.
   */
  purge(): Promise<Deleted> {
    return this.hereAndThere(this.producer.purgeKept(), null);
  }

  /** As `purge` does, of one user. */
  async erase(userKeys: readonly string[], userId: string): Promise<Deleted> {
    this.monitor.forget(userKeys, userId);
    try {
      return await this.hereAndThere(this.producer.eraseKept(userKeys), { keys: userKeys, id: userId });
    } finally {
      this.monitor.forget(userKeys, userId);
    }
  }

  /** Here first: what is handed over meanwhile is in the log when it is asked how far that goes. */
  private async hereAndThere(
    givingUpKept: Promise<number>,
    user: SharedDeletionRequest['user'],
  ): Promise<Deleted> {
    const here = await settled(givingUpKept);
    const there = await settled(this.deleteThere(user));
    if (!there.ok) {
      const deleted = { entries: here.ok ? here.value : 0, inFlight: 0 };
      throw new DeletedPartly(deleted, 'database', asQueueError(there.error));
    }
    if (!here.ok) throw new DeletedPartly(there.value, 'kept', asQueueError(here.error));
    return { entries: here.value + there.value.entries, inFlight: there.value.inFlight };
  }

  /** Rejects with a QueueError while the log cannot be reached, or opened. */
  private async deleteThere(user: SharedDeletionRequest['user']): Promise<Deleted> {
    if (this.opened) await this.lease.refresh();
    if (this.unreachable !== null) throw asQueueError(this.unreachable);
    const throughSeq = this.claim?.lastSeq ?? 0;
    return this.deletions.ask({ throughSeq, askedMs: this.log.nowMs(), user });
  }

  /** An operator asked for it, here or elsewhere. */
  private deleteKept({ askedMs, user }: SharedDeletion): void {
    const takenUntilMs = askedMs + this.clock.wallMs() - this.log.nowMs();
    if (user !== null) this.monitor.forget(user.keys, user.id);
    const deleting =
      user === null
        ? this.producer.purgeKept(takenUntilMs)
        : this.producer.eraseKept(user.keys, takenUntilMs);
    deleting.catch((error: unknown) => this.write('error', asQueueError(error).message));
  }

  holdSegments(owner: string, untils: ReadonlyMap<string, number>): void {
    this.holds.set(owner, untils);
    this.engine?.holdSegments(owner, untils);
  }

  // ── The accounts that use it ────────────────────────────────────────────────────────────────────────────────

  attach(login: Login): void {
    this.attached.set(login.account, login);
    this.away.delete(login.account);
    this.idleLogins.attach(login);
    this.engine?.attach(login);
    if (this.cancelStepAside === null) return;
    // Perhaps a better password.
    this.cancelStepAside();
    this.cancelStepAside = null;
    this.lease.setWants(!this.parked);
  }

  suspend(account: string): void {
    this.away.add(account);
    this.engine?.suspend(account);
  }

  detach(account: string): void {
    this.attached.delete(account);
    this.away.delete(account);
    this.idleLogins.detach(account);
    this.engine?.detach(account);
  }

  setLimits(limits: Limits): void {
    this.limits = limits;
    this.engine?.setLimits(limits);
  }

  setQueueCaps(caps: QueueCaps): void {
    this.caps = caps;
    this.producer.setQueueCaps(caps);
    this.engine?.setQueueCaps(caps);
  }
}

type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

function settled<T>(work: Promise<T>): Promise<Settled<T>> {
  return work.then(
    (value): Settled<T> => ({ ok: true, value }),
    (error: unknown): Settled<T> => ({ ok: false, error }),
  );
}

// The sync of one segment: takes messages of the source, carries runs out, and renews memberships in between. Everything goes
// one after the other, so that each step finds the state that the last one left.

import { InTurn } from '../in-turn';
import type { SyncStore } from '../queue/sync-store';
import { Context, type SyncOptions } from './context';
import { Gathering, type AudienceMessage } from './gathering';
import type { Part } from './parts';
import { Refresher } from './refresher';
import { Runner } from './runner';
import { segmentKeyOf } from './segment';
import { newState, total, type OpenRun, type Problem, type SyncedState } from './state';

/** What an operator sees. */
export interface SyncView {
  readonly phase: OpenRun['phase'] | 'idle';
  /** Rows that came so far, of the run whose rows are coming. */
  readonly gathered: number;
  /** Pending entries of an earlier run, for which the open one waits. */
  readonly waitsFor: number;
  /** 0 … 1, while a run is being counted. */
  readonly counted: number;
  /** Changes of the open run: those with an outcome, and all. */
  readonly settled: number;
  readonly changes: number;
  readonly members: number;
  /** Why the open run was not applied. */
  readonly problem: Problem | null;
  readonly ended: SyncedState['ended'];
  /** Epoch ms; null: nothing is renewed. */
  readonly nextRefreshWallMs: number | null;
  /** Why the queue does not work; it is tried again. */
  readonly trouble: unknown;
}

/** The open run is not one that was refused. */
export class NothingRefused extends Error {}

const firstRetryMs = 1_000;
const longestRetryMs = 60_000;

export class SegmentSync {
  /** The key of the segment's blocks. */
  readonly key: string;
  private readonly context: Context;
  private readonly gathering: Gathering;
  private readonly runner: Runner;
  private readonly refresher: Refresher;
  private readonly turns = new InTurn();
  private driving = false;
  /** Something happened since the last look at what there is to do. */
  private awake = false;
  private closed = false;
  private started = false;
  /** A call failed: the state and the staging may not fit together. */
  private inDoubt = false;
  private trouble: unknown = null;
  private retryMs = firstRetryMs;
  private stopListening = (): void => undefined;
  private cancelTimer = (): void => undefined;

  constructor(private readonly options: SyncOptions) {
    this.key = segmentKeyOf(options.settings.segment);
    this.context = new Context(options, this.key);
    this.gathering = new Gathering(this.context);
    this.runner = new Runner(this.context);
    this.refresher = new Refresher(this.context);
  }

  /** Goes on where the last process stopped. Rejects with a QueueError; may then be called again. `close` ends it, and waits for it. */
  start(): Promise<void> {
    return this.turns.run(() => this.startNow());
  }

  private async startNow(): Promise<void> {
    const { sync } = this.options;
    const steps = [() => sync.keep(this.key), () => this.context.load(), () => this.dropUnfinished()];
    for (const step of steps) {
      if (this.closed) return;
      await step();
    }
    if (this.closed) return;
    this.stopListening = sync.onEnded(this.key, ({ rejected }) => {
      if (rejected.length > 0) {
        this.runner.rejected(rejected);
        this.options.listener.rejected(rejected);
      }
      this.wake();
    });
    this.started = true;
    this.wake();
  }

  /** Whether the state of the last process is known, and this one carries out runs. */
  get isStarted(): boolean {
    return this.started && !this.closed;
  }

  /** Steps under way end; what is pending stays in the queue, and the state stays as it is. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelTimer();
    this.stopListening();
    await this.turns.over();
  }

  /** See `Gathering.take`. */
  take(message: AudienceMessage): Promise<'taken' | 'late'> {
    return this.inTurn(() => this.gathering.take(message));
  }

  /** The source reports an error: what came of its audience is dropped. */
  sourceFailed(reason: string, part: Part | null): Promise<void> {
    return this.inTurn(() => this.gathering.failed(reason, part));
  }

  /** Applies the run that was refused, or only counted. Rejects with NothingRefused. */
  force(): Promise<void> {
    return this.again({ preview: false, force: true });
  }

  /** Counts the refused run again; without one, the next run is only counted. */
  preview(): Promise<void> {
    return this.again({ preview: true, force: false }).catch((error: unknown) => {
      if (!(error instanceof NothingRefused)) throw error;
      return this.askNext({ preview: true });
    });
  }

  /** The next run offers every user, whatever is known: the service's state is unknown. */
  resend(): Promise<void> {
    return this.askNext({ resend: true });
  }

  /** Drops what is known of the segment. The service keeps its members. */
  forget(): Promise<void> {
    const { sync } = this.options;
    return this.inTurn(async () => {
      this.gathering.discard();
      this.runner.discard();
      // Before its rows, so that no run is open without them.
      await this.context.save({ open: null });
      await sync.store.dropStaging(this.key);
      await sync.forget(this.key);
      await sync.keep(this.key);
      this.context.state = newState;
      this.context.members = 0;
    });
  }

  view(): SyncView {
    const { context } = this;
    const { open, ended } = context.state;
    const { clock } = this.options;
    const gathering = this.gathering.run;
    const busy = context.isBusy ? open : null;
    const changes =
      busy === null || busy.phase === 'gathered' || busy.phase === 'counting' ? 0 : total(busy.counted);
    const waitMs = this.refresher.waitMs;
    return {
      phase: busy?.phase ?? gathering?.phase ?? open?.phase ?? 'idle',
      gathered: gathering?.rows ?? 0,
      waitsFor: open?.phase === 'counting' ? context.pending() : 0,
      counted: this.runner.countedShare,
      settled: busy === null ? 0 : Math.max(0, total(busy.appended) - context.pending()),
      changes,
      members: context.members,
      problem: open?.phase === 'refused' ? open.problem : null,
      ended,
      nextRefreshWallMs: waitMs === null ? null : clock.wallMs() + waitMs,
      trouble: this.trouble,
    };
  }

  private async inTurn<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await this.turns.run(call);
    } catch (error) {
      this.inDoubt = true;
      throw error;
    } finally {
      this.wake();
    }
  }

  private again(change: Pick<OpenRun['options'], 'preview' | 'force'>): Promise<void> {
    return this.inTurn(async () => {
      const { open } = this.context;
      if (open?.phase !== 'refused') throw new NothingRefused();
      const options = { ...open.options, ...change };
      await this.context.save({ open: { ...open, phase: 'counting', cursor: null, options } });
    });
  }

  private askNext(change: Partial<SyncedState['next']>): Promise<void> {
    return this.inTurn(() => this.context.save({ next: { ...this.context.state.next, ...change } }));
  }

  /**
   * Drops an open run whose rows are missing: it cannot be compared, so that it removes nobody. Drops rows without an open run, too.
   * Every change of both writes the state first; so what is left of the rows after a kill is never taken for those of another run.
   */
  private async dropUnfinished(): Promise<void> {
    const { context, gathering } = this;
    const { open } = context;
    const staged = await this.options.sync.store.staged(this.key);
    if (open === null ? staged === 'none' : hasItsRows(open, staged, gathering.run)) return;
    if (open !== null) {
      await context.save({ open: null });
      // What this process gathered was reported when it was dropped.
      const isReported = this.started && open.phase === 'gathering';
      if (!isReported) context.refuse(open, { code: 'interrupted', params: {} });
    }
    await this.options.sync.store.dropStaging(this.key);
  }

  // ── Steps ───────────────────────────────────────────────────────────────────────────────────────────────────

  private wake(): void {
    this.awake = true;
    if (this.driving || this.closed) return;
    this.driving = true;
    void this.drive();
  }

  private async drive(): Promise<void> {
    this.cancelTimer();
    let waitMs: number | null;
    try {
      while (this.awake) {
        this.awake = false;
        while (!this.closed && (await this.turns.run(() => this.step())));
      }
      this.trouble = null;
      this.retryMs = firstRetryMs;
      waitMs = this.untilNextMs();
    } catch (error) {
      this.trouble = error;
      this.inDoubt = true;
      waitMs = this.retryMs;
      this.retryMs = Math.min(longestRetryMs, this.retryMs * 2);
    }
    this.driving = false;
    if (!this.closed && waitMs !== null)
      this.cancelTimer = this.options.clock.after(Math.ceil(waitMs), () => this.wake());
  }

  private async step(): Promise<boolean> {
    if (this.closed) return false;
    if (this.inDoubt) {
      // A failed `forget` may have ended it.
      await this.options.sync.keep(this.key);
      await this.dropUnfinished();
      this.inDoubt = false;
    }
    await this.dropLate();
    return (await this.runner.step()) || (await this.refresher.step());
  }

  private async dropLate(): Promise<void> {
    const { context, gathering } = this;
    const nowMs = this.options.clock.wallMs();
    const { runTimeoutMs } = this.options.settings;
    const isLate = (run: OpenRun | null): boolean =>
      run !== null && nowMs - run.touchedWallMs >= runTimeoutMs;
    if (isLate(gathering.run))
      await gathering.drop({
        code: 'timed_out',
        params: { rows: gathering.run!.rows, minutes: Math.round(runTimeoutMs / 60_000) },
      });
    if (context.open?.phase === 'refused' && isLate(context.open)) {
      await context.save({ open: null });
      await this.options.sync.store.dropStaging(this.key);
    }
  }

  private untilNextMs(): number | null {
    const { context, gathering } = this;
    const { runTimeoutMs } = this.options.settings;
    const refused = context.open?.phase === 'refused' ? context.open : null;
    const ends = [gathering.run, refused].flatMap((run) =>
      run === null ? [] : [run.touchedWallMs + runTimeoutMs],
    );
    const waits = ends.map((endMs) => Math.max(1, endMs - this.options.clock.wallMs()));
    const refreshMs = this.refresher.waitMs;
    if (refreshMs !== null) waits.push(refreshMs);
    // The outcomes of what is pending wake the sync too; the look once in a while is for those that an operator deletes.
    if (context.isBusy) waits.push(pendingLookMs);
    return waits.length === 0 ? null : Math.min(...waits);
  }
}

const pendingLookMs = 1_000;

/** Whether the rows that a run needs in its phase are there. `gathering`: the run that this process gathers. */
function hasItsRows(
  { phase, run }: OpenRun,
  staged: Awaited<ReturnType<SyncStore['staged']>>,
  gathering: OpenRun | null,
): boolean {
  switch (phase) {
    case 'gathering':
      return gathering?.run === run;
    case 'gathered':
      return staged !== 'none';
    case 'counting':
    case 'refused':
    case 'sending':
      return staged === 'prepared';
    case 'settling':
      return true;
  }
}

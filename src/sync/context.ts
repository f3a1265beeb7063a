// What the parts of one segment's sync have in common, with its state.

import type { Clock } from '../clock';
import type { Source } from '../queue/store';
import type { ComparisonRules } from '../queue/sync-store';
import type { EndedEntries, MemberSync } from './member-sync';
import type { RunRules } from './rules';
import type { SegmentName } from './segment';
import { newState, readState, type OpenRun, type Problem, type RunReport, type SyncedState } from './state';

export interface SyncSettings extends RunRules {
  readonly segment: SegmentName;
  /** False: nobody is removed. */
  readonly removes: boolean;
  /** Per cent of the time left at which a membership is renewed; 0: never. */
  readonly refreshPercent: number;
  /** Every run is only counted. */
  readonly preview: boolean;
  /** An unfinished or refused run is dropped after it. */
  readonly runTimeoutMs: number;
}

/** What the node is told; no call may throw. */
export interface SyncListener {
  /** A run has ended, was replaced by the next one, or was only counted. */
  ended(report: RunReport): void;
  /** A run was not applied: `report.refused` says why. */
  refused(report: RunReport & { readonly refused: Problem }): void;
  /** The service rejected these for good. */
  rejected(entries: EndedEntries['rejected']): void;
}

export interface SyncOptions {
  readonly sync: MemberSync;
  readonly source: Source;
  readonly settings: SyncSettings;
  readonly listener: SyncListener;
  readonly clock: Clock;
}

/** Entries of a segment's bulk lane in the queue at a time, so that the queue stays small. */
export const mostPending = 10_000;
/** Rows of a comparison, or of members, that are read at a time. */
export const pageRows = 2_000;

export class Context {
  state: SyncedState = newState;
  /** Members of the segment as last counted. */
  members = 0;

  constructor(
    readonly options: SyncOptions,
    readonly key: string,
  ) {}

  get open(): OpenRun | null {
    return this.state.open;
  }

  /** Whether a run is being compared or sent: nothing else may change the members meanwhile. */
  get isBusy(): boolean {
    const phase = this.open?.phase ?? 'gathering';
    return phase !== 'gathering' && phase !== 'refused';
  }

  async load(): Promise<void> {
    const segments = await this.options.sync.store.segments();
    this.state = readState(segments.find(({ segment }) => segment === this.key)?.state ?? null);
    await this.countMembers();
  }

  /** The state holds once it is stored. */
  async save(change: Partial<SyncedState>): Promise<void> {
    const next = { ...this.state, ...change };
    await this.options.sync.store.setState({ segment: this.key, text: JSON.stringify(next) });
    this.stored(next);
  }

  /** The state is stored. What the service rejected meanwhile counts too. */
  stored(next: SyncedState): void {
    const rejected = next.open?.run === this.open?.run ? this.open?.rejected : undefined;
    const open = next.open === null || rejected === undefined ? next.open : { ...next.open, rejected };
    this.state = { ...next, open };
  }

  async countMembers(): Promise<void> {
    const segments = await this.options.sync.store.segments();
    this.members = segments.find(({ segment }) => segment === this.key)?.members ?? 0;
  }

  pending(): number {
    return this.options.sync.pending(this.key);
  }

  rules(run: Pick<OpenRun, 'options'>): ComparisonRules {
    const { refreshPercent, removes } = this.options.settings;
    return {
      nowMinutes: this.nowMinutes,
      refreshPercent,
      removes,
      resends: run.options.resend,
    };
  }

  get nowMinutes(): number {
    return Math.floor(this.options.clock.wallMs() / 60_000);
  }

  /** Reports why a run is not applied. */
  refuse(run: OpenRun, problem: Problem): void {
    const report = { ...this.report(run, 'refused'), refused: problem };
    this.options.listener.refused(report);
  }

  report(run: OpenRun, status: RunReport['status']): RunReport {
    const { appended, rejected, counted } = run;
    const isCount = status === 'preview' || status === 'refused';
    const done = isCount ? counted : appended;
    const of = (kind: keyof typeof appended): number => done[kind] - (isCount ? 0 : rejected[kind]);
    return {
      status,
      run: run.run,
      rows: run.rows,
      members: this.members,
      // Of a refused run nothing was changed; what it would change is in the parameters of its problem.
      added: status === 'refused' ? 0 : of('add'),
      removed: status === 'refused' ? 0 : of('remove'),
      changed: status === 'refused' ? 0 : of('change'),
      refreshed: status === 'refused' ? 0 : of('refresh'),
      unchanged: counted.unchanged,
      invalid: run.invalid,
      rejected: counted.rejectedBefore + rejected.add + rejected.remove + rejected.change + rejected.refresh,
      ...(run.noConsent === null ? {} : { no_consent: run.noConsent }),
      ...(counted.suppressed === 0 ? {} : { suppressed: counted.suppressed }),
      tookMs: Math.max(0, this.options.clock.wallMs() - run.startedWallMs),
    };
  }
}

// Gathering: the rows of a whole audience, from one message or from several, go into the staging on disk. The first usable row
// of a run replaces what is left of the run before it.

import type { StagedRow } from '../queue/sync-store';
import type { Context } from './context';
import { OverAudiences, Parts, type Part } from './parts';
import { emptyProblem } from './rules';
import { noChanges, noCounts, type OpenRun, type Problem, type RunOptions, type Tally } from './state';

/** Some rows of a message, as they were read. */
export interface ReadRows extends Tally {
  readonly staged: readonly StagedRow[];
}

export interface AudienceMessage {
  /** Null: the message is a whole audience. */
  readonly part: Part | null;
  /** What `msg.control` asks for; only the first message of a run counts. */
  readonly options: RunOptions;
  /** Read lazily, so that a large message takes little memory. */
  readonly rows: Iterable<ReadRows | Promise<ReadRows>>;
}

/**
 * In one call of the store. Its reply comes a turn of the event loop later, in which _file in_ reads some thousand lines: fewer rows
 * a call than these would pile up as messages.
 */
const rowsPerStage = 10_000;

export class Gathering {
  private current: {
    readonly id: string | null;
    readonly parts: Parts;
    run: OpenRun;
    begun: boolean;
    /** Rows that are not in the store yet: one call for many messages of a row. */
    unstaged: StagedRow[];
  } | null = null;
  private readonly over = new OverAudiences();

  constructor(private readonly context: Context) {}

  /** The run whose rows are coming; null for none. */
  get run(): OpenRun | null {
    return this.current?.run ?? null;
  }

  /**
   * Resolves to `late` if the rows belong to an audience that is over. Otherwise once they are durable, or wait for further parts:
   * without those, a crash drops the run anyway. Rejects with a QueueError.
   */
  async take({ part, options, rows }: AudienceMessage): Promise<'taken' | 'late'> {
    if (part !== null && this.over.isLate(part)) return 'late';
    if (this.opens(part)) await this.open(part, options);
    const current = this.current!;
    try {
      for (const each of rows) await this.stage(await each);
      if (part !== null) current.parts.add(part);
      if (part === null || current.parts.ended) await this.ended();
    } catch (error) {
      await this.drop({
        code: 'not_stored',
        params: { reason: error instanceof Error ? error.message : '' },
      });
      throw error;
    }
    return 'taken';
  }

  /** Drops the run whose rows are coming. */
  async drop(problem: Problem): Promise<void> {
    const { current, context } = this;
    if (current === null) return;
    this.current = null;
    this.over.add(current.id, 'replaced');
    if (problem.code === 'replaced') this.over.mayEndLate(current.id);
    else this.over.noneEndsLate();
    context.refuse(current.run, problem);
    if (!current.begun) return;
    await context.save({ open: null });
    await context.options.sync.store.dropStaging(context.key);
  }

  /** Forgets the run whose rows are coming, without a report. */
  discard(): void {
    this.over.add(this.current?.id ?? null, 'replaced');
    this.current = null;
  }

  /** The source reports an error: its run is over, and so are its late parts. */
  async failed(reason: string, part: Part | null): Promise<void> {
    if (part?.id !== undefined && part.id !== null && part.id !== this.current?.id) {
      if (this.over.isLate(part)) return;
      await this.drop({ code: 'replaced', params: { rows: this.current?.run.rows ?? 0 } });
    }
    this.current ??= this.newCurrent(part, { preview: false, force: false, resend: false });
    await this.drop({ code: 'source_failed', params: { reason } });
  }

  private opens(part: Part | null): boolean {
    const { current } = this;
    if (part === null || current === null) return true;
    return (part.id !== null && part.id !== current.id) || current.parts.repeatsFirst(part);
  }

  private async open(part: Part | null, options: RunOptions): Promise<void> {
    const { current } = this;
    const sameSource = current !== null && current.id === part?.id;
    await this.drop({ code: 'replaced', params: { rows: current?.run.rows ?? 0 } });
    if (sameSource) {
      this.over.forget(current.id);
      this.over.noneEndsLate();
    }
    this.current = this.newCurrent(part, options);
  }

  private newCurrent(part: Part | null, options: RunOptions): NonNullable<Gathering['current']> {
    const { context } = this;
    const nowMs = context.options.clock.wallMs();
    const { next, runs } = context.state;
    context.state = { ...context.state, runs: runs + 1 };
    const run: OpenRun = {
      run: runs + 1,
      phase: 'gathering',
      startedWallMs: nowMs,
      touchedWallMs: nowMs,
      options: {
        preview: options.preview || next.preview || context.options.settings.preview,
        force: options.force,
        resend: options.resend || next.resend,
      },
      rows: 0,
      invalid: 0,
      noConsent: null,
      users: 0,
      expiration: null,
      problem: null,
      counted: noCounts,
      cursor: null,
      appended: noChanges,
      rejected: noChanges,
    };
    return { id: part?.id ?? null, parts: new Parts(), run, begun: false, unstaged: [] };
  }

  private async stage({ staged, rows, invalid, noConsent }: ReadRows): Promise<void> {
    const { context } = this;
    const current = this.current!;
    const { run } = current;
    if (staged.length > 0) {
      await this.begin();
      current.unstaged.push(...staged);
      if (current.unstaged.length >= rowsPerStage) await this.flush();
    }
    current.run = {
      ...run,
      touchedWallMs: context.options.clock.wallMs(),
      rows: run.rows + rows,
      invalid: run.invalid + invalid,
      noConsent: noConsent === null ? run.noConsent : (run.noConsent ?? 0) + noConsent,
      expiration: shortest(run.expiration, staged),
    };
  }

  private async flush(): Promise<void> {
    const { context } = this;
    const current = this.current!;
    const { unstaged } = current;
    if (unstaged.length === 0) return;
    current.unstaged = [];
    await context.options.sync.store.stage(context.key, unstaged);
  }

  /** What is left of the run before is not sent any more: this one says what the audience is. */
  private async begin(): Promise<void> {
    const { context } = this;
    const current = this.current!;
    if (current.begun) return;
    const { open, isBusy } = context;
    await context.save({ open: current.run, next: { preview: false, resend: false } });
    current.begun = true;
    if (open !== null && isBusy) context.options.listener.ended(context.report(open, 'replaced'));
    await context.options.sync.store.beginStaging(context.key);
  }

  /** All parts came. */
  private async ended(): Promise<void> {
    const { context } = this;
    const current = this.current!;
    const { run, parts } = current;
    if (!current.begun && !run.options.force && context.options.settings.emptyIsError && context.isBusy) {
      // Nothing that the run before still sends is lost for it.
      await this.drop(emptyProblem(run));
      return;
    }
    await this.begin();
    await this.flush();
    const { missing } = parts;
    const problem: Problem | null = missing > 0 ? { code: 'parts_missing', params: { missing } } : null;
    await context.save({ open: { ...run, phase: 'gathered', problem } });
    this.current = null;
    this.over.add(current.id, 'ended');
  }
}

function shortest(before: number | null, rows: readonly StagedRow[]): number | null {
  let least = before;
  for (const { expiration } of rows)
    if (expiration !== null && (least === null || minutesOf(expiration) < minutesOf(least)))
      least = expiration;
  return least;
}

function minutesOf(expiration: number): number {
  return expiration === 0 ? Infinity : expiration;
}

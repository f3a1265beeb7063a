// Runner of a gathered run: prepares it, counts what it would change, and appends the changes in chunks. One path for a live
// run, a preview, a forced run and the rest of a run after a restart: each step reads the state, and stores the next one.

import { memberKeyOfEntry } from '../entry/member-key';
import type { CheckedEntry } from '../entry/entry';
import type { AudienceChange, ChangeKind, ComparedPage } from '../queue/sync-store';
import { mostPending, pageRows, type Context } from './context';
import type { EndedEntries } from './member-sync';
import { refusalOf } from './rules';
import { entryOf } from './segment';
import { noChanges, noCounts, sum, type Counts, type OpenRun } from './state';

/** Pages of a comparison with few changes that make one chunk. */
const mostPagesInChunk = 50;
/** A chunk ends with the page that reaches it. */
const enoughChanges = 1_000;

export class Runner {
  /** Where the counting pass is; after a restart it begins anew. */
  private counting: { readonly run: number; cursor: string | null; counts: Counts } | null = null;
  /** Pending changes that neither add nor remove, for the report of those that the service rejects. */
  private readonly kinds = new Map<string, ChangeKind>();

  constructor(private readonly context: Context) {}

  /** The next step; false when there is nothing to do now. */
  async step(): Promise<boolean> {
    const { open } = this.context;
    switch (open?.phase) {
      case undefined:
      case 'gathering':
      case 'refused':
        return false;
      case 'gathered':
        return this.prepare(open);
      case 'counting':
        return this.count(open);
      case 'sending':
        return this.send(open);
      case 'settling':
        return this.settle(open);
    }
  }

  /** Forgets the open run; the next one may have its number. */
  discard(): void {
    this.counting = null;
    this.kinds.clear();
  }

  /** How much of the open run's users the counting pass has seen, 0 … 1. */
  get countedShare(): number {
    const { counting, context } = this;
    const all = Math.max(context.open?.users ?? 0, context.members);
    if (counting === null || all === 0) return 0;
    return Math.min(1, Object.values(counting.counts).reduce((seen, count) => seen + count, 0) / all);
  }

  /** The service rejected entries of the open run, or of a refresh. */
  rejected(entries: EndedEntries['rejected']): void {
    const { context } = this;
    const { open } = context;
    if (open === null || !context.isBusy) return;
    const rejected = { ...open.rejected };
    for (const { entry } of entries) rejected[this.kindOf(entry)] += 1;
    context.state = { ...context.state, open: { ...open, rejected } };
  }

  private kindOf(entry: CheckedEntry): ChangeKind {
    return entry.removes ? 'remove' : (this.kinds.get(memberKeyOfEntry(entry)) ?? 'add');
  }

  private async prepare(open: OpenRun): Promise<true> {
    const { context } = this;
    const users = await context.options.sync.store.endStaging(context.key);
    await context.save({ open: { ...open, phase: 'counting', users } });
    return true;
  }

  /** Counts only when nothing of an earlier run is pending: until then it is not known who is a member. */
  private async count(open: OpenRun): Promise<boolean> {
    const { context } = this;
    if (context.pending() > 0) return false;
    if (this.counting?.run !== open.run) {
      this.counting = { run: open.run, cursor: null, counts: noCounts };
      await context.countMembers();
    }
    const { counting } = this;
    const page = await this.compare(open, counting.cursor, true);
    counting.counts = sum(counting.counts, page.counts);
    counting.cursor = page.through;
    if (page.through !== null) return true;
    this.counting = null;
    await this.counted({ ...open, counted: counting.counts });
    return true;
  }

  private async counted(open: OpenRun): Promise<void> {
    const { context } = this;
    const { settings, clock, listener } = context.options;
    const problem = refusalOf(open, context.state.ended, settings);
    if (problem === null) {
      await context.save({ open: { ...open, phase: 'sending', problem: null, cursor: null } });
      return;
    }
    const refused: OpenRun = { ...open, phase: 'refused', problem, touchedWallMs: clock.wallMs() };
    await context.save({ open: refused });
    if (problem.code === 'preview') listener.ended(context.report(refused, 'preview'));
    else context.refuse(refused, problem);
  }

  private async send(open: OpenRun): Promise<boolean> {
    const { context } = this;
    if (context.pending() >= mostPending) return false;
    const { sync, source, settings } = context.options;
    const readSince = sync.beginRead();
    try {
      const { changes, through } = await this.read(open);
      const next: OpenRun = {
        ...open,
        phase: through === null ? 'settling' : 'sending',
        cursor: through,
        appended: sum(open.appended, countsOf(changes)),
      };
      if (changes.length === 0) {
        if (through === null) await context.save({ open: next });
        else context.stored({ ...context.state, open: next });
        return true;
      }
      const state = { ...context.state, open: next };
      for (const { kind, memberKey } of changes)
        if (kind === 'change' || kind === 'refresh') this.kinds.set(memberKey, kind);
      const entries = changes.map((change) => entryOf(settings.segment, change));
      const chunk = { source, segment: context.key, entries, refresh: false, readSince };
      await sync.append({ ...chunk, state: JSON.stringify(state) });
      context.stored(state);
      return true;
    } finally {
      sync.endRead(readSince);
    }
  }

  /** Pages until there are enough changes for a chunk. */
  private async read(open: OpenRun): Promise<{ changes: AudienceChange[]; through: string | null }> {
    const changes: AudienceChange[] = [];
    let through = open.cursor;
    for (let pages = 0; pages < mostPagesInChunk && changes.length < enoughChanges; pages++) {
      const page = await this.compare(open, through, false);
      changes.push(...page.changes);
      ({ through } = page);
      if (through === null) break;
    }
    return { changes, through };
  }

  private compare(open: OpenRun, cursor: string | null, counts: boolean): Promise<ComparedPage> {
    const { key, options } = this.context;
    return options.sync.store.compare(key, this.context.rules(open), cursor, pageRows, counts);
  }

  /** The run ends with the outcome of its last change. */
  private async settle(open: OpenRun): Promise<boolean> {
    const { context } = this;
    if (context.pending() > 0) return false;
    const { sync, clock, listener } = context.options;
    this.kinds.clear();
    await context.countMembers();
    const report = context.report(open, 'ended');
    const expiration = open.expiration ?? context.state.ended?.expiration ?? null;
    // Before its rows are dropped: a run that was applied never looks like one that lost them.
    await context.save({ open: null, ended: { wallMs: clock.wallMs(), expiration, report } });
    listener.ended(report);
    await sync.store.dropStaging(context.key);
    return true;
  }
}

function countsOf(changes: readonly AudienceChange[]): OpenRun['appended'] {
  const counts = { ...noChanges };
  for (const { kind } of changes) counts[kind] += 1;
  return counts;
}

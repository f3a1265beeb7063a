// Refresher: renews memberships before they expire, without a run. It walks through the members in order of their keys, in
// small steps, so that renewals spread evenly over time.

import { mostPending, pageRows, type Context } from './context';
import { entryOf } from './segment';

/** "Never expires" is renewed as if it lasted so long: the platform forgets users after 180 days. */
const longestMinutes = 180 * 24 * 60;
/** One pass takes this part of the time between due and expired. */
const passShare = 1 / 4;
const shortestStepMs = 50;
const longestStepMs = 24 * 60 * 60_000;
const fullWaitMs = 1_000;

export class Refresher {
  private cursor: string | null = null;
  /** Monotonic ms of the next step. */
  private nextMs = 0;

  constructor(private readonly context: Context) {}

  /** Ms until the next step; null: there is none. */
  get waitMs(): number | null {
    return this.stepMs() === null || this.context.isBusy
      ? null
      : Math.max(0, this.nextMs - this.context.options.clock.monoMs());
  }

  /** Takes the step that is due. */
  async step(): Promise<boolean> {
    const { context } = this;
    if (this.waitMs !== 0) return false;
    const { sync, source, settings, clock } = context.options;
    if (context.pending() >= mostPending) {
      this.nextMs = clock.monoMs() + fullWaitMs;
      return false;
    }
    const readSince = sync.beginRead();
    try {
      const rules = { nowMinutes: context.nowMinutes, refreshPercent: settings.refreshPercent };
      const page = await sync.store.due(context.key, rules, this.cursor, pageRows);
      const entries = page.changes.map((change) => entryOf(settings.segment, change));
      if (entries.length > 0)
        await sync.append({ source, segment: context.key, entries, refresh: true, state: null, readSince });
      this.cursor = page.through;
    } finally {
      sync.endRead(readSince);
    }
    await context.countMembers();
    this.nextMs = clock.monoMs() + (this.stepMs() ?? 0);
    return true;
  }

  /** Time between two steps; null while nothing is renewed: no run has ended, or the last one is too old. */
  private stepMs(): number | null {
    const { context } = this;
    const { settings, clock } = context.options;
    const { ended } = context.state;
    const expiration = ended?.expiration ?? null;
    if (settings.refreshPercent === 0 || ended === null || expiration === null) return null;
    const lastsMs = (expiration === 0 ? longestMinutes : expiration) * 60_000;
    if (clock.wallMs() - ended.wallMs > lastsMs) return null;
    const passMs = ((lastsMs * settings.refreshPercent) / 100) * passShare;
    const pages = Math.max(1, Math.ceil(context.members / pageRows));
    return Math.min(longestStepMs, Math.max(shortestStepMs, passMs / pages));
  }
}

// A sync node in miniature: it hands whole audiences to the real sync of the segment, and renews members when it is asked to.
import type { MemberQueue } from '../../../src/delivery/engine';
import type { MemberSync } from '../../../src/delivery/sync/member-sync';
import { memberKeyOf } from '../../../src/entry/member-key';
import type { MemberChange } from '../../../src/queue/sync-store';
import type { RunReport } from '../../../src/sync/state';
import { entryOf } from '../../../src/sync/segment';
import { SegmentSync } from '../../../src/sync/segment-sync';
import type { Problem } from '../../../nodes/account/account-api';
import type { History, RunRecord } from './history';
import type { AudienceRow } from './plan';
import { epochMs, type ProcessTime } from './process-time';

const settings = {
  removes: true,
  /** The plan says when members are renewed. */
  refreshPercent: 0,
  preview: false,
  runTimeoutMs: 3_600_000,
  maxRemovals: { number: 20, unit: 'percent' },
  emptyIsError: true,
} as const;
const startAgainMs = 1_000;
const everyRow = { preview: false, resend: false };

export class SyncedNode {
  private engine: MemberSync | null = null;
  private sync: SegmentSync | null = null;
  private source = { node: 'synced', account: '' };
  private following: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly segment: number,
    private readonly history: History,
    private readonly time: ProcessTime,
    private readonly members: () => ReadonlyMap<string, MemberChange>,
  ) {}

  joined(account: string) {
    this.source = { node: 'synced', account };
    return {
      ready: (engine: MemberQueue | Problem): void => {
        if ('key' in engine) return;
        const follow = (): void => void (this.following = this.following.then(() => this.follow(engine)));
        engine.onLease(follow);
        follow();
      },
      closes: () => undefined,
      recovered: () => this.history.complain('an outcome of a bulk entry reaches a node'),
    };
  }

  /** The lease of a shared queue comes and goes. */
  private async follow({ sync: engine }: MemberQueue): Promise<void> {
    if (engine === this.engine) return;
    const before = this.sync;
    this.engine = engine;
    this.sync = null;
    await before?.close();
    if (engine !== null) await this.start(engine);
  }

  private async start(engine: MemberSync): Promise<void> {
    if (this.engine !== engine) return;
    const sync = new SegmentSync({
      sync: engine,
      source: this.source,
      settings: { ...settings, segment: { seg_id: this.segment } },
      listener: {
        ended: (report) => this.reported(report),
        refused: (report) => this.reported(report),
        rejected: () => undefined,
      },
      clock: this.time,
    });
    try {
      await engine.opened;
      await sync.start();
      this.sync = sync;
    } catch {
      this.time.after(startAgainMs, () => void this.start(engine));
    }
  }

  get isStarted(): boolean {
    return this.sync !== null;
  }

  get isAtRest(): boolean {
    const phase = this.sync?.view().phase;
    return (phase === 'idle' || phase === 'refused') && this.engine!.pending(`i${this.segment}`) === 0;
  }

  audience(rows: readonly AudienceRow[], force: boolean): void {
    const { sync, history } = this;
    if (sync === null) return;
    const atMs = this.time.world.nowMs;
    const record: RunRecord = { rows, atMs, status: 'open', taken: false, endMs: Infinity, members: null };
    history.runs.push(record);
    history.tell(`an audience of ${rows.length} rows${force ? ', forced' : ''}`);
    history.fault('audience');
    const staged = rows.map(({ user, domain, value }) => ({
      memberKey: memberKeyOf(domain, user),
      value,
      expiration: 0,
    }));
    sync
      .take({
        part: null,
        options: { ...everyRow, force },
        rows: [{ rows: rows.length, invalid: 0, noConsent: null, staged }],
      })
      .then(
        () => (record.taken = true),
        () => {
          // Whoever has taken over may have reported it already.
          if (record.status === 'open') record.status = 'failed';
        },
      );
  }

  /** Reports name a run by its number, which a process that died may have used before; each audience has its own size. */
  private reported({ rows, status, refused }: RunReport): void {
    const record = this.history.runs.find((run) => run.rows.length === rows);
    this.history.tell(`the run of ${rows} rows: ${status} ${refused?.code ?? ''}`);
    this.history.fault(`run ${status}`);
    // A process ended before it had noted how many rows had come.
    if (rows === 0) return;
    if (record === undefined) {
      this.history.complain(`a report of a run of ${rows} rows, which nobody handed in`);
      return;
    }
    if (record.taken && refused?.code === 'interrupted')
      this.history.complain(`the run of ${rows} rows, all of which were taken, is interrupted`);
    // An interrupted run may have been applied, in part or as a whole.
    record.status = refused?.code === 'interrupted' ? 'replaced' : status;
    record.endMs = this.time.world.nowMs;
    record.members = new Map(this.members());
  }

  /** As the refresher does, for all members at once. */
  async refresh(): Promise<void> {
    const { engine, history } = this;
    const segment = `i${this.segment}`;
    const phase = this.sync?.view().phase;
    if (engine === null || (phase !== 'idle' && phase !== 'refused')) return;
    history.tell('every member is renewed');
    history.fault('refresh');
    const readSince = engine.beginRead();
    try {
      const nowMinutes = Math.floor((epochMs + this.time.world.nowMs) / 60_000);
      const { changes } = await engine.store.due(segment, { nowMinutes, refreshPercent: 100 }, null, 1_000);
      const entries = changes.map((change) => entryOf({ seg_id: this.segment }, change));
      await engine.append({ source: this.source, segment, entries, refresh: true, state: null, readSince });
    } catch {
      // The disk fails, or the queue is full: the next one comes.
    } finally {
      engine.endRead(readSince);
    }
  }
}

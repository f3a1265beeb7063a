// One process after the other that syncs a segment, with the tables of one plain engine.
import assert from 'node:assert/strict';
import type { Part } from '../../src/sync/parts';
import { SegmentSync, type NothingRefused } from '../../src/sync/segment-sync';
import type { SyncSettings } from '../../src/sync/context';
import type { ReadRows } from '../../src/sync/gathering';
import type { EndedEntries } from '../../src/sync/member-sync';
import type { RunReport } from '../../src/sync/state';
import { FakeClock } from '../delivery/support/fake-clock';
import { PlainEngine } from './plain-engine';

export const minutesMs = 60_000;
const settings: SyncSettings = {
  segment: { seg_id: 10001 },
  removes: true,
  refreshPercent: 25,
  maxRemovals: { number: 20, unit: 'percent' },
  emptyIsError: true,
  preview: false,
  runTimeoutMs: 60 * minutesMs,
};
export const plain = { preview: false, force: false, resend: false };

interface Row {
  readonly id: string;
  readonly value?: number;
  readonly expiration?: number;
}

export function users(count: number, from = 0): Row[] {
  return Array.from({ length: count }, (_, index) => ({ id: String(100_000 + from + index) }));
}

export function rowsOf(rows: readonly Row[], invalid = 0): ReadRows[] {
  const staged = rows.map(({ id, value, expiration }) => ({
    memberKey: `:${id}`,
    value: value ?? null,
    expiration: expiration ?? 43_200,
  }));
  return [{ staged, rows: rows.length + invalid, invalid, noConsent: null }];
}

/** One process after the other with the same tables. */
export class Process {
  readonly reports: RunReport[] = [];
  readonly refused: RunReport[] = [];
  readonly rejected: EndedEntries['rejected'][number][] = [];
  sync: SegmentSync;

  constructor(
    readonly clock = new FakeClock(),
    readonly engine = new PlainEngine(clock, 'i10001'),
    private readonly own: Partial<SyncSettings> = {},
  ) {
    this.sync = this.newSync();
  }

  private newSync(): SegmentSync {
    return new SegmentSync({
      sync: this.engine,
      source: { node: 'n', account: 'a' },
      settings: { ...settings, ...this.own },
      clock: this.clock,
      listener: {
        ended: (report) => void this.reports.push(report),
        refused: (report) => void this.refused.push(report),
        rejected: (entries) => void this.rejected.push(...entries),
      },
    });
  }

  async start(): Promise<this> {
    await this.clock.outcome(this.sync.start());
    return this;
  }

  /** Killed, and started again. */
  async restart(): Promise<void> {
    void this.sync.close();
    this.sync = this.newSync();
    await this.start();
  }

  async take(part: Part | null, rows: readonly Row[], options: Partial<typeof plain> = {}): Promise<string> {
    const taken = this.sync.take({ part, options: { ...plain, ...options }, rows: rowsOf(rows) });
    const how = await this.clock.outcome(taken);
    await this.clock.settle();
    return how;
  }

  whole(rows: readonly Row[], options: Partial<typeof plain> = {}): Promise<string> {
    return this.take(null, rows, options);
  }

  async deliver(rejects: (key: string) => boolean = () => false): Promise<void> {
    this.engine.deliver(rejects);
    await this.clock.settle();
  }

  /** Everything is sent and answered. */
  async finish(): Promise<RunReport> {
    const before = this.reports.length;
    for (let turn = 0; turn < 1000 && this.reports.length === before; turn++) await this.deliver();
    return this.reports.at(-1)!;
  }

  async rejects(work: Promise<unknown>, error: RegExp | typeof NothingRefused): Promise<void> {
    const rejected = assert.rejects(work, error);
    await this.clock.settle();
    await rejected;
  }

  get members(): string[] {
    return [...this.engine.atService.keys()].sort();
  }
}

export const part = (
  id: string | null,
  index: number | null,
  count: number | null = null,
  complete = false,
): Part => ({
  ...{ id, index, count, complete },
});
export const keys = (rows: readonly Row[]): string[] => rows.map(({ id }) => `:${id}`).sort();

export async function synced(count: number, own: Partial<SyncSettings> = {}): Promise<Process> {
  const clock = new FakeClock();
  const process = await new Process(clock, new PlainEngine(clock, 'i10001'), own).start();
  await process.whole(users(count));
  await process.finish();
  return process;
}

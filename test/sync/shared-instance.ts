// An instance with a shared queue in a real PostgreSQL that syncs one segment, without Node-RED: a test kills it at a call of
// the database.
import { checkEntry } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import { memberKeyOf } from '../../src/entry/member-key';
import { systemClock } from '../../src/clock';
import type { MemberQueue } from '../../src/delivery/engine';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { Registry, type Lease } from '../../src/delivery/registry';
import type { MemberSync } from '../../src/delivery/sync/member-sync';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import type { Part } from '../../src/sync/parts';
import { SegmentSync } from '../../src/sync/segment-sync';
import type { RunReport } from '../../src/sync/state';
import { requestOf, sharedOf } from '../support/shared-process';

export const segment = 10001;
export const key = `i${segment}`;
export const source = { node: 'sync', account: 'account' };
export const userId = (number: number): string => String(1_000_000_000_000 + number);

const limits = { postsPerSecond: 1_000, usersPerSecond: 20_000, maxConcurrent: 15 };
const settings = {
  segment: { seg_id: segment },
  removes: true,
  refreshPercent: 0,
  preview: false,
  runTimeoutMs: 3_600_000,
  maxRemovals: { number: 20, unit: 'percent' },
  emptyIsError: true,
} as const;

/** A call of the database: its name, and its arguments as JSON. */
export type Call = (name: string, args: string) => boolean;

export class SharedInstance {
  readonly engine: MemberQueue;
  readonly reports: RunReport[] = [];
  /** The first call that has been carried out and for which this is true is the last one. */
  killAfter: Call = () => false;
  private sync: SegmentSync | null = null;
  private following: Promise<unknown> = Promise.resolve();
  private alive = true;
  private readonly registry: Registry;
  private readonly lease: Lease;
  private readonly log: PostgresLog;

  /** @param sizes how much it keeps in memory */
  constructor(
    name: string,
    databaseUrl: string,
    serviceUrl: string,
    sizes: ConstructorParameters<typeof Registry>[2],
  ) {
    this.registry = new Registry(systemClock, Math.random, sizes);
    const { origin } = new URL(serviceUrl);
    this.log = new PostgresLog({ url: databaseUrl, origin, member: '1' });
    this.lease = this.registry.acquire({
      ...requestOf(serviceUrl, limits),
      shared: sharedOf(name, () => this.untilKilled(this.log)),
      log: () => undefined,
    });
    this.engine = this.lease.engine;
    this.engine.onLease(() => void (this.following = this.following.then(() => this.follow())));
  }

  get members(): MemberSync {
    return this.engine.sync!;
  }

  /** Whether it carries out the runs. */
  get isReady(): boolean {
    return this.alive && this.sync?.isStarted === true;
  }

  get view(): ReturnType<SegmentSync['view']> {
    return this.sync!.view();
  }

  private async follow(): Promise<void> {
    const before = this.sync;
    this.sync = null;
    await before?.close();
    const members = this.engine.sync;
    if (members === null || !this.alive) return;
    const sync = new SegmentSync({
      sync: members,
      source,
      settings,
      listener: {
        ended: (report) => this.reports.push(report),
        refused: (report) => this.reports.push(report),
        rejected: () => undefined,
      },
      clock: systemClock,
    });
    this.sync = sync;
    await members.opened.then(() => sync.start()).catch(() => undefined);
  }

  /** A whole audience. */
  take(users: readonly number[]): Promise<void> {
    return this.give(users, null);
  }

  /** A message of an audience in several. */
  takePart(users: readonly number[], index: number, count: number): Promise<void> {
    return this.give(users, { id: 'one', index, count, complete: false });
  }

  private async give(users: readonly number[], part: Part | null): Promise<void> {
    const staged = users.map((number) => ({
      memberKey: memberKeyOf(null, userId(number)),
      value: null,
      expiration: 0,
    }));
    await this.sync!.take({
      part,
      options: { preview: false, force: false, resend: false },
      rows: [{ rows: users.length, invalid: 0, noConsent: null, staged }],
    });
  }

  force(): Promise<void> {
    return this.sync!.force();
  }

  submit(entry: CheckedEntry, completeOn: 'accepted' | 'queued' = 'accepted'): Promise<MessageEnd> {
    const its = { source: { node: 'out', account: 'account' }, entries: [entry], indexes: null };
    return new Promise((onEnd) => this.engine.submit({ ...its, completeOn, onEnd }));
  }

  kill(): void {
    this.alive = false;
    // The database notices that the connections of the process are closed.
    void this.log.close({ id: 'nobody', name: 'nobody' });
  }

  async stop(): Promise<void> {
    this.alive = false;
    await this.lease.release(0);
    await this.registry.closeParked();
  }

  private untilKilled<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value === 'object' && value !== null) return this.untilKilled(value);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => this.called(target, String(name), value as Method, args);
      },
    });
  }

  private called(target: object, name: string, method: Method, args: unknown[]): unknown {
    const never = new Promise(() => undefined);
    if (!this.alive && name !== 'close') return never;
    const given = method.apply(target, args);
    if (name === 'store') return this.untilKilled(given as object);
    if (!(given instanceof Promise)) return given;
    return given.then((result: unknown) => {
      if (this.alive && this.killAfter(name, JSON.stringify(args))) this.kill();
      return this.alive || name === 'close' ? result : never;
    });
  }
}

type Method = (...args: unknown[]) => unknown;

export function event(number: number, expiration: number): CheckedEntry {
  const checked = checkEntry({ user_id: userId(number), seg_block: [{ seg_id: segment, expiration }] });
  if (!checked.ok) throw new Error('not an entry');
  return checked.entry;
}

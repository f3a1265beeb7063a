// An outbox that survives its process as a file does: commits take time, may fail, and a kill falls before or after.
import {
  OutboxError,
  type Commit,
  type Lane,
  type Opened,
  type Outbox,
  type Page,
  type UserRows,
} from '../../../src/outbox/outbox';
import type { MemoryOutbox } from '../../../src/outbox/memory-outbox';
import type { FakeClock } from './fake-clock';

/** Where a process dies: at its commit with this number (from 1), before or after that has taken effect. */
export interface KillPoint {
  readonly commit: number;
  readonly when: 'before' | 'after';
}

export interface KillableOptions {
  readonly store: MemoryOutbox;
  readonly clock: FakeClock;
  readonly random: () => number;
  /** Up to so long before a call takes effect, and again until its result is there. */
  readonly commitMs: () => number;
  /** The disk is full, locked or gone, whatever is asked of it. */
  readonly fails: () => boolean;
  readonly killAt: KillPoint | null;
  readonly onKill: () => void;
  /** A post of these users is about to leave: the engine asks for its mark. */
  readonly onDepart: (userHashes: readonly number[]) => void;
}

export class KillableOutbox implements Outbox {
  readonly durable = true;
  commits = 0;
  opened: Opened | null = null;
  private killed = false;
  private chain: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: KillableOptions) {}

  /** The process dies: what had not been carried out yet never is, what had been stays. */
  kill(): void {
    this.killed = true;
    void this.options.store.close();
  }

  async open(): Promise<Opened> {
    if (this.options.fails()) throw new OutboxError('locked', 'the file is locked by another process');
    this.opened = await this.options.store.open();
    return this.opened;
  }

  commit(commit: Commit): Promise<void> {
    for (const { userHashes } of commit.depart ?? []) this.options.onDepart(userHashes);
    return this.next(() => {
      if (this.options.fails()) throw new OutboxError('full', 'the disk is full');
      this.commits += 1;
      const { killAt, store, onKill } = this.options;
      if (killAt?.commit !== this.commits) return store.commit(commit);
      if (killAt.when === 'after') void store.commit(commit);
      onKill();
      return new Promise<void>(() => undefined);
    });
  }

  read(lane: Lane, after: number, through: number, limit: number): Promise<Page> {
    return this.next(() => {
      if (this.options.fails()) throw new OutboxError('failed', 'the disk cannot be read');
      return this.options.store.read(lane, after, through, limit);
    });
  }

  rowsOfUsers(userHashes: readonly number[], afterSeq: number, limit: number): Promise<UserRows> {
    return this.next(() => {
      if (this.options.fails()) throw new OutboxError('failed', 'the disk cannot be read');
      return this.options.store.rowsOfUsers(userHashes, afterSeq, limit);
    });
  }

  getMeta(key: string): Promise<string | null> {
    return this.options.store.getMeta(key);
  }

  /** In its turn, and in no time. */
  setMeta(key: string, value: string): Promise<void> {
    const result = this.chain.then(() => {
      if (this.killed) return new Promise<void>(() => undefined);
      if (this.options.fails()) throw new OutboxError('full', 'the disk is full');
      return this.options.store.setMeta(key, value);
    });
    this.chain = result.catch(() => undefined);
    return result;
  }

  close(): Promise<void> {
    return this.next(() => this.options.store.close());
  }

  private next<T>(call: () => Promise<T>): Promise<T> {
    const result = this.chain.then(async () => {
      if (await this.diesFirst()) return new Promise<T>(() => undefined);
      const value = await call();
      return (await this.diesFirst()) ? new Promise<T>(() => undefined) : value;
    });
    this.chain = result.catch(() => undefined);
    return result;
  }

  /** Takes its time; whether the process was killed meanwhile. */
  private async diesFirst(): Promise<boolean> {
    const { clock, random, commitMs } = this.options;
    const ms = commitMs();
    if (ms > 0) await new Promise<void>((resolve) => void clock.after(ms * random(), resolve));
    return this.killed;
  }
}

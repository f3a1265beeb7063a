// A PostgreSQL server as the queue's contract describes it: one store for each member, and the handles of
// processes.
//
// The server refuses, falls silent, loses replies, is read-only, or waits for its lost standby: then a write
// holds its lock and is carried out when the standby is back, although its caller timed out long before.
import { MemoryLogStore, StoreLog, unavailable, type HolderStore } from '../../queue/memory-shared-log';
import { QueueError } from '../../../src/queue/store';
import type { Commit } from '../../../src/queue/store';
import type { Instance, News, SharedLog } from '../../../src/queue/shared-log';
import type { Dice } from './dice';
import { epochMs, type ProcessTime } from './process-time';
import type { WorldTime } from './virtual-time';

export type DatabaseState = 'well' | 'refuses' | 'silent' | 'repliesLost' | 'readOnly' | 'standbyLost';

/** Timeout of a statement. */
const callMs = 5_000;
const lookAgainMs = 500;

/** Parts of a process that its calls need. */
export interface DatabaseUser {
  readonly instance: number;
  readonly time: ProcessTime;
  readonly wall: { readonly offsetMs: number };
  readonly diesAt: (port: 'database', when: 'before' | 'after') => boolean;
  readonly busy: (by: 1 | -1) => void;
}

export class Database {
  state: DatabaseState = 'well';
  /** State of the network between an instance and the server. */
  readonly ways = new Map<number, DatabaseState>();
  readonly stores = new Map<string, MemoryLogStore>();
  /** Open connections by instance. */
  readonly connections = new Map<number, number>();
  /**
   * By instance: the last commit with new in-flight records, when it was known to be carried out, and its
   * token.
   */
  readonly departed = new Map<number, { readonly atMs: number; readonly token: number }>();
  /** See MemoryLogStore. */
  onMembers: MemoryLogStore['onMembers'] = () => undefined;
  onSuppressed: MemoryLogStore['onSuppressed'] = () => undefined;
  /** Writes that wait for the standby, in order. */
  #waiting: (() => void)[] = [];

  constructor(
    readonly world: WorldTime,
    readonly dice: Dice,
    readonly wayMs: number,
    /** Whether its stores keep members of synced segments. */
    readonly syncs = false,
  ) {}

  log(name: string, user: DatabaseUser): SharedLog {
    return new DatabaseLog(this, this.logStore(name), user);
  }

  logStore(name: string): MemoryLogStore {
    let logStore = this.stores.get(name);
    if (logStore === undefined) {
      const { world } = this;
      const clock = { wallMs: () => epochMs + world.nowMs, after: world.after.bind(world) };
      this.stores.set(name, (logStore = new MemoryLogStore(clock, this.syncs)));
      logStore.onMembers = (changes) => this.onMembers(changes);
      logStore.onSuppressed = (memberKeys) => this.onSuppressed(memberKeys);
    }
    return logStore;
  }

  /** Number of pending entries of a member. */
  pending(member: string): number {
    return this.stores.get(member)?.rows.totals.waiting ?? 0;
  }

  /** The token under which the member's queue is sent. */
  token(member: string, _instance: number): number {
    return this.logStore(member).lease.token;
  }

  /** Whether a process has the lease in the database; null when that cannot be determined. */
  isSender(member: string, instance: number, name: string): boolean | null {
    const nowMs = epochMs + this.world.nowMs;
    const { lease, leaseBefore } = this.logStore(member);
    // A request that was recorded before its sender lost its connection, and so the lease, may still leave.
    const held = [lease, leaseBefore].find(
      ({ holder, expiresAtMs }) => holder?.name === name && expiresAtMs > nowMs,
    );
    const departed = this.departed.get(instance);
    // A request that is sent when its commit becomes known is sent under the lease of that commit, or not at
    // all.
    const isStale = departed?.atMs === this.world.nowMs && departed.token !== held?.token;
    return held !== undefined && !isStale;
  }

  /** Ends a run. */
  end(): Promise<void> {
    for (const { rows } of this.stores.values()) rows.close();
    return Promise.resolve();
  }

  stateFor(instance: number): DatabaseState {
    const way = this.ways.get(instance) ?? 'well';
    return way === 'well' ? this.state : way;
  }

  waits(write: () => void): void {
    this.#waiting.push(write);
  }

  get isBroken(): boolean {
    return this.state !== 'well' || [...this.ways.values()].some((way) => way !== 'well');
  }

  get standbyIsLost(): boolean {
    return this.state === 'standbyLost';
  }

  change(state: DatabaseState, instance: number | null): void {
    if (instance !== null && state !== 'readOnly' && state !== 'standbyLost') this.ways.set(instance, state);
    else this.state = state;
    if (instance !== null && state === 'refuses') this.#disconnected(instance);
    if (!this.standbyIsLost) for (const write of this.#waiting.splice(0)) write();
    if (state === 'well') this.#tellAll({ kind: 'connected' }, instance);
    else if (state !== 'readOnly') this.#tellAll({ kind: 'lost' }, instance);
  }

  #tellAll(news: News, instance: number | null): void {
    for (const logStore of this.stores.values())
      for (const handle of logStore.handles as Set<DatabaseLog>)
        if (instance === null || handle.user.instance === instance) handle.say(news);
  }

  /** The process died, and with it its connections. */
  processDied(instance: number): void {
    this.connections.delete(instance);
    this.#disconnected(instance);
    for (const { handles } of this.stores.values())
      for (const handle of handles as Set<DatabaseLog>)
        if (handle.user.instance === instance) handles.delete(handle);
  }

  #disconnected(instance: number): void {
    for (const logStore of this.stores.values())
      for (const handle of logStore.handles as Set<DatabaseLog>)
        if (handle.user.instance === instance && handle.instance !== null)
          logStore.disconnected(handle.instance);
  }

  connect(instance: number, by: number): void {
    this.connections.set(instance, (this.connections.get(instance) ?? 0) + by);
  }
}

/** Handle of one process to one queue. */
class DatabaseLog extends StoreLog {
  #isOpen = false;
  /** Number of closes: an opening in progress then leaves no connections. */
  #closes = 0;

  constructor(
    readonly database: Database,
    logStore: MemoryLogStore,
    readonly user: DatabaseUser,
  ) {
    super(logStore);
  }

  get skewMs(): number {
    return this.user.wall.offsetMs;
  }

  open(): Promise<void> {
    const closes = this.#closes;
    const open = (): void => {
      if (this.#closes !== closes) throw new QueueError('failed', 'it was closed while it was being opened');
      if (this.#isOpen) return;
      this.#isOpen = true;
      this.database.connect(this.user.instance, 2);
      this.logStore.handles.add(this);
      this.say({ kind: 'connected' });
    };
    return this.call(open, { opens: true });
  }

  close(instance: Instance): Promise<void> {
    this.#closes += 1;
    if (!this.#isOpen) return Promise.resolve();
    const end = (): void => {
      if (this.#isOpen) this.database.connect(this.user.instance, -2);
      this.#isOpen = false;
      this.listener = null;
      this.logStore.handles.delete(this);
    };
    return this.call(() => this.logStore.bye(instance.id), { writes: true }).then(end, end);
  }

  storeOpened(): void {
    this.database.connect(this.user.instance, 1);
  }

  storeClosed(): void {
    this.database.connect(this.user.instance, -1);
  }

  hear(news: News, to: string | null): void {
    if (this.isFor(to) && this.database.stateFor(this.user.instance) === 'well')
      this.database.world.after(this.wayMs(), () => this.say(news));
  }

  say(news: News): void {
    this.user.time.run(() => {
      if (this.#isOpen) this.listener?.(news);
    });
  }

  wayMs(): number {
    return this.database.dice.next() * this.database.wayMs;
  }

  call<T>(work: () => T | Promise<T>, { writes = false, opens = false } = {}): Promise<T> {
    if (!opens && !this.#isOpen)
      return Promise.reject(new QueueError('closed', 'The shared queue is closed.'));
    return this.attempt(work, writes).then(
      (result) => result,
      (error: unknown) => Promise.reject(error instanceof Unanswered ? unavailable() : (error as Error)),
    );
  }

  /** Rejects with Unanswered when it is unknown whether the work was or will be carried out. */
  attempt<T>(work: () => T | Promise<T>, writes: boolean): Promise<T> {
    const { database, user } = this;
    const { world } = database;
    user.busy(1);
    return new Promise<T>((resolve, reject) => {
      const settle = (call: () => void): void =>
        user.time.run(() => {
          user.busy(-1);
          call();
        });
      let discarded = false;
      const discard = (afterMs: number): void =>
        void world.after(afterMs, () =>
          settle(() => {
            discarded = true;
            reject(new Unanswered());
          }),
        );
      const carryOut = (): void => {
        if (user.diesAt('database', 'before')) return;
        let result: Promise<T>;
        try {
          result = Promise.resolve(work());
        } catch (error) {
          result = Promise.reject(error instanceof Error ? error : new Error(String(error)));
        }
        result.catch(() => undefined);
        if (user.diesAt('database', 'after') || discarded) return;
        if (database.stateFor(user.instance) === 'repliesLost') discard(this.wayMs() + 50);
        else world.after(this.wayMs(), () => settle(() => void result.then(resolve, reject)));
      };
      world.after(this.wayMs(), () => {
        if (!user.time.alive) return;
        const state = database.stateFor(user.instance);
        if (state === 'refuses') settle(() => reject(unavailable()));
        else if (state === 'silent') discard(callMs);
        else if (state === 'readOnly' && writes) settle(() => reject(readOnly()));
        else if (database.standbyIsLost && writes) {
          discard(callMs);
          database.waits(carryOut);
        } else carryOut();
      });
    });
  }

  async commitOf(store: HolderStore, commit: Commit): Promise<void> {
    const { database, user } = this;
    let isDone = false;
    const work = (): void => {
      if (isDone) return;
      store.checkLease();
      isDone = true;
      store.carryOut(commit);
    };
    for (let isSent = false; ;) {
      try {
        await this.attempt(work, true);
        if ((commit.begin ?? []).length > 0)
          database.departed.set(user.instance, { atMs: database.world.nowMs, token: store.token });
        return;
      } catch (error) {
        if (error instanceof Unanswered) isSent = true;
        else if (!isSent || !isPassing(error)) throw error;
      }
      await new Promise<void>((resolve) => void user.time.after(lookAgainMs, resolve));
    }
  }
}

/** It is unknown whether the work was carried out. */
class Unanswered extends Error {}

function isPassing(error: unknown): boolean {
  return error instanceof QueueError && (error.code === 'unavailable' || error.code === 'readonly');
}

function readOnly(): QueueError {
  return new QueueError('readonly', 'the database takes no writes now');
}

// A PostgreSQL server as far as the queue's contract tells: one store for each member, and what a process has of it.
//
// The server refuses, falls silent, loses replies, takes no writes, or waits for its lost standby: then a write holds its
// lock and is carried out when the standby is back, although its caller gave up long before.
import { MemoryLogStore, type MemorySharedLog } from '../../outbox/memory-shared-log';
import { OutboxError } from '../../../src/outbox/outbox';
import type { Commit, Lane, Opened, Outbox, Page, Row, UserRows } from '../../../src/outbox/outbox';
import type {
  Appended,
  Batch,
  Claim,
  Instance,
  Letter,
  News,
  SharedLog,
} from '../../../src/outbox/shared-log';
import type { Dice } from './dice';
import { epochMs, type ProcessTime } from './process-time';
import type { WorldTime } from './virtual-time';

export type DatabaseState = 'well' | 'refuses' | 'silent' | 'repliesLost' | 'readOnly' | 'standbyLost';

/** A statement that is not answered is given up after it. */
const callMs = 5_000;
const lookAgainMs = 500;

/** What the calls of one process need. */
export interface DatabaseUser {
  readonly instance: number;
  readonly time: ProcessTime;
  readonly wall: { readonly offsetMs: number };
  readonly diesAt: (port: 'database', when: 'before' | 'after') => boolean;
  readonly busy: (by: 1 | -1) => void;
}

export class Database {
  state: DatabaseState = 'well';
  /** Of the network between one instance and the server. */
  readonly ways = new Map<number, DatabaseState>();
  readonly stores = new Map<string, MemoryLogStore>();
  /** Connections that are open, by instance. */
  readonly connections = new Map<number, number>();
  /** By instance: the last commit that noted departures, when it was known to be carried out, and under which epoch. */
  readonly departed = new Map<number, { readonly atMs: number; readonly epoch: number }>();
  /** Writes that wait for the standby, in order. */
  #waiting: (() => void)[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly world: WorldTime,
    readonly dice: Dice,
    readonly wayMs: number,
  ) {}

  log(name: string, user: DatabaseUser): SharedLog {
    return new DatabaseLog(this, this.store(name), user);
  }

  store(name: string): MemoryLogStore {
    let store = this.stores.get(name);
    if (store === undefined) {
      const { world } = this;
      const clock = { wallMs: () => epochMs + world.nowMs, after: world.after.bind(world) };
      this.stores.set(name, (store = new MemoryLogStore(clock)));
    }
    return store;
  }

  /** Entries of a member that wait in it. */
  pending(member: string): number {
    return this.stores.get(member)?.rows.totals.waiting ?? 0;
  }

  /** Under which epoch the member's queue is sent from. */
  epoch(member: string, _instance: number): number {
    return this.store(member).lease.epoch;
  }

  /** Whether a process has the lease, as far as the database knows; null when that cannot be told. */
  isSender(member: string, instance: number, name: string): boolean | null {
    const { holder, expiresAtMs, epoch } = this.store(member).lease;
    const departed = this.departed.get(instance);
    // What leaves at the moment when its commit is known leaves under the lease of that commit, or not at all.
    const isStale = departed?.atMs === this.world.nowMs && departed.epoch !== epoch;
    return holder?.name === name && expiresAtMs > epochMs + this.world.nowMs && !isStale;
  }

  /** Ends a run. */
  end(): Promise<void> {
    return Promise.resolve();
  }

  stateFor(instance: number): DatabaseState {
    const way = this.ways.get(instance) ?? 'well';
    return way === 'well' ? this.state : way;
  }

  /** As writers of one row wait for each other. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
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
    if (!this.standbyIsLost) for (const write of this.#waiting.splice(0)) write();
    if (state === 'well') this.#tellAll({ kind: 'connected' }, instance);
    else if (state !== 'readOnly') this.#tellAll({ kind: 'lost' }, instance);
  }

  #tellAll(news: News, instance: number | null): void {
    for (const store of this.stores.values())
      for (const handle of store.handles as unknown as Set<DatabaseLog>)
        if (instance === null || handle.user.instance === instance) handle.say(news);
  }

  /** The process is gone, and so are its connections. */
  processDied(instance: number): void {
    this.connections.delete(instance);
    for (const { handles } of this.stores.values())
      for (const handle of handles as unknown as Set<DatabaseLog>)
        if (handle.user.instance === instance) handles.delete(handle as unknown as MemorySharedLog);
  }

  connect(instance: number, by: number): void {
    this.connections.set(instance, (this.connections.get(instance) ?? 0) + by);
  }
}

/** One process's way to one queue. */
class DatabaseLog implements SharedLog {
  #isOpen = false;
  /** How often it was closed: an opening under way then leaves no connections. */
  #closes = 0;
  #instance: string | null = null;
  #listener: ((news: News) => void) | null = null;

  constructor(
    readonly database: Database,
    readonly store: MemoryLogStore,
    readonly user: DatabaseUser,
  ) {}

  get skewMs(): number {
    return this.user.wall.offsetMs;
  }

  open(): Promise<void> {
    const closes = this.#closes;
    return this.call(
      () => {
        if (this.#closes !== closes)
          throw new OutboxError('failed', 'it was closed while it was being opened');
        if (this.#isOpen) return;
        this.#isOpen = true;
        this.database.connect(this.user.instance, 2);
        this.store.handles.add(this as unknown as MemorySharedLog);
        this.say({ kind: 'connected' });
      },
      { opens: true },
    );
  }

  append(batch: Batch): Promise<Appended> {
    const rows = batch.rows.map((row) => shifted(row, -this.skewMs));
    return this.call(() => this.store.append({ ...batch, rows }), { writes: true });
  }

  streamThrough(stream: string): Promise<number> {
    return this.call(() => this.store.streamThrough(stream));
  }

  claim(instance: Instance, wants: boolean, epoch: number | null, leaseMs: number): Promise<Claim> {
    this.#instance = instance.id;
    return this.call(() => this.store.claim(instance, wants, epoch, leaseMs), { writes: true });
  }

  release(instance: Instance, epoch: number): Promise<void> {
    return this.call(() => this.store.release(instance, epoch), { writes: true });
  }

  outbox(instance: Instance, epoch: number): Outbox {
    return new SenderOutbox(this, instance.id, epoch);
  }

  readonly meta = {
    getMeta: (key: string): Promise<string | null> => this.call(() => this.store.rows.getMeta(key)),
    setMeta: (key: string, value: string): Promise<void> =>
      this.call(() => this.store.rows.setMeta(key, value), { writes: true }),
    replaceMeta: (key: string, before: string | null, value: string): Promise<boolean> =>
      this.call(() => this.database.inTurn(() => this.replaceMeta(key, before, value)), { writes: true }),
  };

  private async replaceMeta(key: string, before: string | null, value: string): Promise<boolean> {
    const { rows } = this.store;
    if ((await rows.getMeta(key)) !== before) return false;
    await rows.setMeta(key, value);
    return true;
  }

  /** By the database's clock. */
  nowMs(): number {
    return epochMs + this.database.world.nowMs;
  }

  adoptMail(instance: Instance, epoch: number): Promise<void> {
    const adopt = (): void => {
      this.store.checkLease(instance.id, epoch);
      this.store.adoptMail();
    };
    return this.call(adopt, { writes: true });
  }

  mail(instance: Instance, afterId: number, limit: number): Promise<readonly Letter[]> {
    return this.call(() => this.store.mail(instance.id, afterId, limit), { writes: true });
  }

  send(to: string | null, kind: 'order' | 'answer', text: string): Promise<void> {
    return this.call(() => this.store.send(to, kind, text), { writes: true });
  }

  onNews(listener: (news: News) => void): void {
    this.#listener = listener;
  }

  close(instance: Instance): Promise<void> {
    this.#closes += 1;
    if (!this.#isOpen) return Promise.resolve();
    const end = (): void => {
      if (this.#isOpen) this.database.connect(this.user.instance, -2);
      this.#isOpen = false;
      this.#listener = null;
      this.store.handles.delete(this as unknown as MemorySharedLog);
    };
    return this.call(() => this.store.bye(instance.id), { writes: true }).then(end, end);
  }

  /** From the store. */
  hear(news: News, to: string | null): void {
    const isMine = to === null || this.#instance === null || to === this.#instance;
    if (!isMine || this.database.stateFor(this.user.instance) !== 'well') return;
    this.database.world.after(this.wayMs(), () => this.say(news));
  }

  say(news: News): void {
    this.user.time.run(() => {
      if (this.#isOpen) this.#listener?.(news);
    });
  }

  wayMs(): number {
    return this.database.dice.next() * this.database.wayMs;
  }

  /** One transaction, there and back. */
  call<T>(work: () => T | Promise<T>, { writes = false, opens = false } = {}): Promise<T> {
    if (!opens && !this.#isOpen)
      return Promise.reject(new OutboxError('closed', 'The shared queue is closed.'));
    return this.attempt(work, writes).then(
      (result) => result,
      (error: unknown) => Promise.reject(error instanceof Unanswered ? unavailable() : (error as Error)),
    );
  }

  /** Rejects with Unanswered when nobody knows whether it was carried out, or will be. */
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
      let givenUp = false;
      const giveUp = (afterMs: number): void =>
        void world.after(afterMs, () =>
          settle(() => {
            givenUp = true;
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
        if (user.diesAt('database', 'after') || givenUp) return;
        if (database.stateFor(user.instance) === 'repliesLost') giveUp(this.wayMs() + 50);
        else world.after(this.wayMs(), () => settle(() => void result.then(resolve, reject)));
      };
      world.after(this.wayMs(), () => {
        if (!user.time.alive) return;
        const state = database.stateFor(user.instance);
        if (state === 'refuses') settle(() => reject(unavailable()));
        else if (state === 'silent') giveUp(callMs);
        else if (state === 'readOnly' && writes) settle(() => reject(readOnly()));
        else if (database.standbyIsLost && writes) {
          giveUp(callMs);
          database.waits(carryOut);
        } else carryOut();
      });
    });
  }
}

/** Nobody knows whether it was carried out. */
class Unanswered extends Error {}

/** The sender's side: calls one after the other, results in their order. */
class SenderOutbox implements Outbox {
  readonly durable = true;
  #isOpen = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly log: DatabaseLog,
    private readonly instance: string,
    private readonly epoch: number,
  ) {}

  open(): Promise<Opened> {
    return this.#next(async () => {
      const { store, skewMs, database, user } = this.log;
      const found = await this.log.call(
        () => {
          store.checkLease(this.instance, this.epoch);
          return store.takeOver();
        },
        { writes: true },
      );
      if (!this.#isOpen) database.connect(user.instance, 1);
      this.#isOpen = true;
      const { flights, oldestTakenWallMs } = found;
      return {
        ...found,
        flights: flights.map(({ untilWallMs, ...flight }) => ({
          ...flight,
          untilWallMs: untilWallMs === null ? null : untilWallMs + skewMs,
        })),
        oldestTakenWallMs: oldestTakenWallMs === null ? null : oldestTakenWallMs + skewMs,
      };
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#opened(() => this.#commitUntilKnown(commit));
  }

  /** It stays open until it is known that it was carried out under the lease, or cannot be any more. */
  async #commitUntilKnown(commit: Commit): Promise<void> {
    const { store } = this.log;
    let done = false;
    const work = async (): Promise<void> => {
      if (done) return;
      store.checkLease(this.instance, this.epoch);
      done = true;
      await this.#carryOut(commit);
    };
    for (let isSent = false; ;) {
      try {
        await this.log.attempt(work, true);
        const { database, user } = this.log;
        if ((commit.depart ?? []).length > 0)
          database.departed.set(user.instance, { atMs: database.world.nowMs, epoch: this.epoch });
        return;
      } catch (error) {
        if (error instanceof Unanswered) isSent = true;
        else if (!isSent || !isPassing(error)) throw error;
      }
      await new Promise<void>((resolve) => void this.log.user.time.after(lookAgainMs, resolve));
    }
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<Page> {
    return this.#opened(async () => {
      const { rows, shields } = await this.log.call(() =>
        this.log.store.rows.read(lane, afterSeq, throughSeq, limit),
      );
      return { rows: this.#ours(rows), shields: this.#ours(shields) };
    });
  }

  rowsOfUsers(userHashes: readonly number[], afterSeq: number, limit: number): Promise<UserRows> {
    return this.#opened(async () => {
      const found = await this.log.call(() => this.log.store.rows.rowsOfUsers(userHashes, afterSeq, limit));
      return { ...found, rows: this.#ours(found.rows) };
    });
  }

  getMeta(key: string): Promise<string | null> {
    return this.#opened(() => this.log.meta.getMeta(key));
  }

  setMeta(key: string, value: string): Promise<void> {
    const { store } = this.log;
    const work = (): Promise<void> => {
      store.checkLease(this.instance, this.epoch);
      return store.rows.setMeta(key, value);
    };
    return this.#opened(() => this.log.call(work, { writes: true }));
  }

  async close(): Promise<void> {
    const end = (): void => {
      if (this.#isOpen) this.log.database.connect(this.log.user.instance, -1);
      this.#isOpen = false;
    };
    end();
    await this.#last.catch(() => undefined);
    // It may have been opened meanwhile.
    end();
  }

  async #carryOut(commit: Commit): Promise<void> {
    const { store, skewMs } = this.log;
    const lost = commit.lost?.map((flight) => ({ ...flight, untilWallMs: flight.untilWallMs - skewMs }));
    await store.rows.commit({ ...commit, ...(lost === undefined ? {} : { lost }) });
    const letters = new Map<string, object[]>();
    for (const { seq, source, instance, report } of commit.tell ?? []) {
      const ends = letters.get(instance) ?? [];
      ends.push({ seq, node: source.node, account: source.account, report });
      letters.set(instance, ends);
    }
    for (const [to, ends] of letters) store.send(to, 'ended', JSON.stringify(ends));
  }

  #ours(rows: readonly Row[]): Row[] {
    const { store, skewMs } = this.log;
    return rows.map((row) => ({ ...shifted(row, skewMs), instance: store.takers.get(row.seq) ?? '' }));
  }

  #opened<T>(call: () => Promise<T>): Promise<T> {
    if (!this.#isOpen) return Promise.reject(new OutboxError('closed', 'The shared queue is closed.'));
    return this.#next(call);
  }

  #next<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#last.then(call, call);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof OutboxError && (error.code === 'unavailable' || error.code === 'readonly');
}

function shifted<R extends { readonly bornWallMs: number; readonly takenWallMs: number }>(
  row: R,
  byMs: number,
): R {
  return { ...row, bornWallMs: row.bornWallMs + byMs, takenWallMs: row.takenWallMs + byMs };
}

function unavailable(): OutboxError {
  return new OutboxError('unavailable', 'the database cannot be reached');
}

function readOnly(): OutboxError {
  return new OutboxError('readonly', 'the database takes no writes now');
}

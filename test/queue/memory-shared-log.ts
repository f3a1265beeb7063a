// Shared log in memory: the whole contract of SharedLog, with faults that tests inject.
//
// One `MemoryLogStore` is the database; each `MemorySharedLog` is the handle of one instance.
import { InTurn } from '../../src/in-turn';
import {
  QueueError,
  type Commit,
  type Lane,
  type NewRow,
  type Opened,
  type QueueStore,
  type Row,
  type UserRange,
} from '../../src/queue/store';
import {
  aliveMs,
  type Appended,
  type Batch,
  type Claim,
  type Control,
  type SharedDeletion,
  type SharedDeletionRequest,
  type SharedDeletionResult,
  type Instance,
  type News,
  type SharedLog,
  type StoredOutcomes,
} from '../../src/queue/shared-log';
import { suppressionKeyNote } from '../../src/queue/suppression';
import type { MemberChange, SyncStore } from '../../src/queue/sync-store';
import { PlainSyncStore } from './plain-sync-store';
import { openLog } from '../../src/queue/sqlite/sqlite-log';

/** Part of the engine's clock. */
export interface StoreClock {
  wallMs(): number;
  after(delayMs: number, call: () => void): () => void;
}

interface Lease {
  token: number;
  holder: Instance | null;
  expiresAtMs: number;
}

interface Stream {
  readonly through: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly seenAtMs: number;
}

interface OutcomesOfInstance extends StoredOutcomes {
  readonly instance: string;
}

interface DeletionRow extends SharedDeletion {
  readonly doneAtMs: number;
}

/** The database: every call is one transaction. */
export class MemoryLogStore {
  readonly rows = openLog(':memory:');
  /** Of synced segments. */
  readonly sync: PlainSyncStore;
  /** A commit has changed members, or users were suppressed. */
  onMembers: (changes: readonly MemberChange[]) => void = () => undefined;
  onSuppressed: (memberKeys: readonly string[]) => void = () => undefined;
  readonly lease: Lease = { token: 0, holder: null, expiresAtMs: 0 };
  readonly instances = new Map<string, { readonly name: string; readonly seenAtMs: number }>();
  readonly instanceSources = new Map<number, string>();
  readonly handles = new Set<StoreLog>();
  /** Lease holders' stores that were opened and not closed. */
  readonly openStores = new Set<QueueStore>();
  outcomeRows: OutcomesOfInstance[] = [];
  deletionRows: DeletionRow[] = [];
  control: Control = { paused: false, flushes: 0, deletions: 0 };
  readonly #producers = new Map<string, Stream>();
  readonly #disconnected = new Set<string>();
  /** The lease before the last take-over, which may not have run out. */
  leaseBefore: Readonly<Lease> = this.lease;
  #lastOutcome = 0;

  /** The database's clock; `skewMs` of a handle is the offset of its machine. */
  constructor(
    readonly clock: StoreClock,
    /** Whether the holder's store keeps members of synced segments. */
    readonly syncs = false,
  ) {
    const nowMinutes = (): number => Math.floor(clock.wallMs() / 60_000);
    this.sync = new PlainSyncStore(nowMinutes, () => this.rows.getMeta(suppressionKeyNote));
  }

  append({ producerId, batchSequence, instance, rows, sync, maxEntries, maxChars }: Batch): Appended {
    const before = this.#producers.get(producerId);
    if (before !== undefined && batchSequence <= before.through) {
      if (batchSequence < before.through) return { kind: 'before' };
      return { kind: 'appended', firstSeq: before.firstSeq, lastSeq: before.lastSeq };
    }
    if (sync !== undefined && sync.fencingToken !== this.lease.token)
      throw new QueueError('fenced', `token ${sync.fencingToken} is over`);
    const { lastSeq, waiting, bodyChars } = this.rows.totals;
    const chars = rows.reduce((sum, { body }) => sum + body.length, 0);
    if (waiting + rows.length > maxEntries || bodyChars + chars > maxChars) return { kind: 'full', waiting };
    const append = rows.map((row, at): NewRow => ({
      ...row,
      seq: lastSeq + at + 1,
      eventMonoMs: 0,
      cold: true,
    }));
    this.rows.commit({ append });
    this.sync.commit([], sync?.states ?? []);
    for (const { seq } of append) this.instanceSources.set(seq, instance);
    const appended = { firstSeq: lastSeq + 1, lastSeq: lastSeq + rows.length };
    this.#producers.set(producerId, { through: batchSequence, ...appended, seenAtMs: this.clock.wallMs() });
    this.tell({ kind: 'rows' });
    return { kind: 'appended', ...appended };
  }

  appendedThrough(producerId: string): number {
    return this.#producers.get(producerId)?.through ?? 0;
  }

  claim(instance: Instance, wants: boolean, token: number | null, leaseMs: number): Claim {
    const { lease } = this;
    const nowMs = this.clock.wallMs();
    this.instances.set(instance.id, { name: instance.name, seenAtMs: nowMs });
    this.#disconnected.delete(instance.id);
    const isFree =
      lease.holder === null || lease.expiresAtMs <= nowMs || this.#disconnected.has(lease.holder.id);
    const isOwn = lease.holder?.id === instance.id;
    const ours = wants && (isFree || isOwn);
    if (ours) {
      if (!isOwn) this.leaseBefore = { ...lease };
      if (!isOwn || token !== lease.token) lease.token++;
      lease.holder = instance;
      lease.expiresAtMs = nowMs + leaseMs;
    }
    if (ours) this.#tidy();
    const { lastSeq, waiting } = this.rows.totals;
    return {
      fencingToken: lease.token,
      holder: lease.holder !== null && lease.expiresAtMs > nowMs ? lease.holder : null,
      ours,
      leftMs: lease.expiresAtMs - nowMs,
      lastSeq,
      waiting,
      instances: [...this.instances]
        .filter(([, { seenAtMs }]) => seenAtMs + aliveMs >= nowMs)
        .map(([id, { name }]) => ({ id, name })),
      control: this.control,
      hasOutcomes: this.#outcomesOf(instance.id).length > 0,
    };
  }

  release(instance: Instance, token: number): void {
    if (!this.holds(instance.id, token)) return;
    this.lease.holder = null;
    this.tell({ kind: 'lease' });
  }

  holds(instance: string, token: number): boolean {
    return this.lease.holder?.id === instance && this.lease.token === token;
  }

  /** Throws `fenced` unless the lease is held under this token. */
  checkLease(instance: string, token: number): void {
    if (!this.holds(instance, token))
      throw new QueueError('fenced', `the lease of token ${token} is not held any more`);
  }

  /** Renumbers recovered in-flight records below 0, as every opening does. */
  takeOver(): Opened {
    return this.rows.takeOver();
  }

  storeOutcomes(instance: string, text: string): void {
    this.outcomeRows.push({ id: ++this.#lastOutcome, instance, text });
    this.tell({ kind: 'outcomes' }, instance);
  }

  outcomes(instance: string, reported: readonly number[], limit: number): StoredOutcomes[] {
    this.outcomeRows = this.outcomeRows.filter(({ id }) => !reported.includes(id));
    return this.#outcomesOf(instance)
      .slice(0, limit)
      .map(({ id, text }) => ({ id, text }));
  }

  setControl(change: Partial<Control>): void {
    this.control = { ...this.control, ...change };
    this.tell({ kind: 'control' });
  }

  requestDeletion(request: SharedDeletionRequest): number {
    const id = this.control.deletions + 1;
    this.deletionRows.push({ ...request, id, result: null, doneAtMs: Infinity });
    this.setControl({ deletions: id });
    return id;
  }

  finishDeletion(id: number, result: SharedDeletionResult): void {
    const doneAtMs = this.clock.wallMs();
    const at = this.deletionRows.findIndex((row) => row.id === id && row.result === null);
    if (at === -1) return;
    this.deletionRows[at] = { ...this.deletionRows[at]!, result, doneAtMs };
    this.setControl({ deletions: this.control.deletions + 1 });
  }

  /** The connections of the instance ended, and with them its lease. */
  disconnected(instance: string): void {
    this.#disconnected.add(instance);
  }

  /** The instance is gone: the active one reports its outcomes. */
  bye(instance: string): void {
    this.instances.delete(instance);
  }

  replaceMeta(key: string, before: string | null, value: string): boolean {
    if (this.rows.getMeta(key) !== before) return false;
    this.rows.setMeta(key, value);
    return true;
  }

  tell(news: News, to: string | null = null): void {
    for (const handle of this.handles) handle.hear(news, to);
  }

  #isAlive(seenAtMs: number | undefined): boolean {
    return seenAtMs !== undefined && seenAtMs + aliveMs >= this.clock.wallMs();
  }

  #outcomesOf(instance: string): OutcomesOfInstance[] {
    const isHolder = this.lease.holder?.id === instance;
    const isGone = (its: string): boolean =>
      !this.#isAlive(this.instances.get(its)?.seenAtMs) && !this.#isAlive(this.#producers.get(its)?.seenAtMs);
    return this.outcomeRows.filter((row) => row.instance === instance || (isHolder && isGone(row.instance)));
  }

  #tidy(): void {
    for (const [id, { seenAtMs }] of this.instances) if (!this.#isAlive(seenAtMs)) this.instances.delete(id);
    this.deletionRows = this.deletionRows.filter(({ doneAtMs }) => this.#isAlive(doneAtMs));
  }
}

export interface MemorySharedLogOptions {
  /** Machine minus database. */
  readonly skewMs?: number;
  /** Delay until a call is carried out, and again until its result arrives. */
  readonly delayMs?: () => number;
  /** Delay of notifications. */
  readonly newsDelayMs?: () => number;
}

/** Handle of one instance; `call` decides how calls and results travel. */
export abstract class StoreLog implements SharedLog {
  /** Machine minus database. */
  abstract readonly skewMs: number;
  instance: string | null = null;
  protected listener: ((news: News) => void) | null = null;

  constructor(readonly logStore: MemoryLogStore) {}

  /** One transaction, with the way there and back. */
  abstract call<T>(work: () => T | Promise<T>, how?: { writes?: boolean; opens?: boolean }): Promise<T>;

  /** Stays pending until the commit is known to be carried out under the lease, or can no longer be. */
  abstract commitOf(store: HolderStore, commit: Commit): Promise<void>;

  abstract storeOpened(store: HolderStore): void;
  abstract storeClosed(store: HolderStore): void;
  abstract open(): Promise<void>;
  abstract close(instance: Instance): Promise<void>;
  /** Receives a notification of the store. */
  abstract hear(news: News, to: string | null): void;

  append(batch: Batch): Promise<Appended> {
    const rows = batch.rows.map((row) => shifted(row, -this.skewMs));
    return this.call(() => this.logStore.append({ ...batch, rows }), { writes: true });
  }

  appendedThrough(producerId: string): Promise<number> {
    return this.call(() => this.logStore.appendedThrough(producerId));
  }

  claim(instance: Instance, wants: boolean, token: number | null, leaseMs: number): Promise<Claim> {
    this.instance = instance.id;
    return this.call(() => this.logStore.claim(instance, wants, token, leaseMs), { writes: true });
  }

  release(instance: Instance, token: number): Promise<void> {
    return this.call(() => this.logStore.release(instance, token), { writes: true });
  }

  store(instance: Instance, token: number): QueueStore {
    return new HolderStore(this, instance.id, token);
  }

  readonly meta = {
    getMeta: (key: string): Promise<string | null> => this.call(() => this.logStore.rows.getMeta(key)),
    setMeta: (key: string, value: string): Promise<void> =>
      this.call(() => this.logStore.rows.setMeta(key, value), { writes: true }),
    replaceMeta: (key: string, before: string | null, value: string): Promise<boolean> =>
      this.call(() => this.logStore.replaceMeta(key, before, value), { writes: true }),
  };

  nowMs(): number {
    return this.logStore.clock.wallMs();
  }

  outcomes(
    instance: Instance,
    reported: readonly number[],
    limit: number,
  ): Promise<readonly StoredOutcomes[]> {
    return this.call(() => this.logStore.outcomes(instance.id, reported, limit), { writes: true });
  }

  setPaused(paused: boolean): Promise<void> {
    return this.call(() => this.logStore.setControl({ paused }), { writes: true });
  }

  flush(): Promise<void> {
    const flush = (): void => this.logStore.setControl({ flushes: this.logStore.control.flushes + 1 });
    return this.call(flush, { writes: true });
  }

  requestDeletion(request: SharedDeletionRequest): Promise<number> {
    return this.call(() => this.logStore.requestDeletion(request), { writes: true });
  }

  deletions(): Promise<readonly SharedDeletion[]> {
    return this.call(() => this.logStore.deletionRows.map(({ doneAtMs: _, ...deletion }) => deletion));
  }

  finishDeletion(instance: Instance, token: number, id: number, result: SharedDeletionResult): Promise<void> {
    const finish = (): void => {
      if (this.logStore.holds(instance.id, token)) this.logStore.finishDeletion(id, result);
    };
    return this.call(finish, { writes: true });
  }

  onNews(listener: (news: News) => void): void {
    this.listener = listener;
  }

  protected isFor(to: string | null): boolean {
    return to === null || this.instance === null || to === this.instance;
  }
}

export class MemorySharedLog extends StoreLog {
  skewMs: number;
  delayMs: () => number;
  newsDelayMs: () => number;
  #link: 'joined' | 'cut' | 'replies cut' = 'joined';
  #onJoined: (() => void)[] = [];
  #alive = true;
  #isOpen = false;

  constructor(logStore: MemoryLogStore, options: MemorySharedLogOptions = {}) {
    super(logStore);
    this.skewMs = options.skewMs ?? 0;
    this.delayMs = options.delayMs ?? (() => 0);
    this.newsDelayMs = options.newsDelayMs ?? (() => 0);
  }

  /** From now on every call rejects with `unavailable` and has no effect. */
  cut(): void {
    this.#part('cut');
  }

  /** From now on every call is carried out, but rejects with `unavailable`. */
  cutReplies(): void {
    this.#part('replies cut');
  }

  join(): void {
    if (this.#link === 'joined' && this.#onJoined.length === 0) return;
    this.#link = 'joined';
    for (const joined of this.#onJoined.splice(0)) joined();
    this.#say({ kind: 'connected' });
  }

  /** kill -9: pending calls have no effect, and no call settles any more. */
  kill(): void {
    this.#alive = false;
    this.logStore.handles.delete(this);
    if (this.instance !== null) this.logStore.disconnected(this.instance);
  }

  open(): Promise<void> {
    const open = (): void => {
      this.#isOpen = true;
      this.logStore.handles.add(this);
      this.#say({ kind: 'connected' });
    };
    return this.call(open, { opens: true });
  }

  close(instance: Instance): Promise<void> {
    const end = (): void => {
      this.#isOpen = false;
      this.listener = null;
      this.logStore.handles.delete(this);
    };
    // Without the database the others are not informed; the instance is gone anyway.
    return this.call(() => this.logStore.bye(instance.id)).then(end, end);
  }

  hear(news: News, to: string | null): void {
    if (this.isFor(to))
      this.logStore.clock.after(this.newsDelayMs(), () => {
        if (this.#link === 'joined') this.#say(news);
      });
  }

  async call<T>(work: () => T | Promise<T>, { opens = false } = {}): Promise<T> {
    if (!opens && !this.#isOpen) throw new QueueError('closed', 'The shared queue is closed.');
    if (this.#isCut()) throw unavailable();
    await this.wait();
    if (this.#isCut()) throw unavailable();
    const result = await work();
    await this.wait();
    if (!this.#isJoined()) throw unavailable();
    return result;
  }

  /** Rejects at once while no call gets through. */
  async commitOf(store: HolderStore, commit: Commit): Promise<void> {
    if (this.#isCut()) throw unavailable();
    await this.wait();
    if (this.#isCut()) await this.#joined();
    store.checkLease();
    store.carryOut(commit);
    await this.wait();
    // It was carried out, whoever holds the lease now.
    await this.#joined();
  }

  storeOpened(store: HolderStore): void {
    this.logStore.openStores.add(store);
  }

  storeClosed(store: HolderStore): void {
    this.logStore.openStores.delete(store);
  }

  /** Never resolves once the process is killed. */
  async wait(): Promise<void> {
    const ms = this.delayMs();
    if (ms > 0) await new Promise<void>((resolve) => void this.logStore.clock.after(ms, resolve));
    if (!this.#alive) await new Promise(() => undefined);
  }

  /** Methods, because the compiler does not see that an `await` invalidates what it has inferred of a field. */
  #isCut(): boolean {
    return this.#link === 'cut';
  }

  #isJoined(): boolean {
    return this.#link === 'joined';
  }

  async #joined(): Promise<void> {
    while (!this.#isJoined()) await new Promise<void>((resolve) => this.#onJoined.push(resolve));
    if (!this.#alive) await new Promise(() => undefined);
  }

  #part(link: 'cut' | 'replies cut'): void {
    const wasJoined = this.#link === 'joined';
    this.#link = link;
    if (wasJoined) this.#say({ kind: 'lost' });
  }

  #say(news: News): void {
    if (this.#alive && this.#isOpen) this.listener?.(news);
  }
}

/** Runs calls one after the other, with results in their order. */
export class HolderStore implements QueueStore {
  readonly durable = true;
  readonly sync?: SyncStore;
  #isOpen = false;
  readonly #turns = new InTurn();
  readonly #syncTurns = new InTurn();

  constructor(
    private readonly log: StoreLog,
    private readonly instance: string,
    readonly token: number,
  ) {
    if (log.logStore.syncs) this.sync = this.#newSync(log.logStore);
  }

  /** What changes members goes with the commits, all else on a line of its own, as in PostgreSQL. */
  #newSync({ sync, onSuppressed }: MemoryLogStore): SyncStore {
    const on = <T>(turns: InTurn, writes: boolean, work: () => Promise<T>): Promise<T> => {
      if (!this.#isOpen) return Promise.reject(new QueueError('closed', 'The shared queue is closed.'));
      const fenced = (): Promise<T> => {
        if (writes) this.checkLease();
        return work();
      };
      return turns.run(() => this.log.call(fenced, { writes }));
    };
    const read = <T>(work: () => Promise<T>): Promise<T> => on(this.#syncTurns, false, work);
    const write = <T>(work: () => Promise<T>): Promise<T> => on(this.#syncTurns, true, work);
    return {
      segments: () => read(() => sync.segments()),
      keep: (segment) => write(() => sync.keep(segment)),
      forget: (segment) => write(() => sync.forget(segment)),
      setState: (state) => write(() => sync.setState(state)),
      beginStaging: (segment) => write(() => sync.beginStaging(segment)),
      stage: (segment, rows) => write(() => sync.stage(segment, rows)),
      endStaging: (segment) => write(() => sync.endStaging(segment)),
      dropStaging: (segment) => write(() => sync.dropStaging(segment)),
      staged: (segment) => read(() => sync.staged(segment)),
      compare: (...args) => read(() => sync.compare(...args)),
      due: (...args) => on(this.#turns, true, () => sync.due(...args)),
      segmentsOf: (memberKeys) => read(() => sync.segmentsOf(memberKeys)),
      suppress: (hashes, memberKeys) =>
        on(this.#turns, true, () => {
          onSuppressed(memberKeys);
          return sync.suppress(hashes, memberKeys);
        }),
      suppressions: () => read(() => sync.suppressions()),
      liftSuppressions: (hashes) => write(() => sync.liftSuppressions(hashes)),
    };
  }

  open(): Promise<Opened> {
    return this.#turns.run(async () => {
      const { logStore, skewMs } = this.log;
      const takeOver = (): Opened => {
        this.checkLease();
        return logStore.takeOver();
      };
      const { recovered, oldestAppendedWallMs, ...opened } = await this.log.call(takeOver, { writes: true });
      if (!this.#isOpen) this.log.storeOpened(this);
      this.#isOpen = true;
      return {
        ...opened,
        recovered: recovered.map(({ untilWallMs, ...record }) => ({
          ...record,
          untilWallMs: untilWallMs === null ? null : untilWallMs + skewMs,
        })),
        oldestAppendedWallMs: oldestAppendedWallMs === null ? null : oldestAppendedWallMs + skewMs,
      };
    });
  }

  commit(commit: Commit): Promise<void> {
    return this.#opened(() => {
      if ((commit.append ?? []).length > 0)
        throw new QueueError('failed', 'New rows go into a shared queue by its `append`.');
      return this.log.commitOf(this, commit);
    });
  }

  read(lane: Lane, afterSeq: number, throughSeq: number, limit: number): Promise<readonly Row[]> {
    return this.#opened(async () =>
      this.#ours(await this.log.call(() => this.log.logStore.rows.read(lane, afterSeq, throughSeq, limit))),
    );
  }

  rowsOfUsers(ranges: readonly UserRange[], limit: number): Promise<readonly (readonly Row[])[]> {
    return this.#opened(async () => {
      const lists = await this.log.call(() => this.log.logStore.rows.rowsOfUsers(ranges, limit));
      return lists.map((rows) => this.#ours(rows));
    });
  }

  getMeta(key: string): Promise<string | null> {
    return this.#opened(() => this.log.meta.getMeta(key));
  }

  setMeta(key: string, value: string): Promise<void> {
    const { logStore } = this.log;
    const set = (): void => {
      this.checkLease();
      logStore.rows.setMeta(key, value);
    };
    return this.#opened(() => this.log.call(set, { writes: true }));
  }

  async close(): Promise<void> {
    const end = (): void => {
      if (this.#isOpen) this.log.storeClosed(this);
      this.#isOpen = false;
    };
    end();
    await this.#turns.over();
    // The store may have been opened meanwhile.
    end();
  }

  checkLease(): void {
    this.log.logStore.checkLease(this.instance, this.token);
  }

  carryOut(commit: Commit): void {
    const { logStore, skewMs } = this.log;
    const unknown = commit.unknown?.map((record) => ({
      ...record,
      untilWallMs: record.untilWallMs - skewMs,
    }));
    logStore.rows.commit({ ...commit, ...(unknown === undefined ? {} : { unknown }) });
    const { members = [], syncStates = [] } = commit;
    logStore.sync.commit(members, syncStates);
    if (members.length > 0) logStore.onMembers(members);
    const outcomes = new Map<string, object[]>();
    for (const { seq, source, instance, report } of commit.outcomes ?? []) {
      const its = outcomes.get(instance) ?? [];
      its.push({ seq, node: source.node, account: source.account, report });
      outcomes.set(instance, its);
    }
    for (const [instance, its] of outcomes) logStore.storeOutcomes(instance, JSON.stringify(its));
  }

  #ours(rows: readonly Row[]): Row[] {
    const { logStore, skewMs } = this.log;
    return rows.map((row) => ({
      ...shifted(row, skewMs),
      instance: logStore.instanceSources.get(row.seq) ?? '',
    }));
  }

  #opened<T>(call: () => Promise<T>): Promise<T> {
    if (!this.#isOpen) return Promise.reject(new QueueError('closed', 'The shared queue is closed.'));
    return this.#turns.run(async () => call());
  }
}

function shifted<R extends { readonly eventWallMs: number; readonly appendedWallMs: number }>(
  row: R,
  byMs: number,
): R {
  return { ...row, eventWallMs: row.eventWallMs + byMs, appendedWallMs: row.appendedWallMs + byMs };
}

export function unavailable(): QueueError {
  return new QueueError('unavailable', 'the database cannot be reached');
}

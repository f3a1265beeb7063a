// The engines of this process: one per service origin and member, kept across deploys (architecture.md 6).
//
// A deploy closes every node and starts new ones. The engine is parked meanwhile: rate limiter, token and requests in
// flight live on, so that a deploy can neither break the quota nor lose an outcome.

import { randomUUID } from 'node:crypto';

import type { DatabaseQueues } from '../queue-postgres/database-queues';
import type { ServiceClient } from '../service/client';
import { LoginCount, type LoginStore } from '../service/login/login-count';
import type { TokenKeeper } from '../service/login/tokens';
import { systemClock, type Clock } from '../clock';
import { Connections, type Connection } from './connections';
import type { Log } from './engine-options';
import { QueueKindsDiffer, type LeaseRequest, type QueueKind } from './lease-request';
import { Engine, type EngineOptions, type MemberQueue, type Recovered } from './engine';
import type { AskedWait } from './schedule/circuit-breaker';
import type { Limits } from './schedule/rate-limiter';
import { requestLimitsOf, type RequestLimits } from './schedule/request-limits';
import { takeMoved } from './moved-rows';
import type { MovedRows } from '../queue/orphaned-queue';
import type { Row } from '../queue/store';

export { QueueKindsDiffer, type LeaseRequest, type QueueKind } from './lease-request';

/** An account's hold on its engine. */
export interface Lease {
  readonly engine: MemberQueue;
  readonly client: ServiceClient;
  readonly keeper: TokenKeeper;
  /** A node of the account is there: it gets what ends, or ended while it was away, without its message. */
  listen(node: string, listener: (recovered: readonly Recovered[]) => void): void;
  /** A node of the account begins to close: what ends without its message waits, as what it had not passed on. */
  away(node: string, unreported: readonly Recovered[]): void;
  /** A node that is away has closed, perhaps only for a deploy. Its open messages end. */
  leave(node: string, returns: boolean): void;
  /** The account has entries in another queue, which may be moved to this one. */
  recordUsers(): void;
  /** Ends the hold: resolves when what was in flight has ended, or after `maxMs`. */
  release(maxMs: number): Promise<void>;
}

/** One engine, as an operator sees it. */
export interface EngineInfo {
  /** Stable for this service and member. */
  readonly key: string;
  readonly origin: string;
  readonly member: string;
  readonly queue: QueueKind;
  readonly engine: MemberQueue;
  /** Epoch ms from which it counts. */
  readonly sinceWallMs: number;
  /** Those that use it now, by node id. */
  readonly accounts: readonly { readonly id: string; readonly name: string }[];
  /** Node ids of accounts that held it some seconds ago. */
  readonly left: readonly string[];
  /** The smallest of theirs. */
  readonly limits: Limits;
  /** Of a shared queue whose account says more of it: its database, by a digest that stands for a password. */
  readonly database: { readonly identity: string; readonly queues: DatabaseQueues } | null;
}

/** An engine with those that use it, or will again. */
interface Held {
  readonly key: string;
  readonly origin: string;
  readonly member: string;
  /** Parked exactly while no account holds it. */
  readonly engine: Engine;
  readonly sinceWallMs: number;
  limits: Limits;
  readonly queue: QueueKind;
  readonly encrypted: boolean;
  /** Of a shared queue: which database it is in. */
  readonly database: string | null;
  readonly queues: DatabaseQueues | null;
  /** Accounts that hold it now. */
  readonly accounts: Map<string, LeaseRequest>;
  readonly connections: Connections;
  /** Accounts that may come back: cancels that they are forgotten. */
  readonly away: Map<string, () => void>;
  readonly log: { write: Log };
  /** Accounts that it stands in the way of. */
  readonly whenClosed: (() => void)[];
  cancelDispose: (() => void) | null;
}

const lookEveryMs = 50;
/** How long an account may be away before it counts as gone, and a parked engine is closed (see `disposeLater`). */
const keepParkedMs = 10_000;

export class Registry {
  private readonly held = new Map<string, Held>();
  /** The last store of a key must be closed before the next may open. */
  private readonly closing = new Map<string, Promise<void>>();
  /** By key. Never forgotten, since an engine may be closed before it is over. */
  private readonly askedWaits = new Map<string, AskedWait>();
  /** By where the logins go and user name. */
  private readonly loginCounts = new Map<string, LoginCount>();

  constructor(
    private readonly clock: Clock = systemClock,
    private readonly random: () => number = Math.random,
    /** How much its engines keep in memory; tests take less. */
    private readonly sizes: Pick<
      EngineOptions,
      'memoryMark' | 'pageRows' | 'maxOpenMessages' | 'blocksPerSlice'
    > = {},
  ) {}

  /** @throws QueueKindsDiffer, ServiceUrlError, QueueError (no such store on this machine) */
  acquire(request: LeaseRequest): Lease {
    const held = this.holdFor(request);
    const connection = this.connect(held, request);
    const { engine } = held;
    const { client, keeper } = connection;
    this.stay(held, request);
    limit(held);
    engine.attach(held.connections.loginOf(request.account, connection));
    engine.unpark();
    return {
      engine,
      client,
      keeper,
      listen: (node, listener) => engine.onRecovered(node, listener),
      away: (node, unreported) => engine.away(node, unreported),
      leave: (node, returns) => engine.leave(node, returns),
      recordUsers: () => {
        if (request.queue !== 'shared') engine.recentUsers.record();
      },
      release: (maxMs) => this.release(held, request, maxMs),
    };
  }

  private stay(held: Held, request: LeaseRequest): void {
    const { account, log } = request;
    held.cancelDispose?.();
    held.cancelDispose = null;
    held.away.get(account)?.();
    held.away.delete(account);
    held.accounts.set(account, request);
    // The node of an account that was there before may be closed.
    held.log.write = log;
  }

  private holdFor(request: LeaseRequest): Held {
    const key = engineKey(request);
    const found = this.held.get(key);
    const samePlace = found?.queue === request.queue && found.database === databaseOf(request);
    if (samePlace && found.encrypted === isEncrypted(request)) return found;
    if (found !== undefined) {
      const other = [...found.accounts.values()].find(({ account }) => account !== request.account);
      if (other !== undefined)
        throw new QueueKindsDiffer(other.accountName, samePlace, (call) => found.whenClosed.push(call));
      this.dispose(found);
    }
    const held = this.create(key, request);
    this.held.set(key, held);
    void this.startAfterClosing(held);
    return held;
  }

  private create(key: string, request: LeaseRequest): Held {
    const { origin, member, queue, limits } = request;
    const log = { write: request.log };
    const write: Log = (level, text) => log.write(level, text);
    const { clock, random } = this;
    const engine = this.open(key, request, write);
    const loginCount = this.loginCount.bind(this);
    return {
      key,
      origin,
      member,
      engine,
      sinceWallMs: clock.wallMs(),
      limits,
      queue,
      encrypted: isEncrypted(request),
      database: databaseOf(request),
      queues: request.shared?.queues ?? null,
      accounts: new Map(),
      connections: new Connections({ engine, clock, random, log: write, loginCount }),
      away: new Map(),
      log,
      whenClosed: [],
      cancelDispose: null,
    };
  }

  private askedWait(key: string): AskedWait {
    const found = this.askedWaits.get(key) ?? { untilMs: -Infinity };
    this.askedWaits.set(key, found);
    return found;
  }

  private open(key: string, request: LeaseRequest, log: Log): Engine {
    const askedWait = this.askedWait(key);
    const { limits, queueMaxEntries, queueMaxBytes, queue, shared } = request;
    const { clock, random } = this;
    const caps = { limits, queueMaxEntries, queueMaxBytes };
    const options = { clock, random, ...this.sizes, ...caps, askedWait, log };
    if (queue !== 'shared' || shared === undefined)
      return new Engine({ ...options, store: request.openStore() });
    const instance = { id: randomUUID(), name: shared.instanceName };
    return new Engine({
      ...options,
      shared: { instance, log: shared.open(instance), localBuffer: shared.localBuffer() },
    });
  }

  private async startAfterClosing(held: Held): Promise<void> {
    await this.closing.get(held.key);
    // Disposed of before it began: an store opened now would never be closed.
    if (this.held.get(held.key) === held) held.engine.start();
  }

  // ── What an operator sees and asks ──────────────────────────────────────────────────────────────────────────

  list(): EngineInfo[] {
    return [...this.held.values()].map((held) => {
      const { key, origin, member, queue, engine, sinceWallMs, limits, database: identity, queues } = held;
      return {
        ...{ key, origin, member, queue, engine, sinceWallMs, limits },
        accounts: [...held.accounts.values()].map(({ account: id, accountName: name }) => ({ id, name })),
        left: [...held.away.keys()],
        database: identity === null || queues === null ? null : { identity, queues },
      };
    });
  }

  /**
   * Takes rows of another queue on disk into that of the account: those whose order can be kept. Resolves once they are
   * durable; to null when the account has no queue on disk at work, or one of a sandbox.
   */
  async takeMoved(account: string, rows: readonly Row[]): Promise<MovedRows | null> {
    const held = [...this.held.values()].find(({ accounts }) => accounts.has(account));
    const takes = held?.queue === 'disk' && held.origin !== 'sandbox' && held.engine.durable;
    return takes ? takeMoved(held.engine, rows) : null;
  }

  /** Resolves when the engine of the account is at work, or could not begin; or after `maxMs`. */
  async started(account: string, maxMs: number): Promise<void> {
    const endMs = this.clock.monoMs() + maxMs;
    const isStarted = ({ accounts, engine }: Held): boolean =>
      accounts.has(account) && engine.stats().state.kind !== 'starting';
    while (![...this.held.values()].some(isStarted) && this.clock.monoMs() < endMs)
      await new Promise<void>((resolve) => void this.clock.after(lookEveryMs, resolve));
  }

  /** Closes the engine of this key now if no account holds it, so that its queue can be looked at. */
  async closeIdle(key: string): Promise<void> {
    const held = this.held.get(key);
    if (held?.accounts.size === 0) this.dispose(held);
    await this.closing.get(key);
  }

  /** Tries everything again now that waits for a next try, also a login that was refused. */
  retry(key: string): void {
    const held = this.held.get(key);
    if (held === undefined) return;
    for (const account of held.accounts.keys()) {
      const connection = held.connections.of(account);
      if (connection === null) continue;
      // Also when the account has not asked for its token yet: it would hear of the refusal before.
      connection.keeper.tryAgain();
      const state = held.engine.logins.state(account)?.kind;
      if (state === 'refused' || state === 'wait')
        held.engine.attach(held.connections.loginOf(account, connection));
    }
    held.engine.flush();
  }

  // ── Connections ─────────────────────────────────────────────────────────────────────────────────────────────

  /** How an account that holds an engine now reaches the service, or null: for calls beside the engine's own. */
  connectionOf(account: string): Pick<Connection, 'login' | 'client' | 'keeper'> | null {
    for (const held of this.held.values()) {
      if (held.accounts.has(account)) return held.connections.of(account);
    }
    return null;
  }

  /** Counts the logins of a user name, with whatever password: those of all accounts, and those of forms. */
  loginCount(authOrigin: string, username: string): LoginCount {
    const key = `${username} at ${authOrigin}`;
    const found = this.loginCounts.get(key);
    // Never forgotten: somebody may hold it, and two would count for themselves. A name is some hundred bytes.
    if (found !== undefined) return found;
    const count: LoginCount = new LoginCount(key, this.clock, () => this.loginStores(count));
    this.loginCounts.set(key, count);
    return count;
  }

  /** Beside every queue of an account that has this user name. */
  private loginStores(count: LoginCount): LoginStore[] {
    const uses = ({ connections }: Held): boolean => connections.count(count);
    return [...this.held.values()].filter(uses).map(({ engine }) => engine.loginTimes);
  }

  /** An engine that was made for an account whose connection cannot be made is of no use. */
  private connect(held: Held, request: LeaseRequest): Connection {
    try {
      return held.connections.connect(request);
    } catch (error) {
      if (held.accounts.size === 0 && held.cancelDispose === null) this.dispose(held);
      throw error;
    }
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

  private async release(held: Held, request: LeaseRequest, maxMs: number): Promise<void> {
    const { accounts, engine } = held;
    if (accounts.get(request.account) === request) this.leave(held, request.account);
    await (accounts.size > 0 ? engine.settled(maxMs) : engine.park(maxMs));
  }

  private leave(held: Held, account: string): void {
    held.accounts.delete(account);
    // Perhaps only for a deploy: its entries wait.
    held.engine.logins.setState(account, { kind: 'away' });
    held.away.set(
      account,
      this.clock.after(keepParkedMs, () => this.forget(held, account)),
    );
    const others = [...held.accounts.values()];
    if (others.length === 0) {
      this.disposeLater(held);
      return;
    }
    limit(held);
    held.log.write = others.at(-1)!.log;
  }

  /**
   * A queue in memory alone knows which lost requests may still run. If it were closed, an account that comes back would not
   * send again what they undo (promise 2), nor count their quota (promise 3). A parked engine sends
   * nothing, so this takes 40 s at most: 5 s to leave, 10 s without a reply, and 20 s in which the request may still run.
   */
  private disposeLater(held: Held): void {
    const { engine } = held;
    held.cancelDispose = this.clock.after(keepParkedMs, () => {
      if (!engine.durable && engine.someMayRun) this.disposeLater(held);
      else this.dispose(held);
    });
  }

  /** The account did not come back. */
  private forget(held: Held, account: string): void {
    held.away.delete(account);
    held.engine.detach(account);
    held.connections.forget(account);
  }

  private dispose(held: Held): void {
    const { key, engine, accounts, connections, away } = held;
    held.cancelDispose?.();
    for (const cancel of away.values()) cancel();
    // One that had not released it yet has nothing to release any more.
    accounts.clear();
    this.held.delete(key);
    connections.closeAll();
    const closed = Promise.all([this.closing.get(key), engine.close().catch(() => undefined)]).then(() => {
      if (this.closing.get(key) === closed) this.closing.delete(key);
    });
    this.closing.set(key, closed);
    for (const call of held.whenClosed) call();
  }

  /** Closes every engine that no account holds, now: for a process that ends or a test. */
  async closeParked(): Promise<void> {
    for (const held of [...this.held.values()]) if (held.accounts.size === 0) this.dispose(held);
    await Promise.all(this.closing.values());
  }
}

/** Names the engine of a service and member. */
export function engineKey({ origin, member }: Pick<LeaseRequest, 'origin' | 'member'>): string {
  return `${origin} ${member}`;
}

function isEncrypted({ encrypted = false }: LeaseRequest): boolean {
  return encrypted;
}

function databaseOf({ queue, shared }: LeaseRequest): string | null {
  return queue === 'shared' ? (shared?.identity ?? '') : null;
}

/** The smallest limits and caps of the accounts that hold the engine. */
function limit(held: Held): void {
  const { engine, accounts } = held;
  const all = [...accounts.values()];
  const smallest = (figure: (request: LeaseRequest) => number): number => Math.min(...all.map(figure));
  const ofRequest = (name: keyof RequestLimits): number =>
    smallest(({ limits }) => requestLimitsOf(limits)[name]);
  held.limits = {
    postsPerSecond: smallest(({ limits }) => limits.postsPerSecond),
    usersPerSecond: smallest(({ limits }) => limits.usersPerSecond),
    maxConcurrent: smallest(({ limits }) => limits.maxConcurrent),
    usersPerPost: ofRequest('usersPerPost'),
    blocksPerUser: ofRequest('blocksPerUser'),
    maxBodyBytes: ofRequest('maxBodyBytes'),
  };
  engine.setLimits(held.limits);
  engine.setQueueCaps({
    queueMaxEntries: smallest((request) => request.queueMaxEntries),
    queueMaxBytes: smallest((request) => request.queueMaxBytes),
  });
}

// The engines of this process: one per service origin and member, kept across deploys (design section 4).
//
// A deploy closes every node and starts new ones. The engine is parked meanwhile: ledger, token and requests in
// flight live on, so that a deploy can neither break the quota nor lose an outcome.

import type { Outbox } from '../outbox/outbox';
import type { ServiceClient } from '../service/client';
import type { Login as ServiceLogin } from '../service/login';
import { TokenKeeper } from '../service/tokens';
import { systemClock, type Clock } from './clock';
import { Engine, type EngineOptions } from './engine';
import type { Limits } from './ledger';

export type QueueKind = 'disk' | 'memory' | 'shared';

/** What an account asks for. */
export interface LeaseRequest {
  /** Node id of the account. */
  readonly account: string;
  /** For messages. */
  readonly accountName: string;
  /** Where the posts go: the service's address in one spelling, or `sandbox`. */
  readonly origin: string;
  readonly member: string;
  readonly queue: QueueKind;
  readonly limits: Limits;
  readonly queueMaxEntries: number;
  readonly queueMaxBytes: number;
  readonly login: ServiceLogin;
  /** Two requests with the same text may share a client; it names everything that makes a connection. */
  readonly connection: string;
  readonly connect: () => ServiceClient;
  /** Called only when there is no engine yet. */
  readonly openOutbox: () => Outbox;
  readonly log: NonNullable<EngineOptions['log']>;
}

/** Two accounts of one member keep their queues in different places. */
export class QueueKindsDiffer extends Error {
  constructor(readonly otherAccountName: string) {
    super(`The account ${otherAccountName} serves the same member, but keeps its queue in another place.`);
    this.name = 'QueueKindsDiffer';
  }
}

interface Connection {
  readonly text: string;
  readonly client: ServiceClient;
  readonly keeper: TokenKeeper;
}

interface Held {
  readonly engine: Engine;
  readonly outbox: Outbox;
  readonly queue: QueueKind;
  readonly accounts: Map<string, LeaseRequest>;
  readonly connections: Map<string, Connection>;
  cancelDispose: (() => void) | null;
}

/** An account's hold on its engine. */
export interface Lease {
  readonly engine: Engine;
  readonly client: ServiceClient;
  readonly keeper: TokenKeeper;
  /** Ends the hold: resolves when what was in flight has ended, or after `maxMs`. */
  release(maxMs: number): Promise<void>;
}

/** How long a parked engine waits for its accounts to come back before it is closed. */
const keepParkedMs = 10_000;

export class Engines {
  private readonly held = new Map<string, Held>();
  /** The last outbox of a key must be closed before the next may open. */
  private readonly closing = new Map<string, Promise<void>>();

  constructor(
    private readonly clock: Clock = systemClock,
    private readonly random: () => number = Math.random,
  ) {}

  /** @throws QueueKindsDiffer, ServiceUrlError, OutboxError (no such store on this machine) */
  acquire(request: LeaseRequest): Lease {
    const key = `${request.origin} ${request.member}`;
    const held = this.holdFor(key, request);
    held.cancelDispose?.();
    held.cancelDispose = null;
    held.accounts.set(request.account, request);
    const connection = this.connectionFor(held, request);
    held.engine.setLimits(smallest(held.accounts.values()));
    held.engine.attach({
      account: request.account,
      token: () => connection.keeper.token(),
      refused: (token) => connection.keeper.refused(token),
      post: (body, token) => connection.client.post(body, token),
      networkFloorMs: () => connection.client.networkFloorMs(this.clock.monoMs()),
    });
    held.engine.unpark();
    return {
      engine: held.engine,
      client: connection.client,
      keeper: connection.keeper,
      release: (maxMs) => this.release(key, held, request, maxMs),
    };
  }

  private holdFor(key: string, request: LeaseRequest): Held {
    const found = this.held.get(key);
    if (found?.queue === request.queue) return found;
    if (found !== undefined) {
      const other = [...found.accounts.values()].find(({ account }) => account !== request.account);
      if (other !== undefined) throw new QueueKindsDiffer(other.accountName);
      this.dispose(key, found);
    }
    const outbox = request.openOutbox();
    const { limits, queueMaxEntries, queueMaxBytes, log } = request;
    const { clock, random } = this;
    const engine = new Engine({ outbox, clock, random, limits, queueMaxEntries, queueMaxBytes, log });
    const held: Held = {
      engine,
      outbox,
      queue: request.queue,
      accounts: new Map(),
      connections: new Map(),
      cancelDispose: null,
    };
    this.held.set(key, held);
    const closing = this.closing.get(key);
    if (closing === undefined) engine.start();
    else void closing.then(() => engine.start());
    return held;
  }

  /** The same account with the same connection keeps its client, its token and its count of authentications. */
  private connectionFor(held: Held, request: LeaseRequest): Connection {
    const before = held.connections.get(request.account);
    if (before?.text === request.connection) {
      before.keeper.replaceLogin(request.login);
      return before;
    }
    if (before !== undefined) this.closeLater(before.client);
    const client = request.connect();
    const timesKey = `authentications of ${request.login.method} ${request.login.username}`;
    const keeper = new TokenKeeper({
      login: request.login,
      authenticate: (login) => client.authenticate(login),
      clock: this.clock,
      random: this.random,
      loadTimes: async () => readTimes(await held.outbox.getMeta(timesKey)),
      saveTimes: (times) => held.outbox.setMeta(timesKey, JSON.stringify(times)),
    });
    const connection = { text: request.connection, client, keeper };
    held.connections.set(request.account, connection);
    return connection;
  }

  private async release(key: string, held: Held, request: LeaseRequest, maxMs: number): Promise<void> {
    if (held.accounts.get(request.account) !== request) return;
    held.accounts.delete(request.account);
    held.engine.suspend(request.account);
    if (held.accounts.size > 0) {
      held.engine.setLimits(smallest(held.accounts.values()));
      this.clock.after(keepParkedMs, () => this.forget(held, request.account));
      return;
    }
    held.cancelDispose = this.clock.after(keepParkedMs, () => this.dispose(key, held));
    await held.engine.park(maxMs);
  }

  /** The account did not come back. */
  private forget(held: Held, account: string): void {
    if (held.accounts.has(account)) return;
    held.engine.detach(account);
    const connection = held.connections.get(account);
    held.connections.delete(account);
    if (connection !== undefined) this.closeLater(connection.client);
  }

  private dispose(key: string, held: Held): void {
    held.cancelDispose?.();
    this.held.delete(key);
    const closed = held.engine.close().catch(() => undefined);
    for (const { client } of held.connections.values()) this.closeLater(client);
    this.closing.set(key, closed);
    void closed.then(() => {
      if (this.closing.get(key) === closed) this.closing.delete(key);
    });
  }

  /** Closes every engine that no account holds, now: for a process that ends or a test. */
  async closeParked(): Promise<void> {
    for (const [key, held] of [...this.held]) if (held.accounts.size === 0) this.dispose(key, held);
    await Promise.all(this.closing.values());
  }

  /** Requests that are on their way may still end. */
  private closeLater(client: ServiceClient): void {
    this.clock.after(keepParkedMs, () => void client.close());
  }
}

function smallest(requests: Iterable<LeaseRequest>): Limits {
  const all = [...requests].map(({ limits }) => limits);
  return {
    postsPerSecond: Math.min(...all.map((limits) => limits.postsPerSecond)),
    usersPerSecond: Math.min(...all.map((limits) => limits.usersPerSecond)),
    maxConcurrent: Math.min(...all.map((limits) => limits.maxConcurrent)),
  };
}

function readTimes(text: string | null): number[] {
  if (text === null) return [];
  try {
    const times: unknown = JSON.parse(text);
    return Array.isArray(times) ? times.filter((time) => typeof time === 'number') : [];
  } catch {
    return [];
  }
}

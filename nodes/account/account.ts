// The account's runtime: reads its configuration, holds the member's engine for its out nodes, and shows the sandbox.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Node, NodeAPI, NodeConstructor, NodeDef } from 'node-red';
import type { Engine } from '../../src/delivery/engine';
import { Engines, QueueKindsDiffer, type Lease, type LeaseRequest } from '../../src/delivery/engines';
import { MemoryOutbox } from '../../src/outbox/memory-outbox';
import { openDurableOutbox } from '../../src/outbox/open-outbox';
import { OutboxError, type Outbox } from '../../src/outbox/outbox';
import { ServiceClient } from '../../src/service/client';
import { SharedSandbox } from '../../src/sandbox/shared-sandbox';
import type { Account, AccountNode } from './account-api';
import { checkAccount, ranges, type NumberProperty, type Problem } from './checks';
import { connectionOf, loginOf, originOf, type AccountConfig, type AccountCredentials } from './connection';

interface AccountDef extends NodeDef, AccountConfig {
  id: string;
}

/** Requests in flight get so long when nodes close; Node-RED gives a node 15 s in all. */
const closeFlightMs = 5_000;
/** A config node closes as soon as its users *start* to: it waits for the last of them, but not for ever. */
const closeUsersMs = 12_000;

const engines = new Engines();
const sandbox = new SharedSandbox();

const defaults: Record<NumberProperty, number> = {
  postsPerSecond: 100,
  usersPerSecond: 1000,
  maxConcurrent: 15,
  queueMaxEntries: 5_000_000,
  queueMaxMb: 2_048,
  warnAfterMinutes: 2,
};

export = (RED: NodeAPI): void => {
  function AccountConstructor(this: AccountNode, config: AccountDef): void {
    RED.nodes.createNode(this, config);
    Object.assign(this, accountOf(RED, this, config));
  }

  // Its types want credentials that are all there; a saved account may lack any of them.
  const constructor = AccountConstructor as unknown as NodeConstructor<Node, AccountDef, AccountCredentials>;
  RED.nodes.registerType('instant-audience-account', constructor, {
    credentials: {
      username: { type: 'text' },
      password: { type: 'password' },
      privateKey: { type: 'password' },
      databaseUrl: { type: 'password' },
    },
  });

  serveSandboxMembers(RED);
};

function accountOf(RED: NodeAPI, node: AccountNode, config: AccountDef): Account {
  const holder = new Holder(RED, node, config);
  node.on('close', (done: () => void) => {
    void holder.close().then(done, done);
  });
  return {
    join: (user, ready) => holder.join(user, ready),
    leave: (user) => holder.leave(user),
    accountName: holder.name,
    warnAfterMs: numberOf(config, 'warnAfterMinutes') * 60_000,
  };
}

/** Holds the engine from the first user's join to the last one's leave. */
class Holder {
  readonly name: string;
  private readonly users = new Map<string, (engine: Engine | Problem) => void>();
  private readonly problem: Problem | null;
  private lease: Lease | Problem | null = null;
  private inSandbox = false;
  private leaving = 0;
  private whenUnused: (() => void) | null = null;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: AccountNode,
    private readonly config: AccountDef,
  ) {
    this.name = config.name || this.defaultName();
    this.problem = this.configurationProblem();
    if (this.problem !== null) node.error(RED._(this.problem.key, this.problem.params));
  }

  private get isSandbox(): boolean {
    return originOf(this.config) === 'sandbox';
  }

  private defaultName(): string {
    const { environment = 'sandbox', member = '' } = this.config;
    return member === '' ? environment : `${environment} ${member}`;
  }

  /** What is wrong with the saved configuration, which may have come from a file. */
  private configurationProblem(): Problem | null {
    const credentials = this.node.credentials as AccountCredentials | undefined;
    const values = { ...this.config, ...credentials } as Record<string, unknown>;
    const [first] = checkAccount((property) => {
      const value = values[property];
      return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
    });
    if (first !== undefined) return first;
    return this.config.queue === 'shared' ? { key: 'error.queue_shared_later' } : null;
  }

  join(user: string, ready: (engine: Engine | Problem) => void): void {
    this.users.set(user, ready);
    if (this.problem !== null) {
      ready(this.problem);
    } else if (this.lease !== null) {
      ready('key' in this.lease ? this.lease : this.lease.engine);
    } else if (this.users.size === 1) {
      void this.open();
    }
  }

  private async open(): Promise<void> {
    const lease = await this.openLease();
    this.lease = lease;
    if (this.users.size === 0) {
      await this.releaseLease();
      return;
    }
    for (const ready of this.users.values()) ready('key' in lease ? lease : lease.engine);
  }

  private async openLease(): Promise<Lease | Problem> {
    try {
      return engines.acquire(this.request(this.isSandbox ? await this.joinSandbox() : null));
    } catch (error) {
      if (error instanceof QueueKindsDiffer) {
        return {
          key: 'error.queue_kinds_differ',
          params: { account: this.name, other: error.otherAccountName },
        };
      }
      return { key: 'error.account_unusable', params: { account: this.name, reason: messageOf(error) } };
    }
  }

  private async joinSandbox(): Promise<string> {
    const wasRunning = sandbox.current() !== null;
    const running = await sandbox.join();
    this.inSandbox = true;
    if (!wasRunning) this.node.log(this.RED._('account.sandboxRuns', { url: running.url }));
    return running.url;
  }

  private request(sandboxUrl: string | null): LeaseRequest {
    const { RED, node, config } = this;
    const origin = originOf(config);
    const member = origin === 'sandbox' ? '1' : (config.member?.trim() ?? '');
    const maxConcurrent = numberOf(config, 'maxConcurrent');
    const connection = { ...connectionOf(RED, config, sandboxUrl), maxConcurrent };
    return {
      account: node.id,
      accountName: this.name,
      origin,
      member,
      queue: config.queue === 'memory' ? 'memory' : 'disk',
      limits: {
        postsPerSecond: numberOf(config, 'postsPerSecond'),
        usersPerSecond: numberOf(config, 'usersPerSecond'),
        maxConcurrent,
      },
      queueMaxEntries: numberOf(config, 'queueMaxEntries'),
      queueMaxBytes: numberOf(config, 'queueMaxMb') * 1_000_000,
      login: loginOf(config, node.credentials as AccountCredentials),
      // Kept as a digest: it holds keys and passwords of TLS and proxy.
      connection: createHash('sha256').update(JSON.stringify(connection)).digest('hex'),
      connect: () => new ServiceClient(connection),
      openOutbox: () => this.openOutbox(origin, member),
      log: (level, text) =>
        level === 'info' ? node.log(text) : level === 'warn' ? node.warn(text) : node.error(text),
    };
  }

  /** On disk, or in memory where Node has no SQLite; then the log says so, and so does every status. */
  private openOutbox(origin: string, member: string): Outbox {
    if (this.config.queue === 'memory') return new MemoryOutbox();
    try {
      return openDurableOutbox(outboxPath(this.RED, origin, member));
    } catch (error) {
      if (!(error instanceof OutboxError) || error.code !== 'unavailable') throw error;
      this.node.warn(this.RED._('account.memoryInstead', { reason: error.message }));
      return new MemoryOutbox();
    }
  }

  async leave(user: string): Promise<void> {
    if (!this.users.has(user)) return;
    const engine = this.lease !== null && 'engine' in this.lease ? this.lease.engine : null;
    this.leaving += 1;
    await engine?.park(closeFlightMs);
    engine?.release(user);
    this.leaving -= 1;
    this.users.delete(user);
    if (this.users.size > 0) {
      if (this.leaving === 0) engine?.unpark();
      return;
    }
    await this.releaseLease();
    this.whenUnused?.();
  }

  private async releaseLease(): Promise<void> {
    const lease = this.lease;
    this.lease = null;
    if (lease !== null && 'engine' in lease) await lease.release(closeFlightMs);
    if (this.inSandbox) sandbox.leave();
    this.inSandbox = false;
  }

  async close(): Promise<void> {
    if (this.users.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, closeUsersMs);
      this.whenUnused = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** A figure as configured; the checks have seen it, an empty or missing one takes its default. */
function numberOf(config: AccountConfig, property: NumberProperty): number {
  const value = Number(config[property] ?? defaults[property]);
  const { min, max } = ranges[property];
  return value >= min && value <= max ? value : defaults[property];
}

/** One file for each service and member, named so that a person finds it. */
function outboxPath(RED: NodeAPI, origin: string, member: string): string {
  const readable = origin.replace(/^https?:\/\//, '').replace(/[^\w.-]+/g, '_');
  const exact = createHash('sha256').update(`${origin} ${member}`).digest('hex').slice(0, 8);
  return join(RED.settings.userDir ?? '.', 'instant-audience', `${readable}-${member}-${exact}.sqlite`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Who is in which segment of the sandbox, for people who try things out. */
function serveSandboxMembers(RED: NodeAPI): void {
  const permitted = RED.auth.needsPermission('instant-audience.read');
  RED.httpAdmin.get('/instant-audience/sandbox/members', permitted, (request, response) => {
    const running = sandbox.current();
    if (running === null) {
      response.status(404).json({ error: RED._('account.sandboxStopped') });
      return;
    }
    const text = (name: string): string | undefined => {
      const value = request.query[name];
      return typeof value === 'string' && value !== '' ? value : undefined;
    };
    const segment = text('segment');
    const user = text('user');
    void running.then(
      (live) =>
        response.json(
          live.members({ ...(segment !== undefined && { segment }), ...(user !== undefined && { user }) }),
        ),
      (error: unknown) => response.status(503).json({ error: messageOf(error) }),
    );
  });
}

// What a Node-RED does for a shared queue, without Node-RED: takes events over HTTP, and sends while it holds the lease.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkEntry } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import type { LeaseRequest } from '../../src/delivery/lease-request';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import { Registry, type Lease } from '../../src/delivery/registry';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { SharedRequest } from '../../src/delivery/shared/shared-request';
import type { SharedLog } from '../../src/queue/shared-log';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { ServiceClient } from '../../src/service/client';

export interface SharedProcessOptions {
  readonly name: string;
  readonly serviceUrl: string;
  readonly log: SharedLog;
}

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
const parkMs = 2_000;

/** What an account with a shared queue asks for; without the queue, and without where it logs. */
export function requestOf(serviceUrl: string, its: Limits): Omit<LeaseRequest, 'shared' | 'log'> {
  return {
    account: 'account',
    accountName: 'account',
    origin: new URL(serviceUrl).origin,
    member: '1',
    queue: 'shared',
    limits: its,
    queueMaxEntries: 5_000_000,
    queueMaxBytes: 2_048_000_000,
    authOrigin: serviceUrl,
    login: { method: 'password', username: 'jane', password: 'secret' },
    connection: '',
    connect: () => new ServiceClient({ authUrl: serviceUrl, serviceUrl, maxConcurrent: its.maxConcurrent }),
    openStore: () => {
      throw new Error('The queue is shared.');
    },
  };
}

export function sharedOf(instanceName: string, open: () => SharedLog): SharedRequest {
  return { identity: '', open, localBuffer: () => new SqliteStore(':memory:'), instanceName };
}

/** `stop()` it in the end, whatever happened. */
export class SharedProcess {
  readonly lines: string[] = [];
  readonly #engines = new Registry();
  readonly #lease: Lease;
  readonly #server: Server;

  private constructor({ name, serviceUrl, log }: SharedProcessOptions) {
    this.#lease = this.#engines.acquire({
      ...requestOf(serviceUrl, limits),
      shared: sharedOf(name, () => log),
      log: (level, text) => this.lines.push(`${level} ${text}`),
    });
    this.#lease.listen('out', () => undefined);
    this.#server = createServer((request, response) => {
      void this.#take(request).then((status) => response.writeHead(status).end());
    });
  }

  static async start(options: SharedProcessOptions): Promise<SharedProcess> {
    const instanceSource = new SharedProcess(options);
    instanceSource.#server.listen(0, '127.0.0.1');
    await once(instanceSource.#server, 'listening');
    return instanceSource;
  }

  /** `POST` to it takes an array of entries: 202 once they are queued, 503 when they are not. */
  get eventsUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  get isSender(): boolean {
    return this.#lease.engine.stats().shared?.isSender === true;
  }

  /** Entries that it keeps because the database cannot be reached. */
  get kept(): number {
    return this.#lease.engine.stats().shared?.kept ?? 0;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    this.#lease.away('out', []);
    this.#lease.leave('out', false);
    await this.#lease.release(parkMs);
    await this.#engines.closeParked();
  }

  async #take(request: IncomingMessage): Promise<number> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const entries = (JSON.parse(Buffer.concat(chunks).toString()) as unknown[]).map(checked);
    const end = await new Promise<MessageEnd>((onEnd) =>
      this.#lease.engine.submit({
        source: { node: 'out', account: 'account' },
        entries,
        indexes: null,
        completeOn: 'queued',
        onEnd,
      }),
    );
    return end.kind === 'queued' ? 202 : 503;
  }
}

function checked(entry: unknown): CheckedEntry {
  const result = checkEntry(entry);
  if (!result.ok) throw new Error(`An entry of the test is refused: ${JSON.stringify(result.issues)}`);
  return result.entry;
}

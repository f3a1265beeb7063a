// What a Node-RED does for a shared queue, without Node-RED: takes events over HTTP, and sends while it holds the lease.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkEntry } from '../../src/audience/check';
import type { CheckedEntry } from '../../src/audience/entry';
import { Engines, type Lease } from '../../src/delivery/engines';
import type { TicketEnd } from '../../src/delivery/tickets';
import type { SharedLog } from '../../src/outbox/shared-log';
import { SqliteOutbox } from '../../src/outbox/sqlite-outbox';
import { ServiceClient } from '../../src/service/client';

export interface TakerOptions {
  readonly name: string;
  readonly serviceUrl: string;
  readonly log: SharedLog;
}

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
const parkMs = 2_000;

/** `stop()` it in the end, whatever happened. */
export class SharedTaker {
  readonly lines: string[] = [];
  readonly #engines = new Engines();
  readonly #lease: Lease;
  readonly #server: Server;

  private constructor({ name, serviceUrl, log }: TakerOptions) {
    this.#lease = this.#engines.acquire({
      account: 'account',
      accountName: 'account',
      origin: new URL(serviceUrl).origin,
      member: '1',
      queue: 'shared',
      limits,
      queueMaxEntries: 5_000_000,
      queueMaxBytes: 2_048_000_000,
      authOrigin: serviceUrl,
      login: { method: 'password', username: 'jane', password: 'secret' },
      connection: '',
      connect: () =>
        new ServiceClient({ authUrl: serviceUrl, serviceUrl, maxConcurrent: limits.maxConcurrent }),
      openOutbox: () => {
        throw new Error('The queue is shared.');
      },
      shared: {
        identity: '',
        open: () => log,
        spool: () => new SqliteOutbox(':memory:'),
        instanceName: name,
      },
      log: (level, text) => this.lines.push(`${level} ${text}`),
    });
    this.#lease.listen('out', () => undefined);
    this.#server = createServer((request, response) => {
      void this.#take(request).then((status) => response.writeHead(status).end());
    });
  }

  static async start(options: TakerOptions): Promise<SharedTaker> {
    const taker = new SharedTaker(options);
    taker.#server.listen(0, '127.0.0.1');
    await once(taker.#server, 'listening');
    return taker;
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
    const end = await new Promise<TicketEnd>((onEnd) =>
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

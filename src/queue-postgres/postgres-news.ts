// Notifications of other instances, on a connection of their own that is replaced when it breaks. Without it,
// or behind a pooler that drops notifications, the listener polls.

import type { Client } from 'pg';

import { AbandonedConnections } from './abandoned-connections';
import { connect, hangUp, inTime, type LineOptions } from './postgres-line';
import type { Host } from './postgres-url';
import type { News } from '../queue/shared-log';

const againMs = 1_000;
const mostMs = 15_000;

export class NewsLine {
  #client: Client | null = null;
  readonly #discarded = new AbandonedConnections();
  #cancel: (() => void) | null = null;
  #waitMs = againMs;
  #closed = false;
  #connecting = false;

  constructor(
    private readonly options: LineOptions,
    private readonly channel: string,
    /** `to`: id of the instance that it is for, null for all. */
    private readonly take: (news: News, to: string | null) => void,
  ) {}

  start(): void {
    if (!this.#closed && this.#client === null && !this.#connecting) void this.#connect();
  }

  /** Another connection failed, so this one may no longer receive notifications. */
  doubt(): void {
    this.#drop(this.#client);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    const client = this.#client;
    this.#client = null;
    if (client !== null) await hangUp(client, this.options.clock);
  }

  async #connect(): Promise<void> {
    this.#connecting = true;
    try {
      const client = await this.#listen();
      if (this.#closed) {
        void hangUp(client, this.options.clock);
        return;
      }
      this.#client = client;
      this.#waitMs = againMs;
      this.take({ kind: 'connected' }, null);
    } catch {
      this.#again();
    } finally {
      this.#connecting = false;
    }
  }

  async #listen(): Promise<Client> {
    let failure: unknown;
    for (const host of this.options.hosts.inOrder) {
      try {
        return await this.#listenTo(host);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #listenTo(host: Host): Promise<Client> {
    const { clock } = this.options;
    const client = await connect(this.options, host);
    client.on('error', () => this.#drop(client));
    client.on('end', () => this.#drop(client));
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''));
    try {
      await this.#discarded.end(
        async <T extends object>(sql: string, values: unknown[]) =>
          (await inTime(clock, client.query<T>(sql, values), () => undefined)).rows,
      );
      await inTime(clock, client.query(`LISTEN ${this.channel}`), () => undefined);
      return client;
    } catch (error) {
      this.#discard(client);
      throw error;
    }
  }

  #discard(client: Client): void {
    this.#discarded.add(client);
    void hangUp(client, this.options.clock);
  }

  #hear(payload: string): void {
    const [kind, to] = payload.split(' ', 2);
    if (kind === 'rows' || kind === 'lease' || kind === 'outcomes' || kind === 'control')
      this.take({ kind }, to ?? null);
  }

  #drop(client: Client | null): void {
    if (client === null || this.#client !== client) return;
    this.#client = null;
    this.#discard(client);
    if (this.#closed) return;
    this.take({ kind: 'lost' }, null);
    this.#again();
  }

  #again(): void {
    if (this.#closed) return;
    this.#cancel?.();
    this.#cancel = this.options.clock.after(this.#waitMs, () => {
      this.#cancel = null;
      this.start();
    });
    this.#waitMs = Math.min(this.#waitMs * 2, mostMs);
  }
}

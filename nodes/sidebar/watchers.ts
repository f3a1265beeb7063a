// Subscriptions of open tabs: they receive the overview at most once a second, over the editor's connection.
//
// An editor requests a ticket over HTTP, where Node-RED checks its permission, and hands the ticket in over its
// connection; so we know which connection may have the figures, and nobody else gets them. While no tab is open
// nothing runs.

import type { NodeAPI } from 'node-red';
import { Tickets } from './tickets';
import type { Sample } from '../../src/delivery/index';

export const watchTopic = 'instant-audience/watch';
export const unwatchTopic = 'instant-audience/unwatch';
export const overviewTopic = 'instant-audience/overview';

const everyMs = 1_000;
const ticketMs = 30_000;

/** The sent data. */
export interface Update {
  readonly queues: readonly { readonly key: string }[];
}

export interface Source {
  update(): Update;
  /** The last hour of a queue. */
  history(key: string): readonly Sample[];
}

interface Watcher {
  /** The last sent data, to skip unchanged data. */
  text: string;
  /** Queues whose history it has. */
  readonly known: Set<string>;
}

interface Said {
  readonly session?: unknown;
  readonly data?: unknown;
}

export class Watchers {
  private readonly tickets: Tickets;
  private readonly watchers = new Map<string, Watcher>();
  private interval: NodeJS.Timeout | null = null;

  constructor(
    private readonly RED: Pick<NodeAPI, 'events'>,
    private readonly source: Source,
    monoMs?: () => number,
  ) {
    this.tickets = new Tickets(ticketMs, monoMs);
    RED.events.on(`comms:message:${watchTopic}`, (said: Said) => this.watch(said));
    RED.events.on(`comms:message:${unwatchTopic}`, (said: Said) => this.unwatch(said));
    RED.events.on('comms:connection-removed', (said: Said) => this.unwatch(said));
  }

  /** For one connection, once, soon. */
  ticket(): string {
    return this.tickets.give('watch');
  }

  get size(): number {
    return this.watchers.size;
  }

  private watch({ session, data }: Said): void {
    const { ticket } = (data ?? {}) as { readonly ticket?: unknown };
    if (typeof session !== 'string' || !this.tickets.take(ticket, 'watch')) return;
    this.watchers.set(session, { text: '', known: new Set() });
    this.interval ??= setInterval(() => this.tell(), everyMs).unref();
    this.tell();
  }

  private unwatch({ session }: Said): void {
    if (typeof session !== 'string' || !this.watchers.delete(session) || this.watchers.size > 0) return;
    if (this.interval !== null) clearInterval(this.interval);
    this.interval = null;
  }

  private tell(): void {
    const update = this.source.update();
    const text = JSON.stringify(update);
    for (const [session, watcher] of this.watchers) {
      if (watcher.text === text) continue;
      watcher.text = text;
      const data = { ...update, atMs: Date.now(), histories: this.newHistories(update, watcher) };
      // As `RED.comms.publish` does, but to one connection only.
      this.RED.events.emit('comms', { topic: overviewTopic, data, session });
    }
  }

  private newHistories({ queues }: Update, { known }: Watcher): Record<string, readonly Sample[]> {
    const fresh = queues.filter(({ key }) => !known.has(key));
    for (const { key } of fresh) known.add(key);
    return Object.fromEntries(fresh.map(({ key }) => [key, this.source.history(key)]));
  }
}

// Tells messages, or the nodes of messages that are gone, what became of their entries; and keeps count.

import type { CheckedEntry } from '../audience/entry';
import type { Dismissal } from './dismissals';
import type { TicketBook } from './tickets';
import type { Item } from './user';

/** How an entry ended. */
export type EntryEnd = 'accepted' | 'superseded' | 'expired' | 'rejected';

/** An entry that ended without its message. */
export interface Recovered {
  readonly entry: CheckedEntry;
  readonly end: EntryEnd;
  readonly rejection: { readonly code: string; readonly message: string } | null;
}

/** Counts of entries since the engine was opened; the ends and `waiting` always add up to `taken`. */
export interface Counters extends Record<EntryEnd, number> {
  /** Includes what was found waiting at the start. */
  taken: number;
  /** Not ended yet. */
  waiting: number;
}

/** Given up because a node closed; its message was told already. */
export const closedCode = 'closed';

const erasedCode: Dismissal = 'erased';

export class Reports {
  /** Erased entries whose message was gone: only counted. */
  erasedUntold = 0;
  readonly counters: Counters = { taken: 0, accepted: 0, superseded: 0, expired: 0, rejected: 0, waiting: 0 };
  private readonly listeners = new Map<string, (recovered: readonly Recovered[]) => void>();
  /** Ended, to be told once that is durable. */
  private ended: Item[] = [];

  constructor(
    private readonly tickets: TicketBook,
    private readonly log: (level: 'info' | 'warn', text: string) => void,
    private readonly told: (ended: readonly Item[]) => void = () => undefined,
  ) {}

  listen(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.listeners.set(node, listener);
  }

  unlisten(node: string): void {
    this.listeners.delete(node);
  }

  taken(entries: number): void {
    this.counters.taken += entries;
    this.counters.waiting += entries;
  }

  /** They were not taken after all: their commit failed. */
  untaken(entries: number): void {
    this.taken(-entries);
  }

  entryEnded(item: Item): void {
    this.counters.waiting -= 1;
    this.counters[endOf(item)] += 1;
    this.ended.push(item);
  }

  /** It had ended, but was never taken. */
  entryUnended(item: Item): void {
    this.counters.waiting += 1;
    this.counters[endOf(item)] -= 1;
    this.ended = this.ended.filter((other) => other !== item);
  }

  /** A row that cannot be read. */
  setAside(): void {
    this.counters.waiting -= 1;
    this.counters.rejected += 1;
  }

  /** What has ended is durable now: tells it. */
  tell(): void {
    if (this.ended.length === 0) return;
    const orphans = new Map<string, Recovered[]>();
    const ended = this.ended.splice(0);
    this.told(ended);
    for (const item of ended) {
      const { ticket } = item;
      if (ticket?.isOpen === true) {
        if (ticket.entryEnded(item)) this.tickets.closed();
      } else if (item.rejection?.code === erasedCode) {
        // Nobody gets to see this entry again.
        this.erasedUntold += 1;
      } else if (item.rejection?.code !== closedCode) {
        const list = orphans.get(item.source.node) ?? [];
        list.push({ entry: item.entry, end: endOf(item), rejection: item.rejection });
        orphans.set(item.source.node, list);
      }
    }
    for (const [node, recovered] of orphans) this.tellNode(node, recovered);
  }

  private tellNode(node: string, recovered: readonly Recovered[]): void {
    const listener = this.listeners.get(node);
    if (listener !== undefined) {
      listener(recovered);
      return;
    }
    const rejected = recovered.filter(({ end }) => end === 'rejected');
    const through = recovered.length - rejected.length;
    if (through > 0)
      this.log('info', `${through} queued entries of the removed node ${node} were delivered.`);
    for (const { rejection } of rejected) {
      this.log(
        'warn',
        `A queued entry of the removed node ${node} was rejected: ${rejection?.message ?? ''}`,
      );
    }
  }
}

export function endOf(item: Item): EntryEnd {
  if (item.rejection !== null) return 'rejected';
  if (item.expiredBlocks > 0) return 'expired';
  return item.acceptedBlocks > 0 ? 'accepted' : 'superseded';
}

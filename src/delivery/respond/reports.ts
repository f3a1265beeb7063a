// Reports: tells messages their outcomes, or nodes their late outcomes, and counts entries.

import type { CheckedEntry } from '../../entry/entry';
import type { Source } from '../../queue/store';
import {
  type Ending,
  endOf,
  type EntryEnd,
  type PendingMessage,
  type PendingMessages,
  type Recovered,
} from '../pending-messages';
import type { NodeListeners } from './node-listeners';
import type { Deletion } from './deletions';
import type { Clock } from '../../clock';
import { Fifo } from '../pending/fifo';
import type { PendingEntry } from '../pending/pending-entry';

/** Counts of entries since the engine was opened; the ends and `waiting` add up to `taken`. */
export interface Counters extends Record<EntryEnd, number> {
  /** Includes entries found pending at the start. */
  taken: number;
  /** Not ended yet. */
  waiting: number;
}

/** Discarded because its node closed; its message has already ended. */
export const closedCode = 'closed';

/** Erased on request: no node receives such an entry. */
export const erasedCode: Deletion = 'erased';

/** Outcomes reported in one turn of the event loop: each may run a flow, and other work waits meanwhile. */
const reportsPerTurn = 500;

export class Reports {
  readonly counters: Counters = { taken: 0, accepted: 0, superseded: 0, expired: 0, rejected: 0, waiting: 0 };
  /** Ended, to be reported once that is durable. */
  private ended: PendingEntry[] = [];
  /** Durable, to be reported. */
  private readonly toReport = new Fifo<PendingEntry>();
  private reportingLater = false;

  constructor(
    private readonly clock: Pick<Clock, 'endOfTurn'>,
    private readonly durable: (ended: readonly PendingEntry[]) => void,
    private readonly report: (ended: readonly PendingEntry[]) => void,
  ) {}

  /** The outcomes that the next `reportEnded` will report. */
  get unreported(): readonly PendingEntry[] {
    return this.ended;
  }

  taken(entries: number): void {
    this.counters.taken += entries;
    this.counters.waiting += entries;
  }

  /** Takes back `taken`, because the commit failed. */
  notAccepted(entries: number): void {
    this.taken(-entries);
  }

  entryEnded(entry: PendingEntry): void {
    this.counters.waiting -= 1;
    this.counters[endOf(entry)] += 1;
    this.ended.push(entry);
  }

  /** Takes back `entryEnded`, because the entry was never durable. */
  undoEntryEnded(entry: PendingEntry): void {
    this.counters.waiting += 1;
    this.counters[endOf(entry)] -= 1;
    this.ended = this.ended.filter((other) => other !== entry);
  }

  /** Counts a row that cannot be read as rejected. */
  rowUnreadable(): void {
    this.counters.waiting -= 1;
    this.counters.rejected += 1;
  }

  /** The ended entries are durable: reports them, in this turn and the next ones. */
  reportEnded(): void {
    if (this.ended.length === 0) return;
    const { ended } = this;
    this.ended = [];
    this.durable(ended);
    for (const entry of ended) this.toReport.push(entry);
    if (!this.reportingLater) this.reportSome();
  }

  private reportSome(): void {
    this.reportUpTo(reportsPerTurn);
    if (this.toReport.size === 0) return;
    this.reportingLater = true;
    this.clock.endOfTurn(() => {
      this.reportingLater = false;
      this.reportSome();
    });
  }

  /** Reports everything that is left at once, before its receivers are closed. */
  reportNow(): void {
    this.reportUpTo(this.toReport.size);
  }

  private reportUpTo(count: number): void {
    const entries: PendingEntry[] = [];
    while (entries.length < count && this.toReport.size > 0) entries.push(this.toReport.shift()!);
    if (entries.length > 0) this.report(entries);
  }
}

/** An ended entry, in memory or as another instance has stored it. */
export interface Outcome {
  readonly seq: number;
  readonly ending: Ending;
  readonly source: Pick<Source, 'node'>;
  /** Null for one that nobody is to see again. */
  readonly checked: CheckedEntry | null;
  /** Without one it is looked for by the number. */
  readonly pendingMessage: PendingMessage | null;
}

export class Reporter {
  constructor(
    private readonly pendingMessages: PendingMessages,
    readonly listeners: NodeListeners,
  ) {}

  report(outcomes: Iterable<Outcome>): void {
    const late = new Map<string, Recovered[]>();
    for (const outcome of outcomes) {
      const { seq, source, checked, ending } = outcome;
      const { rejection } = ending;
      const pendingMessage = outcome.pendingMessage ?? this.pendingMessages.find(seq);
      if (pendingMessage?.isOpen === true) {
        this.pendingMessages.entryEnded(pendingMessage, seq, ending);
      } else if (checked !== null && rejection?.code !== erasedCode && rejection?.code !== closedCode) {
        const ofNode = late.get(source.node) ?? [];
        ofNode.push({ entry: checked, end: endOf(ending), rejection });
        late.set(source.node, ofNode);
      }
    }
    for (const [node, recovered] of late) this.listeners.notify(node, recovered);
  }
}

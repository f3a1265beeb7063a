// Reports outcomes: to the pending messages of their entries, or as late outcomes to the nodes of messages that have ended.

import type { CheckedEntry } from '../../entry/entry';
import type { LogTally } from '../monitor/log-tally';
import type { PendingMessage, PendingMessages } from '../pending-messages';
import type { Item } from '../pending/item';
import { endOf, type Ending, type Recovered } from './entry-end';
import { NodeListeners } from './node-listeners';
import { closedCode, erasedCode } from './reports';

export interface Outcome extends Ending {
  readonly node: string;
  /** Null for one that nobody is to see again. */
  readonly entry: CheckedEntry | null;
  /** Absent when it is to be found by the number. */
  readonly pendingMessage?: PendingMessage | undefined;
}

export function outcomeOf(item: Item): Outcome {
  const { seq, source, entry, rejection, acceptedBlocks, expiredBlocks, warnings, pendingMessage } = item;
  const shown = rejection?.code === erasedCode ? null : entry;
  return {
    seq,
    node: source.node,
    entry: shown,
    rejection,
    acceptedBlocks,
    expiredBlocks,
    warnings,
    pendingMessage: pendingMessage ?? undefined,
  };
}

export class Reporter {
  /** Erased entries whose message had ended: only counted. */
  erasedUnreported = 0;
  private readonly listeners: NodeListeners;

  constructor(
    private readonly pendingMessages: PendingMessages,
    tally: LogTally,
  ) {
    this.listeners = new NodeListeners(tally);
  }

  listen(node: string, listener: (recovered: readonly Recovered[]) => void): void {
    this.listeners.listen(node, listener);
  }

  unlisten(node: string): void {
    this.listeners.unlisten(node);
  }

  report(outcomes: Iterable<Outcome>): void {
    const late = new Map<string, Recovered[]>();
    for (const outcome of outcomes) {
      const { node, entry, rejection, pendingMessage = this.pendingMessages.find(outcome.seq) } = outcome;
      if (pendingMessage?.isOpen === true) {
        this.pendingMessages.entryEnded(pendingMessage, outcome);
      } else if (entry === null) {
        this.erasedUnreported += 1;
      } else if (rejection?.code !== closedCode) {
        const ofNode = late.get(node) ?? [];
        ofNode.push({ entry, end: endOf(outcome), rejection });
        late.set(node, ofNode);
      }
    }
    for (const [node, recovered] of late) this.listeners.tell(node, recovered);
  }
}

// Listeners of nodes for late outcomes. Those of a node that is being deployed are kept until it is back, so that it misses
// none; those of a removed node are logged.

import type { Clock } from '../../clock';
import type { CountedLine, LogTally } from '../monitor/log-tally';
import type { Recovered } from '../pending-messages';

type Listener = (recovered: readonly Recovered[]) => void;

/** Node-RED gives a deploy 15 s to close its nodes. */
const keepMs = 20_000;

/** A node that is being deployed. */
interface Absent {
  readonly recovered: Recovered[];
  /** Cancels the timer that forgets the node; does nothing while the node is closing. */
  stay: () => void;
}

export class NodeListeners {
  private readonly listeners = new Map<string, Listener>();
  private readonly absent = new Map<string, Absent>();

  constructor(
    private readonly clock: Pick<Clock, 'after'>,
    private readonly tally: LogTally,
  ) {}

  /** The only listener of a node: it receives the outcomes of its absence, then further ones. */
  listen(node: string, listener: Listener): void {
    this.listeners.set(node, listener);
    const absent = this.absent.get(node);
    this.absent.delete(node);
    absent?.stay();
    if (absent !== undefined && absent.recovered.length > 0) listener(absent.recovered);
  }

  unlisten(node: string): void {
    this.listeners.delete(node);
  }

  isAbsent(node: string): boolean {
    return this.absent.has(node);
  }

  /**
   * The node begins to close, and messages that it sends may reach no node. From here on, late outcomes are
   * kept, together with those in `unreported`.
   */
  away(node: string, unreported: readonly Recovered[]): void {
    const before = this.absent.get(node);
    before?.stay();
    const recovered = [...(before?.recovered ?? []), ...unreported];
    this.absent.set(node, { recovered, stay: () => undefined });
    this.listeners.delete(node);
  }

  /** A node that is absent has closed. If it `returns`, outcomes are kept for a while. */
  closed(node: string, returns: boolean): void {
    if (returns) this.absent.get(node)!.stay = this.clock.after(keepMs, () => this.forget(node));
    else this.forget(node);
  }

  /** The node did not come back. */
  private forget(node: string): void {
    const recovered = this.absent.get(node)?.recovered ?? [];
    this.absent.delete(node);
    this.notify(node, recovered);
    this.tally.flush();
  }

  notify(node: string, recovered: readonly Recovered[]): void {
    const listener = this.listeners.get(node);
    const kept = this.absent.get(node)?.recovered;
    if (listener !== undefined) listener(recovered);
    // Not `push(...recovered)`, since there may be any number of them.
    else if (kept !== undefined) for (const one of recovered) kept.push(one);
    else for (const line of linesOfRemoved(node, recovered)) this.tally.add(line);
  }
}

/** Log lines for late outcomes of a removed node. */
function linesOfRemoved(node: string, recovered: readonly Recovered[]): CountedLine[] {
  const lines: CountedLine[] = [];
  const rejected = recovered.filter(({ end }) => end === 'rejected');
  const delivered = recovered.length - rejected.length;
  if (delivered > 0)
    lines.push({
      level: 'info',
      kind: `delivered ${node}`,
      count: delivered,
      text: (count) => `${count} queued entries of the removed node ${node} were delivered.`,
    });
  const first = rejected[0]?.rejection?.message ?? '';
  if (rejected.length > 0)
    lines.push({
      level: 'warn',
      kind: `rejected ${node}`,
      count: rejected.length,
      text: (count) =>
        `${count} queued entries of the removed node ${node} were rejected. The first: ${first}`,
    });
  return lines;
}

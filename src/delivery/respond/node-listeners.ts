// Listeners of nodes for late outcomes. Outcomes of a removed node are logged.

import type { Recovered } from '../pending-messages';
import type { CountedLine, LogTally } from '../monitor/log-tally';

type Listener = (recovered: readonly Recovered[]) => void;

export class NodeListeners {
  private readonly listeners = new Map<string, Listener>();

  constructor(private readonly tally: LogTally) {}

  /** Registers the only listener of a node. */
  listen(node: string, listener: Listener): void {
    this.listeners.set(node, listener);
  }

  unlisten(node: string): void {
    this.listeners.delete(node);
  }

  notify(node: string, recovered: readonly Recovered[]): void {
    const listener = this.listeners.get(node);
    if (listener !== undefined) listener(recovered);
    else for (const line of linesOfRemoved(node, recovered)) this.tally.add(line);
  }
}

/** Log lines for late outcomes of a removed node. */
export function linesOfRemoved(node: string, recovered: readonly Recovered[]): CountedLine[] {
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

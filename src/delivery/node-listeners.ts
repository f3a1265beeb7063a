// Nodes that are told what ended without its message. What ends for a node that is gone is logged.

import type { Recovered } from './reports';

type Listener = (recovered: readonly Recovered[]) => void;

export class NodeListeners {
  private readonly listeners = new Map<string, Listener>();

  constructor(private readonly log: (level: 'info' | 'warn', text: string) => void) {}

  /** One a node. */
  listen(node: string, listener: Listener): void {
    this.listeners.set(node, listener);
  }

  unlisten(node: string): void {
    this.listeners.delete(node);
  }

  tell(node: string, recovered: readonly Recovered[]): void {
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

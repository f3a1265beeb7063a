// Count of items that a builder could not use since its deploy, for its status and for the queues behind it.

import type { Node, NodeAPI } from 'node-red';
import { engines } from '../account/process-wide';
import { CalmStatus } from '../shared/calm-status';
import { languageOf, short } from '../shared/figures';
import { accountsBehind, deployedFlows, type FlowGraph } from '../shared/flow-graph';
import { textOr, type Rejection } from '../shared/words';

export class InvalidCount {
  private count = 0;
  private readonly status: CalmStatus;
  /** The accounts behind this node at the last look-up. */
  private behind: { readonly flows: FlowGraph; readonly accounts: ReadonlySet<string> } | null = null;

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
  ) {
    this.status = new CalmStatus(node);
    node.on('close', () => this.status.stop());
  }

  add(rejected: readonly Rejection[]): void {
    this.count += rejected.length;
    const many = short(this.count, languageOf(this.RED, 'segment-builder.language'));
    const text = textOr(this.RED, 'segment-builder.status.invalid', { many }, () => `${many} invalid`);
    this.status.show(() => ({ fill: 'yellow', shape: 'ring', text }));
    const accounts = this.accounts();
    for (const { accounts: its, engine } of engines.list())
      if (its.some(({ id }) => accounts.has(id))) engine.monitor.refused(this.node.id, rejected);
  }

  private accounts(): ReadonlySet<string> {
    const flows = deployedFlows(this.RED);
    if (this.behind?.flows !== flows) this.behind = { flows, accounts: accountsBehind(flows, this.node) };
    return this.behind.accounts;
  }
}

// Counts of items without an entry since a builder's deploy: invalid ones, for its status and for the queues behind it, and
// those without consent, for its status only.

import type { Node, NodeAPI } from 'node-red';
import { engines } from '../account/process-wide';
import { CalmStatus, type Shown } from '../shared/calm-status';
import { languageOf, short } from '../shared/figures';
import { accountsBehind, deployedFlows, type FlowGraph } from '../shared/flow-graph';
import { textOr, type Rejection } from '../shared/words';

/** Without consent an item is not invalid. */
export function isInvalid({ code }: Rejection): boolean {
  return code !== 'no_consent';
}

export class InvalidCount {
  private invalid = 0;
  private withoutConsent = 0;
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
    const invalid = rejected.filter(isInvalid);
    this.invalid += invalid.length;
    this.withoutConsent += rejected.length - invalid.length;
    this.status.show(() => this.shown());
    // The queues keep what they are told of: nothing of users who have not consented.
    if (invalid.length === 0) return;
    const accounts = this.accounts();
    for (const { accounts: its, engine } of engines.list())
      if (its.some(({ id }) => accounts.has(id))) engine.monitor.refused(this.node.id, invalid);
  }

  private shown(): Shown {
    const texts = [
      this.count('invalid', this.invalid, 'invalid'),
      this.count('withoutConsent', this.withoutConsent, 'without consent'),
    ].filter((text) => text !== '');
    return { fill: this.invalid > 0 ? 'yellow' : 'blue', shape: 'ring', text: texts.join(', ') };
  }

  private count(name: string, number: number, english: string): string {
    if (number === 0) return '';
    const many = short(number, languageOf(this.RED, 'segment-builder.language'));
    return textOr(this.RED, `segment-builder.status.${name}`, { many }, () => `${many} ${english}`);
  }

  private accounts(): ReadonlySet<string> {
    const flows = deployedFlows(this.RED);
    if (this.behind?.flows !== flows) this.behind = { flows, accounts: accountsBehind(flows, this.node) };
    return this.behind.accounts;
  }
}

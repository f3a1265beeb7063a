// A node's use of its account: finding, joining, leaving, and joining again after a deploy.
//
// An account that a variable names is replaced by a deploy of the changed nodes without its users: Node-RED does not
// know that they depend on it.

import type { NodeAPI } from 'node-red';
import type { Recovered } from '../../src/delivery/engine';
import type { MemberQueue } from '../../src/delivery/shared/member-queue';
import type { AccountNode, Problem } from '../account/account-api';
import { whenFlowsStarted } from './flow-start';

export interface UseOfAccount {
  /** The account's engine is there, or what is wrong with the account; again when that changes. */
  ready(engine: MemberQueue | Problem, account: AccountNode): void;
  /** No account has the id. */
  missing(): void;
  /** The account closes and this node does not: its engine is not to be used any more, until `ready` comes again. */
  closes(): void;
  recovered(entries: readonly Recovered[]): void;
}

export class AccountUse {
  account: AccountNode | null;
  /** Whether the user was told that no account has the id. */
  private isMissing = false;
  private left: Promise<void> = Promise.resolve();
  private cancel = (): void => undefined;

  /** @param id of the account; '' for none */
  constructor(
    private readonly RED: NodeAPI,
    private readonly node: string,
    private readonly id: string,
    private readonly user: UseOfAccount,
  ) {
    this.account = this.find();
  }

  join(): void {
    const { user } = this;
    const account = this.find();
    this.account = account;
    if (account === null) {
      // Each deploy asks again, but only the first answer is news.
      if (!this.isMissing) user.missing();
      this.isMissing = true;
      if (this.id !== '') this.joinAfterDeploy();
      return;
    }
    this.isMissing = false;
    account.join(this.node, {
      ready: (engine) => user.ready(engine, account),
      closes: () => {
        user.closes();
        this.left = account.leave(this.node, true);
        this.joinAfterDeploy();
      },
      recovered: (entries) => user.recovered(entries),
    });
  }

  /** The node closes: see `Account.leave`. */
  async leave(returns: boolean, unreported: readonly Recovered[] = []): Promise<void> {
    this.cancel();
    await Promise.all([this.left, this.account?.leave(this.node, returns, unreported)]);
  }

  private find(): AccountNode | null {
    if (this.id === '') return null;
    const found = this.RED.nodes.getNode(this.id) as AccountNode | null | undefined;
    return typeof found?.join === 'function' ? found : null;
  }

  private joinAfterDeploy(): void {
    this.cancel = whenFlowsStarted(this.RED, () => this.join(), Infinity);
  }
}

// A node's use of its account: finding, joining, leaving, and joining again after a deploy.
//
// An account that a variable names is replaced by a deploy of the changed nodes without its users: Node-RED does not
// know that they depend on it.

import type { NodeAPI } from 'node-red';
import type { Recovered, MemberQueue } from '../../src/delivery/index';
import type { AccountNode, AccountUser, Problem } from '../account/account-api';
import { whenFlowsStarted } from './flow-start';
import { textOr } from './words';

/** Why there is no engine: keys of the node's words, below `error` and `status`. */
export interface NoEngine {
  readonly key: 'account' | 'account_disabled_or_missing' | 'no_account';
  /** Of an account that cannot be used: its problem, and that in words. */
  readonly problem?: string;
  readonly params?: { readonly reason: string };
}

export interface UseOfAccount extends Pick<AccountUser, 'closes' | 'recovered'> {
  /** Called with the account's engine; again after each change, as is `failed`. */
  ready(engine: MemberQueue, account: AccountNode): void;
  failed(why: NoEngine): void;
}

export class AccountUse {
  account: AccountNode | null;
  /** Whether the missing account was reported that no account has the id. */
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
      // Each deploy looks again; only the first result is reported.
      if (!this.isMissing)
        user.failed({ key: this.id === '' ? 'no_account' : 'account_disabled_or_missing' });
      this.isMissing = true;
      if (this.id !== '') this.joinAfterDeploy();
      return;
    }
    this.isMissing = false;
    account.join(this.node, {
      ready: (engine) => {
        if ('key' in engine) user.failed(this.unusable(engine));
        else user.ready(engine, account);
      },
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

  private unusable({ key, params }: Problem): NoEngine {
    // The account's words are in the account's own file.
    const word = `@instant-audience/node-red-xandr/xandr-account:${key}`;
    return {
      key: 'account',
      problem: key,
      params: { reason: textOr(this.RED, word, { ...params }, () => key) },
    };
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

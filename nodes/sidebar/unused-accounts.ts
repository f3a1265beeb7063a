// Accounts of the deployed flows that no out node uses: they have no engine, and so no figures.

import type { NodeAPI } from 'node-red';
import type { EngineInfo } from '../../src/delivery/engines';
import { accountType } from '../account/admin-settings';
import type { Account } from '../account/account-api';

export interface UnusedAccount {
  readonly id: string;
  readonly name: string;
}

export function unusedAccounts(RED: NodeAPI, engines: readonly EngineInfo[]): UnusedAccount[] {
  const used = new Set(engines.flatMap(({ accounts }) => accounts.map(({ id }) => id)));
  const unused: UnusedAccount[] = [];
  RED.nodes.eachNode(({ id, type }) => {
    if (type !== accountType || used.has(id)) return;
    const account = RED.nodes.getNode(id) as unknown as Account | null | undefined;
    if (account) unused.push({ id, name: account.accountName });
  });
  return unused;
}

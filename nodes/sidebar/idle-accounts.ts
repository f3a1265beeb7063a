// Deployed accounts without an engine, and so without figures: unused or unusable ones.

import type { NodeAPI } from 'node-red';
import type { EngineInfo } from '../../src/delivery/index';
import { accountType } from '../account/admin-settings';
import type { Account } from '../account/account-api';

export interface IdleAccount {
  readonly id: string;
  readonly name: string;
  /** The problem of the account, from its catalogue; null if it is merely unused. */
  readonly problem: Account['problem'];
}

export function idleAccounts(RED: NodeAPI, engines: readonly EngineInfo[]): IdleAccount[] {
  const atWork = new Set(engines.flatMap(({ accounts }) => accounts.map(({ id }) => id)));
  const idle: IdleAccount[] = [];
  RED.nodes.eachNode(({ id, type }) => {
    if (type !== accountType || atWork.has(id)) return;
    const account = RED.nodes.getNode(id) as unknown as Account | null | undefined;
    if (!account) return;
    const { accountName: name, problem, isUsed } = account;
    // An account that is starting is neither.
    if (problem !== null || !isUsed) idle.push({ id, name, problem });
  });
  return idle;
}

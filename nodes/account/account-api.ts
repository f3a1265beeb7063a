// The interface that an account node offers to the nodes that use it.

import type { Node } from 'node-red';
import type { MemberQueue } from '../../src/delivery/shared/member-queue';
import type { Recovered } from '../../src/delivery/engine';
import type { RequestLimits } from '../../src/delivery/schedule/request-limits';
import type { ServiceClient } from '../../src/service/client';
import type { TokenKeeper } from '../../src/service/login/tokens';

/** A sentence of `locales/<lang>/account.json`, and the values of its placeholders. */
export interface Problem {
  readonly key: string;
  readonly params?: Readonly<Record<string, string | number>>;
}

/** What an account tells a node that uses it. */
export interface AccountUser {
  /** Called with the engine, or with what is wrong (its words are in the account's file); again when that is over. */
  ready(engine: MemberQueue | Problem): void;
  /** The account closes while its user does not: it leaves, and joins what has the account's id after the deploy. */
  closes(): void;
  /** Entries of this node that ended without their message. */
  recovered(entries: readonly Recovered[]): void;
}

export interface Account {
  join(node: string, user: AccountUser): void;
  /**
   * The node closes. Resolves when what was in flight has had its time, and the node's open messages have ended.
   *
   * @param returns whether the node is only being deployed: what ends meanwhile waits for it
   * @param unreported what ended without its message and was not passed on: it waits too
   */
  leave(node: string, returns: boolean, unreported?: readonly Recovered[]): Promise<void>;
  readonly accountName: string;
  /** Why it cannot be used; null when it can, or when that is not known yet. */
  readonly problem: Problem | null;
  /** Whether a node uses it, or has not closed yet. */
  readonly isUsed: boolean;
  /** Nothing that it takes leaves this Node-RED. */
  readonly isSandbox: boolean;
  /** The member's id in digits; '' while the account cannot be used. */
  readonly member: string;
  /** The engine's own way to the service, for reads beside it; null while there is no engine. */
  connection(): { readonly client: ServiceClient; readonly keeper: TokenKeeper } | null;
  /** The oldest entry may wait that long before the status says so. */
  readonly warnAfterMs: number;
  /** What one of its requests may hold. */
  readonly requestLimits: RequestLimits;
}

export type AccountNode = Node & Account;

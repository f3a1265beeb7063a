// The interface that an account node offers to the nodes that use it.

import type { Node } from 'node-red';
import type { MemberQueue, Recovered, RequestLimits } from '../../src/delivery/index';
import type { ServiceClient, TokenKeeper } from '../../src/service/index';

/** A sentence of `locales/<lang>/account.json`, and the values of its placeholders. */
export interface Problem {
  readonly key: string;
  readonly params?: Readonly<Record<string, string | number>>;
}

/** Callbacks of a node that uses an account. */
export interface AccountUser {
  /** Called with the engine, or with a problem (a key of the account's catalogue); again after each change. */
  ready(engine: MemberQueue | Problem): void;
  /** The account closes but this node does not: it leaves, and joins the one with the same id after the deploy. */
  closes(): void;
  /** Late outcomes of entries of this node. */
  recovered(entries: readonly Recovered[]): void;
}

export interface Account {
  join(node: string, user: AccountUser): void;
  /**
   * The node closes. Resolves when requests in flight have had their time and the node's open messages have ended.
   *
   * @param returns whether the node starts again after a deploy: outcomes in between wait for it
   * @param unreported late outcomes that the node has not passed on: they wait too
   */
  leave(node: string, returns: boolean, unreported?: readonly Recovered[]): Promise<void>;
  readonly accountName: string;
  /** The problem of an unusable account; null if it is usable or not known yet. */
  readonly problem: Problem | null;
  /** Whether a node uses it, including nodes that are still closing. */
  readonly isUsed: boolean;
  /** Whether its entries stay inside this Node-RED. */
  readonly isSandbox: boolean;
  /** The member's id in digits; '' while the account cannot be used. */
  readonly member: string;
  /** The engine's connection to the service, for reads; null without an engine. */
  connection(): { readonly client: ServiceClient; readonly keeper: TokenKeeper } | null;
  /** The age of the oldest entry from which the status warns. */
  readonly warnAfterMs: number;
  /** The limits of one request. */
  readonly requestLimits: RequestLimits;
}

export type AccountNode = Node & Account;

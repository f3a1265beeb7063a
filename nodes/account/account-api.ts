// What an account node offers to the nodes that use it.

import type { Node } from 'node-red';
import type { Engine } from '../../src/delivery/engine';
import type { Problem } from './checks';
import type { AccountCredentials } from './connection';

/** What an out node gets from its account. */
export interface Account {
  /**
   * Joins; `ready` is called once, with the engine or with a sentence that says why there is none.
   */
  join(node: string, ready: (engine: Engine | Problem) => void): void;
  /** The node has closed: what was in flight has had its time, its open messages have ended. */
  leave(node: string): Promise<void>;
  readonly accountName: string;
  /** The oldest entry may wait that long before the status says so. */
  readonly warnAfterMs: number;
}

export type AccountNode = Node<AccountCredentials> & Account;

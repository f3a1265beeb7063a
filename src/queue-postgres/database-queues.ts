// Queues of one database, as an operator manages them: only types, so that `pg` is not loaded with them.

import type { SharedLog } from '../queue/shared-log';

/** Does not expose its URL. Actions reject with QueueErrors. */
export interface DatabaseQueues {
  /** For people; null when the URL cannot be read. */
  readonly place: DatabasePlace | null;
  /** The queues that the database user may read. */
  list(): Promise<OrphanedSharedQueue[]>;
  /** Purges an orphaned queue. Resolves to the number of entries that were pending. */
  purge(schema: string): Promise<number>;
  /** Erases a user from an orphaned queue. Resolves to the number of entries that were pending. */
  erase(schema: string, userKeys: readonly string[]): Promise<number>;
  /** The log of a queue, for an instance that joins it. */
  logOf(queue: Pick<OrphanedSharedQueue, 'origin' | 'member'>): SharedLog;
}

export interface DatabasePlace {
  /** With the port; several are separated by commas. */
  readonly host: string;
  readonly database: string;
}

export interface OrphanedSharedQueue {
  /** Name of the schema; the argument of the calls. */
  readonly schema: string;
  readonly origin: string;
  readonly member: string;
  readonly waiting: number;
  /** Epoch ms by the database's clock; null when no entry is pending. */
  readonly oldestAppendedWallMs: number | null;
  /** Names of the instances that use the queue; with any it is not orphaned. */
  readonly usedBy: readonly string[];
  /** Node ids of the accounts that appended to it. */
  readonly accounts: readonly string[];
}

// The queues of one database, as whoever looks after them sees them: types alone, so that nothing of `pg` comes with them.

import type { Row } from '../queue/store';
import type { SharedLog } from '../queue/shared-log';

/** Its URL stays inside. What is done rejects with QueueErrors. */
export interface DatabaseQueues {
  /** For people; null when the URL cannot be read. */
  readonly place: DatabasePlace | null;
  /** Those that the user of the database may read. */
  list(): Promise<OrphanedSharedQueue[]>;
  /** What waits in one, a page at a time, in order; the next page is read when `take` has resolved. */
  readAll(schema: string, take: (rows: readonly Row[]) => Promise<void>): Promise<void>;
  /** Empties one that nobody uses. Resolves to how many entries had waited. */
  purge(schema: string): Promise<number>;
  /** Removes a user from one that nobody uses. Resolves to how many entries had waited. */
  erase(schema: string, userKeys: readonly string[]): Promise<number>;
  /** The log of one, for whoever takes part in it. */
  logOf(queue: Pick<OrphanedSharedQueue, 'origin' | 'member'>): SharedLog;
}

export interface DatabasePlace {
  /** With its port; several with commas in between. */
  readonly host: string;
  readonly database: string;
}

export interface OrphanedSharedQueue {
  /** Its name in the database; what the calls are given. */
  readonly schema: string;
  readonly origin: string;
  readonly member: string;
  readonly waiting: number;
  /** Epoch ms by the database's clock; null when nothing waits. */
  readonly oldestTakenWallMs: number | null;
  /** Names of the processes that use it; with any it is not left behind. */
  readonly usedBy: readonly string[];
  /** Node ids of the accounts that put something into it. */
  readonly accounts: readonly string[];
}

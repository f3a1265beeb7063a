// What an account hands over for a queue that several processes share, and what such a queue tells for people.

import type { QueueStore } from '../../queue/store';
import type { DatabaseQueues } from '../../queue-postgres/database-queues';
import type { Instance, SharedLog } from '../../queue/shared-log';

export interface SharedRequest {
  /** Two requests with the same text mean the same database. A digest, as it stands for a password too. */
  readonly identity: string;
  /** The log of this service and member in the database; called only when there is no engine yet. */
  readonly open: (instance: Instance) => SharedLog;
  /** Where entries wait on this machine while the database cannot be reached; called like `open`. */
  readonly localBuffer: () => QueueStore;
  /** Names this process among the others, for people. */
  readonly instanceName: string;
  /** All queues of the database, for what an operator does with those that no account uses. */
  readonly queues?: DatabaseQueues;
}

/** Who works on a shared queue, as this process has heard last. */
export interface SharedView {
  /** Name of the process that sends; null when nobody does, or nobody knows. */
  readonly sender: string | null;
  /** Whether that is this one. */
  readonly isSender: boolean;
  /** Names of those that are alive, this one too. */
  readonly instances: readonly string[];
  /** Entries that wait on this machine, because the database could not be reached. */
  readonly kept: number;
  /** Entries that wait in the database, as far as is known. */
  readonly inLog: number;
}

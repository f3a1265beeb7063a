// What an account asks for when it acquires an engine.

import type { QueueStore } from '../queue/store';
import type { ServiceClient } from '../service/client';
import type { Login as ServiceLogin } from '../service/login/login';
import type { Log } from './engine-options';
import type { Limits } from './schedule/rate-limiter';
import type { SharedRequest } from './shared/shared-request';

export type QueueKind = 'disk' | 'memory' | 'shared';

/** What an account asks for. */
export interface LeaseRequest {
  /** Node id of the account. */
  readonly account: string;
  /** For messages. */
  readonly accountName: string;
  /** Where the posts go: the service's address in one spelling, or `sandbox`. */
  readonly origin: string;
  readonly member: string;
  readonly queue: QueueKind;
  readonly limits: Limits;
  readonly queueMaxEntries: number;
  readonly queueMaxBytes: number;
  /** User ids at rest are encrypted by what `openStore` gives; without this they are not. */
  readonly encrypted?: boolean;
  readonly login: ServiceLogin;
  /** Where the login goes: with the user name it says which logins the service counts together. */
  readonly authOrigin: string;
  /** Two requests with the same text may share a client; it names everything that makes a connection. */
  readonly connection: string;
  readonly connect: () => ServiceClient;
  /** Called only when there is no engine yet. */
  readonly openStore: () => QueueStore;
  /** Where the queue is shared; `openStore` is not for it. */
  readonly shared?: SharedRequest;
  readonly log: Log;
}

/** Two accounts of one member keep their queues in different places, or one of them encrypted and the other not. */
export class QueueKindsDiffer extends Error {
  constructor(
    readonly otherAccountName: string,
    readonly onlyEncryption: boolean,
    /** Calls once when the engine in the way is closed, because nobody uses it any more. */
    readonly whenOver: (call: () => void) => void,
  ) {
    const how = onlyEncryption
      ? 'differs in whether user IDs are encrypted'
      : 'keeps its queue in another place';
    super(`The account ${otherAccountName} serves the same member, but ${how}.`);
    this.name = 'QueueKindsDiffer';
  }
}

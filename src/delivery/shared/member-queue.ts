// A member's delivery: the engine itself, or a queue that several processes share.

import type { Engine } from '../engine';

/** For nodes: nothing of it stops the other accounts of the member for good. */
export type MemberQueue = Pick<
  Engine,
  // Messages.
  | 'submit'
  | 'onRecovered'
  | 'closing'
  | 'release'
  | 'settled'
  | 'durable'
  // What an operator sees and asks.
  | 'stats'
  | 'counters'
  | 'erasedUnreported'
  | 'monitor'
  | 'sent'
  | 'sample'
  | 'flush'
  | 'pause'
  | 'resume'
  | 'purge'
  | 'erase'
  // Beside the queue.
  | 'meta'
  | 'hourRing'
  | 'holdSegments'
  | 'logins'
>;

/** For whoever holds it for all its accounts. */
export type HeldQueue = MemberQueue &
  Pick<
    Engine,
    // The accounts that use it.
    | 'loginTimes'
    | 'attach'
    | 'suspend'
    | 'detach'
    | 'setLimits'
    | 'setQueueCaps'
    // Life.
    | 'start'
    | 'park'
    | 'unpark'
    | 'close'
  >;

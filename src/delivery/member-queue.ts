// What nodes see of a member's delivery: the engine itself, or a queue that several processes share.

import type { Engine } from './engine';

export type MemberQueue = Pick<
  Engine,
  // Messages.
  | 'submit'
  | 'onRecovered'
  | 'release'
  | 'durable'
  // What an operator sees and asks.
  | 'stats'
  | 'counters'
  | 'erasedUntold'
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
  // The accounts that use it.
  | 'logins'
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

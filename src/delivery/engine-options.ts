// What an engine is made with.

import type { Clock } from '../clock';
import type { QueueStore } from '../queue/store';
import type { Monitor } from './monitor/monitor';
import type { QueueCaps } from './respond/not-accepted';
import type { Outcome } from './respond/reports';
import type { AskedWait } from './schedule/circuit-breaker';
import type { Limits } from './schedule/rate-limiter';

/** Read from the queue at a time. */
export const defaultPageRows = 2_000;

export interface EngineOptions extends QueueCaps {
  readonly store: QueueStore;
  readonly clock: Clock;
  /** 0 … 1. */
  readonly random: () => number;
  readonly limits: Limits;
  /** Entries of one lane kept in memory, further ones of a user counting little; the rest is on disk only. */
  readonly memoryMark?: number;
  readonly pageRows?: number;
  /** How long a request without a reply may still run at the service. */
  readonly lateMarginMs?: number;
  /** Messages that may wait for an outcome at a time. */
  readonly maxOpenMessages?: number;
  /** Blocks of a message that are taken before others of the process have their turn. */
  readonly blocksPerSlice?: number;
  /** What an operator sees beside `stats`, when it is to outlive the engine. */
  readonly monitor?: Monitor;
  /** What the service asked for, when it is to outlive the engine. */
  readonly askedWait?: AskedWait;
  /** When several processes append to the store. */
  readonly shared?: SharedPart;
  /** For an operator's log: one sentence, no secrets. */
  readonly log?: (level: 'info' | 'warn' | 'error', text: string) => void;
}

/**
 * The engine of a process that holds the lease of a shared log (see shared-queue.ts). It takes nothing itself: `submit`
 * is not for it, rows come from the log.
 */
export interface SharedPart {
  /** The process that it is part of. */
  readonly instance: string;
  /** Entries that this process took have ended, durably. The commit stores those of other instances (`Commit.outcomes`). */
  readonly report: (outcomes: readonly Outcome[]) => void;
  /** The log is open, and what waits in it known. */
  readonly opened: () => void;
  /** Whether the lease is held under which this engine sends. */
  readonly mayPost: () => boolean;
}

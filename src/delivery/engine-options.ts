// What an engine is made with.

import type { Clock } from '../clock';
import type { Instance, SharedLog } from '../queue/shared-log';
import type { QueueStore } from '../queue/store';
import type { QueueCaps } from './respond/not-accepted';
import type { AskedWait } from './schedule/circuit-breaker';
import type { Limits } from './schedule/rate-limiter';

/** Read from the queue at a time. */
export const defaultPageRows = 2_000;

export interface EngineSettings extends QueueCaps {
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
  /** What the service asked for, when it is to outlive the engine. */
  readonly askedWait?: AskedWait;
  /** For an operator's log: one sentence, no secrets. */
  readonly log?: (level: 'info' | 'warn' | 'error', text: string) => void;
}

/** A queue that several processes share. */
export interface SharedQueueOptions {
  readonly log: SharedLog;
  /** Where entries wait on this machine while the log cannot be reached. */
  readonly localBuffer: QueueStore;
  readonly instance: Instance;
  /** How long the lease lasts without renewal. */
  readonly leaseMs?: number;
}

/** `store`: a queue of this process alone, whose lease is always held. */
export type EngineOptions = EngineSettings &
  (
    | { readonly store: QueueStore; readonly shared?: undefined }
    | { readonly shared: SharedQueueOptions; readonly store?: undefined }
  );

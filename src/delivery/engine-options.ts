// What an engine is made with, and what its senders have in common.

import type { Clock } from '../clock';
import type { Instance, SharedLog } from '../queue/shared-log';
import type { QueueStore } from '../queue/store';
import { LogTally } from './monitor/log-tally';
import { Monitor } from './monitor/monitor';
import { PendingMessages } from './pending-messages';
import { NodeListeners } from './respond/node-listeners';
import type { QueueCaps } from './respond/not-accepted';
import { Reporter } from './respond/reports';
import type { AskedWait } from './schedule/circuit-breaker';
import { Logins } from './schedule/login';
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
}

/** `store`: a queue of this process alone, whose lease is always held. */
export type EngineOptions = EngineSettings &
  (
    | { readonly store: QueueStore; readonly shared?: undefined }
    | { readonly shared: SharedQueueOptions; readonly store?: undefined }
  );

/** Messages that may wait for an outcome at a time. */
const defaultMaxOpenMessages = 50_000;

export type Log = NonNullable<EngineSettings['log']>;

/** What the senders of an engine have in common: with a shared queue it has one after the other. */
export interface Common {
  readonly settings: EngineSettings;
  readonly monitor: Monitor;
  readonly log: Log;
  readonly tally: LogTally;
  readonly logins: Logins;
  readonly pendingMessages: PendingMessages;
  readonly reporter: Reporter;
  /** See `Engine.holdSegments`; by owner. */
  readonly holds: Map<string, ReadonlyMap<string, number>>;
  limits: Limits;
  caps: QueueCaps;
}

export function commonOf(settings: EngineSettings): Common {
  const { clock, maxOpenMessages = defaultMaxOpenMessages, limits } = settings;
  const monitor = new Monitor(clock);
  const log: Log = (level, text) => {
    monitor.logged(level, text);
    settings.log?.(level, text);
  };
  const tally = new LogTally(clock, log);
  const pendingMessages = new PendingMessages(maxOpenMessages);
  return {
    settings,
    monitor,
    log,
    tally,
    logins: new Logins(),
    pendingMessages,
    reporter: new Reporter(pendingMessages, new NodeListeners(clock, tally)),
    holds: new Map(),
    limits,
    caps: settings,
  };
}

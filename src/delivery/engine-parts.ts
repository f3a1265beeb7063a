// The parts of an engine: those that outlive its senders, and those of one sender.

import { Producer } from './producer';
import { CommitBuffer } from './commit-buffer';
import { defaultPageRows, type EngineSettings } from './engine-options';
import { LogTally } from './monitor/log-tally';
import { Monitor } from './monitor/monitor';
import { SentCountStore } from './monitor/sent-counts';
import { PendingMessages } from './pending-messages';
import { PendingUsers } from './pending/pending-users';
import { ReadAhead } from './pending/read-ahead';
import { WarmUps } from './pending/warm-ups';
import { Deleter } from './respond/deleter';
import { asQueueError, type QueueCaps } from './respond/not-accepted';
import { Outcomes } from './respond/outcomes';
import { Reporter, Reports, type Outcome } from './respond/reports';
import { CircuitBreaker } from './schedule/circuit-breaker';
import { Logins } from './schedule/login';
import { RecoveredRequests } from './schedule/recovered-requests';
import type { Limits } from './schedule/rate-limiter';
import { RequestsInFlight } from './schedule/requests-in-flight';
import { Scheduler } from './schedule/scheduler';
import type { QueueError, QueueStore } from '../queue/store';

/** Messages that may wait for an outcome at a time. */
const defaultMaxOpenMessages = 50_000;

type Log = NonNullable<EngineSettings['log']>;

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
    reporter: new Reporter(pendingMessages, tally),
    holds: new Map(),
    limits,
    caps: settings,
  };
}

/** The lease under which a sender works. */
export interface SenderLease {
  /** Of a shared queue: the instance that this process is. */
  readonly instance: string | undefined;
  /**
   * Entries that this process took have ended, durably. Of a shared queue the commit has stored those of other instances
   * (`Commit.outcomes`).
   */
  readonly report: (outcomes: readonly Outcome[]) => void;
  /** The queue is open, and what waits in it known. */
  readonly opened: () => void;
  readonly mayPost: () => boolean;
}

/** What the parts ask of the turns. */
export interface TurnHooks {
  readonly ask: () => void;
  /** Asked for each request right before it is written. */
  readonly mayLeave: () => boolean;
  readonly storeFailed: (error: QueueError) => void;
  readonly isClosed: () => boolean;
}

export type EngineParts = ReturnType<typeof partsOf>;

export function partsOf(common: Common, store: QueueStore, lease: SenderLease, turns: TurnHooks) {
  const { settings, monitor, tally, logins, pendingMessages, limits } = common;
  const { clock, random, lateMarginMs = 20_000 } = settings;
  /** Another instance may send by now, and this one's log concerns nobody. */
  const log: Log = (level, text) => {
    if (!turns.isClosed()) common.log(level, text);
  };
  const commitBuffer = new CommitBuffer();
  const readAhead = new ReadAhead(store, settings.memoryMark ?? 10_000, settings.pageRows ?? defaultPageRows);
  const reports = new Reports(
    clock,
    (ended) => monitor.ended(ended),
    (ended) => lease.report(ended.filter(({ source }) => source.instance === lease.instance)),
  );
  const circuitBreaker = new CircuitBreaker(random, settings.askedWait);
  const warmUps = new WarmUps(clock);
  const recoveredRequests = new RecoveredRequests();
  const pendingUsers = new PendingUsers(commitBuffer, readAhead, reports, logins, recoveredRequests, warmUps);
  const scheduler = new Scheduler(limits, lateMarginMs, clock, pendingUsers, logins, circuitBreaker);
  const sent = new SentCountStore(store, clock);
  const outcomes = new Outcomes(
    clock,
    random,
    lateMarginMs,
    pendingUsers,
    scheduler,
    circuitBreaker,
    logins,
    commitBuffer,
    log,
    sent,
    monitor.unaccounted,
  );
  const requestsInFlight = new RequestsInFlight(
    clock,
    logins,
    circuitBreaker,
    (account, nowMs) => outcomes.tokenReceived(account, nowMs),
    turns.ask,
    turns.mayLeave,
  );
  /**
   * Whether a full queue takes one message all the same: once after each refusal, when all that waits was refused and
   * nothing has been accepted since. Nobody can know then what is at fault, so without it nothing would ever end.
   */
  const takesOneMore = (): boolean => {
    const isToBeTried = pendingUsers.someReady || readAhead.unreadAny || scheduler.bisection.searches;
    return !isToBeTried && requestsInFlight.inFlight === 0 && circuitBreaker.admitsOneMore();
  };
  const producer = new Producer(
    store.durable,
    () => common.caps,
    clock,
    commitBuffer,
    readAhead,
    pendingUsers,
    pendingMessages,
    reports,
    tally,
    takesOneMore,
    settings.blocksPerSlice,
  );
  const deleter = new Deleter({
    store,
    commitBuffer,
    readAhead,
    pendingUsers,
    producer,
    deletions: pendingUsers.deletions,
    forgetUser: (userKeys) => outcomes.forgetCanary(userKeys),
    askTurn: turns.ask,
    failed: (error) => turns.storeFailed(asQueueError(error)),
  });
  return {
    store,
    clock,
    lateMarginMs,
    lease,
    log,
    logins,
    commitBuffer,
    readAhead,
    pendingMessages,
    reports,
    circuitBreaker,
    warmUps,
    recoveredRequests,
    pendingUsers,
    scheduler,
    sent,
    outcomes,
    requestsInFlight,
    takesOneMore,
    producer,
    deleter,
  };
}

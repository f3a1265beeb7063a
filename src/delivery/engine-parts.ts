// The parts of an engine, made from its options.

import { Producer } from './producer';
import { CommitBuffer } from './commit-buffer';
import { defaultPageRows, type EngineOptions } from './engine-options';
import { LogTally } from './monitor/log-tally';
import { Monitor } from './monitor/monitor';
import { SentCountStore } from './monitor/sent-counts';
import { PendingMessages } from './pending-messages';
import type { Item } from './pending/item';
import { PendingUsers } from './pending/pending-users';
import { ReadAhead } from './pending/read-ahead';
import { WarmUps } from './pending/warm-ups';
import { Deleter } from './respond/deleter';
import { asQueueError } from './respond/not-accepted';
import { Outcomes } from './respond/outcomes';
import { Reporter, Reports } from './respond/reports';
import { CircuitBreaker } from './schedule/circuit-breaker';
import { Logins } from './schedule/login';
import { RecoveredRequests } from './schedule/recovered-requests';
import { RequestsInFlight } from './schedule/requests-in-flight';
import { Scheduler } from './schedule/scheduler';
import type { QueueError } from '../queue/store';

/** Messages that may wait for an outcome at a time. */
export const defaultMaxOpenMessages = 50_000;

/** What the parts ask of the turns. */
export interface TurnHooks {
  readonly ask: () => void;
  /** Asked for each request right before it is written. */
  readonly mayLeave: () => boolean;
  readonly storeFailed: (error: QueueError) => void;
}

export type EngineParts = ReturnType<typeof partsOf>;

export function partsOf(options: EngineOptions, turns: TurnHooks) {
  const { store, clock, random, limits, lateMarginMs = 20_000, shared = null } = options;
  const monitor = options.monitor ?? new Monitor(clock);
  const log: NonNullable<EngineOptions['log']> = (level, text) => {
    monitor.logged(level, text);
    options.log?.(level, text);
  };
  const tally = new LogTally(clock, log);
  const logins = new Logins();
  const commitBuffer = new CommitBuffer();
  const readAhead = new ReadAhead(store, options.memoryMark ?? 10_000, options.pageRows ?? defaultPageRows);
  const pendingMessages = new PendingMessages(options.maxOpenMessages ?? defaultMaxOpenMessages);
  const reporter = new Reporter(pendingMessages, tally);
  /** The commit has stored those of other instances. */
  const report = (ended: readonly Item[]): void => {
    if (shared === null) reporter.report(ended);
    else shared.report(ended.filter(({ source }) => source.instance === shared.instance));
  };
  const reports = new Reports(clock, (ended) => monitor.ended(ended), report);
  const circuitBreaker = new CircuitBreaker(random, options.askedWait);
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
    options,
    clock,
    commitBuffer,
    readAhead,
    pendingUsers,
    pendingMessages,
    reports,
    tally,
    takesOneMore,
    options.blocksPerSlice,
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
    shared,
    monitor,
    log,
    tally,
    logins,
    commitBuffer,
    readAhead,
    pendingMessages,
    reporter,
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

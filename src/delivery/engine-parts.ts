// The parts of a sender.

import { CommitBuffer } from './commit-buffer';
import { defaultPageRows, type Common, type Log } from './engine-options';
import type { SenderLease } from './sender-lease';
import { Loader } from './loader';
import { SentCountStore } from './monitor/sent-counts';
import { PendingUsers } from './pending/pending-users';
import { ReadAhead } from './pending/read-ahead';
import { WarmUps } from './pending/warm-ups';
import { Deleter } from './respond/deleter';
import { asQueueError } from './respond/not-accepted';
import { Outcomes } from './respond/outcomes';
import { Reports } from './respond/reports';
import { Producer } from './producer';
import { BulkEntries } from './sync/bulk-entries';
import { ChangedMembers } from './sync/changed-members';
import { MemberChanges } from './sync/member-changes';
import { Suppressions } from './sync/suppressions';
import { CircuitBreaker } from './schedule/circuit-breaker';
import { RecoveredRequests } from './schedule/recovered-requests';
import { RequestsInFlight } from './schedule/requests-in-flight';
import { Scheduler } from './schedule/scheduler';
import { leaseMs } from './shared/lease-keeper';
import type { QueueError, QueueStore } from '../queue/store';

/**
 * When a process gives up on a request. One that merely sleeps when another takes over has not even timed out its requests,
 * and one that lost only its connection may send a recorded request until its lease would have run out.
 */
const requestTimeoutMs = 10_000;

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
  const { settings, monitor, logins, pendingMessages, limits } = common;
  const { clock, random, lateMarginMs = 20_000 } = settings;
  /** Another instance may send by now, and this one's log concerns nobody. */
  const log: Log = (level, text) => {
    if (!turns.isClosed()) common.log(level, text);
  };
  const commitBuffer = new CommitBuffer(store.durable);
  const readAhead = new ReadAhead(store, settings.memoryMark ?? 10_000, settings.pageRows ?? defaultPageRows);
  const reports = new Reports(
    clock,
    (ended) => {
      monitor.ended(ended);
      if (store.sync !== undefined) bulkEntries.ended(ended);
    },
    (ended) => lease.report(ended.filter(({ source, bulk }) => !bulk && source.instance === lease.instance)),
  );
  const circuitBreaker = new CircuitBreaker(random, settings.askedWait);
  const warmUps = new WarmUps(clock);
  const isShared = lease.instance !== undefined;
  const recoveredMs = lateMarginMs + (isShared ? requestTimeoutMs + leaseMs : 0);
  const recoveredRequests = new RecoveredRequests(clock, recoveredMs, isShared);
  const suppressions = new Suppressions();
  const changedMembers = new ChangedMembers();
  const members = new MemberChanges(clock, commitBuffer, changedMembers, suppressions);
  const bulkEntries = new BulkEntries();
  const pendingUsers = new PendingUsers(
    { commitBuffer, members, suppressions },
    readAhead,
    reports,
    logins,
    recoveredRequests,
    warmUps,
  );
  const scheduler = new Scheduler(limits, lateMarginMs, clock, pendingUsers, logins, circuitBreaker);
  const sent = new SentCountStore(store, clock);
  const outcomes = new Outcomes({
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
    unaccounted: monitor.unaccounted,
    members,
  });
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
    const isToBeTried =
      pendingUsers.readiness.someReady || readAhead.unreadAny || scheduler.bisection.searches;
    return !isToBeTried && requestsInFlight.inFlight === 0 && circuitBreaker.admitsOneMore();
  };
  /**
   * What is in memory waits for a bisection, for new segments, or for its login; what is behind it need not. Nor need what
   * a purge has still to end: what is read of it does not stay in memory.
   */
  const isStuck = (): boolean => {
    if (deleter.isPurging) return true;
    if (scheduler.someSendable) return false;
    const waitsForLogin = pendingUsers.readiness.someHeld && scheduler.someLoginReady;
    return waitsForLogin || scheduler.bisection.size > 0 || warmUps.any;
  };
  const storeFailed = (error: unknown): void => turns.storeFailed(asQueueError(error));
  const { durable } = store;
  const loader = new Loader({
    common,
    durable,
    commitBuffer,
    readAhead,
    pendingUsers,
    reports,
    changedMembers,
    suppressions,
    takesOneMore,
    isStuck,
    someSendable: () => scheduler.someSendable,
    askTurn: turns.ask,
    failed: storeFailed,
  });
  const producer = new Producer(common, loader);
  const deleter: Deleter = new Deleter({
    store,
    readAhead,
    pendingUsers,
    producer,
    loader,
    deletions: pendingUsers.deletions,
    forgetUser: (userKeys) => outcomes.forgetCanary(userKeys),
    askTurn: turns.ask,
    failed: storeFailed,
  });
  return {
    store,
    clock,
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
    suppressions,
    changedMembers,
    members,
    bulkEntries,
    pendingUsers,
    scheduler,
    sent,
    outcomes,
    requestsInFlight,
    takesOneMore,
    loader,
    producer,
    deleter,
  };
}

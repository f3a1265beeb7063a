// What a shared queue is doing, for a status and for an operator, as this instance knows it.

import type { Claim, Instance } from '../../queue/shared-log';
import type { EngineStats } from '../engine-stats';
import { asQueueError } from '../respond/not-accepted';
import type { Sender } from '../sender';
import type { SharedProducer } from './shared-producer';
import type { SharedView } from './shared-request';

/** What is known of a shared queue. */
interface Known {
  readonly instance: Instance;
  /** The last one. */
  readonly claim: Claim | null;
  /** While this instance is the active one. */
  readonly sender: Sender | null;
  readonly producer: SharedProducer;
  /** Entries in the log when it was last heard of. */
  readonly lastInLog: number;
  /** Why the log cannot be reached, or opened; null while it can. */
  readonly unreachable: unknown;
  readonly parked: boolean;
}

export function sharedStatsOf(known: Known): EngineStats {
  const { sender, producer, unreachable } = known;
  const shared = viewOf(known);
  // Why the log cannot be opened, rather than that the producer finds it closed.
  const trouble = unreachable === null ? producer.way.trouble : asQueueError(unreachable);
  const stats: EngineStats = sender?.stats() ?? {
    state: standbyState(known),
    counters: { ...producer.counters },
    postsInFlight: 0,
    usersPerSecond: 0,
    oldestMs: producer.oldestMs,
  };
  if (trouble === null) return { ...stats, shared };
  const { message } = trouble;
  return { ...stats, state: { kind: 'databaseAway', message, kept: producer.kept }, shared };
}

function standbyState({ parked, claim }: Known): EngineStats['state'] {
  if (parked) return { kind: 'parked' };
  if (claim === null) return { kind: 'starting' };
  return { kind: 'standby', sender: claim.holder?.name ?? null };
}

function viewOf({ instance, claim, sender, producer, lastInLog }: Known): SharedView {
  return {
    sender: sender !== null ? instance.name : (claim?.holder?.name ?? null),
    isSender: sender !== null,
    instances: (claim?.instances ?? [instance]).map(({ name }) => name),
    kept: producer.kept,
    // The sender reads what was appended a moment later.
    inLog: Math.max(sender?.waiting ?? lastInLog, producer.counters.waiting - producer.kept),
  };
}

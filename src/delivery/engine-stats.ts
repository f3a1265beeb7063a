// What an engine is doing, for a status and for an operator.

import type { QueueError } from '../queue/store';
import type { EngineParts } from './engine-parts';
import type { Counters } from './respond/reports';
import type { SharedView } from './shared/shared-request';
import type { User } from './pending/user';
import type { Turns } from './turns';

/** What the engine is doing, for a status. */
export type EngineState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'outbox'; readonly code: QueueError['code']; readonly message: string }
  /** Of a shared queue: another process sends, or nobody does yet. */
  | { readonly kind: 'standby'; readonly sender: string | null }
  /** Of a shared queue: its database cannot be reached, so entries are buffered on this machine and handed over later. */
  | { readonly kind: 'databaseAway'; readonly message: string; readonly kept: number }
  | { readonly kind: 'parked' }
  /** By an operator. */
  | { readonly kind: 'paused' }
  | { readonly kind: 'rateLimited'; readonly untilMs: number }
  | {
      readonly kind: 'login';
      readonly account: string;
      readonly final: boolean;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'trouble'; readonly code: string; readonly message: string }
  /** The service refuses bodies and has accepted nothing since. */
  | { readonly kind: 'refusing'; readonly message: string }
  | { readonly kind: 'working' }
  | { readonly kind: 'idle' };

export interface EngineStats {
  readonly state: EngineState;
  readonly counters: Readonly<Counters>;
  readonly postsInFlight: number;
  /** Users accepted in the last whole second. */
  readonly usersPerSecond: number;
  /** Age of the oldest waiting entry in ms, wherever it waits; 0 when none does. Bulk entries do not count: they may wait. */
  readonly oldestMs: number;
  /** Of a queue that several processes share. */
  readonly shared?: SharedView;
}

export function statsOf(parts: EngineParts, turns: Turns): EngineStats {
  const { clock, pendingUsers, readAhead, requestsInFlight, outcomes } = parts;
  const { counters } = parts.reports;
  const nowMs = clock.monoMs();
  // Of one lane those in memory are older than those that are not.
  const oldestWallMs = Math.min(oldestAppendedWallMs(pendingUsers.all()), readAhead.unreadAppendedWallMs);
  const isNoneOld = counters.waiting === 0 || oldestWallMs === Infinity;
  return {
    state: stateOf(parts, turns, nowMs),
    counters: { ...counters },
    postsInFlight: requestsInFlight.inFlight,
    usersPerSecond: outcomes.usersPerSecond(nowMs),
    oldestMs: isNoneOld ? 0 : Math.max(0, clock.wallMs() - oldestWallMs),
  };
}

/** Epoch ms at which the oldest pending entry in memory that is not bulk was accepted, or Infinity. */
function oldestAppendedWallMs(users: Iterable<User>): number {
  let oldestMs = Infinity;
  for (const { entries } of users) {
    const oldest = entries.find(({ open, bulk }) => open > 0 && !bulk);
    if (oldest !== undefined) oldestMs = Math.min(oldestMs, oldest.appendedWallMs);
  }
  return oldestMs;
}

function stateOf({ circuitBreaker, logins, reports }: EngineParts, turns: Turns, nowMs: number): EngineState {
  const { trouble } = turns;
  if (trouble !== null) return { kind: 'outbox', code: trouble.code, message: trouble.message };
  if (!turns.opened) return { kind: 'starting' };
  if (turns.parked) return { kind: 'parked' };
  if (turns.paused) return { kind: 'paused' };
  if (circuitBreaker.rateLimitedUntil > nowMs)
    return { kind: 'rateLimited', untilMs: circuitBreaker.rateLimitedUntil };
  for (const account of logins.accounts()) {
    const state = logins.state(account);
    if (state?.kind !== 'refused' && state?.kind !== 'wait') continue;
    const { code, message } = state;
    return { kind: 'login', account, final: state.kind === 'refused', code, message };
  }
  if (circuitBreaker.refusesEverything) return { kind: 'refusing', message: circuitBreaker.refusal };
  if (circuitBreaker.trouble !== null) return { ...circuitBreaker.trouble, kind: 'trouble' };
  return { kind: reports.counters.waiting > 0 ? 'working' : 'idle' };
}

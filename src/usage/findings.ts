// Findings for an operator, from the comparison of sent and processed posts.

import { hourMs } from '../queue/hour-ring';
import type { LoggedSegment } from '../service/usage';
import { sumAmounts, type Flow, type PendingHour, type ProcessedHour } from './reconcile';

/** A segment whose posts had no effect. `segment` is its id, or its code if the service reports no id. */
export interface NoEffectFinding {
  readonly kind: 'inactiveSegment' | 'unauthorizedSegment' | 'unknownSegment';
  readonly segment: number | string;
  readonly code: string | null;
  /** The owner of the segment. */
  readonly member: number;
  /** Blocks sent by these accounts, all without effect; both 0 if another system sent them. */
  readonly adds: number;
  readonly removes: number;
}

interface UnknownUsersFinding {
  readonly kind: 'unknownUsers';
  readonly users: number;
  /** Share of all users that the service counted. */
  readonly percent: number;
  /** Number of their blocks, all without effect. */
  readonly associations: number;
  /** Some of their ids, from the service's log. */
  readonly sample: readonly string[];
}

/**
 * Posts that the service accepted but has not counted, for over two hours (`notProcessed`) or a day (`unconfirmed`).
 */
interface WaitingFinding {
  readonly kind: 'notProcessed' | 'unconfirmed';
  readonly users: number;
  readonly associations: number;
  /** The oldest hour, ISO 8601. */
  readonly since: string;
}

interface ErrorsFinding {
  readonly kind: 'otherErrors';
  readonly errors: number;
}

export type Finding = NoEffectFinding | UnknownUsersFinding | WaitingFinding | ErrorsFinding;

const maxSample = 10;
/** Up to this age, an unprocessed hour is normal. */
const lateAfterHours = 2;

/** @param unknownUsers ids of unknown users from the service's log */
export function findings(flow: Flow, unknownUsers: readonly string[]): Finding[] {
  return [
    ...segmentFindings(flow),
    ...userFindings(flow, unknownUsers),
    ...waitingFindings(flow),
    ...errorFindings(flow),
  ];
}

function inRange({ input: { processed, firstHour, lastHour } }: Flow): ProcessedHour[] {
  return processed.filter(({ hour }) => hour >= firstHour && hour <= lastHour);
}

/** The list of an hour that each finding comes from. */
const lists = {
  inactiveSegment: 'inactive',
  unauthorizedSegment: 'unauthorized',
  unknownSegment: 'invalid',
} as const;

function segmentFindings(flow: Flow): NoEffectFinding[] {
  const hours = inRange(flow);
  return (Object.keys(lists) as NoEffectFinding['kind'][]).flatMap((kind) => {
    const listed = hours.flatMap((hour) => hour[lists[kind]]);
    const distinct = new Map(listed.map((one) => [`${one.id} ${one.memberId} ${one.code}`, one]));
    return [...distinct.values()].map((segment) => ({
      kind,
      segment: segment.id === 0 ? segment.code : segment.id,
      code: segment.code === '' ? null : segment.code,
      member: segment.memberId,
      ...flow.sentTo(keysOf(segment)),
    }));
  });
}

/** The keys of blocks that may name the segment. The service logs an unknown id as 0 with the code `segment_<id>`. */
function keysOf({ id, code, memberId }: LoggedSegment): string[] {
  const loggedId = id === 0 ? /^segment_([1-9]\d*)$/.exec(code)?.[1] : id;
  return [
    ...(loggedId === undefined ? [] : [`i${loggedId}`]),
    ...(code === '' ? [] : [`c${memberId}:${code.toLowerCase()}`]),
  ];
}

function userFindings(flow: Flow, sample: readonly string[]): UnknownUsersFinding[] {
  const { users, associations } = flow.differences().unknownUsers;
  if (users === 0) return [];
  const all = inRange(flow).reduce((sum, { counts }) => sum + counts.validUsers + counts.invalidUsers, 0);
  const percent = Math.round((users / all) * 1000) / 10;
  return [{ kind: 'unknownUsers', users, percent, associations, sample: sample.slice(0, maxSample) }];
}

/** Includes hours before the range, since the longest waits matter most. */
function waitingFindings(flow: Flow): WaitingFinding[] {
  const pending = flow.pending();
  const late = pending.filter(({ hour, isOld }) => !isOld && flow.input.nowHour - hour > lateAfterHours);
  const old = pending.filter(({ isOld }) => isOld);
  return [...waiting('notProcessed', late), ...waiting('unconfirmed', old)];
}

function waiting(kind: WaitingFinding['kind'], hours: readonly PendingHour[]): WaitingFinding[] {
  if (hours.length === 0) return [];
  const since = new Date(Math.min(...hours.map(({ hour }) => hour)) * hourMs).toISOString();
  return [{ kind, ...sumAmounts(hours), since }];
}

function errorFindings(flow: Flow): ErrorsFinding[] {
  const errors = inRange(flow).reduce((sum, { counts }) => sum + counts.otherErrors, 0);
  return errors === 0 ? [] : [{ kind: 'otherErrors', errors }];
}

// What somebody should do something about, from the comparison of what was sent with what became of it.

import { hourMs } from '../outbox/hour-ring';
import type { LoggedSegment } from '../service/usage';
import { isOld, type Amount, type Flow, type ProcessedHour } from './reconcile';

/** A segment that posts had no effect for. `segment` is its id, or its code where the service knows no id. */
export interface SegmentFinding {
  readonly kind: 'inactiveSegment' | 'unauthorizedSegment' | 'unknownSegment';
  readonly segment: number | string;
  readonly code: string | null;
  /** Who owns it. */
  readonly member: number;
  /** Sent from here, and without effect. 0 when it was somebody else who sent. */
  readonly adds: number;
  readonly removes: number;
}

interface UnknownUsersFinding {
  readonly kind: 'unknownUsers';
  readonly users: number;
  /** Of all users that the service counted. */
  readonly percent: number;
  /** What was said of them, all without effect. */
  readonly associations: number;
  /** Some of them, as the service's log has them. */
  readonly sample: readonly string[];
}

/** Taken by the service long ago, and not counted yet: for more than two hours, or for more than a day. */
interface WaitingFinding {
  readonly kind: 'notProcessed' | 'unconfirmed';
  readonly users: number;
  readonly associations: number;
  /** ISO: the hour of the oldest. */
  readonly since: string;
}

interface ErrorsFinding {
  readonly kind: 'otherErrors';
  readonly errors: number;
}

export type Finding = SegmentFinding | UnknownUsersFinding | WaitingFinding | ErrorsFinding;

const mostSample = 10;
/** Anything younger may merely be on its way. */
const lateAfterHours = 2;

/** @param unknownUsers as the service's log has them */
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

function segmentFindings(flow: Flow): SegmentFinding[] {
  const hours = inRange(flow);
  const listed = (list: (hour: ProcessedHour) => readonly LoggedSegment[]): LoggedSegment[] => [
    ...new Map(hours.flatMap(list).map((one) => [`${one.id} ${one.memberId} ${one.code}`, one])).values(),
  ];
  const of = (kind: SegmentFinding['kind'], segments: readonly LoggedSegment[]): SegmentFinding[] =>
    segments.map((segment) => ({
      kind,
      segment: segment.id === 0 ? segment.code : segment.id,
      code: segment.code === '' ? null : segment.code,
      member: segment.memberId,
      ...flow.sentTo(keysOf(segment)),
    }));
  return [
    ...of(
      'inactiveSegment',
      listed(({ inactive }) => inactive),
    ),
    ...of(
      'unauthorizedSegment',
      listed(({ unauthorized }) => unauthorized),
    ),
    ...of(
      'unknownSegment',
      listed(({ invalid }) => invalid),
    ),
  ];
}

/** The keys of the blocks that may have meant it. An id that is unknown is logged as 0 and `segment_<id>`. */
function keysOf({ id, code, memberId }: LoggedSegment): string[] {
  const [, guessed] = /^segment_([1-9]\d*)$/.exec(code) ?? [];
  const ids = new Set([...(id === 0 ? [] : [String(id)]), ...(id === 0 && guessed ? [guessed] : [])]);
  return [
    ...[...ids].map((one) => `i${one}`),
    ...(code === '' ? [] : [`c${memberId}:${code.toLowerCase()}`]),
  ];
}

function userFindings(flow: Flow, sample: readonly string[]): UnknownUsersFinding[] {
  const { firstHour, lastHour } = flow.input;
  const { users, associations } = flow.differences(firstHour, lastHour).unknownUsers;
  if (users === 0) return [];
  const all = inRange(flow).reduce((sum, { counts }) => sum + counts.validUsers + counts.invalidUsers, 0);
  const percent = Math.round((users / all) * 1000) / 10;
  return [{ kind: 'unknownUsers', users, percent, associations, sample: sample.slice(0, mostSample) }];
}

/** Also of hours before the range: the longer something waits, the more it matters. */
function waitingFindings(flow: Flow): WaitingFinding[] {
  const { nowHour } = flow.input;
  const pending = flow.pending();
  const late = pending.filter(({ hour }) => !isOld(hour, nowHour) && nowHour - hour > lateAfterHours);
  const old = pending.filter(({ hour }) => isOld(hour, nowHour));
  return [...waiting('notProcessed', late), ...waiting('unconfirmed', old)];
}

function waiting(
  kind: WaitingFinding['kind'],
  hours: readonly { readonly hour: number; readonly left: Amount }[],
): WaitingFinding[] {
  if (hours.length === 0) return [];
  let [users, associations] = [0, 0];
  for (const { left } of hours) {
    users += left.users;
    associations += left.associations;
  }
  const since = new Date(Math.min(...hours.map(({ hour }) => hour)) * hourMs).toISOString();
  return [{ kind, users, associations, since }];
}

function errorFindings(flow: Flow): ErrorsFinding[] {
  const errors = inRange(flow).reduce((sum, { counts }) => sum + counts.otherErrors, 0);
  return errors === 0 ? [] : [{ kind: 'otherErrors', errors }];
}

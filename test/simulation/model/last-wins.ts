// Promise 2: when everything has settled, the service has the state that the inputs give, applied in their
// order.
//
// The order is not known completely: messages of two instances meet in the queue, and a process that died may
// have queued its last ones or not. So each user and segment has several inputs that may be the last; the
// service must have one of them.
import { poisoned } from '../world/make-plan';
import type { MessageRecord } from '../world/history';
import type { Block } from '../world/plan';
import { epochMs } from '../world/process-time';
import type { Played } from '../world/world';
import { segmentName, userName } from './names';
import { mayBeRejected } from './outcomes';

/** The last action of the service on a user and segment. */
interface LastAction {
  readonly value: number;
  readonly sentMs: number;
  readonly atMs: number;
  /** Its request had an ambiguous outcome, or its process died before the outcome. */
  readonly isLost: boolean;
}

interface Input {
  readonly message: MessageRecord;
  /** Index of the entry in the message, and of the block in the entry. */
  readonly index: number;
  readonly at: number;
  readonly block: Block;
  readonly issuedMs: number;
  /** It may not have been queued, or was deleted. */
  readonly uncertain: boolean;
}

export function lastWins(played: Played): string[] {
  const inputs = inputsByPlace(played);
  const holds = new Map(
    played.members.map(({ member, segment, user, domain, value, expiresMs }) => [
      `${member} ${userName(user, domain)} ${segment}`,
      { value, expiresMs },
    ]),
  );
  const found: string[] = [];
  const stays = actedLast(played);
  const firstActedMs = firstActions(played);
  for (const [place, all] of inputs) {
    const action = stays.get(place);
    // Its queue delivered it, or a newer one, between the departure of a lost request and its late action.
    const isUndone = (other: Input, { isLost, sentMs, atMs }: LastAction): boolean => {
      const wasDelivered = ({ block }: Input): boolean => {
        const deliveredMs = firstActedMs.get(block.value) ?? Infinity;
        return deliveredMs > sentMs && deliveredMs < atMs;
      };
      return isLost && all.some((one) => (one === other || comesAfter(one, other)) && wasDelivered(one));
    };
    const isLast = (input: Input): boolean => {
      const staysAs = action?.value === input.block.value ? action : null;
      const mayBeMissing = (other: Input): boolean => {
        if (staysAs === null) return false;
        if (sameQueue(other.message, input.message)) return true;
        return other.message.queue !== input.message.queue && isUndone(other, staysAs);
      };
      return !all.some((other) => comesAfter(other, input) && !mayBeMissing(other));
    };
    const last = all.filter(isLast);
    const has = holds.get(place) ?? null;
    const fits = last.some((input) => isHeld(input, has, played));
    if (fits || (has === null && last.every(({ uncertain }) => uncertain))) continue;
    const said = last.map(
      ({ block, message }) =>
        `v${block.value} (${block.expiration ?? 'default'}) of message ${message.number}`,
    );
    found.push(
      `${place}: expected ${said.join(' or ')}, the service has ${has === null ? 'nothing' : `v${has.value}`}`,
    );
  }
  for (const place of holds.keys()) if (!inputs.has(place)) found.push(`${place}: nobody asked for it`);
  return found;
}

function inputsByPlace(played: Played): Map<string, Input[]> {
  const { history, plan } = played;
  const inputs = new Map<string, Input[]>();
  const switchesQueues = plan.actions.some(
    (action) => action.kind === 'accounts' && ('queue' in action.change || 'database' in action.change),
  );
  const rejectedLate = new Set(
    history.late.filter(({ end }) => end === 'rejected').map(({ value }) => value),
  );
  const toldLate = new Set(history.late.map(({ value }) => value));
  for (const message of history.messages) {
    const { end, orphaned, discarded, member } = message;
    // A message that was closed may have been in flight.
    if (end?.kind === 'failed' && end.code !== 'closed') continue;
    const rejected = new Set(end?.kind === 'settled' ? end.rejected.map(({ index }) => index) : []);
    const isEarly = end?.kind === 'queued' || end?.kind === 'parked';
    message.entries.forEach((entry, index) => {
      const { user, domain, blocks, agoMs } = entry;
      if (user === poisoned) return;
      const uncertain =
        orphaned ||
        discarded.has(index) ||
        end?.kind === 'failed' ||
        // Some of its blocks may have been accepted. Another promise checks whether it may be rejected.
        rejected.has(index) ||
        rejectedLate.has(blocks[0]!.value) ||
        // Outcomes of a removed node are only in its instance's log.
        (isEarly && !toldLate.has(blocks[0]!.value) && mayBeRejected(entry, played)) ||
        // A deletion reaches the buffers of other machines when these can be reached.
        (end?.kind === 'queued' &&
          end.reason === 'lateOutcomes' &&
          history.discards.some((one) => one.member === member)) ||
        // Entries pending in a queue that no account uses any more stay there.
        (switchesQueues && end?.kind !== 'settled');
      for (const [at, block] of blocks.entries()) {
        const place = `${member} ${userName(user, domain)} ${segmentName(block)}`;
        const input = { message, index, at, block, issuedMs: message.atMs - agoMs, uncertain };
        const before = inputs.get(place);
        if (before === undefined) inputs.set(place, [input]);
        else before.push(input);
      }
    });
  }
  return inputs;
}

/**
 * The last action of the service by place, for queues that no engine continues: one in memory that ended with
 * its process or when no account used it, or any that no account uses any more. They may have been resending a
 * user's blocks in order, or had a resend due after an ambiguous request; the rest is lost with them, or stays
 * pending. When an account's queue moves, the next one does not know the ambiguous requests of the old one, whose
 * database may be away: a request that runs late may undo what the next queue has delivered.
 */
function actedLast({ history, healedMs }: Played): Map<string, LastAction> {
  const { messages, requests } = history;
  const used = new Set(messages.filter(({ atMs }) => atMs >= healedMs).map(({ queue }) => queue));
  const terms = new Map(messages.map(({ queue, term }) => [queue, term]));
  const ended = ({ queue, durable, term }: MessageRecord): boolean =>
    !used.has(queue) || (!durable && term < terms.get(queue)!);
  const values = new Set(
    messages
      .filter(ended)
      .flatMap(({ entries }) => entries.flatMap(({ blocks }) => blocks.map(({ value }) => value))),
  );
  const last = new Map<string, LastAction>();
  for (const { member, users, sentMs, actedMs, applied, answer } of requests) {
    if (!applied) continue;
    const atMs = Math.max(...actedMs);
    const isLost = answer === null || answer.includes('ambiguous');
    for (const { user, domain, blocks } of users)
      for (const block of blocks) {
        const place = `${member} ${userName(user, domain)} ${segmentName(block)}`;
        if (atMs >= (last.get(place)?.atMs ?? -1))
          last.set(place, { value: block.value, sentMs, atMs, isLost });
      }
  }
  return new Map([...last].filter(([, { value }]) => values.has(value)));
}

/** When the service first acted on each block, by its value. */
function firstActions({ history }: Played): Map<number, number> {
  const first = new Map<number, number>();
  for (const { users, actedMs, applied } of history.requests) {
    if (!applied) continue;
    const atMs = Math.min(...actedMs);
    for (const { value } of users.flatMap(({ blocks }) => blocks))
      first.set(value, Math.min(first.get(value) ?? Infinity, atMs));
  }
  return first;
}

function sameQueue(a: MessageRecord, b: MessageRecord): boolean {
  return a.queue === b.queue && (a.durable || a.term === b.term);
}

/** Whether `later` is certainly after `input`. */
function comesAfter(later: Input, input: Input): boolean {
  if (later === input || later.uncertain) return false;
  const [a, b] = [input.message, later.message];
  if (a === b && later.index === input.index)
    return later.at > input.at && haveOrder(later.block, input.block);
  if (a === b) return later.index > input.index;
  if (a.queue === b.queue && a.instance === b.instance) return b.number > a.number;
  if (b.atMs <= a.endMs) return false;
  if (a.end?.kind === 'settled') return true;
  // In one queue it is enough that the earlier one is known to be in it.
  return a.queue === b.queue && a.end?.kind === 'queued' && a.end.reason !== 'lateOutcomes';
}

/**
 * An entry is one statement: between names of a segment by id and by code, only an add and a removal have an
 * order.
 */
function haveOrder(one: Block, other: Block): boolean {
  const sameName = (one.seg_id === undefined) === (other.seg_id === undefined);
  return sameName || (one.expiration === -1) !== (other.expiration === -1);
}

function isHeld(
  { block, issuedMs }: Input,
  has: { value: number | null; expiresMs: number } | null,
  { endMs, history }: Played,
): boolean {
  const { expiration, value } = block;
  if (expiration === -1) return has === null;
  if (has === null) {
    if (expiration === undefined || expiration === 0) return false;
    // Clocks that were set forward may have ended it early.
    const clocksMs = history.faults.has('wall clock') ? 3_700_000 : 0;
    return issuedMs + expiration * 60_000 <= endMs + clocksMs;
  }
  if (has.value !== value) return false;
  if (expiration === 0) return has.expiresMs === Infinity;
  return expiration === undefined || has.expiresMs > epochMs;
}

// Promises 1 and 4: one outcome for every entry, each of them true, and no entry lost.
import { poisoned } from '../world/make-plan';
import type { MessageRecord } from '../world/history';
import type { Entry, Limits } from '../world/plan';
import type { Played } from '../world/world';
import { isLocal, segmentName, userName } from './names';

/** A round trip to the database. */
const notedMs = 200;
/** After a fault: until an unanswered call times out, and another one is made. */
const notedAgainMs = 7_000;

export function outcomes(played: Played): string[] {
  const applied = appliedValues(played);
  const found: string[] = [];
  const reachable = reachableValues(played, applied);
  const lateOf = new Map<number, string[]>();
  for (const { value, end } of played.history.late) lateOf.set(value, [...(lateOf.get(value) ?? []), end]);
  for (const message of played.history.messages) {
    found.push(
      ...ofMessage(message, applied, reachable, played).map((text) => `message ${message.number} ${text}`),
    );
    found.push(...lateOutcomes(message, lateOf, played));
  }
  found.push(...toldNever(played, lateOf), ...lateTruth(played, applied));
  return found;
}

/** Values of blocks that the service applied. */
function appliedValues({ history }: Played): Set<number> {
  const values = new Set<number>();
  for (const { applied, users } of history.requests) {
    if (!applied) continue;
    for (const { blocks } of users) for (const { value } of blocks) values.add(value);
  }
  return values;
}

/** Values of blocks that the service applied, or for which it applied a later one. */
function reachableValues({ history }: Played, applied: ReadonlySet<number>): Set<number> {
  const reachable = new Set(applied);
  const places = new Set<string>();
  for (const { member, entries } of history.messages.toReversed()) {
    for (const { user, domain, blocks } of entries.toReversed()) {
      for (const block of blocks) {
        const place = `${member} ${userName(user, domain)} ${segmentName(block)}`;
        if (applied.has(block.value)) places.add(place);
        if (places.has(place)) reachable.add(block.value);
      }
    }
  }
  return reachable;
}

function ofMessage(
  message: MessageRecord,
  applied: ReadonlySet<number>,
  reachable: ReadonlySet<number>,
  played: Played,
): string[] {
  const { end, entries, orphaned } = message;
  if (end === null) return orphaned ? [] : ['has no end'];
  if (end.kind !== 'settled') return [];
  const found: string[] = [];
  const { accepted, superseded, expired, rejected } = end;
  const sum = accepted + superseded + expired + rejected.length;
  if (sum !== entries.length) found.push(`of ${entries.length} entries has ${sum} ends`);
  const reached = entries.filter(({ blocks }) => blocks.some(({ value }) => applied.has(value))).length;
  if (accepted + expired > reached)
    found.push(`tells ${accepted + expired} delivered, but the service has taken ${reached}`);
  const covered = entries.filter(({ blocks }) => blocks.some(({ value }) => reachable.has(value))).length;
  if (played.plan.setup.instances === 1 && accepted + expired + superseded > covered)
    found.push(
      `tells ${accepted + expired + superseded} delivered or superseded, but nothing came of more than ${covered}`,
    );
  const late = entries.filter((entry) => mayExpire(entry, message.endMs - message.atMs)).length;
  if (expired > late) found.push(`tells ${expired} expired, but only ${late} can be`);
  for (const { index, code } of rejected) {
    const wrong = wrongRejection(message, index, code, played);
    if (wrong !== null) found.push(wrong);
  }
  if (new Set(rejected.map(({ index }) => index)).size < rejected.length)
    found.push('rejects an entry twice');
  return found;
}

function mayExpire({ blocks, agoMs }: MessageRecord['entries'][number], waitedMs: number): boolean {
  // Wall clocks of plans jump by minutes or an hour; entries that may expire by that are ignored.
  const most = waitedMs + agoMs + 90_000 + 70_000;
  return blocks.some(
    ({ expiration }) => expiration !== undefined && expiration > 0 && expiration * 60_000 <= most,
  );
}

function wrongRejection(
  { entries, discarded, durable, member }: MessageRecord,
  index: number,
  code: string,
  played: Played,
): string | null {
  const entry = entries[index];
  if (entry === undefined) return `rejects an entry ${index} that it has not`;
  if (code === 'purged' || code === 'erased')
    return discarded.has(index) ? null : `has ${index} ${code}, which nobody asked for`;
  if (code === 'closed') return durable ? `has ${index} closed though its queue is durable` : null;
  if (code === 'too_large' && isTooLarge(entry, limitsOf(member, played))) return null;
  if (code === 'no_valid_segments' && isInvalid(entry, played)) return null;
  return mayBeRejected(entry, played) ? null : `rejects ${index} (${code}), in which nothing is wrong`;
}

function limitsOf(member: number, { plan }: Played): Limits {
  return plan.setup.members.find(({ id }) => id === member)!.limits;
}

/** Whether a block of the entry fits into no request, even alone. */
function isTooLarge({ user, domain, blocks }: Entry, { maxBodyBytes = 1_000_000 }: Limits): boolean {
  const named = { user_id: user, ...(domain !== null && { domain }) };
  return blocks.some(
    (block) =>
      Buffer.byteLength(JSON.stringify({ rt_segment: [{ ...named, seg_block: [block] }] })) >= maxBodyBytes,
  );
}

/** The service reported its user as invalid. */
function isInvalid({ user, domain }: Entry, { history }: Played): boolean {
  const name = userName(user, domain);
  return history.requests.some(({ invalid }) =>
    invalid.some((one) => userName(one.user, one.domain) === name),
  );
}

/** Whether something was accepted between two refusals of a body with it: a model cannot know more. */
export function mayBeRejected({ user, domain }: Entry, { history }: Played): boolean {
  if (user === poisoned) return true;
  // A replaced entry ends with the entry that replaced it.
  const name = userName(user, domain);
  const refused = history.requests.filter(
    ({ answer, users }) =>
      answer === 'bodyRefused' && users.some((one) => userName(one.user, one.domain) === name),
  );
  const [first, last] = [refused[0], refused.at(-1)];
  if (first === undefined || last === undefined) return false;
  return history.requests.some(
    ({ answer, sentMs, settledMs }) =>
      answer === 'accepted' && sentMs >= first.settledMs && settledMs <= last.settledMs,
  );
}

/**
 * An entry whose message ended early has exactly one late outcome; an entry whose message reported its end has
 * none.
 */
function lateOutcomes(
  message: MessageRecord,
  lateOf: ReadonlyMap<number, string[]>,
  played: Played,
): string[] {
  const { history } = played;
  const found: string[] = [];
  const { end, entries, orphaned } = message;
  const early =
    orphaned || end?.kind === 'queued' || end?.kind === 'parked' || diedBeforeItWasNoted(message, played);
  const killed = history.faults.has('crash');
  entries.forEach(({ blocks }, index) => {
    const told = lateOf.get(blocks[0]!.value) ?? [];
    const where = `entry ${index} of message ${message.number}`;
    if (told.length > 0 && !early && !(end?.kind === 'failed' && end.code === 'closed'))
      found.push(`${where} is told twice: by its message and late`);
    // A process that dies may have reported an outcome that its log does not record as reported. Entries that
    // may be in the shared log and in the local buffer are purged in both places, and reported by both.
    const inBothPlaces = history.faults.has('purge') || history.faults.has('erase');
    const isBuffered = end?.kind === 'queued' && end.reason === 'lateOutcomes';
    const most = isBuffered ? databasesOf(message, played) : 1;
    if (told.length > most && !killed && !(inBothPlaces && isBuffered))
      found.push(`${where} is told late ${told.length} times`);
  });
  return found;
}

/**
 * The number of databases that may have an entry of the local buffer. When its queue moves to another database, the buffer hands over
 * there what the first one may have, too: its reply was lost. Each database tells it once.
 */
function databasesOf({ queue, instance, account }: MessageRecord, { plan }: Played): number {
  if (isLocal(queue)) return 1;
  const databases = new Set([queue.split(' ')[0]]);
  for (const action of plan.actions)
    if (action.kind === 'accounts' && action.instance === instance && action.accounts.includes(account))
      if ('database' in action.change) databases.add(action.change.database);
  return databases.size;
}

/**
 * The database records that an outcome was reported after the report, because a crash in between would lose it
 * otherwise. So if a process died in between, another one reports it again.
 */
function diedBeforeItWasNoted(
  { queue, instance, life, endMs }: MessageRecord,
  { history, plan }: Played,
): boolean {
  const diedMs = history.deaths.find((one) => one.instance === instance && one.life === life)?.atMs;
  if (diedMs === undefined || isLocal(queue)) return false;
  let untilMs = endMs + notedMs;
  for (const action of plan.actions) {
    const { kind, atMs } = action;
    const disturbs =
      kind === 'database' || ((kind === 'freeze' || kind === 'suspend') && action.instance === instance);
    if (disturbs && atMs <= untilMs && atMs + action.forMs >= endMs)
      untilMs = Math.max(untilMs, atMs + action.forMs + notedAgainMs);
  }
  return diedMs <= untilMs;
}

/** No late outcome is missing, unless a crash or a move of the queue came between. */
function toldNever(played: Played, lateOf: ReadonlyMap<number, string[]>): string[] {
  const { history, plan, restedMs } = played;
  const disturbs = plan.actions.some(
    ({ kind }) => kind === 'accounts' || kind === 'removeNode' || kind === 'erase' || kind === 'database',
  );
  if (disturbs || history.faults.has('crash') || restedMs === Infinity) return [];
  const found: string[] = [];
  for (const { end, entries, number } of history.messages) {
    if (end?.kind !== 'queued') continue;
    entries.forEach(({ blocks }, index) => {
      if (!lateOf.has(blocks[0]!.value))
        found.push(`entry ${index} of message ${number} has no outcome, early or late`);
    });
  }
  return found;
}

function lateTruth(played: Played, applied: ReadonlySet<number>): string[] {
  const { history } = played;
  const found: string[] = [];
  const byFirst = new Map(
    history.messages.flatMap(({ entries }) => entries.map((entry) => [entry.blocks[0]!.value, entry])),
  );
  for (const { value, end, code } of history.late) {
    const entry = byFirst.get(value);
    if (entry === undefined) found.push(`a late outcome of v${value}, which nobody handed in`);
    else if (
      (end === 'accepted' || end === 'expired') &&
      !entry.blocks.some((block) => applied.has(block.value))
    )
      found.push(`v${value} is told ${end}, but the service has never taken it`);
    else if (end === 'rejected' && code !== 'purged' && code !== 'erased' && !mayBeRejected(entry, played))
      found.push(`v${value} is told rejected (${code}), in which nothing is wrong`);
  }
  return found;
}

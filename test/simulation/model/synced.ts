// A synced segment: its members are what the service accepted, at each commit; and the service has what the last audience and
// the live events say.
import type { RequestRecord } from '../world/history';
import { poisoned } from '../world/make-plan';
import type { Block } from '../world/plan';
import type { Played } from '../world/world';
import { userName } from './names';
import { mayBeRejected } from './outcomes';

/** A request that was built before may have waited for its in-flight record and a token. */
const slackMs = 16_000;

export function synced(played: Played): string[] {
  if (played.plan.setup.syncedSegment === undefined) return [];
  return [
    ...committedIsAccepted(played),
    ...tableIsService(played),
    ...revived(played),
    ...removedWithoutReason(played),
    ...suppressedStays(played),
    ...endedIsApplied(played),
    ...lastAudience(played),
  ];
}

function isShared({ plan }: Played): boolean {
  return plan.setup.members[0]!.queue === 'shared';
}

interface Sent extends Block {
  readonly name: string;
  readonly request: RequestRecord;
}

/** Blocks of the synced segment in the order in which they were sent. */
function sentOf({ history, plan }: Played): Sent[] {
  const { syncedSegment } = plan.setup;
  return history.requests.flatMap((request) =>
    request.users.flatMap(({ user, domain, blocks }) =>
      blocks
        .filter(({ seg_id: id }) => id === syncedSegment)
        .map((block) => ({ ...block, name: userName(user, domain), request })),
    ),
  );
}

/** A member key as the model names users: `idfa:…` and `:…`. */
function committedIsAccepted(played: Played): string[] {
  const accepted = sentOf(played).filter(({ request }) => request.answer === 'accepted');
  return played.history.committedMembers
    .filter(({ atMs, change: { memberKey, state, value } }) => {
      if (state === 'rejected') return !mayBe(memberKey, played);
      // The service may have it of a request without a reply.
      if (state === 'erased')
        return !played.history.discards.some(({ user }) => user !== null && memberKey.endsWith(`:${user}`));
      const isIts = (sent: Sent): boolean =>
        sent.name === memberKey &&
        sent.request.settledMs <= atMs &&
        (state === 'gone' ? sent.expiration === -1 : sent.expiration !== -1 && sent.value === value);
      // The removal of an erased user is not repeated once the service has rejected it.
      return !accepted.some(isIts) && !(state === 'gone' && memberKey === `:${poisoned}`);
    })
    .slice(0, 3)
    .map(
      ({ atMs, change: { memberKey, state, value } }) =>
        `${memberKey} becomes ${state} (v${value}) at ${(atMs / 1000).toFixed(3)} s, which the service has not accepted`,
    );
}

function mayBe(memberKey: string, played: Played): boolean {
  const [kind, user] = memberKey.split(':') as [string, string];
  return mayBeRejected({ user, domain: kind === '' ? null : kind, blocks: [], agoMs: 0 }, played);
}

/** When nothing is pending, the members in the table are those at the service. */
function tableIsService(played: Played): string[] {
  if (played.synced === undefined || played.synced === null) return [];
  const { inTable, atService, atMs } = played.synced;
  const held = new Map(atService.map(({ user, domain, value }) => [userName(user, domain), value]));
  const known = new Map([...inTable].map(([key, { value }]) => [key, value]));
  // Of these the table does not say what the service has.
  const rejected = new Set(
    [...inTable]
      .filter(([, { state, changeRejected }]) => state === 'rejected' || changeRejected === true)
      .map(([key]) => key),
  );
  const unknown = unknownUsers(played, atMs);
  return [...new Set([...held.keys(), ...known.keys()])]
    .filter((name) => held.get(name) !== known.get(name) && !unknown.has(name) && !rejected.has(name))
    .slice(0, 3)
    .map((name) => `${name}: the table has v${known.get(name)}, the service v${held.get(name)}`);
}

/** Entries that a purge or an erasure discarded may have been carried out, although no reply said so, or it was not stored. */
function unknownUsers(played: Played, untilMs = Infinity): ReadonlySet<string> {
  const { committedMembers, deaths, discards } = played.history;
  const isDiscarded = ({ name, request }: Sent): boolean =>
    discards.some(
      ({ user, doneMs }) => (user === null || name.endsWith(`:${user}`)) && doneMs >= request.sentMs,
    );
  // Accepted, but its sender died, or lost its lease, before that was stored, and the next one carried out the purge.
  const isLost = ({ name, request: { instance, settledMs } }: Sent): boolean =>
    (isShared(played) || deaths.some((death) => death.instance === instance && death.atMs >= settledMs)) &&
    !committedMembers.some(
      ({ atMs, change }) => change.memberKey === name && atMs >= settledMs && atMs <= untilMs,
    );
  const unanswered = sentOf(played).filter(
    (sent) => isDiscarded(sent) && (sent.request.answer !== 'accepted' || isLost(sent)),
  );
  return new Set(unanswered.map(({ name }) => name));
}

interface Told {
  readonly name: string;
  readonly block: Block;
  readonly atMs: number;
  /** When it was appended at the latest: an instance may have kept it meanwhile, without the database. */
  readonly appendedMs: number;
}

/** Live events for the synced segment. */
function eventsOf({ history, plan }: Played): Told[] {
  return history.messages.flatMap(({ entries, atMs, end, endMs, queue }) =>
    entries.flatMap(({ user, domain, blocks }) =>
      blocks
        .filter(({ seg_id: id }) => id === plan.setup.syncedSegment)
        .map((block) => ({
          ...{ name: userName(user, domain), block, atMs },
          appendedMs: !queue.startsWith('main ') ? atMs : end?.kind === 'settled' ? endMs : Infinity,
        })),
    ),
  );
}

/** After a live removal only a newer live add, or a run that was not over, adds the user again. */
function revived(played: Played): string[] {
  const sent = sentOf(played);
  const events = eventsOf(played);
  const byValue = new Map(events.map((event) => [event.block.value, event]));
  const runs = played.history.runs.map(({ rows, status, endMs, atMs }) => ({
    values: new Map(rows.map(({ user, domain, value }) => [userName(user, domain), value])),
    overMs: status === 'failed' ? atMs : endMs,
    // What it has appended is sent all the same: after a removal that was appended before it, and that is sent late.
    isReplaced: status === 'replaced',
  }));
  const found: string[] = [];
  for (const removal of sent) {
    const { name, request, value } = removal;
    if (removal.expiration !== -1 || request.answer !== 'accepted') continue;
    const event = byValue.get(value);
    if (event === undefined) continue;
    for (const add of sent) {
      if (add.name !== name || add.expiration === -1 || add.request.sentMs <= request.settledMs) continue;
      const isNewer = (byValue.get(add.value)?.appendedMs ?? -Infinity) >= event.atMs;
      // The takeovers of a shared queue may delay a removal so long that a run which was handed in later is over before.
      const isOfRun = runs.some(
        ({ values, overMs, isReplaced }) =>
          values.get(name) === add.value &&
          overMs >= (isReplaced || isShared(played) ? event.atMs : request.settledMs),
      );
      if (!isNewer && !isOfRun)
        found.push(
          `${name} is added by #${add.request.number} (v${add.value}) after v${value} had removed the user`,
        );
    }
  }
  return found.slice(0, 3);
}

/** A user leaves by a live event, by an erasure, or by a run that was not refused. */
function removedWithoutReason(played: Played): string[] {
  const { history } = played;
  const events = eventsOf(played);
  const erased = new Set(history.discards.flatMap(({ user }) => (user === null ? [] : [user])));
  const applied = history.runs
    .filter(({ status }) => status !== 'refused' && status !== 'failed')
    .map(({ rows, atMs }) => ({
      atMs,
      names: new Set(rows.map(({ user, domain }) => userName(user, domain))),
    }));
  return sentOf(played)
    .filter(({ expiration }) => expiration === -1)
    .filter(
      ({ name, request }) =>
        !events.some((event) => event.name === name && event.block.expiration === -1) &&
        !erased.has(name.slice(name.indexOf(':') + 1)) &&
        !applied.some(({ atMs, names }) => atMs <= request.sentMs && !names.has(name)),
    )
    .slice(0, 3)
    .map(({ name, request }) => `${name} is removed by #${request.number}, for no reason`);
}

/** No add of a suppressed user is sent, and the user has left. */
function suppressedStays(played: Played): string[] {
  const { history, plan } = played;
  return history.suppressed.flatMap(({ user, domain, askedMs, doneMs }) => {
    if (doneMs === Infinity) return [];
    const name = userName(user, domain);
    const lifted = history.lifted.filter((one) => one.user === user && one.askedMs >= askedMs);
    const untilMs = Math.min(Infinity, ...lifted.map((one) => one.askedMs));
    const blocksIn = ({ users }: RequestRecord): Block[] =>
      users.flatMap((one) => (userName(one.user, one.domain) === name ? one.blocks : []));
    const adds = history.requests.filter(
      (request) =>
        request.sentMs > doneMs + slackMs &&
        request.sentMs < untilMs &&
        blocksIn(request).some((block) => block.expiration !== -1),
    );
    const found = adds.map(({ number }) => `#${number} adds ${name}, who is suppressed`);
    const purges = plan.actions.some((action) => action.kind === 'operator' && action.asks === 'purge');
    const stays = played.synced?.atService.some((one) => userName(one.user, one.domain) === name) === true;
    if (stays && untilMs === Infinity && user !== poisoned && !purges)
      found.push(`${name} was erased, and is still in the segment`);
    return found.slice(0, 2);
  });
}

/** Users of whom nothing but runs speaks. */
function quietUsers(played: Played): (name: string) => boolean {
  const events = new Set(eventsOf(played).map(({ name }) => name));
  const erased = new Set(played.history.discards.flatMap(({ user }) => (user === null ? [] : [user])));
  const purged = played.history.discards.some(({ user }) => user === null);
  return (name) => {
    const user = name.slice(name.indexOf(':') + 1);
    const mayFail = user === poisoned || mayBe(name, played);
    return !purged && !events.has(name) && !erased.has(user) && !mayFail;
  };
}

/** When a run has ended, the table has its users, with its values. */
function endedIsApplied(played: Played): string[] {
  const isQuiet = quietUsers(played);
  return played.history.runs.flatMap(({ rows, status, members }, at) => {
    if (status !== 'ended' || members === null) return [];
    const wanted = new Map(rows.map(({ user, domain, value }) => [userName(user, domain), value]));
    const known = new Map([...members].map(([key, { value }]) => [key, value]));
    const names = [...new Set([...wanted.keys(), ...known.keys()])];
    return names
      .filter((name) => isQuiet(name) && wanted.get(name) !== known.get(name))
      .slice(0, 2)
      .map((name) => `run ${at} has ended with ${name} as v${known.get(name)}, not v${wanted.get(name)}`);
  });
}

/** In the end the service has exactly the last audience. */
function lastAudience(played: Played): string[] {
  const { history, members, plan, restedMs } = played;
  const last = history.runs.at(-1);
  if (last === undefined || restedMs === Infinity) return [];
  const suppressed = new Set(
    history.suppressed.map(({ user, domain }) => userName(user, domain)).concat(`:${poisoned}`),
  );
  const unknown = unknownUsers(played);
  const wanted = new Map(last.rows.map(({ user, domain, value }) => [userName(user, domain), value]));
  const held = new Map(
    members
      .filter(({ segment }) => segment === String(plan.setup.syncedSegment))
      .map(({ user, domain, value }) => [userName(user, domain), value]),
  );
  return [...new Set([...wanted.keys(), ...held.keys()])]
    .filter((name) => !suppressed.has(name) && wanted.get(name) !== held.get(name))
    .filter((name) => !mayBe(name, played) && !unknown.has(name))
    .slice(0, 3)
    .map((name) => `${name}: the service has v${held.get(name)} in the end, not v${wanted.get(name)}`);
}

// Entries that were reported as purged or erased are not sent any more, and a paused queue sends nothing.
import type { Played } from '../world/world';
import { isLocal, userName } from './names';

/** A request that was built before may have waited for its in-flight record and a token. */
const slackMs = 16_000;

export function discarded(played: Played): string[] {
  return [
    ...discardedStays(played),
    ...closedStays(played),
    ...pausedStays(played),
    ...isDiscardedSoon(played),
  ];
}

/** A local queue is purged at once, whether or not it may send. */
function isDiscardedSoon({ history, plan }: Played): string[] {
  const disturbs = [
    'disk',
    'freeze',
    'suspend',
    'crash',
    'crashAt',
    'accounts',
    'removeNode',
    'deploy',
    'deployNode',
  ];
  if (plan.setup.members[0]!.queue === 'shared' || plan.actions.some(({ kind }) => disturbs.includes(kind)))
    return [];
  return history.discards
    .filter(({ askedMs, doneMs }) => doneMs > askedMs + slackMs)
    .map(
      ({ askedMs }) => `a deletion of ${(askedMs / 1000).toFixed(3)} s takes more than ${slackMs / 1000} s`,
    );
}

/** Only local queues, since the pause of a shared queue takes its way through the database. */
function pausedStays({ history, plan }: Played): string[] {
  const local = new Set(plan.setup.members.filter(({ queue }) => queue !== 'shared').map(({ id }) => id));
  const isQuiet = !plan.actions.some(
    ({ kind }) => kind === 'accounts' || kind === 'removeNode' || kind === 'freeze' || kind === 'suspend',
  );
  if (!isQuiet) return [];
  const found: string[] = [];
  history.orders.forEach(({ asks, member, life, atMs }, at) => {
    if (asks !== 'pause' || !local.has(member)) return;
    const isEnd = (order: (typeof history.orders)[number]): boolean =>
      order.member === member && (order.asks === 'resume' || order.life !== life);
    const untilMs = history.orders.slice(at + 1).find(isEnd)?.atMs ?? atMs;
    const sent = history.requests.find(
      (request) =>
        request.member === member &&
        request.life === life &&
        request.sentMs > atMs + slackMs &&
        request.sentMs < untilMs,
    );
    if (sent !== undefined)
      found.push(`#${sent.number} leaves though the queue was paused at ${(atMs / 1000).toFixed(3)} s`);
  });
  return found;
}

/** Entries that a closed node left in memory are not sent. */
function closedStays({ history }: Played): string[] {
  const firstMs = new Map<number, number>();
  for (const { users, sentMs } of history.requests)
    for (const { blocks } of users)
      for (const { value } of blocks) if (!firstMs.has(value)) firstMs.set(value, sentMs);
  return history.messages
    .filter(({ durable, end }) => !durable && end?.kind === 'failed' && end.code === 'closed')
    .flatMap(({ entries, endMs, number }) =>
      entries
        .flatMap(({ blocks }) => blocks)
        .filter(({ value }) => (firstMs.get(value) ?? -Infinity) > endMs + slackMs)
        .map(({ value }) => `v${value} of message ${number} leaves after its node was closed`),
    )
    .slice(0, 3);
}

function discardedStays({ history, plan }: Played): string[] {
  const found: string[] = [];
  const goneMs = new Map<number, number>();
  const tell = (values: readonly { readonly value: number }[], atMs: number): void => {
    for (const { value } of values) if (!goneMs.has(value)) goneMs.set(value, atMs);
  };
  const byFirst = new Map(
    history.messages.flatMap(({ entries }) => entries.map((entry) => [entry.blocks[0]!.value, entry])),
  );
  for (const { end, endMs, entries } of history.messages)
    if (end?.kind === 'settled')
      for (const { index, code } of end.rejected)
        if (code === 'purged' || code === 'erased') tell(entries[index]!.blocks, endMs);
  for (const { value, code, atMs } of history.late)
    if (code === 'purged' || code === 'erased') tell(byFirst.get(value)?.blocks ?? [], atMs);
  // Entries that may be in the database already are deleted there; the requester was told if that failed. They are in the buffer of
  // a machine, too, or their process died before it knew.
  for (const { end, entries, orphaned, queue, member } of history.messages) {
    const mayBeInBoth =
      orphaned &&
      !isLocal(queue) &&
      history.discards.some((one) => one.member === member && one.doneMs === Infinity);
    if (mayBeInBoth || (end?.kind === 'queued' && end.reason === 'lateOutcomes'))
      for (const { blocks } of entries) for (const { value } of blocks) goneMs.delete(value);
  }
  const first = new Map<number, { readonly sentMs: number; readonly term: string }>();
  const siblings = new Map(
    history.messages.flatMap(({ entries }) =>
      entries.flatMap(({ blocks }) => blocks.map(({ value }) => [value, blocks])),
    ),
  );
  // A reopened engine reads its queue like the next process.
  const reopens = plan.actions.some(({ kind }) => kind === 'removeNode' || kind === 'accounts');
  /**
   * The store keeps whole entries: if an entry was sent in part, an engine that reads it again resends all of
   * it.
   */
  const isRest = (value: number, goneMs: number, term: string): boolean =>
    (siblings.get(value) ?? []).some((block) => {
      const left = first.get(block.value);
      return left !== undefined && left.sentMs <= goneMs && (reopens || left.term !== term);
    });
  for (const { users, sentMs, number, term } of history.requests) {
    for (const { user, domain, blocks } of users) {
      for (const { value } of blocks) {
        if (!first.has(value)) first.set(value, { sentMs, term });
        const gone = goneMs.get(value) ?? Infinity;
        // A block that was sent before may have to be resent.
        if (sentMs > gone + slackMs && first.get(value)!.sentMs > gone && !isRest(value, gone, term))
          found.push(`v${value} of ${userName(user, domain)} is sent in #${number} although it was deleted`);
      }
    }
  }
  return found.slice(0, 3);
}

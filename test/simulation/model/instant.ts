// Promises 6 and 7, without faults: removals first, but not alone; entries are sent at once, or linger briefly.
import { lingerFromMs } from '../world/special-plans';
import type { MessageRecord } from '../world/history';
import type { Played } from '../world/world';

const lingerMs = 20;
/** Adds have a fifth of the quota; a part of each second passes until a reply frees its quota. */
const leastShare = 0.15;

export function instant(played: Played): string[] {
  switch (played.plan.shape) {
    case 'backlog':
      return removals(played);
    case 'flood':
      return addsInAFlood(played);
    case 'linger':
      return lingers(played);
    default:
      return [];
  }
}

/** By value: when it was first sent, and when it first reached the service. */
function firstOf({ history }: Played): Map<number, { sentMs: number; actedMs: number }> {
  const first = new Map<number, { sentMs: number; actedMs: number }>();
  for (const { users, sentMs, actedMs } of history.requests)
    for (const { blocks } of users)
      for (const { value } of blocks)
        if (!first.has(value)) first.set(value, { sentMs, actedMs: actedMs[0] ?? Infinity });
  return first;
}

function taken({ history }: Played): MessageRecord[] {
  return history.messages.filter(({ end }) => end?.kind !== 'failed');
}

/** Past a backlog of adds a removal reaches the service within two seconds. */
function removals(played: Played): string[] {
  const { plan, history } = played;
  const first = firstOf(played);
  const found: string[] = [];
  for (const { entries, atMs, number } of taken(played)) {
    for (const { blocks } of entries) {
      if (blocks[0]!.expiration !== -1) continue;
      const tookMs = (first.get(blocks[0]!.value)?.actedMs ?? Infinity) - atMs;
      history.reached('ms until a removal is there, past a backlog', tookMs);
      if (tookMs > 2_000 + plan.setup.latencyMs + plan.setup.jitterMs)
        found.push(`the removal of message ${number} took ${tookMs} ms`);
    }
  }
  return found;
}

function addsInAFlood(played: Played): string[] {
  const { plan, history } = played;
  const first = firstOf(played);
  const perMs = (leastShare * plan.setup.members[0]!.limits.usersPerSecond) / 1_000;
  const adds = taken(played).flatMap(({ entries, atMs }) =>
    entries
      .filter(({ blocks }) => blocks[0]!.expiration === 60)
      .map(({ blocks }) => ({ atMs, value: blocks[0]!.value })),
  );
  return adds.flatMap(({ atMs, value }, at) => {
    const tookMs = (first.get(value)?.actedMs ?? Infinity) - atMs;
    history.reached('ms until the first add is there, past a flood of removals', at === 0 ? tookMs : 0);
    return tookMs > 2_000 + (at + 1) / perMs
      ? [`add ${at + 1} behind a flood of removals took ${tookMs} ms`]
      : [];
  });
}

function lingers(played: Played): string[] {
  const { plan, history } = played;
  const first = firstOf(played);
  const { postsPerSecond } = plan.setup.members[0]!.limits;
  const series = taken(played).filter(({ atMs }) => atMs >= lingerFromMs && atMs < plan.healMs);
  return series.flatMap(({ atMs, number, entries }) => {
    const tookMs = (first.get(entries[0]!.blocks[0]!.value)?.sentMs ?? Infinity) - atMs;
    history.reached('ms until an entry leaves, with quota to spare', tookMs);
    // More than half of the posts are free: no other was sent in the last second.
    const before = series.filter((other) => other.atMs < atMs && other.atMs > atMs - 1_100).length;
    const mostMs = before < postsPerSecond / 2 - 1 ? 0 : lingerMs;
    return tookMs > mostMs + 0.001
      ? [`message ${number} leaves after ${tookMs} ms, though ${mostMs} would do`]
      : [];
  });
}

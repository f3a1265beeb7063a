// Warm-ups: adds to new segments wait as the nodes ask, and no other block waits.
import type { HoldRecord } from '../world/history';
import type { Entry, Plan } from '../world/plan';
import type { Played } from '../world/world';
import { segmentName, userName } from './names';

/** A post that was decided before may have waited for its in-flight record and a token. */
const slackMs = 16_000;
/** Without faults, and with the quota hardly used. */
const soonMs = 10_000;

export function held(played: Played): string[] {
  return [...leavesEarly(played), ...waitsNeedlessly(played)];
}

function leavesEarly({ history, plan }: Played): string[] {
  const holds = endedHolds(history.holds, plan);
  const bothKinds = usersOfBothKinds(history.messages.flatMap(({ entries }) => entries));
  return history.requests.flatMap(({ number, member, users, sentMs }) => {
    const now = holds.filter(
      (hold) => hold.member === member && sentMs > hold.fromMs + slackMs && sentMs < hold.untilMs - 1,
    );
    const segments = new Set(now.flatMap((hold) => hold.segments));
    return users.flatMap(({ user, domain, blocks }) =>
      bothKinds.has(userName(user, domain))
        ? []
        : blocks
            .filter(({ seg_id: id, expiration }) => id !== undefined && expiration !== -1 && segments.has(id))
            .map(({ value, seg_id: id }) => `v${value} leaves in #${number} though ${id} is to wait`),
    );
  });
}

/**
 * A node that asks again replaces its earlier request. Requests end with their process if its queue is in memory, or if they
 * were made at the moment of its death: the disk, which takes no time in these plans, may not have them yet.
 */
function endedHolds(holds: readonly HoldRecord[], plan: Plan): HoldRecord[] {
  const diesMs = plan.actions.find(({ kind }) => kind === 'crash')?.atMs ?? Infinity;
  const inMemory = plan.setup.members[0]!.queue === 'memory';
  return holds.map((hold, at) => {
    const next = holds.slice(at + 1).find(({ node }) => node === hold.node);
    const diesWithIt = hold.fromMs === diesMs || (inMemory && hold.fromMs < diesMs);
    const untilMs = Math.min(hold.untilMs, next?.fromMs ?? Infinity, diesWithIt ? diesMs : Infinity);
    return { ...hold, untilMs };
  });
}

/** A removal by code releases adds that it may have to follow, because the code may name the same segment. */
function usersOfBothKinds(entries: readonly Entry[]): ReadonlySet<string> {
  const kinds = new Map<string, Set<boolean>>();
  for (const { user, domain, blocks } of entries) {
    const name = userName(user, domain);
    const its = kinds.get(name) ?? new Set();
    for (const { seg_id: id } of blocks) its.add(id === undefined);
    kinds.set(name, its);
  }
  return new Set([...kinds].filter(([, its]) => its.size > 1).map(([name]) => name));
}

function waitsNeedlessly({ history, plan }: Played): string[] {
  const isQuiet = plan.actions.every(({ kind }) => kind === 'message' || kind === 'hold');
  if (history.holds.length === 0 || !isQuiet) return [];
  const names = new Set(history.holds.flatMap(({ segments }) => segments.map(String)));
  const mayWait = new Set(
    history.messages.flatMap(({ entries }) =>
      entries
        .filter(({ blocks }) => blocks.some((block) => names.has(segmentName(block))))
        .map(({ user, domain }) => userName(user, domain)),
    ),
  );
  return history.messages
    .filter(({ entries }) => entries.every(({ user, domain }) => !mayWait.has(userName(user, domain))))
    .filter(({ atMs, endMs }) => endMs > atMs + soonMs)
    .map(({ number }) => `message ${number} waits, which has nothing to do with what is to wait`);
}

// Promises 5 to 7 and progress: bounded work and memory, removals first, and everything delivered in time.
import type { Played } from '../world/world';

const mostTimersPerEngine = 30;

export function bounds(played: Played): string[] {
  return [
    ...progress(played),
    ...timers(played),
    ...connections(played),
    ...senders(played),
    ...removals(played),
  ];
}

function progress({ healedMs, restedMs, history, instances }: Played): string[] {
  history.reached('seconds until all was delivered', (restedMs - healedMs) / 1000);
  if (restedMs < Infinity) return [];
  const states = instances.map(({ index, engines }) => {
    const its = engines.map(
      ({ member, state, counters: { waiting }, kept }) =>
        `member ${member} ${state}, ${waiting} pending, ${kept} kept`,
    );
    return `i${index}: ${its.join('; ')}`;
  });
  const open = history.messages
    .filter(({ end, orphaned }) => end === null && !orphaned)
    .map(({ number }) => number);
  return [
    `no progress: ${states.join(' | ')}${open.length === 0 ? '' : `, messages ${open.slice(0, 5).join(', ')} have no end`}`,
  ];
}

function timers({ instances, plan, history }: Played): string[] {
  const most = mostTimersPerEngine * plan.setup.members.length + 10 * plan.setup.accounts.length;
  return instances.flatMap(({ index, mostTimers }) => {
    history.reached('timers of a process', mostTimers);
    return mostTimers > most ? [`i${index} has had ${mostTimers} timers`] : [];
  });
}

function connections({ instances, history }: Played): string[] {
  return instances.flatMap(({ index, connections: open, sharedQueues }) => {
    history.reached('connections of an instance to a database', open);
    return open > 3 * sharedQueues
      ? [`i${index} has ${open} connections open for ${sharedQueues} queues`]
      : [];
  });
}

/** One sender for each member: it has the lease when a request leaves. */
function senders({ history }: Played): string[] {
  const stale = history.requests.filter(({ leaseOk }) => leaseOk === false);
  return stale
    .slice(0, 3)
    .map(({ number, instance }) => `#${number} leaves i${instance}, which has not the lease`);
}

/** With nothing wrong and a backlog of adds, a removal is at the service within two seconds. */
function removals({ plan, history }: Played): string[] {
  if (!plan.calm) return [];
  const acted = new Map<number, number>();
  for (const { users, actedMs } of history.requests)
    for (const { blocks } of users)
      for (const { value } of blocks) if (!acted.has(value)) acted.set(value, actedMs[0] ?? Infinity);
  const found: string[] = [];
  for (const { entries, atMs, number, end } of history.messages) {
    if (end?.kind === 'failed') continue;
    for (const { blocks } of entries) {
      if (blocks[0]!.expiration !== -1) continue;
      const tookMs = (acted.get(blocks[0]!.value) ?? Infinity) - atMs;
      history.reached('ms until a removal is there, past a backlog', tookMs);
      if (tookMs > 2_000 + plan.setup.latencyMs + plan.setup.jitterMs)
        found.push(`the removal of message ${number} took ${tookMs} ms`);
    }
  }
  return found;
}

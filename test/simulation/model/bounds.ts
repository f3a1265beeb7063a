// Promise 5 and progress: memory is bounded, and everything is delivered in time.
import type { RequestRecord } from '../world/history';
import type { Played } from '../world/world';
import { userName } from './names';

const mostTimersPerEngine = 30;
/** To a service that answers none of them. */
const mostTriesPerSecond = 4;

export function bounds(played: Played): string[] {
  return [
    ...progress(played),
    ...timers(played),
    ...connections(played),
    ...senders(played),
    ...caps(played),
    ...outages(played),
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

/** One sender for each member: it holds the lease when a request is sent. */
function senders({ history }: Played): string[] {
  const stale = history.requests.filter(({ leaseOk }) => leaseOk === false);
  return stale
    .slice(0, 3)
    .map(({ number, instance }) => `#${number} leaves i${instance}, which has not the lease`);
}

/** A local queue respects its limits. */
function caps({ instances, plan, history }: Played): string[] {
  // A queue full of refused entries admits one more message per refusal, which shows which entries are bad.
  if (history.requests.some(({ answer }) => answer === 'bodyRefused')) return [];
  const most = plan.setup.queueMaxEntries;
  return instances.flatMap(({ index, mostPending }) => {
    history.reached('pending entries, of the most allowed', mostPending / most);
    return mostPending > most
      ? [`i${index} has had ${mostPending} pending entries, and may have ${most}`]
      : [];
  });
}

/** A service that is away, or refuses everything, is tried rarely: sending pauses. */
function outages({ plan, history }: Played): string[] {
  return plan.actions.flatMap((action) => {
    if (action.kind !== 'service' || action.how === 'silent') return [];
    // From then on the engine has detected the outage; before, other users may be tried.
    const fromMs = action.atMs + 4_000;
    // Another outage that begins or ends meanwhile replaces it: the service is well when the first of them
    // ends.
    const others = plan.actions.flatMap((other) =>
      other.kind === 'service' && other !== action && other.member === action.member
        ? [other.atMs, other.atMs + other.forMs]
        : [],
    );
    const overMs = others.filter((atMs) => atMs >= action.atMs);
    const untilMs = Math.min(action.atMs + action.forMs, plan.healMs, ...overMs);
    const seconds = (untilMs - fromMs) / 1_000;
    if (seconds < 3) return [];
    const halves = halvesOfRefused(history.requests);
    const asked = history.requests.filter(
      (request) =>
        request.member === action.member &&
        request.sentMs > fromMs &&
        request.sentMs < untilMs &&
        !halves.has(request),
    ).length;
    history.reached('requests a second to a service that is away or refuses all', asked / seconds);
    return asked > seconds * mostTriesPerSecond
      ? [`${asked} requests in ${seconds} s to a service that ${action.how}`]
      : [];
  });
}

/**
 * Parts of a refused body that are tried for the first time: the body is halved once, until the bad entries
 * stand alone. That is the same whether one entry is bad or the service refuses all, and continues when a body
 * arrives late in such a time. A half may have newer blocks of its users, from rows that were read meanwhile.
 *
 * A refusal is known only to the sender that received it: nothing of it is stored, so the next sender halves the
 * same body once more. A deploy, too, releases the lease of a shared queue, and a new sender follows.
 */
function halvesOfRefused(requests: readonly RequestRecord[]): ReadonlySet<RequestRecord> {
  const halves = new Set<RequestRecord>();
  const refusedOf = new Map<string, { values: Set<number>[]; users: Set<string>[] }>();
  for (const request of requests) {
    const sender = `${request.term} ${request.member}`;
    const refused = refusedOf.get(sender) ?? { values: [], users: [] };
    refusedOf.set(sender, refused);
    const values = new Set(request.users.flatMap(({ blocks }) => blocks.map(({ value }) => value)));
    const users = new Set(request.users.map(({ user, domain }) => userName(user, domain)));
    if (isNewPart(values, refused.values) || isNewPart(users, refused.users)) halves.add(request);
    if (request.answer !== 'bodyRefused') continue;
    refused.values.push(values);
    refused.users.push(users);
  }
  return halves;
}

/** Whether one of these sets has more than the part, and none is the part itself. */
function isNewPart<T>(part: ReadonlySet<T>, sets: readonly ReadonlySet<T>[]): boolean {
  const around = sets.filter((set) => [...part].every((one) => set.has(one)));
  return around.length > 0 && around.every(({ size }) => size > part.size);
}

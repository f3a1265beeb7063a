// Promise 3: never over quota, counted at the service in any second; and the limits of a single request.
import type { History, RequestRecord } from '../world/history';
import type { Limits } from '../world/plan';
import type { Played } from '../world/world';
import { cautiousName, segmentName } from './names';

export function quota(played: Played): string[] {
  return played.plan.setup.members.flatMap(({ id, limits }) => {
    const requests = played.history.requests.filter(({ member }) => member === id);
    // A queue in another place is a new start, without the ambiguous requests of before.
    const moves = played.plan.actions.some(
      (action) => action.kind === 'accounts' && ('queue' in action.change || 'database' in action.change),
    );
    const worst = worstSecond(
      moves ? requests.filter(({ answer }) => answer !== null && !answer.includes('ambiguous')) : requests,
    );
    const { history } = played;
    history.reached('posts in one second, of the quota', worst.posts / limits.postsPerSecond);
    history.reached('users in one second, of the quota', worst.users / limits.usersPerSecond);
    history.reached('calls in flight, of the quota', worst.calls / limits.maxConcurrent);
    return [
      ...(worst.posts > limits.postsPerSecond
        ? [`${worst.posts} posts in one second before ${time(worst.postsAtMs)}`]
        : []),
      ...(worst.users > limits.usersPerSecond
        ? [`${worst.users} users in one second before ${time(worst.usersAtMs)}`]
        : []),
      ...(worst.calls > limits.maxConcurrent
        ? [`${worst.calls} calls in flight at ${time(worst.callsAtMs)}`]
        : []),
      ...requests.flatMap((request) => oneRequest(request, history, limits)),
      ...usersInFlight(requests),
      ...rateLimits(requests),
    ];
  });
}

function time(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}

/** A request that the network repeated counts once: the sender is not responsible. */
export function worstSecond(requests: readonly RequestRecord[]) {
  const acted = requests
    .filter(({ actedMs }) => actedMs.length > 0)
    .map(({ actedMs, users }) => ({ atMs: actedMs[0]!, users: users.length }))
    .sort((a, b) => a.atMs - b.atMs);
  const worst = { posts: 0, users: 0, calls: 0, postsAtMs: 0, usersAtMs: 0, callsAtMs: 0 };
  let users = 0;
  for (let from = 0, to = 0; to < acted.length; to += 1) {
    users += acted[to]!.users;
    while (acted[from]!.atMs <= acted[to]!.atMs - 1_000) users -= acted[from++]!.users;
    const posts = to - from + 1;
    if (posts > worst.posts) Object.assign(worst, { posts, postsAtMs: acted[to]!.atMs });
    if (users > worst.users) Object.assign(worst, { users, usersAtMs: acted[to]!.atMs });
  }
  // A repetition by the network does not keep a call in flight.
  const edges = requests.flatMap(({ sentMs, doneMs, actedMs }) => [
    { atMs: sentMs, by: 1 },
    { atMs: Math.min(doneMs, actedMs[0] ?? Infinity), by: -1 },
  ]);
  edges.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let calls = 0;
  for (const { atMs, by } of edges) {
    calls += by;
    if (calls > worst.calls && atMs < Infinity) Object.assign(worst, { calls, callsAtMs: atMs });
  }
  return worst;
}

function oneRequest({ number, users, bytes }: RequestRecord, history: History, limits: Limits): string[] {
  const { usersPerPost = 1_000, blocksPerUser = 100, maxBodyBytes = 1_000_000 } = limits;
  const found: string[] = [];
  const names = users.map(({ user, domain }) => cautiousName(user, domain));
  history.reached('users in one call', users.length);
  history.reached('bytes in one call', bytes);
  if (users.length > usersPerPost || users.length === 0) found.push(`${users.length} users`);
  if (bytes >= maxBodyBytes) found.push(`${bytes} bytes`);
  if (new Set(names).size < names.length) found.push('a user twice');
  for (const { blocks } of users) {
    history.reached('blocks of one user', blocks.length);
    if (blocks.length > blocksPerUser || blocks.length === 0)
      found.push(`a user with ${blocks.length} blocks`);
    if (blocks.some(({ expiration = 0 }) => !Number.isInteger(expiration) || expiration < -1))
      found.push('an expiration that is none');
    if (new Set(blocks.map(segmentName)).size < blocks.length) found.push('a segment twice for one user');
    if (new Set(blocks.map(({ seg_id }) => seg_id === undefined)).size > 1)
      found.push('segments by id and by code together');
  }
  return found.map((text) => `#${number} has ${text}`);
}

/** A user has at most one request in flight per process; each process only knows its own. */
function usersInFlight(requests: readonly RequestRecord[]): string[] {
  const untilMs = new Map<string, number>();
  for (const { users, sentMs, settledMs, term, number } of requests) {
    for (const { user, domain } of users) {
      const key = `${term} ${cautiousName(user, domain)}`;
      if ((untilMs.get(key) ?? -Infinity) > sentMs)
        return [`#${number} has a user whose last request is still in flight`];
      untilMs.set(key, settledMs);
    }
  }
  return [];
}

/** Nothing is sent before the time that the service asked for has passed. */
function rateLimits(requests: readonly RequestRecord[]): string[] {
  const untilMs = new Map<string, { untilMs: number; by: number }>();
  const found: string[] = [];
  const told = requests.filter(({ retryAfterMs }) => retryAfterMs > 0);
  for (const { instance, life, settledMs, retryAfterMs, number } of told) {
    for (const later of requests) {
      const its = later.instance === instance && later.life === life;
      // A post that was decided in the same moment may still be sent, also after waiting for its in-flight
      // record.
      if (its && later.sentMs > settledMs + 3_500 && later.sentMs < settledMs + retryAfterMs - 1)
        found.push(`#${later.number} leaves although #${number} was told to wait ${retryAfterMs} ms`);
    }
  }
  untilMs.clear();
  return found.slice(0, 3);
}

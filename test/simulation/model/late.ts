// Promise 8: delays never extend membership, nor do they shorten it by more than their duration. Checked for
// each block that the service applied.
import type { RequestRecord } from '../world/history';
import type { Played } from '../world/world';
import { isLocal } from './names';

const minuteMs = 60_000;

export function delays(played: Played): string[] {
  const found: string[] = [];
  const eventMs = new Map<
    number,
    { issuedMs: number; expiration: number | undefined; ages: boolean; life: string; queue: string }
  >();
  for (const { entries, atMs, instance, life, queue } of played.history.messages)
    for (const { blocks, agoMs, ages = true } of entries)
      for (const { value, expiration } of blocks)
        eventMs.set(value, { issuedMs: atMs - agoMs, expiration, ages, life: `${instance} ${life}`, queue });
  const jumpsMs = played.plan.actions.reduce(
    (sum, action) => sum + (action.kind === 'wallClock' ? Math.abs(action.byMs) : 0),
    0,
  );
  // A reopened engine reads its queue like the next process.
  const reopens = played.plan.actions.some(({ kind }) => kind === 'removeNode' || kind === 'accounts');
  for (const request of played.history.requests) {
    for (const actedMs of request.actedMs) {
      for (const { blocks } of request.users) {
        for (const { value, expiration } of blocks) {
          const given = eventMs.get(value);
          if (given?.expiration === undefined || given.expiration <= 0) continue;
          if (!given.ages) {
            if (expiration !== given.expiration)
              found.push(`v${value} in #${request.number}: does not leave as it came`);
            continue;
          }
          const sameLife = isLocal(given.queue) && given.life === `${request.instance} ${request.life}`;
          const clocksMs = sameLife && !reopens ? 0 : jumpsMs;
          const wrong = judge(expiration ?? 0, given.expiration, given.issuedMs, request, actedMs, clocksMs);
          if (wrong === null) continue;
          found.push(`v${value} in #${request.number}: ${wrong}`);
        }
      }
    }
    if (found.length > 5) break;
  }
  return found;
}

function judge(
  sent: number,
  given: number,
  issuedMs: number,
  { sentMs, sleptMs }: RequestRecord,
  actedMs: number,
  clocksMs: number,
): string | null {
  const wantedMs = issuedMs + given * minuteMs;
  const underWayMs = actedMs - sentMs;
  // A body is built, its in-flight record is written, and a token may have to be requested before it is sent.
  const slackMs = 12_000 + sleptMs + clocksMs + underWayMs;
  if (sent === -1) {
    return wantedMs > actedMs + minuteMs + slackMs
      ? `sent as a removal ${Math.round((wantedMs - actedMs) / 1000)} s before its time`
      : null;
  }
  const untilMs = actedMs + sent * minuteMs;
  if (sent === 0) return 'sent to last for ever';
  if (untilMs > wantedMs + minuteMs + slackMs)
    return `lasts ${Math.round((untilMs - wantedMs) / 1000)} s longer than it should`;
  if (untilMs < wantedMs - clocksMs - 1_000)
    return `lasts ${Math.round((wantedMs - untilMs) / 1000)} s less than it should`;
  return null;
}

// Promise 1, last part: the counters add up to the input, and equal the outcomes reported to nodes.
import type { MessageRecord } from '../world/history';
import type { InstanceEnd, Played } from '../world/world';

type Ends = Record<'accepted' | 'superseded' | 'expired' | 'rejected', number>;
type EngineEnd = InstanceEnd['engines'][number];

export function counters(played: Played): string[] {
  return played.instances.flatMap(({ index, engines }) =>
    engines.flatMap((engine) => {
      const { member, counters: counted } = engine;
      const { taken, accepted, superseded, expired, rejected, waiting } = counted;
      const where = `i${index} counts for member ${member}: ${JSON.stringify({ taken, accepted, superseded, expired, rejected, waiting })}`;
      if (taken !== accepted + superseded + expired + rejected + waiting || waiting < 0) return [where];
      const told = toldOf(index, engine, played);
      const isSame =
        told === null ||
        (told.accepted === accepted &&
          told.superseded === superseded &&
          told.expired === expired &&
          told.rejected === rejected);
      return isSame ? [] : [`${where}, but told ${JSON.stringify(told)}`];
    }),
  );
}

/**
 * Outcomes reported to nodes by the engine of a local queue, since its start. Null where it cannot be known: a
 * reopened engine counts from zero, and erased entries or entries of a closed node are not reported.
 */
function toldOf(
  instance: number,
  { member, queue }: EngineEnd,
  { history, plan, restedMs }: Played,
): Ends | null {
  const reopens = ['accounts', 'removeNode', 'deploy', 'deployNode'];
  const hides = plan.actions.some(({ kind }) => reopens.includes(kind));
  const erased = history.discards.some(({ user }) => user !== null);
  if (queue === 'shared' || hides || erased || restedMs === Infinity) return null;
  const lastDead = Math.max(
    0,
    ...history.deaths.filter((death) => death.instance === instance).map(({ life }) => life),
  );
  const told: Ends = { accepted: 0, superseded: 0, expired: 0, rejected: 0 };
  const members = new Map<number, string>();
  const isIts = (message: MessageRecord): boolean =>
    message.instance === instance && String(message.member) === member;
  for (const message of history.messages.filter(isIts)) {
    const { entries, end, life } = message;
    for (const { blocks } of entries) members.set(blocks[0]!.value, member);
    if (life <= lastDead || message.orphaned) continue;
    if (end?.kind === 'parked' || (end?.kind === 'failed' && end.code === 'closed')) return null;
    if (end?.kind !== 'settled') continue;
    told.accepted += end.accepted;
    told.superseded += end.superseded;
    told.expired += end.expired;
    told.rejected += end.rejected.length;
  }
  for (const late of history.late)
    if (late.instance === instance && late.life > lastDead && members.has(late.value))
      told[late.end as keyof Ends] += 1;
  return told;
}

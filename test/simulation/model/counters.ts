// Promise 1, last part: the counters always add up to the input, and count what nodes were told.
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
 * What nodes were told by an engine of a queue of its own, from its start; null where it cannot be known: an engine that was
 * opened anew counts anew, and nobody is told of who was erased, nor how entries ended whose node had closed.
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

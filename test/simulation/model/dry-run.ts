// Dry run: shows what would be sent, and sends nothing. Its requests respect the limits, and would give the
// service the state that the entries describe in their order.
import type { DryRunRecord } from '../world/history';
import type { Block, Limits } from '../world/plan';
import type { Played } from '../world/world';
import { segmentName, userName } from './names';

export function dryRuns({ history, plan }: Played): string[] {
  const sent = new Set(
    history.requests.flatMap(({ users }) => users.flatMap(({ blocks }) => blocks.map(({ value }) => value))),
  );
  return history.dryRuns.flatMap((shown) => {
    const { limits } = plan.setup.members.find(({ id }) => id === shown.member)!;
    const values = shown.entries.flatMap(({ blocks }) => blocks.map(({ value }) => value));
    return [
      ...values.filter((value) => sent.has(value)).map((value) => `v${value} is sent`),
      ...brokenLimits(shown, limits),
      ...wrongEnd(shown),
    ];
  });
}

function brokenLimits({ bodies }: DryRunRecord, limits: Limits): string[] {
  const { usersPerPost = 1_000, blocksPerUser = 100, maxBodyBytes = 1_000_000 } = limits;
  return bodies.flatMap(({ rt_segment: users }) => {
    const names = users.map(({ user_id: user, domain }) => userName(user, domain ?? null));
    const isWrong =
      users.length > usersPerPost ||
      new Set(names).size < names.length ||
      Buffer.byteLength(JSON.stringify({ rt_segment: users })) >= maxBodyBytes ||
      users.some(({ seg_block: its }) => its.length > blocksPerUser || isMixed(its));
    return isWrong ? ['shows a request that breaks a limit'] : [];
  });
}

function isMixed(blocks: readonly Block[]): boolean {
  return new Set(blocks.map(({ seg_id: id }) => id === undefined)).size > 1;
}

/** The last state of each segment of a user is shown last. */
function wrongEnd({ bodies, entries }: DryRunRecord): string[] {
  const shown = new Map<string, string>();
  for (const { rt_segment: users } of bodies)
    for (const { user_id: user, domain, seg_block: blocks } of users)
      for (const block of blocks)
        shown.set(`${userName(user, domain ?? null)} ${segmentName(block)}`, said(block, 0));
  const wanted = new Map<string, string>();
  for (const { user, domain, blocks, agoMs } of entries)
    for (const block of blocks)
      wanted.set(`${userName(user, domain)} ${segmentName(block)}`, said(block, Math.floor(agoMs / 60_000)));
  return [...new Set([...shown.keys(), ...wanted.keys()])]
    .filter((place) => shown.get(place) !== wanted.get(place))
    .map((place) => `${place}: shows ${shown.get(place)} and not ${wanted.get(place)}`);
}

function said({ value, expiration }: Block, waitedMinutes: number): string {
  if (expiration === undefined || expiration <= 0) return `v${value} ${expiration}`;
  return `v${value} ${expiration > waitedMinutes ? expiration - waitedMinutes : -1}`;
}

// What would be sent: checks, merges and packs as the engine does, and posts nothing.

import type { CheckedEntry } from '../audience/entry';
import { hashUserKey } from '../audience/keys';
import { Packer } from './packer';
import { documentedRequestLimits, type RequestLimits } from './request-limits';
import { Item } from './item';
import { User } from './user';

const source = { node: '', account: '' };

/** The bodies of the requests that these entries would become, in the order in which they would go. */
export function dryRun(
  entries: readonly CheckedEntry[],
  wallMs: number,
  { usersPerPost, blocksPerUser, maxBodyBytes }: RequestLimits = documentedRequestLimits,
): unknown[] {
  const users = new Map<string, User>();
  entries.forEach((entry, index) => {
    const user = users.get(entry.userKey) ?? new User(entry.userKey, hashUserKey(entry.userKey));
    users.set(user.key, user);
    const ageMs = entry.eventTimeMs === null ? 0 : Math.max(0, wallMs - entry.eventTimeMs);
    user.add(new Item(index + 1, entry, source, -ageMs, wallMs, 'waiting', null));
  });
  const bodies: unknown[] = [];
  let waiting = [...users.values()];
  while (waiting.length > 0) {
    const packer = new Packer(0, maxBodyBytes);
    for (const user of waiting) {
      if (packer.size === usersPerPost) break;
      user.merge();
      const selection = user.select(blocksPerUser, (account) => account, 0);
      if (selection === null || packer.add(user, selection.cells) === 0) continue;
    }
    if (packer.size === 0) break;
    for (const { cells } of packer.users) for (const cell of cells) cell.state = 'ended';
    bodies.push(JSON.parse(packer.body()));
    waiting = waiting.filter((user) => user.waits);
  }
  return bodies;
}

// What would be sent: checks, merges and packs as the engine does, and posts nothing.

import type { CheckedEntry } from '../entry/entry';
import { hashUserKey } from '../entry/keys';
import { inSlices, oneSlice, type Steps } from '../entry/slices';
import { BatchBuilder } from './schedule/batch-builder';
import { documentedRequestLimits, type RequestLimits } from './schedule/request-limits';
import { PendingEntry } from './pending/pending-entry';
import { User } from './pending/user';

const source = { node: '', account: '' };

/** The bodies of the requests that these entries would become, in the order in which they would go. */
export function dryRun(
  entries: readonly CheckedEntry[],
  wallMs: number,
  limits: RequestLimits = documentedRequestLimits,
): unknown[] {
  return inSlices(dryRunSteps(entries, wallMs, limits), oneSlice) as unknown[];
}

/** The same in steps. */
export function* dryRunSteps(
  entries: readonly CheckedEntry[],
  wallMs: number,
  limits: RequestLimits,
): Steps<unknown[]> {
  const users = new Map<string, User>();
  for (const [index, entry] of entries.entries()) {
    const user = users.get(entry.userKey) ?? new User(entry.userKey, hashUserKey(entry.userKey));
    users.set(user.key, user);
    const ageMs = entry.eventTimeMs === null ? 0 : Math.max(0, wallMs - entry.eventTimeMs);
    user.add(
      new PendingEntry(
        { seq: index + 1, source, eventMonoMs: -ageMs, appendedWallMs: wallMs },
        entry,
        'waiting',
      ),
    );
    yield;
  }
  const bodies: unknown[] = [];
  const waiting = [...users.values()];
  for (let at = 0; at < waiting.length; yield) {
    const batchBuilder = new BatchBuilder(0, limits.maxBodyBytes);
    for (; at < waiting.length && batchBuilder.size < limits.usersPerPost; at += 1) {
      if (!addNext(batchBuilder, waiting[at]!, limits.blocksPerUser)) break;
    }
    if (batchBuilder.size === 0) continue;
    bodies.push(JSON.parse(batchBuilder.body()));
    for (const { user, blocks } of batchBuilder.users) {
      for (const block of blocks) block.state = 'ended';
      // The rest goes behind the others, as it would when the request has ended.
      if (user.waits) waiting.push(user);
    }
  }
  return bodies;
}

/** As much of a user as may go; false when the body is full. A block that is too large for any body is left out. */
function addNext(batchBuilder: BatchBuilder, user: User, blocksPerUser: number): boolean {
  for (;;) {
    user.merge();
    const selection = user.select(blocksPerUser, (account) => account, 0);
    if (selection === null || batchBuilder.add(user, selection.blocks) > 0) return true;
    if (batchBuilder.size > 0) return false;
    selection.blocks[0]!.state = 'ended';
  }
}

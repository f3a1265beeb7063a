// Erased users as members of synced segments.

import { checkEntry } from '../../entry/check';
import type { CheckedEntry, SegBlock } from '../../entry/entry';
import { userOfMember } from '../../entry/member-key';

/** A user of a synced segment. */
export interface SegmentUser {
  readonly segment: string;
  readonly memberKey: string;
}

/** The member keys that a user with these keys and this id may have: a user key may ignore the case of the id. */
export function memberKeysOf(userKeys: readonly string[], userId: string): readonly string[] {
  return [...new Set(userKeys.flatMap((key) => [key, key.slice(0, -userId.length) + userId]))];
}

/** One removal for each user, from all of its segments; `found` may have some twice. */
export function removalsOf(found: readonly SegmentUser[]): CheckedEntry[] {
  const segmentsOf = new Map<string, Set<string>>();
  for (const { segment, memberKey } of found)
    segmentsOf.set(memberKey, (segmentsOf.get(memberKey) ?? new Set()).add(segment));
  return [...segmentsOf].map(([memberKey, segments]) => {
    const { domain, id } = userOfMember(memberKey);
    const blocks = [...segments].map(removalFrom);
    const checked = checkEntry({ user_id: id, domain, seg_block: blocks }, { allowCustomDomain: true });
    if (!checked.ok) throw new Error(`The member key of a user in ${blocks.length} segments cannot be read`);
    return checked.entry;
  });
}

/** @param segment key of a block: `i10001` or `c1661:abcd` */
function removalFrom(segment: string): SegBlock {
  if (segment.startsWith('i')) return { seg_id: Number(segment.slice(1)), expiration: -1 };
  const end = segment.indexOf(':');
  return { seg_code: segment.slice(end + 1), member_id: Number(segment.slice(1, end)), expiration: -1 };
}

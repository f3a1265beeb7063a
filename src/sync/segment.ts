// Synced segment: its key, and the entries that change its members.

import { checkEntry } from '../entry/check';
import type { CheckedEntry, SegBlock } from '../entry/entry';
import { userOfMember } from '../entry/member-key';
import type { AudienceChange } from '../queue/sync-store';

/** How a segment is named in blocks. */
export type SegmentName =
  | Required<Pick<SegBlock, 'seg_id'>>
  | Required<Pick<SegBlock, 'seg_code' | 'member_id'>>;

/** The key of blocks of this segment. @throws Error if the name is not valid */
export function segmentKeyOf(name: SegmentName): string {
  return checked({ user_id: '1', seg_block: [name] }).blocks[0]!.key;
}

/** The entry that carries out a change. */
export function entryOf(
  name: SegmentName,
  { kind, memberKey, value, expiration }: AudienceChange,
): CheckedEntry {
  const { domain, id } = userOfMember(memberKey);
  const block = kind === 'remove' ? { ...name, expiration: -1 } : { ...name, value, expiration };
  return checked({ user_id: id, domain, seg_block: [block] });
}

/** Only what was checked when it was staged, or accepted, comes here. */
function checked(entry: object): CheckedEntry {
  const result = checkEntry(entry, { allowCustomDomain: true });
  if (!result.ok) throw new Error(`not an entry: ${result.issues.map(({ code }) => code).join(', ')}`);
  return result.entry;
}

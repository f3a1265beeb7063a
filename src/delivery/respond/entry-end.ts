// How an entry ended.

import type { CheckedEntry } from '../../entry/entry';

export type EntryEnd = 'accepted' | 'superseded' | 'expired' | 'rejected';

/** An entry that ended without its message. */
export interface Recovered {
  readonly entry: CheckedEntry;
  readonly end: EntryEnd;
  readonly rejection: { readonly code: string; readonly message: string } | null;
}

/** Of an ended entry, what tells how it ended. */
export interface Ending {
  readonly seq: number;
  readonly rejection: Recovered['rejection'];
  /** Its blocks that were sent before their time had passed, and those that were not. */
  readonly acceptedBlocks: number;
  readonly expiredBlocks: number;
  readonly warnings: readonly string[] | null;
}

export function endOf(item: Omit<Ending, 'seq'>): EntryEnd {
  if (item.rejection !== null) return 'rejected';
  if (item.expiredBlocks > 0) return 'expired';
  return item.acceptedBlocks > 0 ? 'accepted' : 'superseded';
}

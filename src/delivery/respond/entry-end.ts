// End of an entry: how it ended.

import type { CheckedEntry } from '../../entry/entry';

export type EntryEnd = 'accepted' | 'superseded' | 'expired' | 'rejected';

/** A late outcome: an entry whose message had already ended. */
export interface Recovered {
  readonly entry: CheckedEntry;
  readonly end: EntryEnd;
  readonly rejection: { readonly code: string; readonly message: string } | null;
}

/** The fields of an ended entry that determine how it ended. */
export interface Ending {
  readonly seq: number;
  readonly rejection: Recovered['rejection'];
  /** Blocks that were sent before their expiration had passed, and blocks that were sent after it. */
  readonly acceptedBlocks: number;
  readonly expiredBlocks: number;
  readonly warnings: readonly string[] | null;
}

export function endOf(item: Omit<Ending, 'seq'>): EntryEnd {
  if (item.rejection !== null) return 'rejected';
  if (item.expiredBlocks > 0) return 'expired';
  return item.acceptedBlocks > 0 ? 'accepted' : 'superseded';
}

// What the reply of an accepted post counts less than was sent, once its warnings are taken off (service.md 3.3).
import type { EntryVerdict, RequestCounts } from './outcome';

/** Numbers of users and of blocks. */
export interface Tally {
  readonly users: number;
  readonly segments: number;
}

/**
 * Entries and blocks that the warnings refuse may be counted or not; all others should be. More than was sent says
 * nothing, nor does a count that is not there.
 *
 * @param blocks how many blocks each entry had, in the order of the request
 * @param told what the warnings say of each entry; null without any warnings
 */
export function uncounted(
  counts: RequestCounts,
  blocks: readonly number[],
  told: readonly EntryVerdict[] | null,
): Tally {
  let users = blocks.length;
  let segments = 0;
  for (let index = 0; index < blocks.length; index += 1) {
    const verdict = told?.[index];
    const isRefused = verdict?.kind === 'rejected' || verdict?.kind === 'again';
    if (isRefused) users -= 1;
    else segments += blocks[index]! - (verdict?.kind === 'partly' ? verdict.blocks.size : 0);
  }
  return {
    users: Math.max(0, users - (counts.users ?? Infinity)),
    segments: Math.max(0, segments - (counts.segments ?? Infinity)),
  };
}

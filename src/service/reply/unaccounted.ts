// Compares the counts in the reply of an accepted post with the entries sent, less those that warnings refuse
// (service.md 3.3).
import type { EntryVerdict, RequestCounts } from './outcome';

/** Numbers of users and of blocks. */
export interface Tally {
  readonly users: number;
  readonly segments: number;
}

/**
 * The users and blocks that are missing in the counts. The service may or may not count entries and blocks that its
 * warnings refuse; it should count all others. A count above the number sent, or no count at all, proves nothing.
 *
 * @param blocks number of blocks of each entry, in the order of the request
 * @param entryVerdicts result of each entry by the warnings; null without warnings
 */
export function uncounted(
  counts: RequestCounts,
  blocks: readonly number[],
  entryVerdicts: readonly EntryVerdict[] | null,
): Tally {
  let users = blocks.length;
  let segments = 0;
  for (let index = 0; index < blocks.length; index += 1) {
    const verdict = entryVerdicts?.[index];
    const isRefused = verdict?.kind === 'rejected' || verdict?.kind === 'again';
    if (isRefused) users -= 1;
    else segments += blocks[index]! - (verdict?.kind === 'partly' ? verdict.blocks.size : 0);
  }
  return {
    users: Math.max(0, users - (counts.users ?? Infinity)),
    segments: Math.max(0, segments - (counts.segments ?? Infinity)),
  };
}

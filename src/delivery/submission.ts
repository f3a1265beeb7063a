// Submission: a message's entries, as nodes hand them to an engine.

import type { CheckedEntry } from '../entry/entry';
import type { Source } from '../queue/store';
import type { MessageEnd } from './pending-messages';

/** Entries that are checked when their message is taken, so that messages which wait for that take less memory. */
export interface Unchecked {
  /** How many there are. */
  readonly length: number;
  /** The valid ones. Called once; never throws. */
  check(): readonly CheckedEntry[];
}

/** What makes a submission a chunk of a whole audience. */
export interface BulkChunk {
  /** Key of the segment that its entries name. */
  readonly segment: string;
  /** The state of its sync, stored together with the rows; null leaves it as it is. */
  readonly state: string | null;
  /** See `ChangedMembers`. */
  readonly readSince: number;
}

/** Entries of one message, at least one. Never spread it: it may be an object of a class, see `submissionWith`. */
export interface Submission {
  /** The node that reports, and the account that sends. */
  readonly source: Source;
  readonly entries: readonly CheckedEntry[] | Unchecked;
  /** Position in the input of each entry; null when they are the same. */
  readonly indexes: readonly number[] | null;
  /** When the message ends: with the outcome, or as soon as it is durably queued. */
  readonly completeOn: 'accepted' | 'queued';
  readonly onEnd: (end: MessageEnd) => void;
  /** Its entries go behind all others. Their outcomes are not the message's. */
  readonly bulk?: BulkChunk;
}

/** The same submission with another source or end. */
export function submissionWith(
  { source, entries, indexes, completeOn, onEnd, bulk }: Submission,
  changes: Partial<Pick<Submission, 'source' | 'completeOn' | 'onEnd'>>,
): Submission {
  return { source, entries, indexes, completeOn, onEnd, ...(bulk !== undefined && { bulk }), ...changes };
}

export function checkedOf(entries: Submission['entries']): readonly CheckedEntry[] {
  return 'check' in entries ? entries.check() : entries;
}

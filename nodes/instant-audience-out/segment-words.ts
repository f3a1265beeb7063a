// Warnings about segments in the server's language: a sentence for the log, a few words for the status.

import { printable } from '../../src/audience/foreign-text';
import { maxTextChars } from '../../src/audience/identifiers';
import type { SegmentWarning } from '../../src/reconcile/segment-check';
import type { Words } from '../shared/words';

/** `holds`: whether adds to young segments wait. */
export function segmentSentence(words: Words, warning: SegmentWarning, holds: boolean): string {
  return words._(`segment.${segmentKey(warning, holds)}`, segmentParams(warning, Date.now()));
}

/** Of the sentence, below `segment` in the words. */
export function segmentKey(warning: SegmentWarning, holds: boolean): SegmentWarning['kind'] | 'held' {
  return warning.kind === 'young' && holds ? 'held' : warning.kind;
}

/** Null when there is nothing to say. */
export function segmentRemark(
  words: Words,
  warnings: readonly SegmentWarning[],
  holds: boolean,
): string | null {
  const [first] = warnings;
  if (first === undefined) return null;
  if (warnings.length > 1) return words._('status.segments', { number: warnings.length });
  const key = first.kind === 'young' && holds ? 'status.segment_held' : remarks[first.kind];
  return words._(key, segmentParams(first, Date.now()));
}

const remarks: Readonly<Record<SegmentWarning['kind'], string>> = {
  unknown: 'status.segment_unknown',
  inactive: 'status.segment_inactive',
  foreign: 'status.segment_foreign',
  otherCase: 'status.segment_otherCase',
  young: 'status.segment_young',
};

/** What the sentence of a warning needs, at this time (epoch ms). */
export function segmentParams(warning: SegmentWarning, nowMs: number): Record<string, string | number> {
  const { segment: raw } = warning;
  const segment = typeof raw === 'number' ? raw : printable(raw, maxTextChars);
  switch (warning.kind) {
    case 'foreign':
      return { segment, member: warning.member };
    case 'otherCase':
      return { segment, listed: printable(warning.listed, maxTextChars) };
    case 'young':
      return { segment, minutes: Math.max(1, Math.ceil((warning.untilMs - nowMs) / 60_000)) };
    case 'unknown':
    case 'inactive':
      return { segment };
  }
}

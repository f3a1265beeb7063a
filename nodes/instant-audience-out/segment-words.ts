// Segment warnings in the server's language: a sentence for the log, a short text for the status.

import { printable, maxTextChars } from '../../src/entry/index';
import type { SegmentFinding, SegmentWarning } from '../../src/usage/index';
import { short } from '../shared/queue-state';
import type { Words } from '../shared/words';

const remarks: Record<SegmentWarning['kind'] | 'held', string> = {
  unknown: 'status.segment_unknown',
  inactive: 'status.segment_inactive',
  otherCase: 'status.segment_otherCase',
  warmUp: 'status.segment_warmUp',
  held: 'status.segment_held',
};

/** `holds`: whether adds to new segments wait. */
export function segmentSentence(words: Words, finding: SegmentFinding, holds: boolean): string {
  return words._(`segment.${segmentKey(finding, holds)}`, segmentParams(finding, Date.now()));
}

/** Of the sentence, below `segment` in the words. */
export function segmentKey<Finding extends SegmentFinding>(
  finding: Finding,
  holds: boolean,
): Finding['kind'] | 'held' {
  return finding.kind === 'warmUp' && holds ? 'held' : finding.kind;
}

/** Short text for the status, without the segment's name; null without a warning. */
export function segmentRemark(
  words: Words,
  warnings: readonly SegmentWarning[],
  holds: boolean,
): string | null {
  const [first] = warnings;
  if (first === undefined) return null;
  if (warnings.length > 1) return words._('status.segments', { number: short(warnings.length) });
  return words._(remarks[segmentKey(first, holds)]);
}

/** Placeholder values for a finding's sentence, at this time (epoch ms). */
export function segmentParams(finding: SegmentFinding, nowMs: number): Record<string, string | number> {
  const { segment: raw } = finding;
  const segment = typeof raw === 'number' ? raw : printable(raw, maxTextChars);
  switch (finding.kind) {
    case 'otherCase':
      return { segment, listed: printable(finding.listed, maxTextChars) };
    case 'warmUp':
      return { segment, minutes: Math.max(1, Math.ceil((finding.untilMs - nowMs) / 60_000)) };
    case 'unknown':
    case 'inactive':
    case 'notOurs':
      return { segment };
  }
}

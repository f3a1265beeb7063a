// Segment warnings of an out node, in the server's language: a sentence for the log, each once, and a short text for
// the status.

import type { Node, NodeAPI } from 'node-red';
import type { MemberQueue } from '../../src/delivery/index';
import { type CheckedEntry, printable, maxTextChars } from '../../src/entry/index';
import { isWarning, type SegmentFinding, type SegmentWarning } from '../../src/usage/index';
import type { AccountNode } from '../account/account-api';
import { withSection } from '../shared/docs';
import { pathOf } from '../shared/flow-graph';
import { statusText } from '../shared/queue-state';
import type { Words } from '../shared/words';
import type { OutSettings } from './schema';
import { letGo, SegmentWatch } from './segment-watch';

/** Number of remembered findings; each is logged once while remembered. */
const mostTold = 2_000;

export class SegmentWarnings {
  private watch: SegmentWatch | null = null;
  private readonly told = new Set<string>();

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
    private readonly choice: OutSettings['youngSegments'],
    /** Called when the remark may be another one. */
    private readonly changed: () => void,
  ) {}

  start(engine: MemberQueue, account: AccountNode): void {
    const { RED, node, choice } = this;
    const holds = choice === 'hold';
    // Holds of this node from before the deploy end.
    if (!holds) letGo(engine, node.id);
    if (choice === 'ignore') return;
    this.watch = new SegmentWatch({
      RED,
      node: node.id,
      out: pathOf(node),
      account,
      engine,
      holds,
      changed: (findings) => {
        for (const finding of findings) this.tell(finding, holds);
        this.changed();
      },
      noLogin: RED._('segment.noLogin'),
      failed: (reason) => {
        if (reason !== null) node.warn(withSection(RED._('segment.failed', { reason }), 'segments', RED));
        this.changed();
      },
    });
    this.watch.start();
  }

  stop(): void {
    this.watch?.stop();
    this.watch = null;
  }

  /** Entries that are about to be queued. */
  saw(entries: readonly CheckedEntry[]): void {
    this.watch?.saw(entries);
  }

  /** For the status; null for none. */
  remark(): string | null {
    const { RED, watch } = this;
    if (watch === null) return null;
    if (watch.failure !== null) return RED._('status.segments_failed');
    return segmentRemark(RED, watch.warnings(Date.now()), this.choice === 'hold');
  }

  private tell(finding: SegmentFinding, holds: boolean): void {
    const name = `${finding.kind} ${finding.key}`;
    if (this.told.has(name)) return;
    if (this.told.size >= mostTold) this.told.clear();
    this.told.add(name);
    const sentence = segmentSentence(this.RED, finding, holds);
    if (isWarning(finding)) this.node.warn(withSection(sentence, 'segments', this.RED));
    else this.node.log(sentence);
  }
}

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
  if (warnings.length > 1) return statusText({ key: 'segments', params: { number: warnings.length } }, words);
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

// Tracks the segments of incoming entries: each is looked up when first seen, and again while in use.

import type { Block } from '../entry/entry';
import { segmentOf, type FixedSegment } from '../entry/mapping/fixed-segments';

interface Seen {
  segment: FixedSegment;
  /** Whether the segment has not been looked up yet. */
  due: boolean;
  /** Whether an entry named the segment since the last lookup of all segments. */
  inUse: boolean;
}

/** Limits of tracked segments. A code may cost one read, a hundred ids cost one. */
const max = { id: 900, code: 50 } as const;
/** Limits for one lookup of due segments. */
const maxDue = { id: 100, code: 5 } as const;

export class SeenSegments {
  private readonly segments = new Map<string, Seen>();
  private readonly counts = { id: 0, code: 0 };

  /** Tracks the segment of a block. True if it has to be looked up; segments beyond the limits are ignored. */
  note(block: Block): boolean {
    const seen = this.segments.get(block.key);
    const adds = block.expiration !== -1;
    if (seen === undefined) {
      if (this.counts[block.kind] >= max[block.kind]) return false;
      this.counts[block.kind] += 1;
      this.segments.set(block.key, { segment: segmentOf(block), due: true, inUse: true });
      return true;
    }
    seen.inUse = true;
    // A lookup for removals ignores the warm-up, so the first add needs another one.
    if (seen.segment.adds || !adds) return false;
    seen.segment = segmentOf(block);
    seen.due = true;
    return true;
  }

  /** The segments to look up now, within the limits of one lookup. */
  due(): FixedSegment[] {
    const left: { id: number; code: number } = { ...maxDue };
    return [...this.segments.values()].flatMap(({ due, segment }) =>
      due && (left[segment.by] -= 1) >= 0 ? [segment] : [],
    );
  }

  get anyDue(): boolean {
    return this.due().length > 0;
  }

  /** The segments that entries named since the last lookup of all. */
  inUse(): FixedSegment[] {
    return [...this.segments.values()].flatMap(({ inUse, segment }) => (inUse ? [segment] : []));
  }

  /** Marks segments as looked up. */
  lookedUp(segments: readonly FixedSegment[]): void {
    for (const segment of segments) {
      const seen = this.segments.get(segment.key);
      if (seen === undefined) this.add(segment);
      else if (seen.segment.adds === segment.adds) seen.due = false;
    }
  }

  /** Marks `segments` as the result of a lookup of all, and drops segments that are no longer in use. */
  allLookedUp(segments: readonly FixedSegment[]): void {
    const keys = new Set(segments.map(({ key }) => key));
    for (const [key, seen] of this.segments) {
      if (!seen.due && !keys.has(key)) this.drop(key, seen);
      else if (keys.has(key)) seen.inUse = false;
    }
    this.lookedUp(segments);
  }

  private add(segment: FixedSegment): void {
    this.counts[segment.by] += 1;
    this.segments.set(segment.key, { segment, due: false, inUse: false });
  }

  private drop(key: string, { segment }: Seen): void {
    this.counts[segment.by] -= 1;
    this.segments.delete(key);
  }
}

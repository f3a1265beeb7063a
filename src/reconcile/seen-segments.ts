// The segments of the entries that come: each is to be looked up when it is first seen, and again while it is in use.

import type { Block } from '../audience/entry';
import { segmentOf, type FixedSegment } from '../audience/fixed-segments';

interface Seen {
  segment: FixedSegment;
  /** Not looked up since it was seen first. */
  due: boolean;
  /** Whether it came since the whole list was looked up last. */
  inUse: boolean;
}

/** Between two looks at all of them. A code may cost a read for itself, a hundred ids cost one. */
const most = { id: 900, code: 50 } as const;
/** In one look at what is due. */
const mostDue = { id: 100, code: 5 } as const;

export class SeenSegments {
  private readonly segments = new Map<string, Seen>();
  private readonly known = { id: 0, code: 0 };

  /** Notes the segment of a block. True when it is to be looked up; those beyond the bounds are not. */
  note(block: Block): boolean {
    const seen = this.segments.get(block.key);
    const adds = block.expiration !== -1;
    if (seen === undefined) {
      if (this.known[block.kind] >= most[block.kind]) return false;
      this.known[block.kind] += 1;
      this.segments.set(block.key, { segment: segmentOf(block), due: true, inUse: true });
      return true;
    }
    seen.inUse = true;
    // Only where users are added it matters whether it is new.
    if (seen.segment.adds || !adds) return false;
    seen.segment = segmentOf(block);
    seen.due = true;
    return true;
  }

  /** What is to be looked up now, as much as one look should take. */
  due(): FixedSegment[] {
    const left: { id: number; code: number } = { ...mostDue };
    return [...this.segments.values()].flatMap(({ due, segment }) =>
      due && (left[segment.by] -= 1) >= 0 ? [segment] : [],
    );
  }

  get anyDue(): boolean {
    return this.due().length > 0;
  }

  /** Those that came since all were looked up last. */
  inUse(): FixedSegment[] {
    return [...this.segments.values()].flatMap(({ inUse, segment }) => (inUse ? [segment] : []));
  }

  /** These were looked up. */
  lookedUp(segments: readonly FixedSegment[]): void {
    for (const segment of segments) {
      const seen = this.segments.get(segment.key);
      if (seen === undefined) this.know(segment);
      else if (seen.segment.adds === segment.adds) seen.due = false;
    }
  }

  /** All were looked up, which were these: those that come no more are forgotten. */
  allLookedUp(segments: readonly FixedSegment[]): void {
    const looked = new Set(segments.map(({ key }) => key));
    for (const [key, seen] of this.segments) {
      if (!seen.due && !looked.has(key)) this.forget(key, seen);
      else if (looked.has(key)) seen.inUse = false;
    }
    this.lookedUp(segments);
  }

  private know(segment: FixedSegment): void {
    this.known[segment.by] += 1;
    this.segments.set(segment.key, { segment, due: false, inUse: false });
  }

  private forget(key: string, { segment }: Seen): void {
    this.known[segment.by] -= 1;
    this.segments.delete(key);
  }
}

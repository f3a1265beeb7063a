// The synced segments of this process, by engine: one node each, and what the tab Audience shows of them.

import type { Node } from 'node-red';
import type { MemberQueue } from '../../src/delivery/index';
import type { SegmentSync, SyncView } from '../../src/sync/index';

export interface SyncedByNode {
  readonly node: Node;
  /** The key of the segment's blocks. */
  readonly segment: string;
  /** Null while another instance carries out its runs. */
  sync: SegmentSync | null;
}

const byEngine = new WeakMap<MemberQueue, Map<string, SyncedByNode>>();

/** Claims the segment for a node; gives the node back that has it already, or null. */
export function claimSegment(engine: MemberQueue, mine: SyncedByNode): Node | null {
  const segments = byEngine.get(engine) ?? new Map<string, SyncedByNode>();
  byEngine.set(engine, segments);
  const other = segments.get(mine.segment);
  if (other !== undefined && other.node !== mine.node) return other.node;
  segments.set(mine.segment, mine);
  return null;
}

export function releaseSegment(engine: MemberQueue, mine: SyncedByNode): void {
  const segments = byEngine.get(engine);
  if (segments?.get(mine.segment) === mine) segments.delete(mine.segment);
}

/** A synced segment in the tab Audience. */
export interface ShownSync extends Omit<SyncView, 'trouble'> {
  /** The key of the segment's blocks. */
  readonly segment: string;
  /** The node that syncs it. */
  readonly node: string;
  readonly name: string;
}

export function shownSyncs(engine: MemberQueue): readonly ShownSync[] {
  return [...(byEngine.get(engine)?.values() ?? [])].flatMap(({ node, segment, sync }) => {
    if (sync?.isStarted !== true) return [];
    const { trouble: _trouble, ...view } = sync.view();
    return [{ ...view, segment, node: node.id, name: node.name ?? '' }];
  });
}

export function syncOf(engine: MemberQueue, segment: unknown): SegmentSync | null {
  const sync = typeof segment === 'string' ? byEngine.get(engine)?.get(segment)?.sync : undefined;
  return sync?.isStarted === true ? sync : null;
}

// The synced segments of this process, by engine: one node each, and what the tab Audience shows of them.

import type { Node } from 'node-red';
import type { MemberQueue } from '../../src/delivery/index';
import type { SegmentSync, SyncView } from '../../src/sync/index';

export interface SyncedByNode {
  readonly node: Node;
  readonly sync: SegmentSync;
}

const byEngine = new WeakMap<MemberQueue, Map<string, SyncedByNode>>();

/** Claims the segment for a node; gives the node back that has it already, or null. */
export function claimSegment(engine: MemberQueue, mine: SyncedByNode): Node | null {
  const segments = byEngine.get(engine) ?? new Map<string, SyncedByNode>();
  byEngine.set(engine, segments);
  const other = segments.get(mine.sync.key);
  if (other !== undefined && other.node !== mine.node) return other.node;
  segments.set(mine.sync.key, mine);
  return null;
}

export function releaseSegment(engine: MemberQueue, { sync }: SyncedByNode): void {
  const segments = byEngine.get(engine);
  if (segments?.get(sync.key)?.sync === sync) segments.delete(sync.key);
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
  const started = [...(byEngine.get(engine)?.values() ?? [])].filter(({ sync }) => sync.isStarted);
  return started.map(({ node, sync }) => {
    const { trouble: _trouble, ...view } = sync.view();
    return { ...view, segment: sync.key, node: node.id, name: node.name ?? '' };
  });
}

export function syncOf(engine: MemberQueue, segment: unknown): SegmentSync | null {
  const sync = typeof segment === 'string' ? byEngine.get(engine)?.get(segment)?.sync : undefined;
  return sync?.isStarted === true ? sync : null;
}

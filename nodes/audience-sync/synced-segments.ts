// The synced segments of this process, by engine: one node each, and what the tab Audience shows of them.

import type { Node } from 'node-red';
import type { MemberQueue } from '../../src/delivery/index';
import { InTurn } from '../../src/in-turn';
import type { SegmentSync, SyncView } from '../../src/sync/index';

export interface SyncedByNode {
  readonly node: Node;
  /** The key of the segment's blocks. */
  readonly segment: string;
  /** Also while it starts or closes. Null while another instance carries out the runs. */
  sync: SegmentSync | null;
}

const byEngine = new WeakMap<MemberQueue, Map<string, SyncedByNode>>();
/** Syncs of former nodes that still end a step, by engine and segment. */
const endings = new WeakMap<MemberQueue, Map<string, InTurn>>();

/** Claims the segment for a node; gives the node back that has it already, or null. */
export function claimSegment(engine: MemberQueue, mine: SyncedByNode): Node | null {
  const segments = byEngine.get(engine) ?? new Map<string, SyncedByNode>();
  byEngine.set(engine, segments);
  const other = segments.get(mine.segment);
  if (other !== undefined && other.node !== mine.node) return other.node;
  segments.set(mine.segment, mine);
  return null;
}

/** Resolves when its sync has ended, which may take as long as an outage of the database. */
export function releaseSegment(engine: MemberQueue, mine: SyncedByNode): Promise<void> {
  const segments = byEngine.get(engine);
  if (segments?.get(mine.segment) === mine) segments.delete(mine.segment);
  const closed = Promise.resolve(mine.sync?.close());
  return endingsOf(engine, mine.segment).run(() => closed);
}

/** Resolves when the syncs of former nodes have ended: two must not write the state of one segment. */
export function formerSyncsEnded(engine: MemberQueue, segment: string): Promise<void> {
  return endingsOf(engine, segment).over();
}

function endingsOf(engine: MemberQueue, segment: string): InTurn {
  const segments = endings.get(engine) ?? new Map<string, InTurn>();
  endings.set(engine, segments);
  const turns = segments.get(segment) ?? new InTurn();
  segments.set(segment, turns);
  return turns;
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

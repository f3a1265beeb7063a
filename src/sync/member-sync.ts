// What src/sync needs of an engine: the tables beside its queue, and the bulk lane.

import type { BulkListener } from '../delivery/sync/bulk-entries';
import type { MemberSync as EngineSync } from '../delivery/sync/member-sync';

export type Chunk = Parameters<EngineSync['append']>[0];
export type EndedEntries = Parameters<BulkListener>[0];

export type MemberSync = Pick<
  EngineSync,
  'store' | 'opened' | 'append' | 'pending' | 'onEnded' | 'beginRead' | 'endRead' | 'keep' | 'forget'
>;

// What nodes use of `sync`.

export type { SyncListener } from './context';
export type { ReadRows } from './gathering';
export type { MemberSync } from './member-sync';
export { readPart, type Part } from './parts';
export { segmentKeyOf, type SegmentName } from './segment';
export { NothingRefused, SegmentSync, type SyncView } from './segment-sync';
export type { Problem, RunReport } from './state';

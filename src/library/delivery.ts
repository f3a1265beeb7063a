// Package entry `./delivery`: engines, with the stores that they queue in.

export { QueueError } from '../queue/store';
export type {
  Commit,
  InFlightRecord,
  Lane,
  RecoveredRecord,
  NewRow,
  Opened,
  QueueStore,
  Row,
  RowState,
  Source,
  UserRange,
} from '../queue/store';
export { SqliteStore } from '../queue/sqlite/sqlite-store';
export { systemClock, type Clock } from '../clock';
export { dryRun } from '../delivery/dry-run';
export { Engine, type EngineOptions, type EngineState, type EngineStats } from '../delivery/engine';
export type { Unchecked } from '../delivery/submission';
export type { Counters, MemberQueue, QueueCaps, Recovered, Submission } from '../delivery/engine';
export {
  Registry,
  QueueKindsDiffer,
  type Lease,
  type LeaseRequest,
  type QueueKind,
} from '../delivery/registry';
export type { Limits } from '../delivery/schedule/rate-limiter';
export type { SharedRequest, SharedView } from '../delivery/shared/shared-request';
export type { Rejection, Summary, MessageEnd } from '../delivery/pending-messages';

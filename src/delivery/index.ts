// The public face of `delivery`: engines, with the stores that they queue in (package entry `./delivery`).

export { QueueError } from '../queue/store';
export type {
  Commit,
  InFlightRecord,
  Lane,
  RecoveredRecord,
  NewRow,
  Opened,
  QueueStore,
  Page,
  Row,
  RowState,
  Source,
  UserRows,
} from '../queue/store';
export { SqliteStore } from '../queue/sqlite/sqlite-store';
export { systemClock, type Clock } from '../clock';
export { dryRun } from './dry-run';
export type { MemberQueue } from './shared/member-queue';
export { Engine, type EngineOptions, type EngineState, type EngineStats } from './engine';
export type { Counters, QueueCaps, Recovered, Submission } from './engine';
export { Registry, QueueKindsDiffer, type Lease, type LeaseRequest, type QueueKind } from './registry';
export type { Limits } from './schedule/rate-limiter';
export type { SharedRequest, SharedView } from './shared/shared-request';
export type { Rejection, Summary, MessageEnd } from './pending-messages';

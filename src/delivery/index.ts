// What nodes use of `delivery`.

export { dryRunSteps } from './dry-run';
export type { EngineState, EngineStats, MemberQueue, Recovered } from './engine';
export { moveAwayShared } from './left-shared-queue';
export { type Sample, sampleEveryMs } from './monitor/history';
export { latencyBoundsMs } from './monitor/latency';
export type { LoggedError } from './monitor/monitor';
export type { MessageEnd } from './pending-messages';
export type { Submission, Unchecked } from './submission';
export {
  type EngineInfo,
  engineKey,
  type Lease,
  type LeaseRequest,
  type QueueKind,
  QueueKindsDiffer,
  Registry,
} from './registry';
export { DeletedPartly, type Erased } from './respond/deletions';
export { mentions, type Rejected } from './respond/rejections';
export { backoffMs } from './schedule/backoff';
export type { LoginState } from './schedule/login';
export type { Limits } from './schedule/rate-limiter';
export { documentedRequestLimits, type RequestLimits } from './schedule/request-limits';

export type { SharedRequest, SharedView } from './shared/shared-request';
export { outcomesWithout } from './shared/stored-outcomes';
export type { Counters } from './respond/reports';

// The public face of `delivery`: engines, with the stores that they queue in (package entry `./delivery`).

export { OutboxError } from '../outbox/outbox';
export type {
  Commit,
  FlightMark,
  Lane,
  LeftFlight,
  NewRow,
  Opened,
  Outbox,
  Page,
  Row,
  RowState,
  Source,
  UserRows,
} from '../outbox/outbox';
export { SqliteOutbox } from '../outbox/sqlite-outbox';
export { systemClock, type Clock } from '../clock';
export { dryRun } from './dry-run';
export type { MemberQueue } from './member-queue';
export { Engine, type EngineOptions, type EngineState, type EngineStats } from './engine';
export type { Counters, QueueCaps, Recovered, Submission } from './engine';
export { Engines, QueueKindsDiffer, type Lease, type LeaseRequest, type QueueKind } from './engines';
export type { Limits } from './ledger';
export type { SharedRequest, SharedView } from './shared-request';
export type { Rejection, Summary, TicketEnd } from './tickets';

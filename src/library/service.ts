// Package entry `./service`: the client of the service and the outcomes of its calls.

export {
  DEFAULT_AUTH_URL,
  DEFAULT_SERVICE_URL,
  ServiceClient,
  ServiceUrlError,
  type ServiceClientOptions,
  type ServiceProxy,
  type ServiceTls,
} from '../service/client';
export type { Login } from '../service/login/login';
export { LoginCount, type LoginAges, type LoginStore, type NoLogin } from '../service/login/login-count';
export type {
  AuthOutcome,
  EntryVerdict,
  LoginRefusal,
  PostOutcome,
  ReadFailure,
  ReadOutcome,
  RequestCounts,
  TokenOutcome,
  Warning,
} from '../service/reply/outcome';
export type { Segment } from '../service/reply/schemas';
export type { SegmentList, SegmentQuery } from '../service/segments';
export { TokenKeeper, type TokenKeeperOptions } from '../service/login/tokens';
export type { UsageHour, UsageLog, UsageQuery, UsageReport } from '../service/usage';
export { cleanReport, type CleanHour, type CleanReport, type UsageCounts } from '../service/usage-report';
export { verdicts, type SentEntry } from '../service/reply/verdicts';

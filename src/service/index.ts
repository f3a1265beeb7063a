// Public exports of the package entry `./service`: the client of the service and the outcomes of its calls.

export {
  DEFAULT_AUTH_URL,
  DEFAULT_SERVICE_URL,
  ServiceClient,
  ServiceUrlError,
  type ServiceClientOptions,
  type ServiceProxy,
  type ServiceTls,
} from './client';
export type { Login } from './login/login';
export { LoginCount, type LoginAges, type LoginStore, type NoLogin } from './login/login-count';
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
} from './reply/outcome';
export type { Segment } from './reply/schemas';
export type { SegmentList, SegmentQuery } from './segments';
export { TokenKeeper, type TokenKeeperOptions } from './login/tokens';
export type { UsageHour, UsageLog, UsageQuery, UsageReport } from './usage';
export { cleanReport, type CleanHour, type CleanReport, type UsageCounts } from './usage-report';
export { verdicts, type SentEntry } from './reply/verdicts';

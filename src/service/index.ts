// What nodes use of `service`.

export {
  DEFAULT_SERVICE_URL,
  ServiceClient,
  type ServiceClientOptions,
  type ServiceProxy,
  type ServiceTls,
} from './client';
export { readWithToken } from './http/read-with-token';
export { type Login, sameLogin } from './login/login';
export type { LoginCount } from './login/login-count';
export { TokenKeeper } from './login/tokens';
export type { AuthOutcome, LoginRefusal, ReadFailure, ReadOutcome } from './reply/outcome';
export type { Segment } from './reply/schemas';
export type { SegmentList, SegmentQuery } from './segments';
export type { UsageReport } from './usage';

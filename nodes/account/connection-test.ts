// Whether an account's login works, asked at the service itself, and what stands in the way when it does not.

import type { ServiceClient } from '../../src/service/client';
import type { Login } from '../../src/service/login';
import type { LoginCount } from '../../src/service/login-count';
import type { AuthOutcome, ReadFailure } from '../../src/service/outcome';
import type { TokenKeeper } from '../../src/service/tokens';

/** The sentence is `test.<result>` of the account's words. */
export interface TestResult {
  readonly result: string;
  readonly level: 'good' | 'warning' | 'bad';
  readonly params: Readonly<Record<string, string | number>>;
  /** More to say: the key of a sentence. */
  readonly also?: string;
}

export interface TestSubject {
  readonly client: ServiceClient;
  readonly login: Login;
  /** The member's number, for the question to the second host. */
  readonly member: string;
  /** As a person knows them: the hosts of login and posts. */
  readonly authHost: string;
  readonly serviceHost: string;
  /** Of the running account, when it has the very same login over the same connection. */
  readonly keeper: TokenKeeper | null;
  /** Counts the logins of this user name, whoever makes them. */
  readonly logins: Pick<LoginCount, 'login'>;
  /** Epoch ms. */
  readonly wallMs: number;
}

const minuteMs = 60_000;
/** A signed login is refused, and events are dated wrongly, when the clock is off by more. */
const toleratedSkewMs = 5 * minuteMs;
/** A range of one hour keeps the answer small. */
const usageRangeMs = 60 * minuteMs;

/**
 * Logs in, and takes the token to the host of the posts: a login that works proves nothing about the other address.
 * What is asked there is the usage of the last hour, which changes nothing. Never rejects.
 */
export async function testConnection(subject: TestSubject): Promise<TestResult> {
  const outcome = await logIn(subject);
  if ('result' in outcome) return outcome;
  if (outcome.kind !== 'token') return ofRefusedLogin(subject, outcome);
  return askService(subject, outcome.token, subject.keeper !== null);
}

/**
 * The service allows ten logins in five minutes (spec section 2). The running account's token is used where there is
 * one, so that the test of what is deployed costs none, or one that the account counts and keeps. A login that is not
 * deployed, and one that the account was refused or failed with, is tried afresh, and counted among the user's: what
 * fails tells more than what the account remembers of its last try.
 */
async function logIn({ client, login, keeper, logins }: TestSubject): Promise<AuthOutcome | TestResult> {
  const kept = await keeper?.token();
  if (kept?.kind === 'token') return kept;
  if (kept?.kind === 'wait' && kept.code === 'authentication_limit') return loginLimit(kept.retryAfterMs);
  const tried = await logins.login(() => client.authenticate(login), null);
  if (tried.kind !== 'wait') return tried;
  const { code, message, retryAfterMs } = tried;
  if (code === 'authentication_limit') return loginLimit(retryAfterMs);
  return { kind: 'passing', ambiguous: false, code, message };
}

async function askService(subject: TestSubject, token: string, isKept: boolean): Promise<TestResult> {
  const { client, member, wallMs, serviceHost } = subject;
  const memberId = /^\d+$/.test(member) ? { memberId: Number(member) } : {};
  const range = { startMs: wallMs - usageRangeMs, endMs: wallMs, aggregate: true };
  const read = await client.usage({ ...memberId, ...range }, token);
  switch (read.kind) {
    case 'read':
    case 'bodyRefused': // It took the token and did not like the question: the login works.
      return works(subject);
    case 'deadToken':
      return isKept ? withNewToken(subject, token) : bad('tokenRefused', { host: serviceHost });
    default:
      return ofFailure(read, serviceHost);
  }
}

/** The account's token has died, perhaps of age: it gets another, as it would for its next post. */
async function withNewToken(subject: TestSubject, dead: string): Promise<TestResult> {
  subject.keeper?.refused(dead);
  const outcome = await logIn(subject);
  if ('result' in outcome) return outcome;
  if (outcome.kind !== 'token') return ofRefusedLogin(subject, outcome);
  return askService(subject, outcome.token, false);
}

function works({ client, login, authHost }: TestSubject): TestResult {
  const clock = clockResult(client, 'Works', 'warning');
  return clock ?? { result: 'works', level: 'good', params: { username: login.username, host: authHost } };
}

function ofRefusedLogin(
  { client, login, authHost }: TestSubject,
  outcome: Exclude<AuthOutcome, { readonly kind: 'token' }>,
): TestResult {
  if (outcome.kind !== 'loginRefused') return ofFailure(outcome, authHost);
  if (outcome.code !== 'NOAUTH') return ofFailure(outcome, authHost);
  if (login.method === 'password') return bad('wrongPassword', { host: authHost });
  return clockResult(client, 'Refused', 'bad') ?? bad('wrongKey', { host: authHost });
}

/** Null when the clock is right, or nobody knows. */
function clockResult(
  client: ServiceClient,
  then: 'Works' | 'Refused',
  level: TestResult['level'],
): TestResult | null {
  const skewMs = client.clockSkewMs ?? 0;
  if (Math.abs(skewMs) <= toleratedSkewMs) return null;
  const minutes = Math.round(Math.abs(skewMs) / minuteMs);
  return { result: `clock${skewMs > 0 ? 'Ahead' : 'Behind'}${then}`, level, params: { minutes } };
}

type Failure = ReadFailure | Exclude<AuthOutcome, { readonly kind: 'token' }>;

/** What a failed call means for whoever fills in the form; the words of the engine are for the log. */
export function ofFailure(failure: Failure, host: string): TestResult {
  switch (failure.kind) {
    case 'loginRefused':
      return bad(refusals[failure.code] ?? 'notAllowed', { host });
    case 'deadToken':
      return bad('tokenRefused', { host });
    case 'rateLimited':
      return loginLimit(failure.retryAfterMs);
    case 'configuration':
      return ofConfiguration(failure.code, failure.message, host);
    case 'passing':
      return bad(troubles[failure.code] ?? 'trouble', { host, code: failure.code });
    case 'bodyRefused':
      return bad('address', { host });
  }
}

const refusals: Readonly<Record<string, string>> = {
  NOAUTH: 'wrongPassword',
  NOAUTH_EXPIRED: 'passwordExpired',
  NOAUTH_DISABLED: 'disabled',
  UNAUTH: 'notAllowed',
};

const troubles: Readonly<Record<string, string>> = {
  dns: 'unknownHost',
  refused: 'nothingListens',
  unreachable: 'unreachable',
  connect_timeout: 'unreachable',
  connect: 'unreachable',
  timeout: 'timeout',
  proxy: 'proxy',
  no_token: 'address',
  unreadable: 'address',
};

function ofConfiguration(code: string, message: string, host: string): TestResult {
  switch (code) {
    case 'tls':
      return ofCertificate(message, host);
    case 'http_403':
      return bad('notAllowed', { host });
    case 'http_407':
      return bad('proxyLogin', { host });
    case 'proxy':
      return bad('proxy', { host });
    case 'private_key':
      return bad('privateKey', {});
    default:
      return bad('address', { host });
  }
}

/** The client's sentence names OpenSSL's code, except where the certificate is for another host. */
function ofCertificate(message: string, host: string): TestResult {
  const code = /\(([A-Z][A-Z0-9_]+)\)/.exec(message)?.[1];
  return code === undefined ? bad('certificateHost', { host }) : bad('certificate', { host, code });
}

function loginLimit(retryAfterMs: number): TestResult {
  return {
    result: 'loginLimit',
    level: 'warning',
    params: { seconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) },
  };
}

function bad(result: string, params: TestResult['params']): TestResult {
  return { result, level: 'bad', params };
}

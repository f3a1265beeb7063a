// Connection test of an account: login, audience endpoint, member and segment list, with the cause of a failure.

import type {
  ServiceClient,
  Login,
  LoginCount,
  AuthOutcome,
  ReadFailure,
  ReadOutcome,
  SegmentList,
  TokenKeeper,
  UsageReport,
} from '../../../src/service/index';

/** The sentence is `test.<result>` of the account's words. */
export interface TestResult {
  readonly result: string;
  readonly level: 'good' | 'warning' | 'bad';
  readonly params: Readonly<Record<string, string | number>>;
  /** The key of a further sentence. */
  readonly also?: string;
}

export interface TestSubject {
  readonly client: ServiceClient;
  readonly login: Login;
  /** The member id, for the request to the audience host. */
  readonly member: string;
  /** The addresses of login and posts. */
  readonly authUrl: string;
  readonly serviceUrl: string;
  /** Of the running account, when it has the very same login over the same connection. */
  readonly keeper: TokenKeeper | null;
  /** Counts the logins of this user name, whoever makes them. */
  readonly logins: Pick<LoginCount, 'login'>;
  /** Epoch ms. */
  readonly wallMs: number;
}

/** The independent steps of the test. */
export const stepNames = ['login', 'endpoint', 'member', 'segments'] as const;
type StepName = (typeof stepNames)[number];

/** The result of one step; steps that did not run are left out. */
interface TestStep extends TestResult {
  readonly step: StepName;
}

/** The overall result: the first problem, or success. */
export interface ConnectionTest extends TestResult {
  readonly steps: readonly TestStep[];
}

const minuteMs = 60_000;
/** A signed login is refused, and events are dated wrongly, when the clock is off by more. */
const toleratedSkewMs = 5 * minuteMs;
/** A range of one hour keeps the answer small. */
const usageRangeMs = 60 * minuteMs;
/** One page of the service. */
const segmentsAsked = 100;

/**
 * Logs in, reads the member's usage of the last hour from the audience host with the token, and reads a page of
 * segments. It changes nothing. Never rejects.
 */
export async function testConnection(subject: TestSubject): Promise<ConnectionTest> {
  const { client, keeper, login, member, authUrl } = subject;
  let token = await logIn(subject);
  if (typeof token !== 'string') return withoutLogin(token);
  let usage = await readUsage(subject, token, member);
  if (usage.kind === 'deadToken' && keeper !== null) {
    // The account's token has expired: it gets a new one, as for its next post.
    keeper.refused(token);
    token = await logIn(subject);
    if (typeof token !== 'string') return withoutLogin(token);
    usage = await readUsage(subject, token, member);
  }
  const steps: TestStep[] = [
    good('login', { username: login.username, host: hostOf(authUrl) }),
    ...(await ofUsage(subject, token, usage)),
    ofSegments(subject, await client.segments({ limit: segmentsAsked }, token)),
  ];
  return { ...worst(subject, steps), steps };
}

function withoutLogin(refused: TestResult): ConnectionTest {
  return { ...refused, steps: [{ step: 'login', ...refused }] };
}

function good(step: StepName, params: TestResult['params']): TestStep {
  return { step, result: 'works', level: 'good', params };
}

/** The first problem, else the first warning, else success. */
function worst(subject: TestSubject, steps: readonly TestStep[]): TestResult {
  const found = (level: TestResult['level']): TestStep | undefined =>
    steps.find((step) => step.level === level);
  const { result, level, params } =
    found('bad') ?? clockResult(subject.client, 'Works', 'warning') ?? found('warning') ?? steps[0]!;
  return { result, level, params };
}

/**
 * The service allows ten logins in five minutes (service.md 2). The running account's token is used where there is
 * one, so that the test of what is deployed costs none, or one that the account counts and keeps. A login that is not
 * deployed, and one that the account was refused or failed with, is tried again and counted for the user: a
 * new failure is more informative than the account's last one.
 */
async function logIn(subject: TestSubject): Promise<string | TestResult> {
  const { client, login, keeper, logins } = subject;
  const kept = await keeper?.token();
  if (kept?.kind === 'token') return kept.token;
  if (kept?.kind === 'wait' && kept.code === 'authentication_limit') return loginLimit(kept.retryAfterMs);
  const tried = await logins.login(() => client.authenticate(login), null);
  if (tried.kind === 'token') return tried.token;
  if (tried.kind !== 'wait') return ofRefusedLogin(subject, tried);
  const { code, message, retryAfterMs } = tried;
  if (code === 'authentication_limit') return loginLimit(retryAfterMs);
  return ofRefusedLogin(subject, { kind: 'retriable', ambiguous: false, code, message });
}

function readUsage(
  { client, wallMs }: TestSubject,
  token: string,
  member: string | null,
): Promise<ReadOutcome<UsageReport>> {
  const range = { startMs: wallMs - usageRangeMs, endMs: wallMs, aggregate: true };
  return client.usage({ ...range, ...(member !== null && { memberId: Number(member) }) }, token);
}

/** Tests the audience host and the member. A request without a member shows which of the two failed. */
async function ofUsage(
  subject: TestSubject,
  token: string,
  usage: ReadOutcome<UsageReport>,
): Promise<TestStep[]> {
  const { serviceUrl, member } = subject;
  const host = { host: hostOf(serviceUrl) };
  if (usage.kind === 'read') {
    const other = usage.value.hours.find((hour) => (hour.memberId ?? Number(member)) !== Number(member));
    const isOther = other !== undefined;
    const wrong = resultOf('memberOther', { member, other: other?.memberId ?? '' });
    return [good('endpoint', host), isOther ? { step: 'member', ...wrong } : good('member', { member })];
  }
  if (!mayBeOfMember(usage)) return [{ step: 'endpoint', ...ofFailure(usage, serviceUrl) }];
  const without = await readUsage(subject, token, null);
  if (without.kind !== 'read' && !speaksAsService(without))
    return [{ step: 'endpoint', ...ofFailure(without, serviceUrl) }];
  return [good('endpoint', host), { step: 'member', ...resultOf('memberRefused', { member, ...host }) }];
}

function mayBeOfMember(failure: ReadFailure): boolean {
  const { kind } = failure;
  return (
    kind === 'bodyRefused' ||
    kind === 'loginRefused' ||
    (kind === 'configuration' && failure.code === 'http_403')
  );
}

/** The host accepted the token but refused the request. */
function speaksAsService(failure: ReadFailure): boolean {
  return failure.kind === 'bodyRefused' && (failure.code === 'SYNTAX' || failure.code === 'INTEGRITY');
}

/** Sending does not need the segment list; searching and checking segments does. */
function ofSegments({ member }: TestSubject, read: ReadOutcome<SegmentList>): TestStep {
  const remark = (result: string, params: TestResult['params']): TestStep => ({
    step: 'segments',
    ...resultOf(result, params, 'warning'),
  });
  if (read.kind !== 'read') return remark('segmentsFailed', { code: 'code' in read ? read.code : read.kind });
  const { segments } = read.value;
  const ofOthers = segments.filter(({ memberId }) => memberId !== null && memberId !== Number(member));
  const onlyOthers = segments.length > 0 && ofOthers.length === segments.length;
  return onlyOthers ? remark('segmentsOfOthers', { member }) : good('segments', {});
}

function ofRefusedLogin(
  { client, login, authUrl }: TestSubject,
  outcome: Exclude<AuthOutcome, { readonly kind: 'token' }>,
): TestResult {
  if (outcome.kind !== 'loginRefused' || outcome.code !== 'NOAUTH') return ofFailure(outcome, authUrl);
  if (login.method === 'password') return resultOf('wrongPassword', { host: hostOf(authUrl) });
  return clockResult(client, 'Refused', 'bad') ?? resultOf('wrongKey', { host: hostOf(authUrl) });
}

/** Null if the clock is right, or cannot be compared. */
function clockResult(
  client: ServiceClient,
  then: 'Works' | 'Refused',
  level: TestResult['level'],
): TestResult | null {
  const skewMs = client.clockSkewMs ?? 0;
  if (Math.abs(skewMs) <= toleratedSkewMs) return null;
  const minutes = Math.round(Math.abs(skewMs) / minuteMs);
  return resultOf(`clock${skewMs > 0 ? 'Ahead' : 'Behind'}${then}`, { minutes }, level);
}

type Failure = ReadFailure | Exclude<AuthOutcome, { readonly kind: 'token' }>;

/** The meaning of a failed call for the user of the form; the engine's messages are for the log. */
export function ofFailure(failure: Failure, url: string): TestResult {
  const result = failureAt(failure, hostOf(url));
  // The host may be right but the path wrong.
  return result.result === 'address' ? resultOf('address', { url }) : result;
}

function failureAt(failure: Failure, host: string): TestResult {
  switch (failure.kind) {
    case 'loginRefused':
      return resultOf(refusals[failure.code] ?? 'notAllowed', { host });
    case 'deadToken':
      return resultOf('tokenRefused', { host });
    case 'rateLimited':
      return loginLimit(failure.retryAfterMs);
    case 'configuration':
      return ofConfiguration(failure.code, failure.message, host);
    case 'retriable':
      return resultOf(troubles[failure.code] ?? 'trouble', { host, code: failure.code });
    case 'bodyRefused':
      return resultOf('address', { host });
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
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
      return resultOf('notAllowed', { host });
    case 'http_407':
      return resultOf('proxyLogin', { host });
    case 'proxy':
      return resultOf('proxy', { host });
    case 'private_key':
      return resultOf('privateKey', {});
    default:
      return resultOf('address', { host });
  }
}

/** The client's sentence names OpenSSL's code, except where the certificate is for another host. */
function ofCertificate(message: string, host: string): TestResult {
  const code = /\(([A-Z][A-Z0-9_]+)\)/.exec(message)?.[1];
  return code === undefined ? resultOf('certificateHost', { host }) : resultOf('certificate', { host, code });
}

function loginLimit(retryAfterMs: number): TestResult {
  return resultOf('loginLimit', { seconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) }, 'warning');
}

export function resultOf(
  result: string,
  params: TestResult['params'],
  level: TestResult['level'] = 'bad',
): TestResult {
  return { result, level, params };
}

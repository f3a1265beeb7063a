// Client of the service: posts, logins, segments and usage statistics over undici. Calls resolve to outcomes, never
// reject.
import { Pool, ProxyAgent, type Dispatcher } from 'undici';
import { systemClock, type Times } from '../clock';
import {
  CallGate,
  exchange,
  type ExchangeEvents,
  type ExchangeLimits,
  type ExchangeRequest,
} from './http/exchange';
import { signJwt } from './login/jwt';
import { missingInLogin, secretsOf, type Login } from './login/login';
import { CLOSED, isPeerAlert, readNetworkError, type NetworkFailure } from './http/network-errors';
import { NetworkFloor, timingConnector } from './http/network-floor';
import type { AuthOutcome, PostOutcome, ReadOutcome } from './reply/outcome';
import { readAuthReply, readPostReply, readReply, type HttpReply } from './reply/response-classifier';
import { headerValues, type ReplyHeaders } from './reply/retry-after';
import { readThrottleOf, type ReadThrottle } from './http/read-throttle';
import { parseSegmentPage, readSegments, type SegmentList, type SegmentQuery } from './segments';
import { parseUsage, usageQueryString, type UsageQuery, type UsageReport } from './usage';

/** Authentication and segments (service.md 1). */
export const DEFAULT_AUTH_URL = 'https://api.appnexus.com';
/** Audience posts and usage statistics (service.md 1). */
export const DEFAULT_SERVICE_URL = 'https://streaming-data.appnexus.com';

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_CONCURRENT = 15;
const MAX_REPLY_BYTES = 8 * 1024 * 1024;
/** See service.md 3.2 and 5. */
const DEFAULT_READS_PER_SECOND = 1000;
const DEFAULT_API_READS_PER_MINUTE = 100;

/** Options of Node's `tls.connect`. */
export interface ServiceTls {
  readonly ca?: string | Buffer | (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

/** An HTTP(S) proxy. Both https and http requests use a tunnel through it. */
export interface ServiceProxy {
  readonly uri: string;
  /** Takes precedence over a user name and password in `uri`. */
  readonly auth?: { readonly username: string; readonly password: string };
}

export interface ServiceClientOptions {
  readonly authUrl: string;
  readonly serviceUrl: string;
  /** Limit for one whole call: connection, headers and body. */
  readonly requestTimeoutMs?: number;
  /** Limit of calls in flight, of all kinds together. */
  readonly maxConcurrent?: number;
  /** Clients of one process with the same member and hosts share their read limits. */
  readonly member?: string;
  /** Limit for usage statistics. */
  readonly readsPerSecond?: number;
  /** Limit for segments; their host counts reads per minute. */
  readonly apiReadsPerMinute?: number;
  readonly tls?: ServiceTls;
  /** Proxy for `authUrl`; without one the client connects directly. The same holds for `serviceUrl`. */
  readonly authProxy?: ServiceProxy;
  readonly serviceProxy?: ServiceProxy;
  readonly clock?: Times;
}

/** A URL of the account is not usable; `message` is a sentence for the account's owner. */
export class ServiceUrlError extends Error {
  override readonly name = 'ServiceUrlError';
}

/** One host of the service. */
interface Host {
  readonly origin: string;
  readonly basePath: string;
  /** The host as error messages show it. */
  readonly label: string;
  readonly dispatcher: Dispatcher;
  /** TLS alerts about our certificate that arrived after the connection was established. */
  readonly alerts: { count: number; code: string };
}

/** @throws ServiceUrlError in the constructor, for a URL that is not usable; nothing else throws or rejects. */
export class ServiceClient {
  readonly #auth: Host;
  readonly #service: Host;
  readonly #limits: ExchangeLimits;
  readonly #gate: CallGate;
  readonly #clock: Times;
  readonly #floor = new NetworkFloor();
  readonly #segmentReads: Reads;
  readonly #usageReads: Reads;
  /** One function for each unfinished read, which ends it. */
  readonly #endReads = new Set<() => void>();
  #isClosed = false;
  #clockSkewMs: number | null = null;

  constructor(options: ServiceClientOptions) {
    const { requestTimeoutMs = DEFAULT_TIMEOUT_MS, maxConcurrent = DEFAULT_MAX_CONCURRENT } = options;
    this.#clock = options.clock ?? systemClock;
    this.#limits = { timeoutMs: requestTimeoutMs, maxReplyBytes: MAX_REPLY_BYTES };
    this.#gate = new CallGate(maxConcurrent);
    const authUrl = readHostUrl(options.authUrl, 'authentication URL');
    const serviceUrl = readHostUrl(options.serviceUrl, 'service URL');
    const connection = { tls: options.tls, connections: maxConcurrent, timeoutMs: requestTimeoutMs };
    this.#auth = hostAt(authUrl, options.authProxy, connection, () => undefined);
    this.#service = hostAt(serviceUrl, options.serviceProxy, connection, (address, connectMs) =>
      this.#floor.connected(address, connectMs, this.#clock.monoMs()),
    );
    const { member = '' } = options;
    this.#segmentReads = {
      host: this.#auth,
      gate: new CallGate(maxConcurrent),
      throttle: readThrottleOf(authUrl.href, member, 60_000),
      limit: options.apiReadsPerMinute ?? DEFAULT_API_READS_PER_MINUTE,
    };
    this.#usageReads = {
      host: this.#service,
      gate: new CallGate(maxConcurrent),
      throttle: readThrottleOf(serviceUrl.href, member, 1_000),
      limit: options.readsPerSecond ?? DEFAULT_READS_PER_SECOND,
    };
  }

  /**
   * `POST /rt-segment` (service.md 3).
   *
   * @param body JSON text, ready to send
   * @param mayLeave called right before the request is written, which may be long after this call when no connection is
   *   free or the connect is slow. False cancels the request: the outcome is `retriable` and not ambiguous.
   */
  post(body: string, token: string, mayLeave = always): Promise<PostOutcome> {
    return outcomeOf(async () => {
      const request = {
        method: 'POST',
        path: '/rt-segment',
        headers: { authorization: token, 'content-type': 'application/json' },
        body,
      } as const;
      const replied = (ms: number) => this.#floor.replied(ms, this.#clock.monoMs());
      const reply = await this.#call(this.#service, request, [token], { mayLeave, replied });
      return isFailure(reply) ? reply : readPostReply(reply, this.#clock.wallMs());
    });
  }

  /** Logs in (service.md 2). For a login with an empty field or an unreadable key, nothing is sent. */
  async authenticate(login: Login): Promise<AuthOutcome> {
    const outcome = await outcomeOf(() => this.#authenticate(login));
    if (outcome.kind !== 'bodyRefused') return outcome;
    const { message } = outcome;
    return { kind: 'configuration', code: 'login_incomplete', message };
  }

  async #authenticate(login: Login): Promise<AuthOutcome> {
    const message = missingInLogin(login);
    if (message !== null) return { kind: 'configuration', code: 'login_incomplete', message };
    const request = authRequest(login, this.#clock.wallMs());
    if ('kind' in request) return request;
    // A signed JWT has no expiry: whoever holds it can log in as long as the key is registered.
    const secrets = login.method === 'jwt' ? [...secretsOf(login), request.body ?? ''] : secretsOf(login);
    const reply = await this.#call(this.#auth, request, secrets);
    return isFailure(reply) ? reply : readAuthReply(reply, this.#clock.wallMs());
  }

  /** All segments that match the query, read page by page (service.md 5). */
  segments(query: SegmentQuery, token: string): Promise<ReadOutcome<SegmentList>> {
    return outcomeOf(() =>
      readSegments(query, (queryString) =>
        this.#read(this.#segmentReads, `/segment${queryString}`, token, parseSegmentPage),
      ),
    );
  }

  /** Usage statistics (service.md 4), which may lag the posts by hours. */
  usage(query: UsageQuery, token: string): Promise<ReadOutcome<UsageReport>> {
    return outcomeOf(() =>
      this.#read(this.#usageReads, `/rt-segment-processed${usageQueryString(query)}`, token, parseUsage),
    );
  }

  /** How much earlier than 1 s after a reply the rate limiter may free quota, in ms (promise 3); 0 through a proxy. */
  networkFloorMs(nowMs: number): number {
    return this.#floor.floorMs(nowMs);
  }

  /**
   * How far this machine's clock is ahead of the service's (negative: behind), from the `Date` header of the last
   * reply, which has a resolution of one second; null without such a header. The service refuses a JWT when the clock
   * is far off.
   */
  get clockSkewMs(): number | null {
    return this.#clockSkewMs;
  }

  /** Ends all calls in flight, with `retriable` outcomes, and closes every connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const end of [...this.#endReads]) end();
    await Promise.all([this.#auth.dispatcher.destroy(), this.#service.dispatcher.destroy()]);
  }

  #read<T>(
    { host, gate, throttle, limit }: Reads,
    path: string,
    token: string,
    parse: (json: unknown) => T | null,
  ): Promise<ReadOutcome<T>> {
    const request = { method: 'GET', path, headers: { authorization: token }, body: null } as const;
    const closed = (): ReadOutcome<T> => readNetworkError({ code: CLOSED }, 'connecting', host.label);
    const read = async (): Promise<ReadOutcome<T>> => {
      if (this.#isClosed) return closed();
      const reply = await this.#call(host, request, [token]);
      return isFailure(reply) ? reply : readReply(reply, parse, this.#clock.wallMs());
    };
    return new Promise((resolve, reject) => {
      // The throttle may hold the read for a minute, so `close` has to end it here.
      const end = (): void => resolve(closed());
      this.#endReads.add(end);
      void gate
        .run(() => (this.#isClosed ? Promise.resolve(closed()) : throttle.run(limit, read)))
        .then(resolve, reject)
        .finally(() => this.#endReads.delete(end));
    });
  }

  #call(
    host: Host,
    request: Omit<ExchangeRequest, 'origin'>,
    secrets: readonly string[],
    events: ExchangeEvents = { mayLeave: always, replied: () => undefined },
  ): Promise<HttpReply | NetworkFailure> {
    // A caller in JavaScript may omit the token, and undici drops an undefined header without an error.
    if (secrets.some((secret: unknown) => typeof secret !== 'string'))
      throw new TypeError('a secret is missing');
    return this.#gate.run(async () => {
      const path = host.basePath + request.path;
      // Without `accept-encoding` a server may choose any encoding, and the client decodes none.
      const headers = { ...request.headers, accept: 'application/json', 'accept-encoding': 'identity' };
      const whole = { ...request, origin: host.origin, path, headers };
      const alertsBefore = host.alerts.count;
      const result = await exchange(host.dispatcher, whole, this.#limits, events);
      if (result.kind === 'reply') {
        this.#noteClock(result.headers);
        return { ...result, url: `${host.origin}${path.split('?')[0]!}`, secrets };
      }
      const error = host.alerts.count > alertsBefore ? { code: host.alerts.code } : result.error;
      return readNetworkError(error, result.phase, host.label);
    });
  }

  #noteClock(headers: ReplyHeaders): void {
    const serviceMs = Date.parse(headerValues(headers, 'date')[0] ?? '');
    if (Number.isFinite(serviceMs)) this.#clockSkewMs = this.#clock.wallMs() - serviceMs;
  }
}

/** Turns an exception, such as the one for an invalid time in a query, into an outcome. */
async function outcomeOf<T>(call: () => Promise<T>): Promise<T | typeof wrongCall> {
  try {
    return await call();
  } catch {
    return wrongCall;
  }
}

/** The text of the exception is left out: it may contain a secret. */
const wrongCall = {
  kind: 'bodyRefused',
  code: 'wrong_call',
  message: 'Nothing was sent: an argument of the call is missing or has a wrong type.',
} as const;

const always = (): boolean => true;

/** Host and limits of one kind of read. */
interface Reads {
  readonly host: Host;
  /** Passed before the throttle, so that a read which the throttle lets through never queues for a connection. */
  readonly gate: CallGate;
  readonly throttle: ReadThrottle;
  readonly limit: number;
}

type OnConnect = (address: string, connectMs: number) => void;

function isFailure(reply: HttpReply | NetworkFailure): reply is NetworkFailure {
  return 'code' in reply;
}

type AuthRequest = Omit<ExchangeRequest, 'origin'>;

function authRequest(
  login: Login,
  wallMs: number,
): AuthRequest | Extract<AuthOutcome, { kind: 'configuration' }> {
  if (login.method === 'password') {
    const { username, password } = login;
    return {
      method: 'POST',
      path: '/auth',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { username, password } }),
    };
  }
  const signed = signJwt(login, wallMs);
  if (signed.kind === 'badKey')
    return { kind: 'configuration', code: 'private_key', message: signed.message };
  return {
    method: 'POST',
    path: '/v2/auth/jwt',
    headers: { 'content-type': 'text/plain' },
    body: signed.jwt,
  };
}

/** Settings of all connections to a host. */
interface Connection {
  readonly tls: ServiceTls | undefined;
  readonly connections: number;
  readonly timeoutMs: number;
}

function hostAt(
  url: URL,
  proxy: ServiceProxy | undefined,
  connection: Connection,
  onConnect: OnConnect,
): Host {
  const host = { origin: url.origin, basePath: url.pathname.replace(/(?<!\/)\/+$/, '') };
  const alerts = { count: 0, code: '' };
  if (proxy !== undefined) {
    const proxyUrl = readHttpUrl(proxy.uri, 'proxy URL', proxyPlace);
    const dispatcher = proxyAgent(proxyUrl, proxy.auth ?? authIn(proxyUrl), connection);
    return { ...host, alerts, label: `${url.host} (through the proxy ${proxyUrl.host})`, dispatcher };
  }
  const { tls, connections, timeoutMs: timeout } = connection;
  const connect = timingConnector({ ...tls, timeout }, onConnect, (code) => {
    if (isPeerAlert(code)) Object.assign(alerts, { count: alerts.count + 1, code });
  });
  const dispatcher = new Pool(url.origin, { connections, pipelining: 1, connect });
  return { ...host, alerts, label: url.host, dispatcher };
}

function proxyAgent(
  proxyUrl: URL,
  auth: ServiceProxy['auth'] | null,
  { tls, connections, timeoutMs: timeout }: Connection,
): Dispatcher {
  const basic = auth ? `${auth.username}:${auth.password}` : null;
  return new ProxyAgent({
    uri: proxyUrl.origin,
    ...(basic === null ? {} : { token: `Basic ${Buffer.from(basic).toString('base64')}` }),
    connections,
    pipelining: 1,
    requestTls: { ...tls, timeout },
    proxyTls: { timeout },
    // Without this timeout a proxy that never answers CONNECT would hold the connection for undici's default, five
    // minutes.
    clientFactory: (url, options) => new Pool(url, { ...options, headersTimeout: timeout }),
  });
}

/** User name and password in the URL of a proxy, or null. */
function authIn({ username, password }: URL): ServiceProxy['auth'] | null {
  if (username === '' && password === '') return null;
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    throw new ServiceUrlError(
      `The username or password in the proxy URL cannot be read: write % as %25. Correct it in ${proxyPlace}.`,
    );
  }
}

const proxyPlace = 'the http proxy node, or in the environment variable that names the proxy';

function readHttpUrl(text: string, what: string, where: string): URL {
  const url = URL.parse(text.trim());
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new ServiceUrlError(
    `The ${what} is not a URL that starts with https:// or http://. Correct it in ${where}.`,
  );
}

function readHostUrl(text: string, what: string): URL {
  const url = readHttpUrl(text, what, 'the account node');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ServiceUrlError(
      `The ${what} may contain only host, port and path. Enter usernames and passwords as the account's login.`,
    );
  }
  return url;
}

// Sandbox: a simulation of the Instant Audience Service on a loopback port, for trials and tests without an account.
import { inspect } from 'node:util';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Auth } from './auth';
import { Catalogue, newSample, sampleSegments, unknownSamples, type Segment } from './catalogue';
import { systemClock, type Timers } from '../clock';
import { Faults, type Fault } from './faults';
import { HttpFront } from './http';
import { Memberships, type Membership } from './memberships';
import { OperationLog, type Operation } from './operations';
import { documentedLimits, Quota, type Limits, type Peaks } from './quota';
import { Service, type MembersQuery, type SegmentMembers } from './service';
import { Usage } from './usage';
import type { RateLimitStyle } from './wire';

export type { Segment } from './catalogue';
export type { Timers as SandboxClock } from '../clock';
export type { Fault, Faults, FaultState } from './faults';
export type { Membership } from './memberships';
export type { Operation } from './operations';
export { documentedLimits, type Limits, type Peaks } from './quota';
export type { MembersQuery, SegmentMembers } from './service';

const loopback = '127.0.0.1';
/** Time for calls in flight to end when the sandbox closes. */
const closeGraceMs = 500;

export interface SandboxOptions {
  /** Port to listen on; 0 or absent selects a free one. */
  readonly port?: number;
  /** The member of this service; 1 by default. Posts may name segments of any member. */
  readonly member?: number;
  /** Passwords by user name; without it, any non-empty name and password are accepted. */
  readonly users?: Readonly<Record<string, string>>;
  /** RSA public keys (PEM) by name, for signed tokens; without it, any well-formed RS256 token is accepted. */
  readonly keys?: Readonly<Record<string, string>>;
  /** Limit of successful authentications of one login in five minutes; 10 by default, Infinity disables it. */
  readonly authLimit?: number;
  /** Limits that differ from the documented ones; Infinity disables one. */
  readonly limits?: Partial<Limits>;
  /** Form of the refusal of calls over quota; 429 with `Retry-After` 1 and 2 by default. */
  readonly rateLimit?: Partial<RateLimitStyle>;
  readonly faults?: readonly Fault[];
  /** Seed of the random numbers for faults; 1 by default. */
  readonly seed?: number;
  /** Segments listed at the start; samples by default. */
  readonly segments?: readonly Segment[];
  /** False accepts only listed segments, as the real service does; the usage statistics count the others. */
  readonly acceptUnlistedSegments?: boolean;
  /** Delay until the usage statistics count a post; 0 by default. Memberships change at once. */
  readonly processingDelayMs?: number;
  /** How long a segment made with `POST /segment` accepts no users; 20 by default. */
  readonly warmUpMinutes?: number;
  /** Expiration where neither block nor segment has one; 43,200 (30 days) by default, 0 never expires. */
  readonly defaultExpirationMinutes?: number;
  /** The `state()` of an earlier sandbox, to continue with. */
  readonly memberships?: Iterable<Membership>;
  /** The `made()` of an earlier sandbox, to continue with. */
  readonly made?: Iterable<Segment>;
  /** Number of the last operations that `operations()` returns; 100,000 by default. */
  readonly operationLimit?: number;
  readonly clock?: Timers;
}

/** Settings that may change while a sandbox runs. */
export interface SandboxSettings {
  readonly limits: Limits;
  readonly warmUpMinutes: number;
  readonly defaultExpirationMinutes: number;
}

export const defaultSettings: SandboxSettings = {
  limits: documentedLimits,
  warmUpMinutes: 20,
  defaultExpirationMinutes: 43_200,
};

export interface Sandbox {
  /** URL of both authentication and service, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  readonly faults: Faults;
  /** All memberships that have not expired, sorted by segment, domain and user id. */
  state(): Membership[];
  members(query?: MembersQuery): SegmentMembers[];
  /** The segments made with `POST /segment`. */
  made(): Segment[];
  peaks(): Peaks;
  /** The last applied operations, in the order in which they took effect. */
  operations(): Operation[];
  /** Sets the delay until the usage statistics count a post, for posts from now on. */
  setProcessingDelay(delayMs: number): void;
  /** Changes the settings for calls from now on. */
  set(settings: SandboxSettings): void;
  /** Deletes memberships, operations, statistics and peaks; tokens and faults stay. */
  reset(): void;
  /** Lets calls in flight end, then closes all connections, within a second. The state can still be read. */
  close(): Promise<void>;
}

/** Starts a sandbox. Rejects with a sentence for an invalid option or key, or a port in use. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  checkNumbers(options);
  const clock = options.clock ?? systemClock;
  const service = serviceOf(options, clock);
  const { quota, faults, target } = service.parts;
  const front = new HttpFront(service);
  const server = createServer((request, response) => front.handle(request, response));
  const port = await listen(server, options.port ?? 0);
  let closing: Promise<void> | undefined;
  return {
    url: `http://${loopback}:${port}`,
    port,
    faults,
    state: () => [...target.memberships.all(clock.wallMs())],
    members: (query = {}) => service.members(query),
    made: () => target.catalogue.made,
    peaks: () => service.peaks(),
    operations: () => target.operations.list(),
    setProcessingDelay: (delayMs) => {
      target.usage.delayMs = delayMs;
    },
    set: ({ limits, warmUpMinutes, defaultExpirationMinutes }) => {
      quota.limits = limits;
      target.catalogue.warmUpMinutes = warmUpMinutes;
      target.defaultExpirationMinutes = defaultExpirationMinutes;
    },
    reset: () => service.reset(),
    close: () => (closing ??= close(server, front)),
  };
}

const numberOptions = [
  'port',
  'member',
  'authLimit',
  'seed',
  'processingDelayMs',
  'warmUpMinutes',
  'defaultExpirationMinutes',
  'operationLimit',
] as const;

/** Checks options of callers without types: Node.js treats a port that is text as the path of a socket. */
function checkNumbers(options: SandboxOptions): void {
  for (const name of numberOptions) {
    const value: unknown = options[name];
    if (value === undefined || (typeof value === 'number' && value >= 0)) continue;
    throw new Error(`${name} must be a number of at least 0, not ${inspect(value)}`);
  }
  const { port = 0 } = options;
  if (!Number.isInteger(port) || port > 65_535)
    throw new Error(`port must be a whole number from 0 to 65535, not ${port}`);
}

function serviceOf(options: SandboxOptions, clock: Timers): Service {
  const { users, keys, authLimit = 10, member = 1 } = options;
  const auth = new Auth({ clock, member, users, keys, authLimit });
  const faults = new Faults(() => auth.killTokens(), options.seed ?? 1);
  faults.set(options.faults ?? []);
  const quota = new Quota({ ...documentedLimits, ...options.limits }, clock);
  const target = {
    catalogue: catalogueOf(options, member, clock.wallMs()),
    memberships: new Memberships(),
    operations: new OperationLog(options.operationLimit ?? 100_000),
    usage: new Usage(options.processingDelayMs ?? 0),
    quota,
    defaultExpirationMinutes: options.defaultExpirationMinutes ?? defaultSettings.defaultExpirationMinutes,
  };
  target.memberships.restore(options.memberships ?? [], clock.wallMs());
  const rateLimit: RateLimitStyle = { form: '429', retryAfterSeconds: [1, 2], ...options.rateLimit };
  return new Service({ clock, quota, auth, faults, target, rateLimit });
}

function catalogueOf(options: SandboxOptions, member: number, nowWallMs: number): Catalogue {
  const { segments, made = [], acceptUnlistedSegments = true } = options;
  const catalogue = new Catalogue(segments ?? sampleSegments(member), {
    member,
    acceptUnlisted: acceptUnlistedSegments,
    unknown: segments === undefined ? unknownSamples : [],
    warmUpMinutes: options.warmUpMinutes ?? defaultSettings.warmUpMinutes,
  });
  if (segments === undefined) catalogue.make(newSample(member, nowWallMs));
  for (const one of made) catalogue.make(one);
  return catalogue;
}

async function close(server: Server, front: HttpFront): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Sockets follow real time, whatever the sandbox's clock.
  const grace = setTimeout(() => {
    front.stop();
    server.closeAllConnections();
  }, closeGraceMs);
  await closed;
  clearTimeout(grace);
  front.stop();
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, port)));
    server.listen(port, loopback, () => resolve());
  });
  return (server.address() as AddressInfo).port;
}

function explain(error: NodeJS.ErrnoException, port: number): Error {
  const where = `Port ${port} of ${loopback}`;
  if (error.code === 'EADDRINUSE') {
    return new Error(`${where} is in use by another program; choose another port, or 0 for a free one`, {
      cause: error,
    });
  }
  if (error.code === 'EACCES') {
    return new Error(`${where} may not be used by this user; choose one above 1023`, { cause: error });
  }
  return new Error(`${where} cannot be used: ${error.message}`, { cause: error });
}

// Sandbox: a simulation of the Instant Audience Service on a loopback port, for trials and tests without an account.
import { inspect } from 'node:util';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Admin, type Inspected, type MembersQuery, type SegmentMembers } from './admin';
import { Auth } from './auth';
import {
  Catalogue,
  newSample,
  sampleSegments,
  unknownSamples,
  type Segment,
  type SegmentKey,
} from './catalogue';
import { systemClock, type Timers } from '../clock';
import { Faults, type Fault } from './faults';
import { HttpFront } from './http';
import { Memberships, type Membership } from './memberships';
import { OperationLog, type Operation } from './operations';
import { documentedLimits, Quota, type Limits, type Peaks } from './quota';
import type { RateLimitStyle } from './reply';
import { Service } from './service';
import { Usage } from './usage';

export type { MembersQuery, SegmentMembers } from './admin';
export type { Segment } from './catalogue';
export type { Timers as SandboxClock } from '../clock';
export type { Fault, Faults, FaultState } from './faults';
export type { Membership } from './memberships';
export type { Operation } from './operations';
export { documentedLimits, type Limits, type Peaks } from './quota';

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
  const running = new Running(options);
  const port = await listen(running.server, options.port ?? 0);
  return running.at(port);
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

/** The parts of one running sandbox. */
class Running implements Inspected {
  readonly server: Server;
  readonly faults: Faults;
  readonly #clock: Timers;
  readonly #service: Service;
  readonly #front: HttpFront;
  #closing: Promise<void> | undefined;

  constructor(options: SandboxOptions) {
    const clock = (this.#clock = options.clock ?? systemClock);
    const member = options.member ?? 1;
    const { users, keys, authLimit = 10 } = options;
    const auth = new Auth({ clock, member, users, keys, authLimit });
    this.faults = new Faults(() => auth.killTokens(), options.seed ?? 1);
    this.faults.set(options.faults ?? []);
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
    this.#service = new Service({ clock, quota, auth, faults: this.faults, target, rateLimit });
    this.#front = new HttpFront(this.#service, new Admin(this));
    this.server = createServer((request, response) => this.#front.handle(request, response));
  }

  at(port: number): Sandbox {
    return {
      url: `http://${loopback}:${port}`,
      port,
      faults: this.faults,
      state: () => [...this.memberships()],
      members: (query = {}) => this.members(query),
      made: () => this.#service.parts.target.catalogue.made,
      peaks: () => this.peaks(),
      operations: () => this.#service.parts.target.operations.list(),
      setProcessingDelay: (delayMs) => {
        this.processingDelayMs = delayMs;
      },
      set: (settings) => this.#set(settings),
      reset: () => this.reset(),
      close: () => (this.#closing ??= this.#close()),
    };
  }

  #set({ limits, warmUpMinutes, defaultExpirationMinutes }: SandboxSettings): void {
    const { quota, target } = this.#service.parts;
    quota.limits = limits;
    target.catalogue.warmUpMinutes = warmUpMinutes;
    target.defaultExpirationMinutes = defaultExpirationMinutes;
  }

  memberships(): Iterable<Membership> {
    return this.#service.parts.target.memberships.all(this.#clock.wallMs());
  }

  members(query: MembersQuery): SegmentMembers[] {
    const { catalogue, memberships } = this.#service.parts.target;
    const nowWallMs = this.#clock.wallMs();
    const wanted = query.segment === undefined ? null : catalogue.keyOfText(query.segment);
    return memberships
      .counts(nowWallMs)
      .filter(({ segment }) => wanted === null || segment === wanted)
      .map(({ segment, count }) => {
        const listed = catalogue.listed(segment);
        const shown = this.#shownMembers(segment, query, nowWallMs);
        return {
          segment: String(segment),
          code: listed?.code ?? null,
          name: listed?.short_name ?? null,
          count,
          ...(shown === null ? {} : { members: shown }),
        };
      })
      .filter(({ members }) => query.user === undefined || (members ?? []).length > 0);
  }

  peaks(): Peaks {
    const { quota, auth } = this.#service.parts;
    return quota.peaks(auth.counts());
  }

  get processingDelayMs(): number {
    return this.#service.parts.target.usage.delayMs;
  }

  set processingDelayMs(delayMs: number) {
    this.#service.parts.target.usage.delayMs = delayMs;
  }

  reset(): void {
    const { quota, auth, target } = this.#service.parts;
    target.memberships.clear();
    target.operations.clear();
    target.usage.clear();
    quota.reset();
    auth.reset();
  }

  #shownMembers(segment: SegmentKey, query: MembersQuery, nowWallMs: number): Membership[] | null {
    const { memberships } = this.#service.parts.target;
    if (query.user !== undefined) return [...memberships.membershipsOf(segment, query.user, nowWallMs)];
    if (query.segment === undefined) return null;
    return memberships.firstMembers(segment, query.limit ?? 1000, nowWallMs);
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // Sockets follow real time, whatever the sandbox's clock.
    const grace = setTimeout(() => {
      this.#front.stop();
      this.server.closeAllConnections();
    }, closeGraceMs);
    await closed;
    clearTimeout(grace);
    this.#front.stop();
  }
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

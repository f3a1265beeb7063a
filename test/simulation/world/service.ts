// One member's service: the sandbox's logic without sockets, behind a faulty network.
//
// A request that was sent may be carried out late, twice or never. Its reply reaches the process through the
// process's own time: late when it is asleep, never when it is dead.
import { Auth } from '../../../src/sandbox/auth';
import { Catalogue } from '../../../src/sandbox/catalogue';
import { Faults } from '../../../src/sandbox/faults';
import { Memberships } from '../../../src/sandbox/memberships';
import { OperationLog } from '../../../src/sandbox/operations';
import { documentedLimits, Quota } from '../../../src/sandbox/quota';
import { errorReply, type Reply } from '../../../src/sandbox/wire';
import { readPost } from '../../../src/sandbox/segments-post';
import { Service, type Call } from '../../../src/sandbox/service';
import { Usage } from '../../../src/sandbox/usage';
import { readAuthReply, readPostReply, type HttpReply } from '../../../src/service/reply/response-classifier';
import type { AuthOutcome, PostOutcome } from '../../../src/service/reply/outcome';
import type { Dice } from './dice';
import type { History, RequestRecord, SentUser } from './history';
import { poisoned, segments, invalidUser } from './make-plan';
import { fates, type Fate, type Limits, type Path } from './plan';
import { epochMs, type ProcessTime } from './process-time';
import type { WorldTime } from './virtual-time';

/** The client's timeout of a request. */
const timeoutMs = 10_000;
/** A request with a lost reply may run this long after the client's timeout (promise 2). */
const mostLateMs = 20_000;

export interface Weather {
  rates: Partial<Record<Fate, number>>;
}

/** The process that a call comes from. */
export interface Caller {
  readonly instance: number;
  readonly life: number;
  readonly time: ProcessTime;
  /** Whether the database counts it as the member's sender; null without shared queues. */
  readonly leaseOk: (member: number) => boolean | null;
  readonly sleptMs: () => number;
  /** Whether an account uses the member's queue, or did until a moment ago. */
  readonly isHeld: () => boolean;
  /** Whether its queue outlives it. */
  readonly durable: boolean;
  readonly queue: string;
  /** Identifies an unbroken sender: a process, and within it the time in which it was the sender. */
  readonly term: () => string;
  /** Dies at this call if the plan says so; returns true then. */
  readonly diesAt: (port: 'network', when: 'before' | 'after') => boolean;
}

type Answer = { readonly reply: Reply } | { readonly lost: string };

export class SimService {
  /** `away`: no connection; `silent`: no reply; `refusesBodies`: refuses every body. */
  state: 'well' | 'away' | 'silent' | 'refusesBodies' = 'well';
  readonly refusedLogins = new Set<string>();
  readonly memberships = new Memberships();
  readonly #auth: Auth;
  readonly #service: Service;
  #logins = 0;

  constructor(
    protected readonly world: WorldTime,
    protected readonly history: History,
    private readonly dice: Dice,
    private readonly weather: Weather,
    readonly member: number,
    limits: Limits,
    private readonly path: Path,
  ) {
    const clock = {
      monoMs: () => world.nowMs,
      wallMs: () => epochMs + world.nowMs,
      after: (delayMs: number, call: () => void) => world.after(delayMs, call),
    };
    const common = {
      state: 'active',
      member_id: 1,
      expire_minutes: 43_200,
      last_modified: '2020-01-01 00:00:00',
    } as const;
    const listed = segments.map(({ id, code }) => ({ ...common, id, code, short_name: code }));
    // The checks find requests over the quota, so the service accepts them.
    const quota = new Quota({ ...documentedLimits, ...unlimited(limits) }, clock);
    const auth = (this.#auth = new Auth({
      clock,
      member: 1,
      users: undefined,
      keys: undefined,
      authLimit: Infinity,
    }));
    this.#service = new Service({
      clock,
      quota,
      auth,
      faults: new Faults(() => undefined, 1),
      target: {
        catalogue: new Catalogue(listed, {
          member: 1,
          acceptUnlisted: true,
          unknown: [],
          warmUpMinutes: 20,
        }),
        memberships: this.memberships,
        operations: new OperationLog(0),
        usage: new Usage(0),
        quota,
        defaultExpirationMinutes: 43_200,
      },
      rateLimit: { form: '429', retryAfterSeconds: [1, 3] },
    });
  }

  protected wayMs(_way: 'there' | 'back'): number {
    const { latencyMs, jitterMs, fasterPath } = this.path;
    const isFaster = fasterPath !== undefined && Math.floor(this.world.nowMs / fasterPath.everyMs) % 2 === 1;
    return latencyMs * (isFaster ? fasterPath.share : 1) + this.dice.next() * jitterMs;
  }

  /** What a client may deduct for the network, measured while the path was slow. */
  get floorMs(): number {
    return 0.4 * 2 * this.path.latencyMs;
  }

  killTokens(): void {
    this.#auth.killTokens();
  }

  // ── Posts ───────────────────────────────────────────────────────────────────────────────────────────────────

  post(body: string, token: string, caller: Caller): Promise<PostOutcome> {
    const users = usersOf(body);
    const fate = this.fateOf(users, caller);
    const record = this.record(body, users, caller, fate);
    if (!caller.time.alive || caller.diesAt('network', 'before')) return never();
    if (!caller.isHeld())
      this.history.complain(
        `#${record.number} leaves i${caller.instance} though no account holds the queue of member ${this.member}`,
      );
    this.history.requests.push(record);
    this.history.tell(
      `i${caller.instance} posts #${record.number} to member ${this.member}: ${brief(record.users)}`,
    );
    const call = callOf('post', 'rt-segment', body, token);
    const act = (refusal?: Reply): Reply => {
      // After a crash requests of a queue in memory are unknown, so none is carried out.
      if (!caller.durable && !caller.time.alive) {
        return errorReply(500, 'SYSTEM', 'gone');
      }
      return this.act(record, call, refusal);
    };
    if (caller.diesAt('network', 'after')) {
      // The request was sent anyway.
      this.world.after(this.dice.next() * mostLateMs, () => void act());
      return never();
    }
    return this.carry(caller, fate, record, act).then((answer) => {
      const outcome =
        'lost' in answer
          ? lostOutcome(answer.lost)
          : readPostReply(asHttp(answer.reply), caller.time.wallMs());
      record.settledMs = this.world.nowMs;
      record.answer =
        outcome.kind === 'retriable' ? `passing ${outcome.ambiguous ? 'ambiguous' : ''}` : outcome.kind;
      if (outcome.kind === 'rateLimited') record.retryAfterMs = outcome.retryAfterMs;
      this.history.tell(`i${caller.instance} hears of #${record.number}: ${record.answer}`);
      return outcome;
    });
  }

  private record(
    body: string,
    users: readonly SentUser[],
    { instance, life, durable, term, leaseOk, sleptMs }: Caller,
    fate: string,
  ): RequestRecord {
    return {
      number: this.history.requests.length,
      member: this.member,
      instance,
      life,
      durable,
      term: term(),
      sentMs: this.world.nowMs,
      fate,
      bytes: Buffer.byteLength(body),
      users,
      actedMs: [],
      doneMs: Infinity,
      applied: false,
      invalid: [],
      settledMs: Infinity,
      answer: null,
      retryAfterMs: 0,
      leaseOk: leaseOk(this.member),
      sleptMs: sleptMs(),
    };
  }

  private act(record: RequestRecord, call: Call, refusal?: Reply): Reply {
    record.actedMs.push(this.world.nowMs);
    record.doneMs = this.world.nowMs;
    const refused = refusal ?? this.refusal(record);
    const reply = this.#service.act(call, refused);
    if (reply.status === 200 && refused === undefined) this.applied(record);
    this.history.tell(
      `service ${this.member} acts on #${record.number}${record.applied ? '' : ` (${reply.status})`}`,
    );
    return this.said(record, reply);
  }

  protected applied(record: RequestRecord): void {
    record.applied = true;
  }

  /** The reply for a request. */
  protected said({ users, invalid }: RequestRecord, reply: Reply): Reply {
    const its = users.filter(({ user }) => user === invalidUser);
    if (its.length === 0 || reply.status !== 200) return reply;
    invalid.push(...its);
    const warnings = its.map(({ user, blocks }) => ({
      message: `No valid segments for user_id: ${user}.`,
      entity: { user_id: user, seg_block: blocks },
    }));
    return { ...reply, body: JSON.stringify({ response: { status: 'OK', warnings } }) };
  }

  protected refusal({ users }: RequestRecord): Reply | undefined {
    if (this.state === 'refusesBodies' || users.some(isPoisoned))
      return errorReply(400, 'SYNTAX', 'something in it is wrong');
    return undefined;
  }

  /** `users`: of a post; null for a login. */
  protected fateOf(_users: readonly SentUser[] | null, _caller: Caller): Fate | 'well' {
    if (this.state === 'away') return 'noConnection';
    if (this.state === 'silent') return this.dice.pick(['dropped', 'replyLost', 'late']);
    let draw = this.dice.next();
    for (const fate of fates) {
      draw -= this.weather.rates[fate] ?? 0;
      if (draw < 0) return fate;
    }
    return 'well';
  }

  /** How long after the last timeout a late request runs. */
  protected lateMs(): number {
    return this.dice.next() * (mostLateMs - 1);
  }

  /** Carries a request to the service and its reply back. */
  private carry(
    caller: Caller,
    fate: Fate | 'well',
    record: RequestRecord | null,
    act: (refusal?: Reply) => Reply,
  ): Promise<Answer> {
    const { world, dice } = this;
    if (fate !== 'well') this.history.fault(`request ${fate}`);
    return new Promise((resolve) => {
      let settled = false;
      const answer = (given: Answer): void => {
        if (settled) return;
        settled = true;
        cancel();
        resolve(given);
      };
      const cancel = caller.time.after(timeoutMs, () => answer({ lost: 'timed_out' }));
      const back = (given: Answer): void => {
        world.after(this.wayMs('back'), () => caller.time.run(() => answer(given)));
      };
      const there = (call: () => void): void => void world.after(this.wayMs('there'), call);
      // Late counts from the end of every wait: from the timeout, or the end of the process.
      const late = (call: () => void): void => {
        const lateMs = this.lateMs();
        const discarded = world.after(timeoutMs, () => {
          forget();
          world.after(lateMs, call);
        });
        const forget = caller.time.whenDead(() => {
          discarded();
          world.after(lateMs, call);
        });
      };
      const gone = (): void => {
        if (record !== null) record.doneMs = world.nowMs;
      };
      switch (fate) {
        case 'noConnection':
          gone();
          back({ lost: 'no_connection' });
          return;
        case 'dropped':
          gone();
          return;
        case 'replyLost':
          there(() => act());
          return;
        case 'late':
          late(() => act());
          return;
        case 'twice':
          there(() => act());
          late(() => act());
          return;
        case 'reset':
          there(() => {
            if (dice.chance(0.5)) act();
            else gone();
            back({ lost: 'reset' });
          });
          return;
        case 'garbage':
        case 'badGateway':
          there(() => {
            act();
            back({ reply: { status: fate === 'garbage' ? 200 : 502, body: '<html>gateway</html>' } });
          });
          return;
        default:
          there(() => back({ reply: act(this.refusalOf(fate)) }));
      }
    });
  }

  private refusalOf(
    fate: 'well' | 'rateLimited' | 'serverError' | 'forbidden' | 'deadToken',
  ): Reply | undefined {
    switch (fate) {
      case 'well':
        return undefined;
      case 'rateLimited': {
        const seconds = this.dice.between(1, 4);
        const headers = { 'retry-after': [String(seconds), '1'] };
        return {
          status: 429,
          headers,
          body: '{"response":{"error_code":"RATE_EXCEEDED","error":"slow down"}}',
        };
      }
      case 'serverError':
        return errorReply(500, 'SYSTEM', 'inner error');
      case 'forbidden':
        return { status: 403, body: 'forbidden' };
      case 'deadToken':
        this.#auth.killTokens();
        return errorReply(401, 'NOAUTH', 'not logged in');
    }
  }

  // ── Logins ──────────────────────────────────────────────────────────────────────────────────────────────────

  authenticate(username: string, caller: Caller): Promise<AuthOutcome> {
    const number = ++this.#logins;
    this.history.tell(`i${caller.instance} logs in as ${username} (${number}) at member ${this.member}`);
    const body = JSON.stringify({ auth: { username, password: 'secret' } });
    const call = callOf('auth', 'auth', body, undefined);
    const act = (refusal?: Reply): Reply => {
      const refused = this.refusedLogins.has(username)
        ? errorReply(200, 'NOAUTH', 'No match found for user/pass')
        : refusal;
      if (refused !== undefined) return refused;
      const { instance, life, durable, queue } = caller;
      this.history.logins.push({ username, atMs: this.world.nowMs, instance, life, durable, queue });
      return this.#service.act(call);
    };
    if (caller.diesAt('network', 'before')) return never();
    // Only calls with a token detect that it has expired; and a login that the network repeats is not the
    // client's.
    const drawn = this.fateOf(null, caller);
    const fate = drawn === 'deadToken' ? 'well' : drawn === 'twice' ? 'late' : drawn;
    return this.carry(caller, fate, null, act).then((answer) =>
      'lost' in answer ? lostOutcome(answer.lost) : readAuthReply(asHttp(answer.reply), caller.time.wallMs()),
    );
  }
}

/** So high that only the limits of one request refuse anything. */
function unlimited(_limits: Limits) {
  return { postsPerSecond: Infinity, usersPerSecond: Infinity, concurrent: Infinity } as const;
}

function isPoisoned({ user, blocks }: SentUser): boolean {
  return user === poisoned || blocks.some(({ seg_code: code }) => code === poisoned);
}

function callOf(route: 'post' | 'auth', resource: string, body: string, token: string | undefined): Call {
  return {
    method: 'POST',
    route,
    resource,
    token,
    contentType: 'application/json',
    query: new URLSearchParams(),
    body,
    bodyBytes: Buffer.byteLength(body),
    post: route === 'post' ? readPost(body) : undefined,
  };
}

function usersOf(body: string): SentUser[] {
  const { rt_segment: entries } = JSON.parse(body) as {
    rt_segment: { user_id: string; domain?: string; seg_block: SentUser['blocks'] }[];
  };
  return entries.map(({ user_id: user, domain, seg_block: blocks }) => ({
    user,
    domain: domain ?? null,
    blocks,
  }));
}

function asHttp({ status, headers, body }: Reply): HttpReply {
  return { status, headers: headers ?? {}, body };
}

function lostOutcome(code: string) {
  return { kind: 'retriable', ambiguous: code !== 'no_connection', code, message: code } as const;
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

function brief(users: readonly SentUser[]): string {
  const shown = users.slice(0, 3).map(({ user, blocks }) => {
    const its = blocks.map(
      ({ seg_id, seg_code, value, expiration }) =>
        `${seg_id ?? seg_code}${expiration === -1 ? '-' : '+'}v${value}`,
    );
    return `${user.slice(0, 8)} ${its.slice(0, 4).join(' ')}`;
  });
  return users.length > 3 ? `${shown.join(', ')}, and ${users.length - 3} more` : shown.join(', ');
}

// A service that misbehaves on purpose, on the tests' clock. It records what it did and when, and holds the state
// that a real one would hold.
import type { Clock } from '../../../src/delivery/clock';
import { documentedRequestLimits, type RequestLimits } from '../../../src/delivery/request-limits';
import type { AuthOutcome, PostOutcome, RequestCounts, Warning } from '../../../src/service/outcome';

/** What happens to one post. */
export type Fate =
  | 'ok'
  /** Never arrives; the client runs into its time-out. */
  | 'dropped'
  /** Applied, the reply is lost; the client runs into its time-out. */
  | 'replyLost'
  /** The client gives up at its time-out, the service applies it up to `lateMs` after that. */
  | 'late'
  | 'reset'
  | 'rateLimited'
  | 'serverError'
  /** 403 or a certificate error: settings stand in the way. */
  | 'configuration'
  | 'deadToken'
  | 'garbage';

export type Way = 'there' | 'back';

/** As the client has it for a request that was not let go once there was a connection. */
export const heldBack: PostOutcome = {
  kind: 'passing',
  ambiguous: false,
  code: 'held_back',
  message: 'held back',
};

export interface Block {
  seg_id?: number;
  seg_code?: string;
  member_id?: number;
  value?: number;
  expiration?: number;
}

export interface SentEntry {
  readonly user_id: string;
  readonly domain?: string;
  readonly seg_block: readonly Block[];
}

export interface Request {
  /** When the service acted on it, or null when it never did. */
  actedMs: number | null;
  readonly sentMs: number;
  /** When the service was done with it. */
  doneMs: number;
  /** Whether it was applied. */
  applied: boolean;
  /** As the service knows them. */
  readonly users: readonly string[];
  readonly entries: readonly SentEntry[];
  readonly account: string;
  readonly bytes: number;
}

export interface Membership {
  readonly value: number | undefined;
  /** Minutes as sent; undefined is the member's default. */
  readonly expiration: number | undefined;
  readonly atMs: number;
}

export interface Applied {
  readonly user: string;
  readonly segment: string;
  readonly expiration: number | undefined;
  readonly removed: boolean;
  readonly atMs: number;
  readonly sentMs: number;
}

export interface ServiceOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly fate: (entries: readonly SentEntry[], account: string) => Fate;
  /** One-way delay in ms, drawn for each way. */
  readonly delayMs: (way: Way) => number;
  readonly requestTimeoutMs?: number;
  /** Of one request; as documented when absent. */
  readonly limits?: RequestLimits | undefined;
  readonly lateMs?: number;
  /** How late, as a part of `lateMs`; random by default. */
  readonly late?: (() => number) | undefined;
  /** Users in whose presence a body is refused. */
  readonly poison?: ((user: string, block: Block) => boolean) | undefined;
  /** Warnings with which a body is accepted. */
  readonly warn?: ((entries: readonly SentEntry[]) => readonly Warning[]) | undefined;
  /** What it counts in a request; else everything. Entries for which it counts no user are not applied. */
  readonly counts?: ((entries: readonly SentEntry[]) => RequestCounts) | undefined;
  /** Codes that are really segments by id: `code → id`. */
  readonly aliases?: Readonly<Record<string, number>> | undefined;
  /** Whether the platform's own ids that look like device ids are compared without case (nobody says so). */
  readonly foldsPlatformIds?: boolean | undefined;
  /** Keep the requests' entries; costs memory in long runs. */
  readonly keepEntries?: boolean | undefined;
}

export class FakeService {
  readonly requests: Request[] = [];
  readonly state = new Map<string, Membership>();
  readonly problems: string[] = [];
  readonly log: Applied[] = [];
  /** Accounts whose login is refused. */
  readonly refusedLogins = new Set<string>();
  /** Everything is refused with a 400, as with a disabled account or a changed API. */
  refusesAll = false;
  authentications: { readonly account: string; readonly atMs: number }[] = [];
  /** An older token stays valid beside a new one. */
  private readonly validTokens = new Set<string>();
  private life = 0;
  private readonly whenDead: (() => void)[] = [];
  private readonly inFlightUsers = new Set<string>();

  /** A change of the account's own. */
  limits: RequestLimits;

  constructor(private readonly options: ServiceOptions) {
    this.limits = options.limits ?? documentedRequestLimits;
  }

  /** A token lives until `killTokens`. */
  authenticate(account: string): Promise<AuthOutcome> {
    const { clock } = this.options;
    return new Promise((resolve) => {
      clock.after(this.options.delayMs('there') + this.options.delayMs('back'), () => {
        if (this.refusedLogins.has(account)) {
          resolve({ kind: 'loginRefused', code: 'NOAUTH', message: 'wrong password' });
          return;
        }
        this.authentications.push({ account, atMs: clock.monoMs() });
        const token = `${account} ${this.authentications.length}`;
        this.validTokens.add(token);
        resolve({ kind: 'token', token });
      });
    });
  }

  killTokens(account: string): void {
    for (const token of this.validTokens) if (token.startsWith(`${account} `)) this.validTokens.delete(token);
  }

  post(body: string, token: string, account: string): Promise<PostOutcome> {
    const { clock } = this.options;
    const { rt_segment: entries } = JSON.parse(body) as { rt_segment: SentEntry[] };
    const users = entries.map((entry) => this.userOf(entry));
    const bytes = Buffer.byteLength(body);
    this.check(bytes, entries);
    const request: Request = {
      actedMs: null,
      sentMs: clock.monoMs(),
      doneMs: Infinity,
      applied: false,
      users,
      entries: this.options.keepEntries === false ? [] : entries,
      account,
      bytes,
    };
    this.requests.push(request);
    const folded = entries.map((entry) => this.cautiousUserOf(entry));
    for (const user of folded) this.inFlightUsers.add(user);
    const fate = this.options.fate(entries, account);
    if (fate === 'deadToken') this.killTokens(account);
    const life = this.life;
    return new Promise((resolve) => {
      const answer = (outcome: PostOutcome): void => {
        if (life !== this.life) return;
        for (const user of folded) this.inFlightUsers.delete(user);
        resolve(outcome);
      };
      this.play(fate, request, entries, token, answer);
    });
  }

  /** Acts up to `lateMs` after the client gave up: at its time-out, or when it died. */
  private actLate(timeoutMs: number, act: () => void): void {
    const { clock, random } = this.options;
    const lateMs = (this.options.late?.() ?? random()) * ((this.options.lateMs ?? 20_000) - 1);
    const cancel = clock.after(timeoutMs + lateMs, act);
    const untilMs = clock.monoMs() + timeoutMs;
    this.whenDead.push(() => {
      if (clock.monoMs() >= untilMs) return;
      cancel();
      clock.after(lateMs, act);
    });
  }

  /** The process that sent them died: nobody waits for the replies any more. */
  clientDied(): void {
    this.life += 1;
    for (const call of this.whenDead.splice(0)) call();
    this.inFlightUsers.clear();
  }

  private play(
    fate: Fate,
    request: Request,
    entries: readonly SentEntry[],
    token: string,
    answer: (outcome: PostOutcome) => void,
  ): void {
    const { clock, random } = this.options;
    const timeoutMs = this.options.requestTimeoutMs ?? 10_000;
    const there = Math.min(this.options.delayMs('there'), timeoutMs / 2);
    const back = Math.min(this.options.delayMs('back'), timeoutMs / 2 - 1);
    const timeout = (): void => {
      clock.after(timeoutMs, () => {
        answer({ kind: 'passing', ambiguous: true, code: 'timeout', message: 'no reply' });
      });
    };
    const act = (): PostOutcome => {
      request.actedMs = request.doneMs = clock.monoMs();
      return this.act(request, entries, token);
    };
    switch (fate) {
      case 'dropped':
        request.doneMs = request.sentMs;
        timeout();
        return;
      case 'replyLost':
        clock.after(there, act);
        timeout();
        return;
      case 'late': {
        this.actLate(timeoutMs, act);
        timeout();
        return;
      }
      case 'reset':
        clock.after(there, () => {
          if (random() < 0.5) act();
          else request.doneMs = clock.monoMs();
          clock.after(back, () =>
            answer({ kind: 'passing', ambiguous: true, code: 'reset', message: 'reset' }),
          );
        });
        return;
      case 'garbage':
        clock.after(there, () => {
          act();
          clock.after(back, () =>
            answer({ kind: 'passing', ambiguous: true, code: 'garbage', message: 'not JSON' }),
          );
        });
        return;
      default:
        clock.after(there, () => {
          const outcome = fate === 'ok' ? act() : this.refuse(fate, request);
          clock.after(back, () => answer(outcome));
        });
    }
  }

  private refuse(
    fate: 'rateLimited' | 'serverError' | 'configuration' | 'deadToken',
    request: Request,
  ): PostOutcome {
    request.actedMs = request.doneMs = this.options.clock.monoMs();
    switch (fate) {
      case 'rateLimited':
        return {
          kind: 'rateLimited',
          retryAfterMs: 1000 + Math.round(this.options.random() * 3000),
          message: '429',
        };
      case 'serverError':
        return { kind: 'passing', ambiguous: false, code: 'SYSTEM', message: 'SYSTEM' };
      case 'configuration':
        return { kind: 'configuration', code: '403', message: 'forbidden' };
      case 'deadToken':
        return { kind: 'deadToken', message: 'NOAUTH' };
    }
  }

  private act(request: Request, entries: readonly SentEntry[], token: string): PostOutcome {
    if (!this.validTokens.has(token)) return { kind: 'deadToken', message: 'NOAUTH' };
    const bad = entries.some((entry) =>
      entry.seg_block.some((block) => this.options.poison?.(entry.user_id, block)),
    );
    if (bad || this.refusesAll) return { kind: 'bodyRefused', code: 'SYNTAX', message: 'SYNTAX' };
    const counts = this.options.counts?.(entries) ?? {
      users: entries.length,
      segments: entries.reduce((sum, { seg_block: blocks }) => sum + blocks.length, 0),
    };
    const warnings = this.options.warn?.(entries) ?? [];
    // As the client reads such a reply.
    if (counts.users === 0 && warnings.length === 0)
      return { kind: 'bodyRefused', code: 'nothing_counted', message: 'nothing counted' };
    request.applied = true;
    for (const entry of entries) {
      for (const block of entry.seg_block) this.apply(entry, block, request.sentMs);
    }
    return { kind: 'accepted', warnings, counts };
  }

  private apply(entry: SentEntry, block: Block, sentMs: number): void {
    const atMs = this.options.clock.monoMs();
    const user = this.userOf(entry);
    const segment = this.segmentOf(block);
    const key = `${user} ${segment}`;
    const removed = block.expiration === -1;
    this.log.push({ user, segment, expiration: block.expiration, removed, atMs, sentMs });
    if (removed) this.state.delete(key);
    else this.state.set(key, { value: block.value, expiration: block.expiration, atMs });
  }

  /** The service's own name for a user: device ids compare without case, and `sh1udid` is `sha1udid`. */
  userOf({ user_id: id, domain }: { user_id: string; domain?: string | null }): string {
    const kind = domain === 'sh1udid' ? 'sha1udid' : (domain ?? '');
    const folds = kind === '' ? this.options.foldsPlatformIds === true && looksLikeDevice(id) : true;
    return `${kind}:${folds ? id.toLowerCase() : id}`;
  }

  /** Whatever the service makes of two spellings, they must not meet in one request or be in flight together. */
  private cautiousUserOf(entry: SentEntry): string {
    const user = this.userOf(entry);
    return looksLikeDevice(entry.user_id) ? user.toLowerCase() : user;
  }

  /** The service's own name for a segment. */
  segmentOf(block: Block): string {
    if (block.seg_id !== undefined) return String(block.seg_id);
    const code = String(block.seg_code).toLowerCase();
    const alias = this.options.aliases?.[code];
    return alias === undefined ? `${block.member_id}:${code}` : String(alias);
  }

  private check(bytes: number, entries: readonly SentEntry[]): void {
    const users = entries.map((entry) => this.cautiousUserOf(entry));
    const { maxBodyBytes, usersPerPost } = this.limits;
    if (bytes >= maxBodyBytes) this.problems.push(`body of ${bytes} bytes`);
    if (users.length > usersPerPost) this.problems.push(`${users.length} users`);
    if (users.length === 0) this.problems.push('an empty request');
    if (new Set(users).size !== users.length) this.problems.push('a user twice in one request');
    for (const user of users) if (this.inFlightUsers.has(user)) this.problems.push(`${user} in flight twice`);
    for (const { seg_block: blocks } of entries) this.checkBlocks(blocks);
  }

  private checkBlocks(blocks: readonly Block[]): void {
    if (blocks.length > this.limits.blocksPerUser) this.problems.push(`${blocks.length} blocks`);
    if (blocks.length === 0) this.problems.push('a user without blocks');
    if (new Set(blocks.map((block) => block.seg_id === undefined)).size > 1)
      this.problems.push('ids and codes mixed');
    const keys = blocks.map(
      (block) => `${block.seg_id ?? ''}${block.member_id ?? ''}${block.seg_code?.toLowerCase() ?? ''}`,
    );
    if (new Set(keys).size !== keys.length) this.problems.push('contradictory blocks');
    for (const { expiration } of blocks) {
      if (expiration !== undefined && (!Number.isInteger(expiration) || expiration < -1))
        this.problems.push(`expiration ${expiration}`);
    }
  }

  /** Worst counts in any half-open one-second window, by when the service acted. */
  worstSecond(which: (request: Request) => boolean = () => true): {
    posts: number;
    users: number;
    concurrent: number;
  } {
    const acted = this.requests
      .filter((request) => request.actedMs !== null && which(request))
      .sort((a, b) => a.actedMs! - b.actedMs!);
    let posts = 0;
    let users = 0;
    let sum = 0;
    for (let from = 0, to = 0; to < acted.length; to += 1) {
      sum += acted[to]!.users.length;
      while (acted[from]!.actedMs! <= acted[to]!.actedMs! - 1000) {
        sum -= acted[from]!.users.length;
        from += 1;
      }
      posts = Math.max(posts, to - from + 1);
      users = Math.max(users, sum);
    }
    const edges = acted.flatMap(({ sentMs, doneMs }) => [
      { atMs: sentMs, by: 1 },
      { atMs: doneMs, by: -1 },
    ]);
    edges.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
    let concurrent = 0;
    let now = 0;
    for (const { by } of edges) {
      now += by;
      concurrent = Math.max(concurrent, now);
    }
    return { posts, users, concurrent };
  }
}

function looksLikeDevice(id: string): boolean {
  return id.length >= 32;
}

// A service that misbehaves on purpose, on the tests' clock. It records what it did and when, and holds the state
// that a real one would hold.
import type { Clock } from '../../../src/delivery/clock';
import type { PostOutcome } from '../../../src/service/outcome';

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
  | 'deadToken'
  | 'garbage';

export interface Block {
  seg_id?: number;
  seg_code?: string;
  member_id?: number;
  value?: number;
  expiration?: number;
}

export interface Request {
  /** When the service acted on it, or null when it never did. */
  actedMs: number | null;
  arrivedMs: number;
  sentMs: number;
  /** When the service was done with it. */
  doneMs: number;
  users: string[];
  account: string;
}

export interface Membership {
  value: number | undefined;
  /** Minutes as sent; undefined is the member's default. */
  expiration: number | undefined;
  atMs: number;
}

export interface ServiceOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly fate: () => Fate;
  /** One-way delay in ms, drawn for each way. */
  readonly delayMs: () => number;
  readonly requestTimeoutMs?: number;
  readonly lateMs?: number;
  /** Users in whose presence a body is refused. */
  readonly poison?: (user: string, block: Block) => boolean;
  /** Codes that are really segments by id: `code → id`. */
  readonly aliases?: Readonly<Record<string, number>>;
}

export class FakeService {
  readonly requests: Request[] = [];
  readonly state = new Map<string, Membership>();
  readonly problems: string[] = [];
  readonly log: { user: string; segment: string; removed: boolean; atMs: number }[] = [];
  validToken = 'token 1';
  private life = 0;
  private readonly whenDead: (() => void)[] = [];
  private readonly inFlightUsers = new Set<string>();

  constructor(private readonly options: ServiceOptions) {}

  post(body: string, token: string, account = ''): Promise<PostOutcome> {
    const { clock } = this.options;
    const sentMs = clock.monoMs();
    const entries = (
      JSON.parse(body) as { rt_segment: { user_id: string; domain?: string; seg_block: Block[] }[] }
    ).rt_segment;
    const users = entries.map((entry) => `${entry.domain ?? ''}:${entry.user_id.toLowerCase()}`);
    this.check(body, entries, users);
    const request: Request = { actedMs: null, arrivedMs: 0, sentMs, doneMs: Infinity, users, account };
    this.requests.push(request);
    for (const user of users) this.inFlightUsers.add(user);
    const fate = this.options.fate();
    const life = this.life;
    return new Promise((resolve) => {
      const answer = (outcome: PostOutcome): void => {
        if (life === this.life) for (const user of users) this.inFlightUsers.delete(user);
        resolve(outcome);
      };
      this.play(fate, request, entries, token, answer);
    });
  }

  /** Acts up to `lateMs` after the client gave up: at its time-out, or when it died. */
  private actLate(timeoutMs: number, act: () => void): void {
    const { clock, random } = this.options;
    const lateMs = random() * ((this.options.lateMs ?? 20_000) - 1);
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
    entries: { user_id: string; domain?: string; seg_block: Block[] }[],
    token: string,
    answer: (outcome: PostOutcome) => void,
  ): void {
    const { clock, random } = this.options;
    const timeoutMs = this.options.requestTimeoutMs ?? 10_000;
    const there = Math.min(this.options.delayMs(), timeoutMs / 2);
    const back = Math.min(this.options.delayMs(), timeoutMs / 2 - 1);
    const timeout = (): void => {
      clock.after(timeoutMs, () => {
        answer({ kind: 'passing', ambiguous: true, code: 'timeout', message: 'no reply' });
      });
    };
    const act = (): PostOutcome => {
      request.arrivedMs = request.actedMs = request.doneMs = clock.monoMs();
      return this.act(entries, token);
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

  private refuse(fate: 'rateLimited' | 'serverError' | 'deadToken', request: Request): PostOutcome {
    request.arrivedMs = request.actedMs = request.doneMs = this.options.clock.monoMs();
    switch (fate) {
      case 'rateLimited':
        return {
          kind: 'rateLimited',
          retryAfterMs: 1000 + Math.round(this.options.random() * 3000),
          message: '429',
        };
      case 'serverError':
        return { kind: 'passing', ambiguous: false, code: 'SYSTEM', message: 'SYSTEM' };
      case 'deadToken':
        return { kind: 'deadToken', message: 'NOAUTH' };
    }
  }

  private act(
    entries: { user_id: string; domain?: string; seg_block: Block[] }[],
    token: string,
  ): PostOutcome {
    if (token !== this.validToken) return { kind: 'deadToken', message: 'NOAUTH' };
    const bad = entries.some((entry) =>
      entry.seg_block.some((block) => this.options.poison?.(entry.user_id, block)),
    );
    if (bad) return { kind: 'bodyRefused', code: 'SYNTAX', message: 'SYNTAX' };
    for (const entry of entries) for (const block of entry.seg_block) this.apply(entry, block);
    return { kind: 'accepted', warnings: [] };
  }

  private apply(entry: { user_id: string; domain?: string }, block: Block): void {
    const atMs = this.options.clock.monoMs();
    const user = `${entry.domain ?? ''}:${entry.domain === undefined ? entry.user_id : entry.user_id.toLowerCase()}`;
    const segment = this.segmentOf(block);
    const key = `${user} ${segment}`;
    const removed = block.expiration === -1;
    this.log.push({ user, segment, removed, atMs });
    if (removed) this.state.delete(key);
    else this.state.set(key, { value: block.value, expiration: block.expiration, atMs });
  }

  private segmentOf(block: Block): string {
    if (block.seg_id !== undefined) return String(block.seg_id);
    const code = String(block.seg_code).toLowerCase();
    const alias = this.options.aliases?.[code];
    return alias === undefined ? `${block.member_id}:${code}` : String(alias);
  }

  private check(body: string, entries: { seg_block: Block[] }[], users: string[]): void {
    if (Buffer.byteLength(body) >= 1_000_000) this.problems.push('body over 1,000,000 bytes');
    if (users.length > 1000) this.problems.push('over 1000 users');
    if (new Set(users).size !== users.length) this.problems.push('a user twice in one request');
    for (const user of users) if (this.inFlightUsers.has(user)) this.problems.push(`${user} in flight twice`);
    for (const { seg_block: blocks } of entries) {
      if (blocks.length > 100) this.problems.push('over 100 blocks');
      if (new Set(blocks.map((block) => block.seg_id === undefined)).size > 1)
        this.problems.push('ids and codes mixed');
      const keys = blocks.map(
        (block) => `${block.seg_id ?? ''}${block.member_id ?? ''}${block.seg_code?.toLowerCase() ?? ''}`,
      );
      if (new Set(keys).size !== keys.length) this.problems.push('contradictory blocks');
    }
  }

  /** Worst counts in any half-open one-second window, by when the service acted. */
  worstSecond(): { posts: number; users: number; concurrent: number } {
    const acted = this.requests
      .filter(({ actedMs }) => actedMs !== null)
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
    const edges = this.requests.flatMap((r) =>
      r.actedMs === null
        ? []
        : [
            { atMs: r.sentMs, by: 1 },
            { atMs: r.doneMs, by: -1 },
          ],
    );
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

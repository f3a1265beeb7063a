// The simulation's service for a test that says itself what becomes of each request, and looks at what was sent.
import type { RequestCounts, Warning } from '../../../src/service/outcome';
import { documentedRequestLimits, type RequestLimits } from '../../../src/delivery/request-limits';
import { errorReply, type Reply } from '../../../src/sandbox/reply';
import { oneRequest, usersInFlight, worstSecond } from '../../simulation/model/quota';
import type { Dice } from '../../simulation/world/dice';
import type { History, RequestRecord, SentUser } from '../../simulation/world/history';
import type { Fate as SimulatedFate } from '../../simulation/world/plan';
import { SimService, type Caller } from '../../simulation/world/service';
import type { WorldTime } from '../../simulation/world/virtual-time';

/** What happens to one post. */
export type Fate = SimulatedFate | 'well';
export type Way = 'there' | 'back';

/** A block as a test gives it. */
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

/** One that calls in the name of an account. */
export interface AccountCaller extends Caller {
  readonly account: string;
}

export interface ServiceOptions {
  readonly fate: (entries: readonly SentEntry[], account: string) => Fate;
  /** One-way delay in ms, drawn for each way. */
  readonly delayMs: (way: Way) => number;
  /** How late a late request runs, as a part of the most; random by default. */
  readonly late?: (() => number) | undefined;
  /** Users in whose presence a body is refused. */
  readonly poison?: ((user: string, block: Block) => boolean) | undefined;
  /** Warnings with which a body is accepted. */
  readonly warn?: ((entries: readonly SentEntry[]) => readonly Warning[]) | undefined;
  /** What it counts in a request; else everything. A request for which it counts nobody, without a warning, is not applied. */
  readonly counts?: ((entries: readonly SentEntry[]) => RequestCounts) | undefined;
  /** Codes that are really segments by id: `code → id`. */
  readonly aliases?: Readonly<Record<string, number>> | undefined;
  /** Of one request; as documented when absent. */
  readonly limits?: RequestLimits | undefined;
}

/** Of one member. */
export interface Applied {
  readonly user: string;
  readonly segment: string;
  readonly value: number | undefined;
  readonly expiration: number | undefined;
  readonly removed: boolean;
  readonly atMs: number;
  readonly sentMs: number;
}

/** A request as it was sent, and what became of it. Times are those of the clock of the test. */
export class Request {
  readonly entries: readonly SentEntry[];
  readonly users: readonly string[];

  constructor(
    readonly record: RequestRecord,
    readonly account: string,
  ) {
    this.entries = entriesOf(record.users);
    this.users = this.entries.map(nameOf);
  }

  get sentMs(): number {
    return this.record.sentMs + startMs;
  }

  /** When the service acted on it first. */
  get actedMs(): number | null {
    const [first] = this.record.actedMs;
    return first === undefined ? null : first + startMs;
  }

  get applied(): boolean {
    return this.record.applied;
  }

  get bytes(): number {
    return this.record.bytes;
  }
}

/** What the clocks of tests say when the world begins. */
const startMs = 1_000;

export class FakeService extends SimService {
  readonly requests: Request[] = [];
  readonly log: Applied[] = [];
  readonly members = new Map<string, Applied>();
  readonly problems: string[] = [];
  /** Everything is refused with a 400, as with a disabled account or a changed API. */
  refusesAll = false;
  /** A change of the account's own. */
  limits: RequestLimits;
  private posting = '';

  constructor(
    time: WorldTime,
    history: History,
    random: Dice,
    private readonly options: ServiceOptions,
  ) {
    super(
      time,
      history,
      random,
      { rates: {} },
      1,
      { postsPerSecond: 1, usersPerSecond: 1, maxConcurrent: 1 },
      0,
      0,
    );
    this.limits = options.limits ?? documentedRequestLimits;
  }

  get authentications(): readonly { readonly account: string; readonly atMs: number }[] {
    return this.history.logins.map(({ username, atMs }) => ({ account: username, atMs: atMs + startMs }));
  }

  override post(body: string, token: string, caller: AccountCaller): ReturnType<SimService['post']> {
    this.posting = caller.account;
    const outcome = super.post(body, token, caller);
    const record = this.history.requests.at(-1)!;
    this.requests.push(new Request(record, caller.account));
    const limits = { postsPerSecond: 1, usersPerSecond: 1, maxConcurrent: 1, ...this.limits };
    this.problems.push(...oneRequest(record, this.history, limits));
    return outcome;
  }

  protected override wayMs(way: Way): number {
    return Math.min(this.options.delayMs(way), 4_999);
  }

  protected override lateMs(): number {
    const { late } = this.options;
    return late === undefined ? super.lateMs() : late() * 19_999;
  }

  protected override fateOf(users: readonly SentUser[] | null): Fate {
    return users === null ? 'well' : this.options.fate(entriesOf(users), this.posting);
  }

  protected override refusal({ users }: RequestRecord): Reply | undefined {
    const { poison, counts } = this.options;
    const entries = entriesOf(users);
    const isBad = entries.some(({ user_id: user, seg_block: blocks }) =>
      blocks.some((block) => poison?.(user, block)),
    );
    if (isBad || this.refusesAll) return errorReply(400, 'SYNTAX', 'SYNTAX');
    const countsNobody = counts?.(entries).users === 0 && this.warnings(entries).length === 0;
    return countsNobody ? this.answer(entries) : undefined;
  }

  protected override said({ users }: RequestRecord, reply: Reply): Reply {
    const { warn, counts } = this.options;
    const isSaid = reply.status === 200 && (warn !== undefined || counts !== undefined);
    return isSaid ? this.answer(entriesOf(users)) : reply;
  }

  private warnings(entries: readonly SentEntry[]): readonly Warning[] {
    return this.options.warn?.(entries) ?? [];
  }

  private answer(entries: readonly SentEntry[]): Reply {
    const all = {
      users: entries.length,
      segments: entries.reduce((sum, { seg_block: blocks }) => sum + blocks.length, 0),
    };
    const { users, segments } = this.options.counts?.(entries) ?? all;
    const message = { users_in_request: users, segments_in_request: segments };
    const body = JSON.stringify({ response: { status: 'OK', message, warnings: this.warnings(entries) } });
    return { status: 200, body };
  }

  protected override applied(record: RequestRecord): void {
    super.applied(record);
    for (const entry of entriesOf(record.users))
      for (const block of entry.seg_block) {
        const applied: Applied = {
          user: nameOf(entry),
          segment: this.segmentOf(block),
          value: block.value,
          expiration: block.expiration,
          removed: block.expiration === -1,
          atMs: this.world.nowMs + startMs,
          sentMs: record.sentMs + startMs,
        };
        this.log.push(applied);
        if (applied.removed) this.members.delete(`${applied.user} ${applied.segment}`);
        else this.members.set(`${applied.user} ${applied.segment}`, applied);
      }
  }

  /** The service's own name for a segment. */
  segmentOf(block: Block): string {
    if (block.seg_id !== undefined) return String(block.seg_id);
    const code = String(block.seg_code).toLowerCase();
    const alias = this.options.aliases?.[code];
    return alias === undefined ? `${block.member_id}:${code}` : String(alias);
  }

  /** Of those of one process that it had to know of. */
  inFlightTwice(): string[] {
    return usersInFlight(this.history.requests);
  }

  /** Worst counts in any half-open one-second window, by when the service acted. */
  worstSecond(which: (request: Request) => boolean = () => true): ReturnType<typeof worstSecond> {
    return worstSecond(this.requests.filter(which).map(({ record }) => record));
  }
}

function entriesOf(users: readonly SentUser[]): SentEntry[] {
  return users.map(({ user, domain, blocks }) => ({
    user_id: user,
    ...(domain !== null && { domain }),
    seg_block: blocks,
  }));
}

/** The service's own name for a user: device ids compare without case, and `sh1udid` is `sha1udid`. */
export function nameOf({ user_id: id, domain }: { user_id: string; domain?: string | null }): string {
  const kind = domain === 'sh1udid' ? 'sha1udid' : (domain ?? '');
  return `${kind}:${kind === '' ? id : id.toLowerCase()}`;
}

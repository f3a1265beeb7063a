// Fake service: the simulation's service for a test that decides the fate of each request and inspects
// requests.
import type { RequestCounts, Warning } from '../../../src/service/reply/outcome';
import { documentedRequestLimits, type RequestLimits } from '../../../src/delivery/schedule/request-limits';
import { errorReply, type Reply } from '../../../src/sandbox/wire';
import { segmentName, userName } from '../../simulation/model/names';
import { worstSecond } from '../../simulation/model/quota';
import type { Dice } from '../../simulation/world/dice';
import type { History, RequestRecord, SentUser } from '../../simulation/world/history';
import type { Fate as SimulatedFate } from '../../simulation/world/plan';
import { SimService, type Caller } from '../../simulation/world/service';
import type { WorldTime } from '../../simulation/world/virtual-time';

/** Fate of one post. */
export type Fate = SimulatedFate | 'well';
export type Way = 'there' | 'back';

/** A block as a test writes it. */
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

/** A caller in the name of an account. */
export interface AccountCaller extends Caller {
  readonly account: string;
}

export interface ServiceOptions {
  /** By the value with which a block is sent, the value that the test gave. */
  readonly given: ReadonlyMap<number, number | undefined>;
  readonly fate: (entries: readonly SentEntry[], account: string) => Fate;
  /** Delay in ms for one way, drawn for each way. */
  readonly delayMs: (way: Way) => number;
  /** How late a late request runs, as a part of the maximum; random by default. */
  readonly late?: (() => number) | undefined;
  /** Users and blocks that make the service refuse a body. */
  readonly poison?: ((user: string, block: Block) => boolean) | undefined;
  /** Warnings with which a body is accepted. */
  readonly warn?: ((entries: readonly SentEntry[]) => readonly Warning[]) | undefined;
  /**
   * What it counts in a request; everything by default. A request for which it counts no user, without a
   * warning, is not applied.
   */
  readonly counts?: ((entries: readonly SentEntry[]) => RequestCounts) | undefined;
  /** Limits of one request; as documented when absent. */
  readonly limits?: RequestLimits | undefined;
}

/** Segment state of one member. */
export interface Applied {
  readonly user: string;
  readonly segment: string;
  readonly value: number | undefined;
  readonly expiration: number | undefined;
  readonly removed: boolean;
  readonly atMs: number;
  readonly sentMs: number;
}

/** A request as it was sent, and its fate. Times are those of the test's clock. */
export class Request {
  readonly entries: readonly SentEntry[];
  readonly users: readonly string[];

  constructor(
    readonly record: RequestRecord,
    readonly account: string,
    given: ServiceOptions['given'],
  ) {
    this.entries = entriesOf(record.users, given);
    this.users = record.users.map(({ user, domain }) => userName(user, domain));
  }

  get sentMs(): number {
    return this.record.sentMs + startMs;
  }

  /** When the service first acted on it. */
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

/** Start time of the tests' clocks. */
const startMs = 1_000;

export class FakeService extends SimService {
  readonly requests: Request[] = [];
  readonly log: Applied[] = [];
  readonly members = new Map<string, Applied>();
  /** Refuses everything with a 400, as with a disabled account or a changed API. */
  refusesAll = false;
  /** A changed limit of the account. */
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
      { latencyMs: 0, jitterMs: 0 },
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
    this.requests.push(new Request(record, caller.account, this.options.given));
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
    return users === null ? 'well' : this.options.fate(this.entriesOf(users), this.posting);
  }

  protected override refusal({ users }: RequestRecord): Reply | undefined {
    const { poison, counts } = this.options;
    const entries = this.entriesOf(users);
    const isBad = entries.some(({ user_id: user, seg_block: blocks }) =>
      blocks.some((block) => poison?.(user, block)),
    );
    if (isBad || this.refusesAll) return errorReply(400, 'SYNTAX', 'SYNTAX');
    const countsNobody = counts?.(entries).users === 0 && this.warnings(entries).length === 0;
    return countsNobody ? this.answer(entries, []) : undefined;
  }

  protected override said({ users, invalid }: RequestRecord, reply: Reply): Reply {
    const { warn, counts } = this.options;
    if (reply.status !== 200 || (warn === undefined && counts === undefined)) return reply;
    const entries = this.entriesOf(users);
    const warnings = this.warnings(entries);
    const warned = warnings.filter(({ message }) => message.startsWith('No valid segments'));
    invalid.push(...users.filter((_, at) => warned.some(({ entity }) => entity === entries[at])));
    return this.answer(entries, warnings);
  }

  private warnings(entries: readonly SentEntry[]): readonly Warning[] {
    return this.options.warn?.(entries) ?? [];
  }

  private answer(entries: readonly SentEntry[], warnings: readonly Warning[]): Reply {
    const all = {
      users: entries.length,
      segments: entries.reduce((sum, { seg_block: blocks }) => sum + blocks.length, 0),
    };
    const { users, segments } = this.options.counts?.(entries) ?? all;
    const message = { users_in_request: users, segments_in_request: segments };
    const body = JSON.stringify({ response: { status: 'OK', message, warnings } });
    return { status: 200, body };
  }

  protected override applied(record: RequestRecord): void {
    super.applied(record);
    for (const { user, domain, blocks } of record.users)
      for (const block of blocks) {
        const applied: Applied = {
          user: userName(user, domain),
          segment: segmentName(block),
          value: this.options.given.get(block.value),
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

  private entriesOf(users: readonly SentUser[]): SentEntry[] {
    return entriesOf(users, this.options.given);
  }

  /** Largest counts in any half-open one-second window, by the time when the service acted. */
  worstSecond(which: (request: Request) => boolean = () => true): ReturnType<typeof worstSecond> {
    return worstSecond(this.requests.filter(which).map(({ record }) => record));
  }
}

/** As the test wrote it. */
function entriesOf(users: readonly SentUser[], given: ServiceOptions['given']): SentEntry[] {
  return users.map(({ user, domain, blocks }) => ({
    user_id: user,
    ...(domain !== null && { domain }),
    seg_block: blocks.map(({ value: own, ...block }) => {
      const value = given.get(own);
      return value === undefined ? block : { ...block, value };
    }),
  }));
}

// An engine on the simulation's time, disk and service, which a test drives by hand and looks into; and what must hold
// afterwards. What chance brings together is for the simulation itself.
import { checkEntry } from '../../../src/audience/check';
import type { CheckedEntry } from '../../../src/audience/entry';
import { userKeyOf } from '../../../src/audience/keys';
import type { Dismissed } from '../../../src/delivery/dismissals';
import { Engine, type EngineOptions, type Recovered } from '../../../src/delivery/engine';
import { requestLimitsOf } from '../../../src/delivery/request-limits';
import type { TicketEnd } from '../../../src/delivery/tickets';
import { MemoryOutbox } from '../../../src/outbox/memory-outbox';
import type { Opened, Outbox } from '../../../src/outbox/outbox';
import type { AuthOutcome, PostOutcome, RequestCounts, Warning } from '../../../src/service/outcome';
import { LoginCount } from '../../../src/service/login-count';
import { TokenKeeper } from '../../../src/service/tokens';
import { Dice } from '../../simulation/world/dice';
import { Disk } from '../../simulation/world/disk';
import { History } from '../../simulation/world/history';
import type { ProcessTime } from '../../simulation/world/process-time';
import { FakeClock } from './fake-clock';
import { stillOpen } from './one-statement';
import { FakeService, nameOf } from './fake-service';
import type { AccountCaller, Block, Fate, SentEntry, Way } from './fake-service';

export const documentedLimits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 } as const;

/** Where a process dies: at its call of the disk with this number (from 1), before or after that has taken effect. */
export interface KillPoint {
  readonly call: number;
  readonly when: 'before' | 'after';
}

export interface WorldOptions {
  readonly seed: number;
  /** Probabilities; what is left is 'well'. */
  readonly fates?: Partial<Record<Fate, number>>;
  /** Decides before `fates` does; null leaves it to them. */
  readonly fateOf?: (entries: readonly SentEntry[], account: string) => Fate | null;
  /** One way, drawn for each way; the default is 1 to 41 ms. */
  readonly delayMs?: (way: Way) => number;
  /** How late a late request runs, as a part of what the engine reckons with; random by default. */
  readonly late?: () => number;
  /** Until a post has its connection. */
  readonly connectMs?: () => number;
  readonly commitMs?: number;
  readonly memoryMark?: number;
  readonly pageRows?: number;
  readonly limits?: EngineOptions['limits'];
  readonly aliases?: Readonly<Record<string, number>>;
  readonly poison?: (user: string, block: Block) => boolean;
  readonly warn?: (entries: readonly SentEntry[]) => readonly Warning[];
  readonly counts?: (entries: readonly SentEntry[]) => RequestCounts;
  readonly queueMaxEntries?: number;
  readonly queueMaxBytes?: number;
  readonly maxOpenMessages?: number;
  readonly accounts?: readonly string[];
  /** What the accounts claim of the delay as the network's own. */
  readonly networkFloorMs?: number;
  /** False: the queue is in memory and nothing survives. */
  readonly durable?: boolean;
  /** One that the store knows too. */
  readonly clock?: FakeClock;
  /** Another store than the one in memory that survives kills. */
  readonly outbox?: Outbox;
  /** The first process finds its file locked. */
  readonly lockedAtFirst?: boolean;
  /** The first process dies there. */
  readonly killAt?: KillPoint;
}

/** What one entry of a message says. */
export interface Stated {
  /** The id; a device id unless `domain` says otherwise. */
  readonly user: string;
  /** `idfa` when absent; null for the platform's own and mapped ids. */
  readonly domain?: string | null;
  readonly blocks: readonly Block[];
  /** The event happened so long before it was taken; below 0: its clock is ahead. */
  readonly agoMs?: number;
  /** False: of an out node that sends late adds as they came. */
  readonly ages?: boolean;
}

export interface MessageOptions {
  readonly completeOn?: 'accepted' | 'queued';
  readonly account?: string;
  readonly node?: string;
}

/** One message handed to an engine. */
export interface Message {
  readonly entries: readonly Stated[];
  readonly node: string;
  readonly life: number;
  /** When it was handed in. */
  readonly atMs: number;
  end: TicketEnd | null;
  endMs: number;
  /** Of an engine that was killed before it said anything. */
  orphaned: boolean;
  /** Entries that were given up while they may have been on their way: each may count or not. */
  readonly givenUp: Set<number>;
}

export interface RecoveredAt extends Recovered {
  readonly life: number;
  readonly node: string;
}

/** A minute of rounding, and what a lost request may run late (time-out and margin). */
const lateByMs = 60_000 + 10_000 + 20_000 + 100;

/** As the client has it for a request that was not let go once there was a connection. */
export const heldBack: PostOutcome = {
  kind: 'passing',
  ambiguous: false,
  code: 'held_back',
  message: 'held back',
};

export class World {
  readonly clock: FakeClock;
  readonly dice: Dice;
  readonly random: () => number;
  readonly service: FakeService;
  readonly disk: Disk;
  readonly messages: Message[] = [];
  readonly recovered: RecoveredAt[] = [];
  readonly complaints: string[] = [];
  readonly logged: string[] = [];
  /** The service behaves from now on. */
  calm = false;
  /** Calls of the disk by the process that runs. */
  diskCalls = 0;
  /** Posts that were made up: with a durable outbox one leaves only when its mark is written. */
  departures = 0;
  engine!: Engine;
  processClock!: ProcessTime;
  readonly keepers = new Map<string, TokenKeeper>();
  life = 0;
  private readonly memory = new MemoryOutbox();
  private foundWaiting = 0;
  private sleptMs = 0;
  private jumpedBackMs = 0;
  private jumpedOnMs = 0;

  constructor(readonly options: WorldOptions) {
    this.dice = new Dice(String(options.seed));
    this.random = this.dice.next;
    this.clock = options.clock ?? new FakeClock();
    const { world } = this.clock;
    this.disk = new Disk(world, this.dice.fork('disk'), options.commitMs ?? 0, null);
    this.diskFails = options.lockedAtFirst === true;
    const fates = Object.entries(options.fates ?? {}) as [Fate, number][];
    this.service = new FakeService(world, new History(() => world.nowMs), this.dice.fork('service'), {
      fate: (entries, account) => this.fate(fates, entries, account),
      delayMs: options.delayMs ?? ((): number => 1 + this.random() * 40),
      late: options.late,
      poison: options.poison,
      warn: options.warn,
      counts: options.counts,
      limits: requestLimitsOf(this.limits),
      aliases: options.aliases,
    });
    this.boot(options.killAt ?? null);
  }

  /** Nothing can be written to the disk or read from it. */
  set diskFails(fails: boolean) {
    this.disk.state = fails ? 'broken' : 'well';
  }

  /** What is in the file, and stays when the process dies. */
  get store(): MemoryOutbox {
    return this.options.durable === false
      ? this.memory
      : (this.disk.file('queue').content as unknown as MemoryOutbox);
  }

  private fate(fates: readonly [Fate, number][], entries: readonly SentEntry[], account: string): Fate {
    const decided = this.options.fateOf?.(entries, account) ?? null;
    if (decided !== null) return decided;
    if (this.calm) return 'well';
    let draw = this.random();
    for (const [fate, probability] of fates) {
      draw -= probability;
      if (draw < 0) return fate;
    }
    return 'well';
  }

  get limits(): EngineOptions['limits'] {
    return this.options.limits ?? documentedLimits;
  }

  private boot(killAt: KillPoint | null): void {
    this.life += 1;
    const { options } = this;
    this.processClock = this.clock.process();
    this.engine = new Engine({
      outbox: options.outbox ?? (options.durable === false ? this.memory : this.openDisk(killAt)),
      clock: this.processClock,
      random: this.random,
      limits: this.limits,
      queueMaxEntries: options.queueMaxEntries ?? 1_000_000,
      queueMaxBytes: options.queueMaxBytes ?? 1e9,
      ...(options.memoryMark !== undefined && { memoryMark: options.memoryMark }),
      ...(options.pageRows !== undefined && { pageRows: options.pageRows }),
      ...(options.maxOpenMessages !== undefined && { maxOpenMessages: options.maxOpenMessages }),
      log: (level, text) => this.logged.push(`${level}: ${text}`),
    });
    this.keepers.clear();
    for (const account of options.accounts ?? ['a']) this.attach(account);
    this.listen('n');
    this.engine.start();
  }

  private openDisk(killAt: KillPoint | null): Outbox {
    const { life } = this;
    this.diskCalls = 0;
    const diesAt = (_port: 'disk', when: 'before' | 'after'): boolean => {
      if (life !== this.life) return true;
      if (when === 'before') this.diskCalls += 1;
      if (killAt?.when !== when || killAt.call !== this.diskCalls) return false;
      this.kill();
      return true;
    };
    const outbox = this.disk.outbox('queue', { time: this.processClock, diesAt, busy: () => undefined });
    const commit = outbox.commit.bind(outbox);
    const open = outbox.open.bind(outbox);
    return Object.assign(outbox, {
      open: async (): Promise<Opened> => {
        const opened = await open();
        this.foundWaiting = opened.waiting;
        return opened;
      },
      commit: (parts: Parameters<typeof commit>[0]): Promise<void> => {
        this.departures += parts.depart?.length ?? 0;
        return commit(parts);
      },
    });
  }

  attach(account: string): void {
    const { processClock } = this;
    const keeper = this.keepers.get(account) ?? this.keeperOf(account);
    const caller = this.caller(account);
    this.keepers.set(account, keeper);
    this.engine.attach({
      account,
      token: () => keeper.token(),
      refused: (token) => keeper.refused(token),
      post: async (body, token, mayLeave) => {
        const connectMs = this.options.connectMs?.() ?? 0;
        if (connectMs > 0) await new Promise<void>((resolve) => void processClock.after(connectMs, resolve));
        if (!mayLeave()) return heldBack;
        if (!processClock.alive) this.complaints.push('a dead process posts');
        return this.service.post(body, token, caller);
      },
      networkFloorMs: () => this.options.networkFloorMs ?? 0,
    });
  }

  private caller(account: string): AccountCaller {
    const { life, processClock, options } = this;
    return {
      account,
      instance: 0,
      life,
      time: processClock,
      leaseOk: () => null,
      sleptMs: () => 0,
      isHeld: () => true,
      durable: options.durable !== false,
      queue: 'its',
      term: () => String(life),
      diesAt: () => false,
    };
  }

  private keeperOf(account: string): TokenKeeper {
    const caller = this.caller(account);
    return new TokenKeeper({
      login: { method: 'password', username: account, password: 'secret' },
      authenticate: (): Promise<AuthOutcome> => this.service.authenticate(account, caller),
      clock: this.processClock,
      random: this.random,
      logins: new LoginCount(account, this.clock, () => []),
      loginStore: null,
    });
  }

  listen(node: string): void {
    const { life } = this;
    this.engine.onRecovered(node, (list) => {
      this.recovered.push(...list.map((each) => ({ ...each, life, node })));
    });
  }

  /** kill -9 and start again. */
  kill(): void {
    this.processClock.die();
    this.disk.unlock();
    for (const message of this.messages) if (message.end === null) message.orphaned = true;
    this.boot(null);
  }

  /** One entry as a message of its own. */
  add(
    user: string,
    blocks: readonly Block[],
    options: MessageOptions & Omit<Stated, 'user' | 'blocks'> = {},
  ): Message {
    const { domain, agoMs, ages } = options;
    const stated = {
      user,
      blocks,
      ...(domain !== undefined && { domain }),
      ...(agoMs !== undefined && { agoMs }),
      ...(ages !== undefined && { ages }),
    };
    return this.submit([stated], options);
  }

  submit(entries: readonly Stated[], options: MessageOptions = {}): Message {
    const message: Message = {
      entries,
      node: options.node ?? 'n',
      life: this.life,
      atMs: this.clock.monoMs(),
      end: null,
      endMs: Infinity,
      orphaned: false,
      givenUp: new Set(),
    };
    this.messages.push(message);
    let returned = false;
    this.engine.submit({
      source: { node: message.node, account: options.account ?? 'a' },
      entries: entries.map((stated) => this.checked(stated)),
      indexes: null,
      completeOn: options.completeOn ?? 'accepted',
      onEnd: (end) => {
        if (!returned) this.complaints.push('a message ended before submit returned');
        if (message.end !== null)
          this.complaints.push(`a message ended twice: ${message.end.kind}, ${end.kind}`);
        message.end = end;
        message.endMs = this.clock.monoMs();
      },
    });
    returned = true;
    return message;
  }

  private checked({ user, domain, blocks, agoMs, ages }: Stated): CheckedEntry {
    const rest = {
      domain: domain === undefined ? 'idfa' : domain,
      ...(agoMs !== undefined && { event_time: this.clock.wallMs() - agoMs }),
    };
    return entryOf(user, blocks, rest, ages);
  }

  /** Gives up everything that waits. */
  purge(): Promise<Dismissed> {
    this.giveUp(() => true);
    return this.engine.purge();
  }

  /** Erases a user of this domain. */
  erase(user: string, domain: string | null): Promise<Dismissed> {
    const { userKey } = userKeyOf(domain, user);
    this.giveUp((stated) => userKeyOf(stated.domain ?? null, stated.user).userKey === userKey);
    return this.engine.erase([userKey], user);
  }

  private giveUp(which: (stated: Stated & { domain: string | null }) => boolean): void {
    for (const { entries, end, givenUp } of this.messages) {
      if (end?.kind === 'settled') continue;
      entries.forEach((stated, index) => {
        const { domain = 'idfa' } = stated;
        if (which({ ...stated, domain })) givenUp.add(index);
      });
    }
  }

  /** The wall clock is set; after a restart it is all there is to tell how old an entry is. */
  jumpWall(byMs: number): void {
    this.clock.jumpWall(byMs);
    if (byMs < 0) this.jumpedBackMs -= byMs;
    else this.jumpedOnMs += byMs;
  }

  /** The machine sleeps: its timers stand still. */
  async suspend(ms: number): Promise<void> {
    this.sleptMs += ms;
    await this.asleep('suspended', ms);
  }

  /** The event loop is held: nothing of the process runs. */
  stall(ms: number): Promise<void> {
    return this.asleep('frozen', ms);
  }

  private async asleep(how: 'suspended' | 'frozen', ms: number): Promise<void> {
    this.processClock.sleep(how);
    await this.clock.advance(ms);
    this.processClock.wake();
  }

  /** Lets everything come to rest under a service that behaves. */
  async rest(ms = 400_000): Promise<void> {
    this.calm = true;
    await this.clock.advance(ms);
  }

  // ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Where the service's state differs from what the inputs, applied in order, give. Of a killed engine it is not
   * known which entries made it into the outbox: each of those may count or not.
   */
  differences(): string[] {
    const found: string[] = [];
    const expected = new Map<string, (Block & { bornMs: number })[]>();
    for (const message of this.messages) {
      if (message.end?.kind === 'failed') continue;
      const rejected = rejectedIndexes(message);
      message.entries.forEach((stated, index) => {
        const { domain = 'idfa', user, blocks, agoMs = 0 } = stated;
        const id = nameOf({ user_id: user, domain });
        const ofEntry = new Map<string, (Block & { bornMs: number })[]>();
        for (const block of blocks) {
          // Of a rejected entry the other blocks still count.
          const givenUp = message.givenUp.has(index);
          if (!givenUp && rejected.has(index) && (this.options.poison?.(user, block) ?? true)) continue;
          const key = `${id} ${this.service.segmentOf(block)}`;
          const before =
            message.orphaned || givenUp ? (expected.get(key) ?? [{ expiration: -1, bornMs: 0 }]) : [];
          const said = { ...block, bornMs: message.atMs - Math.max(0, agoMs) };
          const its = [...stillOpen(ofEntry.get(key) ?? [], block), said];
          ofEntry.set(key, its);
          expected.set(key, [...before, ...its]);
        }
      });
    }
    for (const [key, options] of expected) {
      if (!options.some((option) => this.holds(key, option))) {
        found.push(
          `${key}: expected ${JSON.stringify(options.at(-1))}, service has ${JSON.stringify(this.service.members.get(key))}`,
        );
      }
    }
    for (const key of this.service.members.keys()) if (!expected.has(key)) found.push(`${key}: unexpected`);
    return found;
  }

  private holds(key: string, wanted: Block & { bornMs: number }): boolean {
    const has = this.service.members.get(key);
    if (wanted.expiration === -1) return has === undefined;
    if (wanted.expiration === undefined || wanted.expiration === 0) {
      return has !== undefined && has.expiration === wanted.expiration && has.value === wanted.value;
    }
    const untilMs = wanted.bornMs + wanted.expiration * 60_000;
    const restarted = this.life > 1;
    if (has === undefined) return untilMs <= this.clock.monoMs() + (restarted ? this.jumpedOnMs : 0);
    return (
      has.value === wanted.value &&
      has.expiration !== undefined &&
      has.atMs + has.expiration * 60_000 <=
        // What is on the wire sleeps with the machine.
        untilMs + lateByMs + this.sleptMs + (restarted ? this.jumpedBackMs : 0)
    );
  }

  /** Where the quota was exceeded, counted at the service. */
  overQuota(): string[] {
    const { postsPerSecond, usersPerSecond, maxConcurrent } = this.limits;
    const worst = this.service.worstSecond();
    return [
      ...(worst.posts > postsPerSecond ? [`${worst.posts} posts in one second`] : []),
      ...(worst.users > usersPerSecond ? [`${worst.users} users in one second`] : []),
      ...(worst.calls > maxConcurrent ? [`${worst.calls} calls in flight`] : []),
    ];
  }

  /** Where the counters or the messages' own sums do not add up; call when nothing waits any more. */
  miscounts(): string[] {
    const found: string[] = [];
    const { taken, accepted, superseded, expired, rejected, waiting } = this.engine.counters;
    if (waiting !== 0) found.push(`${waiting} still waiting`);
    if (accepted + superseded + expired + rejected + waiting !== taken)
      found.push(`counters: ${JSON.stringify(this.engine.counters)}`);
    const ends = { accepted: 0, superseded: 0, expired: 0, rejected: 0 };
    for (const message of this.messages.filter(({ life }) => life === this.life)) {
      if (message.end === null) found.push('a message without an end');
      else if (message.end.kind === 'settled') found.push(...addUp(message, message.end, ends));
    }
    for (const { end, life } of this.recovered) if (life === this.life) ends[end] += 1;
    ends.rejected += this.engine.erasedUntold;
    const told = JSON.stringify(ends);
    const counted = JSON.stringify({ accepted, superseded, expired, rejected });
    if (told !== counted) found.push(`told ${told}, counted ${counted}`);
    const handedIn = this.messages
      .filter(({ life, end }) => life === this.life && end?.kind !== 'failed')
      .reduce((sum, { entries }) => sum + entries.length, 0);
    const before = this.options.durable === false ? 0 : this.foundWaiting;
    if (taken !== before + handedIn) found.push(`taken ${taken}, found ${before} and handed in ${handedIn}`);
    return found;
  }

  /** Where more ends were told than entries were handed in: some entry was told twice, across all lives. */
  toldTwice(): string[] {
    let entries = 0;
    let told = this.recovered.length;
    for (const { end, entries: its } of this.messages) {
      if (end?.kind === 'failed') continue;
      entries += its.length;
      if (end?.kind === 'settled') told += its.length;
    }
    return told > entries ? [`${told} ends of ${entries} entries`] : [];
  }

  /** Everything that must hold after `rest`, as sentences; empty when all does. */
  violations(): string[] {
    return [
      ...this.differences(),
      ...this.service.problems,
      ...this.service.inFlightTwice(),
      ...this.overQuota(),
      ...this.miscounts(),
      ...this.toldTwice(),
      ...this.complaints,
    ];
  }
}

/** Adds a settled message's ends to `ends`, and says where its own figures disagree. */
function addUp(
  message: Message,
  { summary, rejections }: Extract<TicketEnd, { kind: 'settled' }>,
  ends: Record<'accepted' | 'superseded' | 'expired' | 'rejected', number>,
): string[] {
  ends.accepted += summary.accepted;
  ends.superseded += summary.superseded;
  ends.expired += summary.expired;
  ends.rejected += rejections.length;
  const sum = summary.accepted + summary.superseded + summary.expired + rejections.length;
  if (sum === message.entries.length && summary.entries === sum) return [];
  return [`a message of ${message.entries.length} entries has ${sum} ends`];
}

function rejectedIndexes(message: Message): ReadonlySet<number> {
  return new Set(message.end?.kind === 'settled' ? message.end.rejections.map(({ index }) => index) : []);
}

export function entryOf(
  user: string,
  blocks: readonly Block[],
  rest: { domain?: string | null; event_time?: number } = { domain: 'idfa' },
  ages = true,
): CheckedEntry {
  const result = checkEntry({ user_id: user, seg_block: blocks, ...rest }, { ages });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.entry;
}

/** The device id with this number. */
export function device(number: number): string {
  return `${(number + 1).toString(16).padStart(8, '0')}-0000-4000-8000-000000000001`;
}

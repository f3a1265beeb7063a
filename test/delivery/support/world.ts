// World: an engine on the simulation's time, disk and service, which a test drives by hand and inspects, with
// checks of what must hold afterwards. Random combinations are tested by the simulation itself.
import { checkEntry } from '../../../src/entry/check';
import type { CheckedEntry } from '../../../src/entry/entry';
import { userKeyOf } from '../../../src/entry/keys';
import type { Deleted } from '../../../src/delivery/respond/deletions';
import { Engine, type EngineOptions, type Recovered } from '../../../src/delivery/engine';
import type { Sender } from '../../../src/delivery/sender';
import { requestLimitsOf } from '../../../src/delivery/schedule/request-limits';
import type { MessageEnd } from '../../../src/delivery/pending-messages';
import type { Submission } from '../../../src/delivery/submission';
import type { QueueStore } from '../../../src/queue/store';
import type { SqliteLog } from '../../../src/queue/sqlite/sqlite-log';
import { SqliteStore } from '../../../src/queue/sqlite/sqlite-store';
import type { AuthOutcome, PostOutcome, RequestCounts, Warning } from '../../../src/service/reply/outcome';
import { LoginCount } from '../../../src/service/login/login-count';
import { TokenKeeper } from '../../../src/service/login/tokens';
import { violationsOf } from '../../simulation/model/model';
import { quota } from '../../simulation/model/quota';
import { Dice } from '../../simulation/world/dice';
import { Disk } from '../../simulation/world/disk';
import { History, type MessageRecord } from '../../simulation/world/history';
import { endOf } from '../../simulation/world/instance';
import type { Action, Plan } from '../../simulation/world/plan';
import type { ProcessTime } from '../../simulation/world/process-time';
import { membersOf, type Played } from '../../simulation/world/world';
import { FakeClock } from './fake-clock';
import { FakeService } from './fake-service';
import type { AccountCaller, Block, Fate, SentEntry, Way } from './fake-service';

export const documentedLimits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 } as const;

/** Where a process dies: at its disk call with this number (from 1), before or after it has taken effect. */
export interface KillPoint {
  readonly call: number;
  readonly when: 'before' | 'after';
}

export interface WorldOptions {
  readonly seed: number;
  /** Probabilities; the remainder is 'well'. */
  readonly fates?: Partial<Record<Fate, number>>;
  /** Decides before `fates`; null leaves the decision to `fates`. */
  readonly fateOf?: (entries: readonly SentEntry[], account: string) => Fate | null;
  /** One way, drawn for each way; 1 to 41 ms by default. */
  readonly delayMs?: (way: Way) => number;
  /** How late a late request runs, as a part of the maximum that the engine assumes; random by default. */
  readonly late?: () => number;
  /** Delay until a post has its connection. */
  readonly connectMs?: () => number;
  readonly commitMs?: number;
  readonly memoryMark?: number;
  readonly pageRows?: number;
  readonly limits?: EngineOptions['limits'];
  readonly poison?: (user: string, block: Block) => boolean;
  readonly warn?: (entries: readonly SentEntry[]) => readonly Warning[];
  readonly counts?: (entries: readonly SentEntry[]) => RequestCounts;
  readonly queueMaxEntries?: number;
  readonly queueMaxBytes?: number;
  readonly maxOpenMessages?: number;
  readonly blocksPerSlice?: number;
  readonly accounts?: readonly string[];
  /** Network part of the delay, as the accounts report it. */
  readonly networkFloorMs?: () => number;
  /** False: the queue is in memory and does not survive. */
  readonly durable?: boolean;
  /** Whether the store keeps members of synced segments. */
  readonly syncs?: boolean;
  /** The clock that the store uses too. */
  readonly clock?: FakeClock;
  /** Another store than the default one, which is in memory and survives kills. */
  readonly store?: QueueStore;
  /** The first process finds its file locked. */
  readonly lockedAtFirst?: boolean;
  /** The first process dies there. */
  readonly killAt?: KillPoint;
}

/** One entry of a message. */
export interface Stated {
  /** The id; a device id unless `domain` says otherwise. */
  readonly user: string;
  /** `idfa` when absent; null for the platform's own and mapped ids. */
  readonly domain?: string | null;
  readonly blocks: readonly Block[];
  /** Age of the event in ms when it was accepted; below 0 if its clock is ahead. */
  readonly agoMs?: number;
  /** False for an out node that sends late adds unchanged. */
  readonly ages?: boolean;
}

export interface MessageOptions {
  readonly completeOn?: 'accepted' | 'queued';
  readonly account?: string;
  readonly node?: string;
}

/** One submitted message, as a test reads it. */
export interface Message {
  readonly entries: readonly Stated[];
  /** When it was submitted. */
  readonly atMs: number;
  end: MessageEnd | null;
  endMs: number;
}

export interface RecoveredAt extends Recovered {
  readonly life: number;
  readonly node: string;
}

/** Outcome of the client for a request that was not let go once it had a connection. */
const heldBack: PostOutcome = {
  kind: 'retriable',
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
  readonly logged: string[] = [];
  readonly history: History;
  /**
   * By the value with which a block is sent, and by which the model identifies it: the value that the test
   * gave.
   */
  private readonly given = new Map<number, number | undefined>();
  private readonly actions: Action[] = [];
  /** The service behaves from now on. */
  calm = false;
  /** Disk calls of the current process. */
  diskCalls = 0;
  /** Posts that were built: with a durable store one is sent only after its in-flight record is written. */
  departures = 0;
  engine!: Engine;
  processClock!: ProcessTime;
  readonly keepers = new Map<string, TokenKeeper>();
  life = 0;
  private sleptMs = 0;
  private mostPending = 0;

  constructor(readonly options: WorldOptions) {
    this.dice = new Dice(String(options.seed));
    this.random = this.dice.next;
    this.clock = options.clock ?? new FakeClock();
    const { world } = this.clock;
    this.history = new History(() => world.nowMs);
    this.disk = new Disk(world, this.dice.fork('disk'), options.commitMs ?? 0, null, false, options.syncs);
    this.diskFails = options.lockedAtFirst === true;
    const fates = Object.entries(options.fates ?? {}) as [Fate, number][];
    this.service = new FakeService(world, this.history, this.dice.fork('service'), {
      given: this.given,
      fate: (entries, account) => this.fate(fates, entries, account),
      delayMs: options.delayMs ?? ((): number => 1 + this.random() * 40),
      late: options.late,
      poison: options.poison,
      warn: options.warn,
      counts: options.counts,
      limits: requestLimitsOf(this.limits),
    });
    this.boot(options.killAt ?? null);
  }

  /** The disk can be neither written nor read. */
  set diskFails(fails: boolean) {
    this.disk.state = fails ? 'broken' : 'well';
    this.acts({ kind: 'disk', instance: 0, how: 'broken', forMs: 0 });
  }

  /** The file's content, which stays when the process dies. */
  get logStore(): SqliteLog {
    return this.disk.file('queue').log;
  }

  get complaints(): readonly string[] {
    return this.history.complaints;
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

  /** Sends for the engine, and has its parts. */
  get sender(): Sender {
    return (this.engine as unknown as { readonly sender: Sender }).sender;
  }

  get limits(): EngineOptions['limits'] {
    return this.options.limits ?? documentedLimits;
  }

  private boot(killAt: KillPoint | null): void {
    this.life += 1;
    const { options } = this;
    this.processClock = this.clock.process();
    this.engine = new Engine({
      store: options.store ?? (options.durable === false ? this.openMemory() : this.openDisk(killAt)),
      clock: this.processClock,
      random: this.random,
      limits: this.limits,
      queueMaxEntries: options.queueMaxEntries ?? 1_000_000,
      queueMaxBytes: options.queueMaxBytes ?? 1e9,
      ...(options.memoryMark !== undefined && { memoryMark: options.memoryMark }),
      ...(options.pageRows !== undefined && { pageRows: options.pageRows }),
      ...(options.maxOpenMessages !== undefined && { maxOpenMessages: options.maxOpenMessages }),
      ...(options.blocksPerSlice !== undefined && { blocksPerSlice: options.blocksPerSlice }),
      log: (level, text) => this.logged.push(`${level}: ${text}`),
    });
    this.keepers.clear();
    for (const account of options.accounts ?? ['a']) this.attach(account);
    this.listen('n');
    this.engine.start();
  }

  private openMemory(): QueueStore {
    return new SqliteStore(':memory:', { clock: this.processClock });
  }

  private openDisk(killAt: KillPoint | null): QueueStore {
    const { life } = this;
    this.diskCalls = 0;
    const diesAt = (_port: 'disk', when: 'before' | 'after'): boolean => {
      if (life !== this.life) return true;
      if (when === 'before') this.diskCalls += 1;
      if (killAt?.when !== when || killAt.call !== this.diskCalls) return false;
      this.kill();
      return true;
    };
    const store = this.disk.store('queue', { time: this.processClock, diesAt, busy: () => undefined });
    const commit = store.commit.bind(store);
    return Object.assign(store, {
      commit: (parts: Parameters<typeof commit>[0]): Promise<void> => {
        this.departures += parts.begin?.length ?? 0;
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
        if (!processClock.alive) this.history.complain('a dead process posts');
        return this.service.post(body, token, caller);
      },
      networkFloorMs: this.options.networkFloorMs ?? ((): number => 0),
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
      sleptMs: () => this.sleptMs,
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
      for (const { entry, end, rejection } of list) {
        const { value } = parseValue(entry);
        const atMs = this.clock.world.nowMs;
        this.history.late.push({ instance: 0, life, node, value, end, code: rejection?.code ?? null, atMs });
      }
    });
  }

  /** kill -9, followed by a start. */
  kill(): void {
    const { history, life } = this;
    const { nowMs } = this.clock.world;
    history.fault('crash');
    history.deaths.push({ instance: 0, life, atMs: nowMs });
    this.processClock.die();
    this.disk.unlock();
    for (const request of history.requests)
      if (!request.durable) request.doneMs = Math.min(request.doneMs, nowMs);
    for (const message of history.messages) if (message.end === null) message.orphaned = true;
    this.boot(null);
  }

  /** Submits one entry as a message of its own. */
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
    const { history } = this;
    const { node = 'n', account = 'a', completeOn = 'accepted' } = options;
    const message: Message = { entries, atMs: this.clock.monoMs(), end: null, endMs: Infinity };
    const record = this.record(entries, node, account);
    this.messages.push(message);
    history.messages.push(record);
    this.mostPending = Math.max(this.mostPending, this.engine.counters.waiting);
    let returned = false;
    const submission = {
      source: { node, account },
      entries: record.entries.map(({ blocks }, index) => this.checked({ ...entries[index]!, blocks })),
      indexes: null,
      completeOn,
      onEnd: (end: MessageEnd) => {
        if (!returned) history.complain('a message ended before submit returned');
        if (message.end !== null) history.complain(`a message ended twice: ${message.end.kind}, ${end.kind}`);
        message.end = end;
        message.endMs = this.clock.monoMs();
        record.end = endOf(end);
        record.endMs = this.clock.world.nowMs;
      },
    };
    // Without properties of its own, as one of the out node's: a spread would lose them all.
    this.engine.submit(Object.create(submission) as Submission);
    returned = true;
    return message;
  }

  /** The message in the model's form. */
  private record(entries: readonly Stated[], node: string, account: string): MessageRecord {
    const durable = this.options.durable !== false;
    return {
      number: this.history.messages.length,
      instance: 0,
      life: this.life,
      node,
      account,
      member: 1,
      queue: durable ? 'disk' : 'memory',
      term: this.life,
      durable,
      atMs: this.clock.world.nowMs,
      entries: entries.map(({ user, domain = 'idfa', blocks, agoMs = 0, ages = true }) => ({
        user,
        domain,
        blocks: blocks.map((block) => ({ ...block, value: this.valueFor(block) })),
        agoMs: Math.max(0, agoMs),
        ...(!ages && { ages }),
      })),
      end: null,
      endMs: Infinity,
      orphaned: false,
      discarded: new Map(),
    };
  }

  private valueFor({ value }: Block): number {
    const own = this.given.size + 1;
    this.given.set(own, value);
    return own;
  }

  private checked({ user, domain, blocks, agoMs, ages }: Stated): CheckedEntry {
    const rest = {
      domain: domain === undefined ? 'idfa' : domain,
      ...(agoMs !== undefined && { event_time: this.clock.wallMs() - agoMs }),
    };
    return entryOf(user, blocks, rest, ages);
  }

  /** Purges the queue. */
  purge(): Promise<Deleted> {
    return this.givesUp(null, () => this.engine.purge());
  }

  /** Erases a user of this domain. */
  erase(user: string, domain: string | null): Promise<Deleted> {
    return this.givesUp(user, () => this.engine.erase([userKeyOf(domain, user).userKey], user));
  }

  private async givesUp(user: string | null, ask: () => Promise<Deleted>): Promise<Deleted> {
    const { nowMs } = this.clock.world;
    const record = { member: 1, user: user?.toLowerCase() ?? null, askedMs: nowMs, doneMs: Infinity };
    this.history.discards.push(record);
    for (const { entries, end, discarded } of this.history.messages)
      if (end?.kind !== 'settled')
        entries.forEach((entry, index) => {
          if (user === null || entry.user.toLowerCase() === record.user) discarded.set(index, nowMs);
        });
    const deleted = await ask();
    record.doneMs = this.clock.world.nowMs;
    return deleted;
  }

  /** The wall clock is set; after a restart only the wall clock tells the age of an entry. */
  jumpWall(byMs: number): void {
    this.clock.jumpWall(byMs);
    this.history.fault('wall clock');
    this.acts({ kind: 'wallClock', instance: 0, byMs });
  }

  /** The machine sleeps: its timers stand still. */
  async suspend(ms: number): Promise<void> {
    this.sleptMs += ms;
    await this.asleep('suspended', ms);
  }

  /** The event loop is blocked: no code of the process runs. */
  stall(ms: number): Promise<void> {
    return this.asleep('frozen', ms);
  }

  private async asleep(how: 'suspended' | 'frozen', ms: number): Promise<void> {
    this.acts({ kind: how === 'frozen' ? 'freeze' : 'suspend', instance: 0, forMs: ms });
    this.processClock.sleep(how);
    await this.clock.advance(ms);
    this.processClock.wake();
  }

  /** Waits until everything has settled, with a service that behaves. */
  async rest(ms = 400_000): Promise<void> {
    this.calm = true;
    await this.clock.advance(ms);
  }

  // ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────

  private acts(action: Unplanned): void {
    this.actions.push({ ...action, atMs: this.clock.world.nowMs });
  }

  /** Violations that the simulation's model finds, after `rest`; empty when every promise was kept. */
  violations(): string[] {
    return violationsOf(this.played()).map(({ promise, text }) => `${promise}: ${text}`);
  }

  /** Violations of quota and request limits; also before everything has settled. */
  overQuota(): string[] {
    return quota(this.played());
  }

  private played(): Played {
    const { history, engine, service, processClock, mostPending, options } = this;
    const { nowMs, events } = this.clock.world;
    const queue = options.durable === false ? 'memory' : 'disk';
    const { counters } = engine;
    const isOpen = history.messages.some(({ end, orphaned }) => end === null && !orphaned);
    const { timers, mostTimers } = processClock;
    const its = { member: '1', queue, state: engine.stats().state.kind, counters, kept: 0 };
    return {
      plan: this.plan(queue),
      history,
      events,
      healedMs: 0,
      restedMs: isOpen || counters.waiting > 0 ? Infinity : nowMs,
      instances: [
        { index: 0, engines: [its], timers, mostTimers, mostPending, connections: 0, sharedQueues: 0 },
      ],
      members: membersOf(service, nowMs),
      endMs: nowMs,
    };
  }

  /** A plan in retrospect: what happened. */
  private plan(queue: 'memory' | 'disk'): Plan {
    const { options, actions } = this;
    const { seed, accounts = ['a'], queueMaxEntries = 1_000_000, maxOpenMessages = 50_000 } = options;
    const limits = { ...this.limits, ...this.service.limits };
    return {
      seed,
      shape: 'directed',
      setup: {
        instances: 1,
        members: [{ id: 1, queue, limits }],
        accounts: accounts.map((id) => ({ id, member: 1, username: id, connection: 'its' })),
        nodes: [],
        memoryMark: options.memoryMark ?? Infinity,
        pageRows: options.pageRows ?? Infinity,
        queueMaxEntries,
        maxOpenMessages,
        latencyMs: 0,
        jitterMs: 0,
        diskMs: options.commitMs ?? 0,
        databaseMs: 0,
        skewMs: [0],
        sqlite: false,
      },
      actions,
      healMs: 0,
    };
  }
}

type WithoutTime<A> = A extends unknown ? Omit<A, 'atMs'> : never;
/** An action of a test. */
type Unplanned = WithoutTime<Action>;

/** The value of its first block. */
function parseValue(entry: CheckedEntry): { readonly value: number } {
  return (JSON.parse(entry.body) as { seg_block: [{ value: number }] }).seg_block[0];
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

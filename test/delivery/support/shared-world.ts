// Several processes that share a log, each with its own connection to it, a faulty service and one clock; and what must
// hold afterwards. Processes are killed, put to sleep, cut off and deployed.
import { Absentees } from '../../../src/delivery/absentees';
import { SharedQueue } from '../../../src/delivery/shared-queue';
import type { Clock } from '../../../src/delivery/clock';
import type { EngineOptions, Recovered } from '../../../src/delivery/engine';
import type { TicketEnd } from '../../../src/delivery/tickets';
import { MachineClock } from '../../../src/machine-clock';
import { MemoryOutbox } from '../../../src/outbox/memory-outbox';
import type { Outbox } from '../../../src/outbox/outbox';
import type { News, SharedLog } from '../../../src/outbox/shared-log';
import { MemoryLogStore, MemorySharedLog } from '../../outbox/memory-shared-log';
import { FakeClock, ProcessClock } from './fake-clock';
import { FakeService, heldBack, type Block, type Fate } from './fake-service';
import { documentedLimits, entryOf, seeded } from './world';

export interface SharedWorldOptions {
  readonly seed: number;
  readonly machines: number;
  readonly fates?: Partial<Record<Fate, number>>;
  readonly limits?: EngineOptions['limits'];
  readonly memoryMark?: number;
  readonly pageRows?: number;
  /** Difference of each machine's wall clock from the database's. */
  readonly skewMs?: readonly number[];
  /** One way to the database. */
  readonly databaseMs?: number;
  /** Until a post has its connection. */
  readonly connectMs?: (random: () => number) => number;
  readonly leaseMs?: number;
  readonly queueMaxEntries?: number;
  readonly aliases?: Readonly<Record<string, number>>;
  /** Blocks whose bodies the service refuses. */
  readonly poison?: (user: string, block: Block) => boolean;
}

/** The clock of a process that may sleep, alone or with its machine: time goes on, nothing runs. */
class SleepyClock implements Clock {
  private asleep = false;
  private late: (() => void)[] = [];
  private awake: (() => void)[] = [];
  /** Of the machine: its monotonic clock and its timers stand still. */
  private suspendedMs = 0;
  private suspendedAtMs: number | null = null;
  private readonly machine: MachineClock;

  constructor(
    private readonly clock: Clock,
    private readonly skewMs: number,
  ) {
    this.machine = new MachineClock({
      monoMs: () => this.awakeMs,
      wallMs: () => this.wallMs(),
      uptimeMs: () => clock.monoMs(),
    });
  }

  private get stoodStillMs(): number {
    const nowMs = this.clock.monoMs();
    return this.suspendedMs + nowMs - (this.suspendedAtMs ?? nowMs);
  }

  /** What `performance.now()` says. */
  private get awakeMs(): number {
    return this.clock.monoMs() - this.stoodStillMs;
  }

  monoMs(): number {
    return this.machine.monoMs();
  }

  sleptMs(): number {
    return this.machine.sleptMs();
  }

  wallMs(): number {
    return this.clock.wallMs() + this.skewMs;
  }

  after(delayMs: number, call: () => void): () => void {
    let cancelled = false;
    let cancel = (): void => undefined;
    const dueMs = this.awakeMs + delayMs;
    const fireAfter = (ms: number): void => {
      cancel = this.clock.after(ms, () => {
        this.run(() => {
          if (cancelled) return;
          // Its machine slept meanwhile. Less than a microsecond is how numbers are added.
          const leftMs = dueMs - this.awakeMs;
          if (leftMs > 0.001) fireAfter(leftMs);
          else call();
        });
      });
    };
    fireAfter(delayMs);
    return () => {
      cancelled = true;
      cancel();
    };
  }

  endOfTurn(call: () => void): void {
    this.clock.endOfTurn(() => this.run(call));
  }

  run(call: () => void): void {
    if (this.asleep) this.late.push(call);
    else call();
  }

  sleep(): void {
    this.asleep = true;
  }

  suspend(): void {
    this.sleep();
    this.suspendedAtMs ??= this.clock.monoMs();
  }

  /** kill -9 of one that sleeps: it does not wake. */
  die(): void {
    this.late = [];
  }

  wake(): void {
    this.asleep = false;
    this.suspendedMs = this.stoodStillMs;
    this.suspendedAtMs = null;
    for (const call of this.awake.splice(0)) call();
    for (const call of this.late.splice(0)) this.run(call);
  }

  /** Resolves while the process is awake: nothing of a sleeping one goes on. */
  async awakeNow(): Promise<void> {
    while (this.asleep) await new Promise<void>((resolve) => this.awake.push(resolve));
  }
}

/** One Node-RED. */
interface Machine {
  readonly name: string;
  readonly spool: MemoryOutbox;
  life: number;
  clock: SleepyClock;
  process: ProcessClock;
  handle: MemorySharedLog;
  queue: SharedQueue;
  absentees: Absentees;
  alive: boolean;
  parked: boolean;
}

export interface SharedMessage {
  readonly machine: number;
  readonly life: number;
  readonly user: string;
  readonly blocks: readonly Block[];
  readonly order: number;
  readonly submittedMs: number;
  end: TicketEnd | null;
  endMs: number;
  /** Its process was killed before it said anything. */
  orphaned: boolean;
}

export class SharedWorld {
  readonly clock = new FakeClock();
  readonly random: () => number;
  readonly store: MemoryLogStore;
  readonly service: FakeService;
  readonly machines: Machine[] = [];
  readonly messages: SharedMessage[] = [];
  readonly recovered: (Recovered & { readonly machine: number })[] = [];
  readonly complaints: string[] = [];
  /** Which machine posted when. */
  readonly posts: { readonly machine: number; readonly atMs: number }[] = [];
  readonly logged: string[] = [];
  calm = false;
  kills = 0;

  constructor(readonly options: SharedWorldOptions) {
    this.random = seeded(options.seed);
    this.store = new MemoryLogStore(this.clock);
    const fates = Object.entries(options.fates ?? {}) as [Fate, number][];
    this.service = new FakeService({
      clock: this.clock,
      random: this.random,
      fate: () => this.fate(fates),
      delayMs: () => 1 + this.random() * 40,
      aliases: options.aliases,
      poison: options.poison,
    });
    for (let index = 0; index < options.machines; index += 1) this.boot(index, new MemoryOutbox(), 1);
  }

  private fate(fates: readonly [Fate, number][]): Fate {
    if (this.calm) return 'ok';
    let draw = this.random();
    for (const [fate, probability] of fates) {
      draw -= probability;
      if (draw < 0) return fate;
    }
    return 'ok';
  }

  get limits(): EngineOptions['limits'] {
    return this.options.limits ?? documentedLimits;
  }

  private boot(index: number, spool: MemoryOutbox, life: number): void {
    const { options, random } = this;
    const skewMs = options.skewMs?.[index] ?? 0;
    const process = new ProcessClock(this.clock);
    const clock = new SleepyClock(process, skewMs);
    const databaseMs = options.databaseMs ?? 0;
    const handle = new MemorySharedLog(this.store, {
      skewMs,
      delayMs: () => databaseMs * random(),
      newsDelayMs: () => databaseMs * random(),
    });
    const name = `machine ${index}`;
    const queue = new SharedQueue({
      sharedLog: gated(handle, clock),
      spool,
      instance: { id: `${index} ${life}`, name },
      clock,
      random,
      limits: this.limits,
      queueMaxEntries: options.queueMaxEntries ?? 1_000_000,
      queueMaxBytes: 1e9,
      ...(options.leaseMs !== undefined && { leaseMs: options.leaseMs }),
      ...(options.memoryMark !== undefined && { memoryMark: options.memoryMark }),
      ...(options.pageRows !== undefined && { pageRows: options.pageRows }),
      log: (level, text) => this.logged.push(`${this.clock.monoMs().toFixed(0)} ${name} ${level}: ${text}`),
    });
    const absentees = new Absentees(queue, clock, () => undefined);
    const machine: Machine = {
      name,
      spool,
      life,
      clock,
      process,
      handle,
      queue,
      absentees,
      alive: true,
      parked: false,
    };
    this.machines[index] = machine;
    this.attach(machine);
    this.listen(index, machine);
    queue.start();
  }

  private attach(machine: Machine): void {
    machine.queue.attach({
      account: 'a',
      token: async () => {
        const outcome = await this.service.authenticate('a');
        await machine.clock.awakeNow();
        if (!machine.alive) return new Promise(() => undefined);
        return outcome as never;
      },
      refused: () => undefined,
      post: async (body, token, mayLeave) => {
        const connectMs = this.options.connectMs?.(this.random) ?? 0;
        if (connectMs > 0) await new Promise<void>((resolve) => void machine.clock.after(connectMs, resolve));
        if (!machine.alive) this.complaints.push('a dead process posts');
        if (!mayLeave()) return heldBack;
        this.posts.push({ machine: this.machines.indexOf(machine), atMs: this.clock.monoMs() });
        const outcome = await this.service.post(body, token, 'a');
        await machine.clock.awakeNow();
        return machine.alive ? outcome : new Promise(() => undefined);
      },
      networkFloorMs: () => 0,
    });
  }

  private listen(index: number, machine: Machine): void {
    machine.absentees.listen('n', (list) => {
      this.recovered.push(...list.map((each) => ({ ...each, machine: index })));
    });
  }

  // ── What happens ────────────────────────────────────────────────────────────────────────────────────────────

  /** One entry as a message, on a machine that can take it. */
  add(
    index: number,
    user: string,
    blocks: readonly Block[],
    completeOn: 'accepted' | 'queued' = 'accepted',
  ): SharedMessage | null {
    const machine = this.machines[index]!;
    if (!machine.alive || machine.parked) return null;
    const message: SharedMessage = {
      machine: index,
      life: machine.life,
      user,
      blocks,
      order: this.messages.length,
      submittedMs: this.clock.monoMs(),
      end: null,
      endMs: Infinity,
      orphaned: false,
    };
    this.messages.push(message);
    // Of a sleeping process: it is taken when that wakes.
    machine.clock.run(() => {
      if (!machine.alive) return;
      machine.queue.submit({
        source: { node: 'n', account: 'a' },
        entries: [entryOf(user, blocks)],
        indexes: null,
        completeOn,
        onEnd: (end) => {
          if (message.end !== null)
            this.complaints.push(`a message ended twice: ${message.end.kind}, ${end.kind}`);
          message.end = end;
          message.endMs = this.clock.monoMs();
        },
      });
    });
    return message;
  }

  /** kill -9 and start again after a while. */
  kill(index: number, downMs = 0): void {
    const machine = this.machines[index]!;
    if (!machine.alive) return;
    this.kills += 1;
    machine.alive = false;
    machine.handle.kill();
    machine.process.die();
    machine.clock.die();
    void machine.spool.close();
    for (const message of this.messages)
      if (message.machine === index && message.end === null) message.orphaned = true;
    this.clock.after(downMs, () => this.boot(index, machine.spool, machine.life + 1));
  }

  sleep(index: number, ms: number): void {
    const { clock } = this.machines[index]!;
    clock.sleep();
    this.clock.after(ms, () => clock.wake());
  }

  /** The whole machine sleeps. */
  suspend(index: number, ms: number): void {
    const { clock } = this.machines[index]!;
    clock.suspend();
    this.clock.after(ms, () => clock.wake());
  }

  cut(index: number, how: 'all' | 'replies'): void {
    const { handle } = this.machines[index]!;
    if (how === 'all') handle.cut();
    else handle.cutReplies();
  }

  join(index: number): void {
    this.machines[index]!.handle.join();
  }

  /** A deploy: closes, and comes back. */
  deploy(index: number, ms: number): void {
    const machine = this.machines[index]!;
    if (!machine.alive || machine.parked) return;
    machine.parked = true;
    machine.clock.run(() => {
      machine.absentees.away('n', []);
      machine.absentees.leave('n', true);
      machine.queue.suspend('a');
      void machine.queue.park(5_000);
    });
    this.clock.after(ms, () => {
      if (!machine.alive || this.machines[index] !== machine) return;
      machine.parked = false;
      machine.clock.run(() => {
        this.attach(machine);
        this.listen(index, machine);
        machine.queue.unpark();
      });
    });
  }

  /** Everything works again, and comes to rest. */
  async rest(ms = 400_000): Promise<void> {
    this.calm = true;
    for (const { handle } of this.machines) handle.join();
    await this.clock.advance(1_000);
    for (const { handle, clock } of this.machines) {
      handle.join();
      clock.wake();
    }
    await this.clock.advance(ms);
  }

  // ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────

  violations(): string[] {
    return [
      ...this.differences(),
      ...this.service.problems.filter((text) => !text.endsWith('in flight twice')),
      ...this.overQuota(),
      ...this.leftovers(),
      ...this.toldTwice(),
      ...this.complaints,
    ];
  }

  /**
   * Where the service's state is not that of any message that may have been the last: one that no other came after. One
   * comes after another when it was handed in after the other had ended, or to the same machine.
   */
  private differences(): string[] {
    const found: string[] = [];
    const byKey = new Map<string, { message: SharedMessage; block: Block }[]>();
    for (const message of this.messages) {
      if (message.end?.kind === 'failed') continue;
      const id = this.service.userOf({ user_id: message.user, domain: 'idfa' });
      for (const block of message.blocks) {
        const key = `${id} ${this.service.segmentOf(block)}`;
        byKey.set(key, [...(byKey.get(key) ?? []), { message, block }]);
      }
    }
    for (const [key, all] of byKey) {
      const last = all.filter(({ message }) => !all.some((other) => comesAfter(other.message, message)));
      const certain = last.some(({ message }) => !message.orphaned);
      const has = this.service.state.get(key);
      const fits = last.some(({ block }) =>
        block.expiration === -1 ? has === undefined : has !== undefined && has.value === block.value,
      );
      if (fits || (!certain && has === undefined)) continue;
      const said = last.map(({ block, message }) => `${JSON.stringify(block)} of #${message.order}`);
      found.push(`${key}: expected one of ${said.join(', ')}, service has ${JSON.stringify(has)}`);
    }
    for (const key of this.service.state.keys()) if (!byKey.has(key)) found.push(`${key}: unexpected`);
    return found;
  }

  private overQuota(): string[] {
    const { postsPerSecond, usersPerSecond, maxConcurrent } = this.limits;
    const worst = this.service.worstSecond();
    return [
      ...(worst.posts > postsPerSecond ? [`${worst.posts} posts in one second`] : []),
      ...(worst.users > usersPerSecond ? [`${worst.users} users in one second`] : []),
      ...(worst.concurrent > maxConcurrent ? [`${worst.concurrent} calls in flight`] : []),
    ];
  }

  private leftovers(): string[] {
    const found: string[] = [];
    const { waiting } = this.store.rows.totals;
    if (waiting > 0) found.push(`${waiting} still wait in the log`);
    for (const { queue, name } of this.machines) {
      const { shared, counters } = queue.stats();
      if (shared!.kept > 0) found.push(`${shared!.kept} still wait on ${name}`);
      const { taken, accepted, superseded, expired, rejected, waiting: open } = counters;
      if (taken !== accepted + superseded + expired + rejected + open || open < 0)
        found.push(`${name} counts ${JSON.stringify(counters)}`);
    }
    for (const { end, orphaned, order } of this.messages)
      if (end === null && !orphaned) found.push(`message ${order} has no end`);
    return found;
  }

  private toldTwice(): string[] {
    const settled = this.messages.filter(({ end }) => end?.kind === 'settled').length;
    const taken = this.messages.filter(
      ({ end, orphaned }) => orphaned || (end !== null && end.kind !== 'failed'),
    );
    const told = settled + this.recovered.length;
    // Letters that a killed process had read may be read again by another.
    if (this.kills === 0 && told > taken.length) return [`${told} ends of ${taken.length} entries`];
    if (this.kills === 0 && told < taken.length) return [`only ${told} ends of ${taken.length} entries`];
    return [];
  }
}

/** Whether `later` surely comes after `message` in the log. */
function comesAfter(later: SharedMessage, message: SharedMessage): boolean {
  if (later === message || later.orphaned) return false;
  if (later.machine === message.machine && later.order > message.order) return true;
  const isApart = message.end?.kind === 'queued' && message.end.reason === 'apart';
  // A node that closed does not say whether its messages are in the log or on its machine.
  const isKnown = message.end !== null && message.end.kind !== 'parked' && !isApart;
  return isKnown && later.submittedMs > message.endMs;
}

/** Nothing of a process that sleeps goes on: neither calls nor what they give. */
function gated(log: SharedLog, clock: SleepyClock): SharedLog {
  const gate = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(its, name) {
        const value: unknown = Reflect.get(its, name, its);
        if (name === 'outbox')
          return (...args: Parameters<SharedLog['outbox']>): Outbox =>
            gate((value as SharedLog['outbox']).apply(its, args));
        if (name === 'onNews')
          return (listener: (news: News) => void): void =>
            (value as SharedLog['onNews']).call(its, (news) => clock.run(() => listener(news)));
        if (name === 'nowMs') return (value as SharedLog['nowMs']).bind(its as SharedLog);
        if (name === 'meta') return gate(value as object);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          await clock.awakeNow();
          try {
            return await (value as (...args: unknown[]) => Promise<unknown>).apply(its, args);
          } finally {
            await clock.awakeNow();
          }
        };
      },
    });
  return gate(log);
}

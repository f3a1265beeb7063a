// Several processes that share a log, on the simulation's time and service, driven by hand: killed, put to sleep and cut off.
// What chance brings together is for the simulation itself.
import { Absentees } from '../../../src/delivery/absentees';
import { SharedQueue } from '../../../src/delivery/shared-queue';
import type { EngineOptions, Recovered } from '../../../src/delivery/engine';
import type { TicketEnd } from '../../../src/delivery/tickets';
import { MemoryOutbox } from '../../../src/outbox/memory-outbox';
import type { Outbox } from '../../../src/outbox/outbox';
import type { News, SharedLog } from '../../../src/outbox/shared-log';
import { MemoryLogStore, MemorySharedLog } from '../../outbox/memory-shared-log';
import { ofProcess } from '../../simulation/real/of-process';
import { Dice } from '../../simulation/world/dice';
import { History } from '../../simulation/world/history';
import { ProcessTime } from '../../simulation/world/process-time';
import { FakeClock } from './fake-clock';
import { FakeService, nameOf, type AccountCaller, type Block, type ServiceOptions } from './fake-service';
import { documentedLimits, entryOf, heldBack } from './world';

export interface SharedWorldOptions {
  readonly seed: number;
  readonly machines: number;
  /** Difference of each machine's wall clock from the database's. */
  readonly skewMs?: readonly number[];
  /** One way to the database. */
  readonly databaseMs?: number;
  /** Until a post has its connection. */
  readonly connectMs?: () => number;
  readonly queueMaxEntries?: number;
  /** Blocks whose bodies the service refuses. */
  readonly poison?: ServiceOptions['poison'];
}

/** One Node-RED. */
interface Machine {
  readonly name: string;
  readonly spool: MemoryOutbox;
  readonly life: number;
  readonly time: ProcessTime;
  readonly handle: MemorySharedLog;
  readonly queue: SharedQueue;
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
  readonly store = new MemoryLogStore(this.clock);
  readonly service: FakeService;
  readonly machines: Machine[] = [];
  readonly messages: SharedMessage[] = [];
  readonly recovered: (Recovered & { readonly machine: number })[] = [];
  readonly complaints: string[] = [];
  /** Which machine posted when. */
  readonly posts: { readonly machine: number; readonly atMs: number }[] = [];
  kills = 0;
  private readonly dice: Dice;

  constructor(readonly options: SharedWorldOptions) {
    this.dice = new Dice(String(options.seed));
    const { world } = this.clock;
    this.service = new FakeService(world, new History(() => world.nowMs), this.dice.fork('service'), {
      fate: () => 'well',
      delayMs: () => 1 + this.dice.next() * 40,
      poison: options.poison,
    });
    for (let index = 0; index < options.machines; index += 1) this.boot(index, new MemoryOutbox(), 1);
  }

  get limits(): EngineOptions['limits'] {
    return documentedLimits;
  }

  private boot(index: number, spool: MemoryOutbox, life: number): void {
    const { options, dice } = this;
    const { databaseMs = 0 } = options;
    const skewMs = options.skewMs?.[index] ?? 0;
    const time = new ProcessTime(this.clock.world, { offsetMs: skewMs });
    const handle = new MemorySharedLog(this.store, {
      skewMs,
      delayMs: () => databaseMs * dice.next(),
      newsDelayMs: () => databaseMs * dice.next(),
    });
    const name = `machine ${index}`;
    const queue = new SharedQueue({
      sharedLog: logOf(handle, time),
      spool,
      instance: { id: `${index} ${life}`, name },
      clock: time,
      random: dice.next,
      limits: this.limits,
      queueMaxEntries: options.queueMaxEntries ?? 1_000_000,
      queueMaxBytes: 1e9,
      log: () => undefined,
    });
    const machine: Machine = { name, spool, life, time, handle, queue };
    this.machines[index] = machine;
    this.attach(index, machine);
    new Absentees(queue, time, () => undefined).listen('n', (list) => {
      this.recovered.push(...list.map((each) => ({ ...each, machine: index })));
    });
    queue.start();
  }

  private attach(index: number, { time, life, queue }: Machine): void {
    const caller: AccountCaller = {
      account: 'a',
      instance: index,
      life,
      time,
      leaseOk: () => null,
      sleptMs: () => 0,
      isHeld: () => true,
      durable: true,
      queue: 'shared',
      term: () => `${index} ${life}`,
      diesAt: () => false,
    };
    queue.attach({
      account: 'a',
      token: () => this.service.authenticate('a', caller) as never,
      refused: () => undefined,
      post: async (body, token, mayLeave) => {
        const connectMs = this.options.connectMs?.() ?? 0;
        if (connectMs > 0) await new Promise<void>((resolve) => void time.after(connectMs, resolve));
        if (!time.alive) this.complaints.push('a dead process posts');
        if (!mayLeave()) return heldBack;
        this.posts.push({ machine: index, atMs: this.clock.monoMs() });
        return this.service.post(body, token, caller);
      },
      networkFloorMs: () => 0,
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
    const { time, life, queue } = this.machines[index]!;
    if (!time.alive) return null;
    const message: SharedMessage = {
      machine: index,
      life,
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
    time.run(() => {
      queue.submit({
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
    if (!machine.time.alive) return;
    this.kills += 1;
    machine.handle.kill();
    machine.time.die();
    void machine.spool.close();
    for (const message of this.messages)
      if (message.machine === index && message.end === null) message.orphaned = true;
    this.clock.after(downMs, () => this.boot(index, machine.spool, machine.life + 1));
  }

  /** The process alone, or its whole machine. */
  sleep(index: number, how: 'frozen' | 'suspended', ms: number): void {
    const { time } = this.machines[index]!;
    time.sleep(how);
    this.clock.after(ms, () => time.wake());
  }

  cut(index: number): void {
    this.machines[index]!.handle.cut();
  }

  join(index: number): void {
    this.machines[index]!.handle.join();
  }

  /** Everything works again, and comes to rest. */
  async rest(ms = 400_000): Promise<void> {
    for (const { handle, time } of this.machines) {
      handle.join();
      time.wake();
    }
    await this.clock.advance(1_000);
    for (const { handle } of this.machines) handle.join();
    await this.clock.advance(ms);
  }

  // ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────

  violations(): string[] {
    return [
      ...this.differences(),
      ...this.service.problems,
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
      const id = nameOf({ user_id: message.user, domain: 'idfa' });
      for (const block of message.blocks) {
        const key = `${id} ${this.service.segmentOf(block)}`;
        byKey.set(key, [...(byKey.get(key) ?? []), { message, block }]);
      }
    }
    for (const [key, all] of byKey) {
      const last = all.filter(({ message }) => !all.some((other) => comesAfter(other.message, message)));
      const certain = last.some(({ message }) => !message.orphaned);
      const has = this.service.members.get(key);
      const fits = last.some(({ block }) =>
        block.expiration === -1 ? has === undefined : has !== undefined && has.value === block.value,
      );
      if (fits || (!certain && has === undefined)) continue;
      const said = last.map(({ block, message }) => `${JSON.stringify(block)} of #${message.order}`);
      found.push(`${key}: expected one of ${said.join(', ')}, service has ${JSON.stringify(has)}`);
    }
    for (const key of this.service.members.keys()) if (!byKey.has(key)) found.push(`${key}: unexpected`);
    return found;
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

/** As one process has it: nothing of it goes on while that sleeps. */
function logOf(handle: MemorySharedLog, time: ProcessTime): SharedLog {
  const log = ofProcess<SharedLog>(handle, time);
  return Object.assign(Object.create(log) as SharedLog, {
    outbox: (...args: Parameters<SharedLog['outbox']>): Outbox => ofProcess(handle.outbox(...args), time),
    onNews: (listener: (news: News) => void): void => handle.onNews((news) => time.run(() => listener(news))),
  });
}

// One Node-RED instance: the real registry, the real life cycle of accounts, and out nodes in miniature. It is
// started, killed, and deployed in whole and in part.
import { checkEntry } from '../../../src/entry/check';
import type { CheckedEntry } from '../../../src/entry/entry';
import { userKeysOf } from '../../../src/entry/keys';
import { memberKeyOf } from '../../../src/entry/member-key';
import { dryRun } from '../../../src/delivery/dry-run';
import { Registry, QueueKindsDiffer, type LeaseRequest } from '../../../src/delivery/registry';
import type { MemberQueue } from '../../../src/delivery/engine';
import { requestLimitsOf } from '../../../src/delivery/schedule/request-limits';
import type { MessageEnd, Recovered } from '../../../src/delivery/pending-messages';
import type { QueueStore } from '../../../src/queue/store';
import type { PlainMember } from '../../queue/plain-sync-store';
import { SqliteStore } from '../../../src/queue/sqlite/sqlite-store';
import type { Problem } from '../../../nodes/account/account-api';
import { Holder, type Hold } from '../../../nodes/account/holder';
import { SimClient } from './client';
import { SyncedNode } from './synced-node';
import type { Database } from './database';
import type { Disk } from './disk';
import type { Dice } from './dice';
import type { DryRunRecord, History, RecordedEnd, MessageRecord } from './history';
import type { AccountChange, AudienceRow, Entry, NodePlan, Port, QueueKind, Setup } from './plan';
import { epochMs, ProcessTime } from './process-time';
import type { SimService } from './service';
import type { WorldTime } from './virtual-time';

/** Everything outside of the instances. */
export interface Outside {
  readonly world: WorldTime;
  readonly history: History;
  readonly dice: Dice;
  readonly setup: Setup;
  readonly service: (member: number) => SimService;
  readonly database: (name: string) => Database;
  /** Notifies the databases about an instance. */
  readonly processDied: (instance: number) => void;
}

/** An account with its current configuration. */
interface AccountState {
  readonly id: string;
  readonly member: number;
  username: string;
  connection: string;
  queue: QueueKind;
  database: string;
  enabled: boolean;
}

interface NodeState extends NodePlan {
  present: boolean;
}

const origin = 'https://service.test';
/** Requests in flight have this time when nodes close, and a moment more for a commit and a token. */
const closeMs = 6_000;

export class Instance {
  life = 0;
  /** Largest number of entries seen in a local queue. */
  mostPending = 0;
  time!: ProcessTime;
  engines!: Registry;
  readonly wall: { offsetMs: number };
  readonly accountStates: Map<string, AccountState>;
  readonly nodeStates: Map<string, NodeState>;
  /** Nodes that were removed. */
  readonly gone = new Set<string>();
  private readonly accounts = new Map<string, RunningAccount>();
  private readonly nodes = new Map<string, RunningNode>();
  private synced: SyncedNode | null = null;
  /** Names of the queues that nodes use, and how often each was opened. */
  private readonly inUse = new Set<string>();
  private readonly terms = new Map<string, number>();
  private crashPlan: { port: Port; calls: number; when: 'before' | 'after'; downMs: number } | null = null;
  /** By member: until when a request may be one of a node that began to close. */
  private readonly heldUntilMs = new Map<number, number>();
  private closedMs = 0;
  /** Calls of ports in progress, and how long it slept with some. */
  private calls = 0;
  private lastSleep = { endMs: -Infinity, forMs: 0 };
  private wokeMs = -Infinity;
  private sleptAtMs: number | null = null;
  /** The current deploy; the next waits for it, as in Node-RED. */
  private deploying: Promise<void> = Promise.resolve();
  /** Deploys of this process that are not complete. */
  private deploys = new Set<symbol>();

  constructor(
    readonly index: number,
    private readonly outside: Outside,
    readonly disk: Disk,
  ) {
    const { setup } = outside;
    this.wall = { offsetMs: setup.skewMs[index] ?? 0 };
    this.accountStates = new Map(
      setup.accounts.map(({ id, member, username, connection }) => {
        const { queue } = setup.members.find((one) => one.id === member)!;
        return [id, { id, member, username, connection, queue, database: 'main', enabled: true }];
      }),
    );
    this.nodeStates = new Map(setup.nodes.map((node) => [node.id, { ...node, present: true }]));
    disk.onMembers = (changes) => outside.history.changed(changes);
    this.boot();
  }

  private get history(): History {
    return this.outside.history;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  boot(): void {
    const { outside, index } = this;
    this.life += 1;
    this.history.tell(`i${index} starts (life ${this.life})`);
    this.calls = 0;
    this.sleptAtMs = null;
    const { memoryMark, pageRows, maxOpenMessages, blocksPerSlice = 2_000, turnMs } = outside.setup;
    const takesMs = turnMs === undefined ? undefined : (): number => outside.dice.next() * turnMs;
    this.time = new ProcessTime(outside.world, this.wall, takesMs);
    const sizes = { memoryMark, pageRows, maxOpenMessages, blocksPerSlice };
    this.engines = new Registry(this.time, outside.dice.next, sizes);
    this.deploying = Promise.resolve();
    this.deploys = new Set();
    this.inUse.clear();
    this.startMissing();
  }

  kill(downMs: number): void {
    if (!this.time.alive) return;
    this.history.tell(`i${this.index} dies`);
    this.history.fault('crash');
    this.history.deaths.push({ instance: this.index, life: this.life, atMs: this.outside.world.nowMs });
    this.crashPlan = null;
    this.time.die();
    this.disk.unlock();
    this.outside.processDied(this.index);
    this.accounts.clear();
    this.nodes.clear();
    this.synced = null;
    for (const request of this.history.requests)
      if (request.instance === this.index && !request.durable)
        request.doneMs = Math.min(request.doneMs, this.outside.world.nowMs);
    for (const message of this.history.messages)
      if (message.instance === this.index && message.end === null) message.orphaned = true;
    this.outside.world.after(downMs, () => {
      if (!this.time.alive) this.boot();
    });
  }

  crashAt(port: Port, calls: number, when: 'before' | 'after', downMs: number): void {
    this.crashPlan = { port, calls, when, downMs };
    if (port === 'timer') {
      // A timer of this process is about to fire, or has just fired.
      const { time } = this;
      this.outside.world.after(
        calls * 37,
        () => time === this.time && this.crashPlan !== null && this.kill(downMs),
      );
    }
  }

  forgetCrash(): void {
    this.crashPlan = null;
  }

  /** Bound to the process in which it was created. */
  private readonly diesAt = (life: number) => (port: Port, when: 'before' | 'after') => {
    const plan = this.crashPlan;
    if (plan === null || life !== this.life || plan.port !== port || plan.when !== when) return false;
    plan.calls -= 1;
    if (plan.calls > 0) return false;
    this.history.fault(`crash ${when} a call of the ${port}`);
    this.kill(plan.downMs);
    return true;
  };

  sleep(how: 'frozen' | 'suspended', forMs: number): void {
    if (!this.time.alive || this.time.asleep) return;
    this.history.tell(`i${this.index} is ${how} for ${forMs} ms`);
    this.history.fault(how);
    this.sleptAtMs = this.calls > 0 ? this.outside.world.nowMs : null;
    this.time.sleep(how);
    const { time } = this;
    this.outside.world.after(forMs, () => time === this.time && this.wake());
  }

  wake(): void {
    if (!this.time.asleep) return;
    this.history.tell(`i${this.index} wakes`);
    const { nowMs } = this.outside.world;
    this.wokeMs = nowMs;
    if (this.sleptAtMs !== null) this.lastSleep = { endMs: nowMs, forMs: nowMs - this.sleptAtMs };
    this.time.wake();
  }

  /**
   * Whether a node uses an account of the member, or did until a moment ago: requests of then may still be
   * sent.
   */
  private isHeld(member: number): boolean {
    return (
      [...this.nodes.values()].some(({ account }) => account?.state.member === member) ||
      this.outside.world.nowMs <= (this.heldUntilMs.get(member) ?? -Infinity)
    );
  }

  private user(life: number) {
    const diesAt = this.diesAt(life);
    const busy = (by: 1 | -1): void => {
      if (life === this.life) this.calls += by;
    };
    return { instance: this.index, time: this.time, wall: this.wall, diesAt, busy };
  }

  private caller(state: AccountState) {
    const { life, time, index } = this;
    const database = () => this.outside.database(state.database);
    return {
      instance: index,
      life,
      time,
      diesAt: this.diesAt(life),
      durable: state.queue !== 'memory',
      queue: queueName(index, state),
      isHeld: () => this.isHeld(state.member),
      term: () => {
        const { queue, database: name } = state;
        const token = queue === 'shared' ? `${name}.${database().token(String(state.member), index)}` : '';
        return `${index}.${life}.${queue}.${token}`;
      },
      sleptMs: () => (this.outside.world.nowMs - this.lastSleep.endMs < 45_000 ? this.lastSleep.forMs : 0),
      leaseOk: (member: number): boolean | null =>
        state.queue === 'shared' ? database().isSender(String(member), index, `i${index}.${life}`) : null,
    };
  }

  // ── The flow ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Everything closes and starts again. */
  deploy(): void {
    this.change('a full deploy', [...this.accounts.keys()], [...this.nodes.keys()], () => undefined);
  }

  deployNode(node: string): void {
    this.change(`${node} is deployed`, [], [node], () => undefined);
  }

  setNode(node: string, present: boolean): void {
    this.change(`${node} is ${present ? 'added' : 'removed'}`, [], [node], () => {
      this.nodeStates.get(node)!.present = present;
    });
  }

  /** The accounts and the nodes that use them start again. */
  changeAccounts(accounts: readonly string[], change: AccountChange): void {
    const its = [...this.nodeStates.values()]
      .filter(({ account }) => accounts.includes(account))
      .map(({ id }) => id);
    this.change(`${accounts.join(', ')}: ${JSON.stringify(change)}`, accounts, its, () => {
      for (const account of accounts) Object.assign(this.accountStates.get(account)!, change);
    });
  }

  private change(
    what: string,
    accounts: readonly string[],
    nodes: readonly string[],
    apply: () => void,
  ): void {
    const { time, deploys } = this;
    const lives = (): boolean => time.alive;
    const deploy = Symbol(what);
    deploys.add(deploy);
    time.run(() => {
      this.deploying = this.deploying.then(async () => {
        if (!lives()) return;
        this.history.tell(`i${this.index} deploys: ${what}`);
        this.history.fault('deploy');
        apply();
        await this.close(accounts, nodes);
        // A process that died meanwhile starts nothing, also before the next process exists.
        if (lives()) this.startMissing();
        deploys.delete(deploy);
      });
    });
  }

  /** A requested change shows in the states only when it begins. */
  get isDeploying(): boolean {
    return this.deploys.size > 0;
  }

  /** As Node-RED closes nodes: all at once, and for 15 s at most. */
  private async close(accounts: readonly string[], nodes: readonly string[]): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const id of nodes) {
      const node = this.nodes.get(id);
      this.nodes.delete(id);
      if (node === undefined) continue;
      const member = node.account?.state.member;
      if (member !== undefined) this.heldUntilMs.set(member, this.outside.world.nowMs + closeMs);
      closing.push(node.close(this.nodeStates.get(id)!.present));
    }
    for (const id of accounts) {
      const account = this.accounts.get(id);
      this.accounts.delete(id);
      if (account !== undefined) closing.push(account.holder.close());
    }
    this.closedMs = this.outside.world.nowMs;
    await new Promise<void>((resolve) => {
      const cancel = this.time.after(15_000, () => {
        // A process that was frozen meanwhile finds its time over when it wakes.
        if (this.wokeMs < this.closedMs)
          this.history.complain(`i${this.index}: closing took longer than Node-RED waits`);
        resolve();
      });
      void Promise.all(closing).then(() => {
        cancel();
        resolve();
      });
    });
  }

  private startMissing(): void {
    for (const state of this.accountStates.values())
      if (state.enabled && !this.accounts.has(state.id))
        this.accounts.set(state.id, this.startAccount(state));
    this.countTerms();
    for (const node of this.nodeStates.values())
      if (node.present && !this.nodes.has(node.id)) this.nodes.set(node.id, this.startNode(node));
    if (this.synced === null) this.startSynced();
  }

  private startSynced(): void {
    const { syncedSegment } = this.outside.setup;
    const [account] = this.accounts.values();
    if (syncedSegment === undefined || account === undefined) return;
    this.synced = new SyncedNode(syncedSegment, this.outside.history, this.time, () => this.syncedMembers());
    account.holder.join('synced', this.synced.joined(account.state.id));
  }

  /** The table of the synced segment, as it is on the disk or in the database. */
  syncedMembers(): ReadonlyMap<string, PlainMember> {
    const { setup, database } = this.outside;
    const { id, queue } = setup.members[0]!;
    const { sync } =
      queue === 'shared' ? database('main').logStore(String(id)) : this.disk.file(`queue of member ${id}`);
    return sync.membersOf(`i${setup.syncedSegment}`);
  }

  /** Whether it carries out runs of a shared queue, and holds its lease. */
  get syncs(): boolean {
    const { setup, database } = this.outside;
    const { id, queue } = setup.members[0]!;
    if (setup.syncedSegment === undefined || queue !== 'shared') return false;
    const { holder } = database('main').logStore(String(id)).lease;
    return holder?.name === `i${this.index}.${this.life}` && this.synced?.isStarted === true;
  }

  /** Whether no run is open and no bulk entry pending. */
  get isSynced(): boolean {
    return this.outside.setup.syncedSegment === undefined || (this.synced?.isAtRest ?? false);
  }

  audience(rows: readonly AudienceRow[], force: boolean): void {
    this.time.run(() => this.synced?.audience(rows, force));
  }

  refresh(): void {
    this.time.run(() => void this.synced?.refresh());
  }

  lift(user: string, domain: string | null): void {
    this.time.run(() => {
      const sync = this.queueOf(this.outside.setup.members[0]!.id)?.sync ?? null;
      if (sync === null) return;
      this.history.tell(`i${this.index} operator: lifts the suppression of ${user.slice(0, 8)}`);
      const record = { user, domain, askedMs: this.outside.world.nowMs, doneMs: Infinity };
      this.history.lifted.push(record);
      sync.liftUser(userKeysOf(domain, user)).then(
        () => (record.doneMs = this.outside.world.nowMs),
        () => undefined,
      );
    });
  }

  private countTerms(): void {
    const now = new Set<string>();
    for (const { present, account } of this.nodeStates.values()) {
      const running = this.accounts.get(account);
      if (present && running !== undefined) now.add(queueName(this.index, running.state));
    }
    for (const name of now) if (!this.inUse.has(name)) this.terms.set(name, (this.terms.get(name) ?? 0) + 1);
    this.inUse.clear();
    for (const name of now) this.inUse.add(name);
  }

  private startAccount(state: AccountState): RunningAccount {
    const now = { ...state };
    const open = (): Promise<Hold | Problem> => {
      try {
        const lease = this.engines.acquire(this.request(now));
        return Promise.resolve({ lease, end: (maxMs: number) => lease.release(maxMs) });
      } catch (error) {
        if (!(error instanceof QueueKindsDiffer)) throw error;
        return Promise.resolve({ key: 'error.queue_kinds_differ' });
      }
    };
    const failed = (error: unknown): void => this.history.complain(`a node failed: ${String(error)}`);
    return { state: now, holder: new Holder(open, failed, this.time) };
  }

  private startNode(plan: NodeState): RunningNode {
    const account = this.accounts.get(plan.account) ?? null;
    const term = account === null ? 0 : (this.terms.get(queueName(this.index, account.state)) ?? 0);
    return new RunningNode(this.index, this.life, term, plan, account, this.outside, this.wall);
  }

  private request(state: AccountState): LeaseRequest {
    const { outside, life, time } = this;
    const { id, member, username, connection, queue, database } = state;
    const { limits } = outside.setup.members.find((one) => one.id === member)!;
    const { queueMaxEntries } = outside.setup;
    const service = outside.service(member);
    const user = this.user(life);
    const file = (what: string): string => `${what} of member ${member}`;
    return {
      account: id,
      accountName: id,
      origin,
      member: String(member),
      queue,
      limits,
      queueMaxEntries,
      queueMaxBytes: 1e9,
      login: { method: 'password', username, password: 'secret' },
      authOrigin: origin,
      connection,
      connect: () => new SimClient(service, this.caller(state), limits.maxConcurrent).asServiceClient(),
      openStore: () => (queue === 'memory' ? inMemory(time) : this.disk.store(file('queue'), user)),
      ...(queue === 'shared' && {
        shared: {
          identity: database,
          open: () => outside.database(database).log(String(member), user),
          localBuffer: () => this.disk.store(file('localBuffer'), user),
          instanceName: `i${this.index}.${life}`,
        },
      }),
      log: (level, text) => {
        if (time.alive) this.history.tell(`i${this.index} ${level}: ${text}`);
      },
    };
  }

  // ── What happens ────────────────────────────────────────────────────────────────────────────────────────────

  message(node: string, entries: readonly Entry[]): void {
    const { life } = this;
    this.time.run(() => {
      for (const { queue, engine } of this.engines.list())
        if (queue !== 'shared') this.mostPending = Math.max(this.mostPending, engine.counters.waiting);
      if (life === this.life) this.nodes.get(node)?.input(entries);
    });
  }

  /** The engine of a member, if there is one. */
  queueOf(member: number): MemberQueue | null {
    return this.engines.list().find((info) => info.member === String(member))?.engine ?? null;
  }

  ask(member: number, asks: 'pause' | 'resume' | 'flush' | 'purge' | 'retry'): void {
    this.time.run(() => {
      const info = this.engines.list().find((one) => one.member === String(member));
      if (info === undefined) return;
      this.history.tell(`i${this.index} operator: ${asks} member ${member}`);
      this.history.fault(asks);
      this.history.orders.push({
        instance: this.index,
        life: this.life,
        member,
        asks,
        atMs: this.outside.world.nowMs,
      });
      if (asks === 'purge') this.discard(member, null, info.engine.purge());
      else if (asks === 'retry') this.engines.retry(info.key);
      else info.engine[asks]();
    });
  }

  erase(member: number, user: string, domain: string | null): void {
    this.time.run(() => {
      const queue = this.queueOf(member);
      if (queue === null) return;
      this.history.tell(`i${this.index} operator: erase ${user.slice(0, 8)} of member ${member}`);
      this.history.fault('erase');
      const { syncedSegment, members } = this.outside.setup;
      const wasMember = this.isMember(user, domain);
      const erased = queue.erase(userKeysOf(domain, user), user);
      this.discard(member, user, erased);
      // A shared queue tells by itself whom it suppresses: the active instance carries out the erasure, later.
      if (syncedSegment === undefined || members[0]!.queue === 'shared') return;
      // If the erasure is not completed, the user may be suppressed or not.
      const { suppressed } = this.history;
      const record = { user, domain, askedMs: this.outside.world.nowMs, doneMs: Infinity };
      suppressed.push(record);
      erased.then(
        ({ segments }) => {
          // A commit on its way may have added or removed the member meanwhile.
          if (segments > 0 || (wasMember && this.isMember(user, domain)))
            record.doneMs = this.outside.world.nowMs;
          else suppressed.splice(suppressed.indexOf(record), 1);
        },
        () => undefined,
      );
    });
  }

  private isMember(user: string, domain: string | null): boolean {
    return this.syncedMembers().has(memberKeyOf(domain, user));
  }

  /** Asks for warm-ups, as an out node does. */
  hold(node: string, segments: readonly number[], forMs: number): void {
    this.time.run(() => this.nodes.get(node)?.hold(segments, forMs));
  }

  /**
   * Records the request of a deletion for a member (of one user, or of all); `done` settles when it is
   * complete.
   */
  discard(member: number, user: string | null, done: Promise<unknown>): void {
    const { history, outside } = this;
    const askedMs = outside.world.nowMs;
    const record = { member, user: user?.toLowerCase() ?? null, askedMs, doneMs: Infinity };
    history.discards.push(record);
    for (const message of history.messages) {
      if (message.member !== member || message.end?.kind === 'settled' || message.end?.kind === 'failed')
        continue;
      message.entries.forEach((entry, index) => {
        if (user === null || entry.user.toLowerCase() === record.user) message.discarded.set(index, askedMs);
      });
    }
    done.then(
      () => (record.doneMs = outside.world.nowMs),
      () => undefined,
    );
  }
}

/** It ends with its process. */
function inMemory(time: ProcessTime): QueueStore {
  const store = new SqliteStore(':memory:', { clock: time });
  time.whenDead(() => void store.close());
  return store;
}

interface RunningAccount {
  readonly state: AccountState;
  readonly holder: Holder;
}

/** Messages to one queue have one order. */
function queueName(
  instance: number,
  { member, queue, database }: Pick<AccountState, 'member' | 'queue' | 'database'>,
): string {
  return queue === 'shared' ? `${database} ${member}` : `${queue} ${instance} ${member}`;
}

/** An out node: acquires its account, submits messages, and receives their outcomes. */
class RunningNode {
  private engine: MemberQueue | null = null;
  private problem = false;
  private closed = false;
  private early: (() => void)[] = [];
  private readonly source: { readonly node: string; readonly account: string };

  constructor(
    private readonly instance: number,
    private readonly life: number,
    private readonly term: number,
    private readonly plan: NodePlan,
    readonly account: RunningAccount | null,
    private readonly outside: Outside,
    private readonly wall: { readonly offsetMs: number },
  ) {
    this.source = { node: plan.id, account: plan.account };
    if (account === null) this.problem = true;
    account?.holder.join(plan.id, {
      ready: (engine) => {
        if ('key' in engine) this.problem = true;
        else this.engine = engine;
        for (const call of this.early.splice(0)) call();
      },
      closes: () => undefined,
      recovered: (entries) => this.recovered(entries),
    });
  }

  async close(returns: boolean): Promise<void> {
    await this.account?.holder.leave(this.plan.id, returns);
    this.closed = true;
  }

  input(entries: readonly Entry[]): void {
    if (this.closed || this.problem || this.account === null) return;
    if (this.engine === null) this.early.push(() => this.input(entries));
    else this.submit(this.engine, entries, this.account.state);
  }

  hold(segments: readonly number[], forMs: number): void {
    const { history, world } = this.outside;
    if (this.engine === null || this.account === null) return;
    const { member } = this.account.state;
    history.tell(`i${this.instance} ${this.plan.id} holds ${segments.join(', ')} for ${forMs} ms`);
    history.fault('hold');
    const fromMs = world.nowMs;
    history.holds.push({
      member,
      node: this.plan.id,
      life: this.life,
      segments,
      fromMs,
      untilMs: fromMs + forMs,
    });
    const untilWallMs = this.wallMs() + forMs;
    this.engine.holdSegments(this.plan.id, new Map(segments.map((id) => [`i${id}`, untilWallMs])));
  }

  private wallMs(): number {
    return epochMs + this.outside.world.nowMs + this.wall.offsetMs;
  }

  private show(entries: readonly Entry[], { member }: AccountState): void {
    const { history, setup } = this.outside;
    const wallMs = this.wallMs();
    const { limits } = setup.members.find(({ id }) => id === member)!;
    const its = entries.map((entry) => checked(entry, wallMs));
    const bodies = dryRun(its, wallMs, requestLimitsOf(limits)) as DryRunRecord['bodies'];
    history.tell(
      `i${this.instance} ${this.plan.id} shows ${bodies.length} requests: ${briefEntries(entries)}`,
    );
    history.dryRuns.push({ member, entries, bodies });
  }

  private submit(engine: MemberQueue, entries: readonly Entry[], account: AccountState): void {
    const { history, world } = this.outside;
    if (this.plan.dryRun === true) {
      this.show(entries, account);
      return;
    }
    const wallMs = this.wallMs();
    const record: MessageRecord = {
      number: history.messages.length,
      instance: this.instance,
      life: this.life,
      node: this.plan.id,
      account: account.id,
      member: account.member,
      queue: queueName(this.instance, account),
      term: this.term,
      durable: account.queue !== 'memory',
      atMs: world.nowMs,
      entries,
      end: null,
      endMs: Infinity,
      orphaned: false,
      discarded: new Map(),
    };
    // A deletion request to the active instance takes time, and may cover entries queued meanwhile.
    for (const { member, user, doneMs } of history.discards)
      if (member === account.member && doneMs === Infinity && account.queue === 'shared')
        entries.forEach((entry, index) => {
          if (user === null || entry.user.toLowerCase() === user) record.discarded.set(index, world.nowMs);
        });
    history.messages.push(record);
    history.tell(`i${this.instance} ${this.plan.id} message ${record.number}: ${briefEntries(entries)}`);
    let returned = false;
    engine.submit({
      source: this.source,
      entries: entries.map((entry) => checked(entry, wallMs)),
      indexes: null,
      completeOn: this.plan.completeOn,
      onEnd: (end) => {
        if (!returned) history.complain(`message ${record.number} ended before submit returned`);
        if (record.end !== null) history.complain(`message ${record.number} ended twice`);
        record.end = endOf(end);
        record.endMs = world.nowMs;
        history.tell(`i${this.instance} message ${record.number} ends: ${JSON.stringify(record.end)}`);
      },
    });
    returned = true;
  }

  private recovered(entries: readonly Recovered[]): void {
    const { history, world } = this.outside;
    for (const { entry, end, rejection } of entries) {
      const { value } = (JSON.parse(entry.body) as { seg_block: [{ value: number }] }).seg_block[0];
      history.tell(`i${this.instance} ${this.plan.id} hears late: v${value} ${end} ${rejection?.code ?? ''}`);
      history.late.push({
        instance: this.instance,
        life: this.life,
        node: this.plan.id,
        value,
        end,
        code: rejection?.code ?? null,
        atMs: world.nowMs,
      });
    }
  }
}

export function endOf(end: MessageEnd): RecordedEnd {
  switch (end.kind) {
    case 'settled': {
      const { accepted, superseded, expired } = end.summary;
      const rejected = end.rejections.map(({ index, code }) => ({ index, code }));
      return { kind: 'settled', accepted, superseded, expired, rejected };
    }
    case 'queued':
      return { kind: 'queued', reason: end.reason };
    case 'failed':
      return { kind: 'failed', code: end.code };
    case 'parked':
      return { kind: 'parked' };
  }
}

function checked({ user, domain, blocks, agoMs }: Entry, wallMs: number): CheckedEntry {
  const event = agoMs > 0 ? { event_time: wallMs - agoMs } : {};
  const result = checkEntry({ user_id: user, domain, seg_block: blocks, ...event });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.entry;
}

function briefEntries(entries: readonly Entry[]): string {
  const shown = entries.slice(0, 3).map(({ user, blocks }) => {
    const its = blocks.map(
      ({ seg_id, seg_code, value, expiration }) =>
        `${seg_id ?? seg_code}${expiration === -1 ? '-' : '+'}v${value}`,
    );
    return `${user.slice(0, 8)} ${its.join(' ')}`;
  });
  return entries.length > 3 ? `${shown.join(', ')}, and ${entries.length - 3} more` : shown.join(', ');
}

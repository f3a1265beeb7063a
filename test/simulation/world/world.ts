// World: the whole system on one virtual clock. Plays a plan, lets everything settle, and returns the history.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { threadId } from 'node:worker_threads';
import type { PlainMember } from '../../queue/plain-sync-store';
import { Database } from './database';
import { Dice } from './dice';
import { Disk } from './disk';
import { History } from './history';
import { forGoodMs } from './make-plan';
import { Instance } from './instance';
import type { Action, Entry, Plan } from './plan';
import { epochMs } from './process-time';
import { SimService, type Weather } from './service';
import { VirtualTime, type WorldTime } from './virtual-time';

/**
 * Everything deliverable is delivered within this time after the last fault: the limit of ten logins in five
 * minutes may delay it.
 */
const progressMs = 480_000;
/** Time for ambiguous requests that still run, and for the resends after them. */
const afterMs = 65_000;
const lookEveryMs = 1_000;

/** Result of a run beside its history. */
export interface Played {
  readonly plan: Plan;
  readonly history: History;
  readonly events: number;
  /** When the last fault was over, and when nothing was pending any more; Infinity for never. */
  readonly healedMs: number;
  readonly restedMs: number;
  readonly instances: readonly InstanceEnd[];
  /** Members of segments at the end, at the service. */
  readonly members: readonly Member[];
  readonly endMs: number;
  /** The synced segment before the last audience; null without one. */
  readonly synced?: Synced | null;
}

interface Synced {
  readonly inTable: ReadonlyMap<string, PlainMember>;
  readonly atService: readonly Member[];
  readonly atMs: number;
}

interface Member {
  readonly member: number;
  readonly segment: string;
  readonly user: string;
  readonly domain: string | null;
  readonly value: number | null;
  /** Infinity for never. */
  readonly expiresMs: number;
}

export interface InstanceEnd {
  readonly index: number;
  readonly engines: readonly {
    readonly member: string;
    readonly queue: string;
    readonly state: string;
    readonly counters: Readonly<
      Record<'taken' | 'accepted' | 'superseded' | 'expired' | 'rejected' | 'waiting', number>
    >;
    readonly kept: number;
  }[];
  readonly mostTimers: number;
  /** Entries in a local queue. */
  readonly mostPending: number;
  readonly timers: number;
  readonly connections: number;
  readonly sharedQueues: number;
}

/** Parts that depend on the kind of run: on virtual time, or in real time with real stores. */
export interface Parts {
  readonly time: WorldTime;
  database(name: string, dice: Dice): Database;
  disk(index: number, dice: Dice): Disk;
}

export class SimulatedParts implements Parts {
  readonly time = new VirtualTime();

  constructor(private readonly plan: Plan) {}

  database(_name: string, dice: Dice): Database {
    return new Database(this.time, dice, this.plan.setup.databaseMs);
  }

  disk(index: number, dice: Dice): Disk {
    const { diskMs, sqlite, encrypted = false, syncedSegment } = this.plan.setup;
    const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const at = sqlite ? `${folder}/simulation-${process.pid}-${threadId}-${index}` : null;
    return new Disk(this.time, dice, diskMs, at, encrypted, syncedSegment !== undefined);
  }
}

export class World {
  readonly time: WorldTime;
  readonly history = new History(() => this.time.nowMs);
  private readonly dice: Dice;
  private readonly weather: Weather = { rates: {} };
  readonly services: Map<number, SimService>;
  private readonly databases = new Map<string, Database>();
  readonly instances: Instance[];
  /** Logins that were refused: final, until an operator changes them. */
  private readonly refused = new Set<string>();
  private fed = 0;

  constructor(
    private readonly plan: Plan,
    private readonly parts: Parts = new SimulatedParts(plan),
  ) {
    this.time = parts.time;
    const { setup, seed } = plan;
    this.dice = new Dice(`run ${seed}`);
    const { time, history, weather, dice } = this;
    this.services = new Map(
      setup.members.map(({ id, limits }) => [
        id,
        new SimService(time, history, dice.fork(`service ${id}`), weather, id, limits, setup),
      ]),
    );
    const outside = {
      world: time,
      history,
      dice: dice.fork('engines'),
      setup,
      service: (member: number) => this.services.get(member)!,
      database: (name: string) => this.database(name),
      processDied: (instance: number) => {
        for (const database of this.databases.values()) database.processDied(instance);
      },
    };
    this.instances = Array.from(
      { length: setup.instances },
      (_, index) => new Instance(index, outside, parts.disk(index, dice.fork(`disk ${index}`))),
    );
  }

  database(name: string): Database {
    let database = this.databases.get(name);
    if (database === undefined) {
      database = this.parts.database(name, this.dice.fork(`database ${name}`));
      this.databases.set(name, database);
    }
    return database;
  }

  /** Plays the whole plan on virtual time. */
  play(): Played {
    const { time } = this;
    if (!(time instanceof VirtualTime)) throw new Error('Real time passes by itself.');
    try {
      const script = this.script();
      for (let step = script.next(); ; step = script.next()) {
        if (step.done === true) return step.value;
        time.run(step.value);
      }
    } finally {
      for (const instance of this.instances) instance.time.die();
      void this.closeStores();
    }
  }

  /** The steps of a run: yields times (ms) until which everything runs by itself. */
  *script(): Generator<number, Played, void> {
    const { plan, time } = this;
    for (const action of plan.actions) time.after(action.atMs, () => this.act(action));
    yield plan.healMs;
    return yield* this.ending();
  }

  /** The steps from the last fault on. */
  *ending(): Generator<number, Played, void> {
    const { time } = this;
    yield* this.heal();
    const healedMs = time.nowMs;
    const restedMs = yield* this.rest(healedMs + progressMs);
    yield time.nowMs + afterMs;
    const synced = this.synced();
    const lastRestedMs = restedMs === Infinity ? restedMs : yield* this.lastAudience(restedMs);
    return { ...this.ended(), synced, healedMs, restedMs: lastRestedMs };
  }

  /** The synced segment, when nothing is pending. */
  private synced(): Synced | null {
    const { syncedSegment } = this.plan.setup;
    if (syncedSegment === undefined) return null;
    const atService = membersOf(this.services.values().next().value!, this.time.nowMs);
    return {
      inTable: new Map(this.instances[0]!.syncedMembers()),
      atService: atService.filter(({ segment }) => segment === String(syncedSegment)),
      atMs: this.time.nowMs,
    };
  }

  /** Once all is quiet, the source hands in the last audience again, as people do after trouble. */
  private *lastAudience(restedMs: number): Generator<number, number, void> {
    const last = this.plan.actions.findLast(({ kind }) => kind === 'audience');
    if (last?.kind !== 'audience' || this.plan.setup.syncedSegment === undefined) return restedMs;
    // Each audience has its own size.
    const rows = [...last.rows, { user: '699999', domain: null, value: 1 }];
    this.instances[0]!.audience(rows, true);
    yield this.time.nowMs + lookEveryMs;
    return yield* this.rest(this.time.nowMs + progressMs);
  }

  /** Closes the open resources of a run in real time. */
  async end(): Promise<void> {
    for (const instance of this.instances) instance.kill(Infinity);
    await this.closeStores();
  }

  private async closeStores(): Promise<void> {
    for (const { disk } of this.instances) disk.remove();
    for (const database of this.databases.values()) await database.end();
  }

  /** Returns the time when nothing was pending any more. */
  private *rest(untilMs: number): Generator<number, number, void> {
    for (let look = 0; this.time.nowMs < untilMs; look += 1) {
      if (look % 30 === 0) this.feed();
      yield this.time.nowMs + lookEveryMs;
      if (this.isAtRest()) return this.time.nowMs;
    }
    return Infinity;
  }

  private isAtRest(): boolean {
    if (this.history.messages.some(({ end, orphaned }) => end === null && !orphaned)) return false;
    if (this.instances.some(({ isSynced }) => !isSynced)) return false;
    for (const { engines } of this.instances)
      for (const { engine } of engines.list()) {
        const { counters, postsInFlight, shared, state } = engine.stats();
        // A standby instance does not know all entries that an earlier process of it appended.
        const pending = shared === undefined ? counters.waiting : shared.kept;
        if (pending > 0 || postsInFlight > 0) return false;
        if (state.kind === 'starting') return false;
      }
    for (const [name, database] of this.databases)
      for (const { id } of this.plan.setup.members)
        if (database.pending(String(id)) > 0 && this.isUsed(name, String(id))) return false;
    return true;
  }

  private isNamed(database: string): boolean {
    return this.plan.setup.members.some(({ id }) => this.isUsed(database, String(id)));
  }

  /** Whether an account uses this database for this member's queue now. */
  private isUsed(database: string, member: string): boolean {
    return this.instances.some(({ accountStates }) =>
      [...accountStates.values()].some(
        (state) => state.queue === 'shared' && state.database === database && String(state.member) === member,
      ),
    );
  }

  // ── What happens ────────────────────────────────────────────────────────────────────────────────────────────

  act(action: Action): void {
    const { history, time } = this;
    switch (action.kind) {
      case 'message':
        this.instances[action.instance]!.message(action.node, action.entries);
        return;
      case 'weather':
        history.tell(`the network: ${JSON.stringify(action.rates)} for ${action.forMs} ms`);
        this.weather.rates = action.rates;
        time.after(action.forMs, () => (this.weather.rates = {}));
        return;
      case 'service': {
        const service = this.services.get(action.member)!;
        history.tell(`service ${action.member} is ${action.how} for ${action.forMs} ms`);
        history.fault(`service ${action.how}`);
        service.state = action.how;
        time.after(action.forMs, () => (service.state = 'well'));
        return;
      }
      case 'loginRefused':
        history.tell(`the login ${action.username} is refused for ${action.forMs} ms`);
        history.fault('login refused');
        this.refused.add(action.username);
        for (const service of this.services.values()) {
          service.refusedLogins.add(action.username);
          service.killTokens();
          time.after(action.forMs, () => service.refusedLogins.delete(action.username));
        }
        return;
      case 'database':
        this.databaseFault(action);
        return;
      default:
        this.actOn(this.instances[action.instance]!, action);
    }
  }

  private databaseFault({ how, instance, forMs }: Extract<Action, { kind: 'database' }>): void {
    const database = this.database('main');
    this.history.tell(`the database ${how} for ${forMs} ms${instance === null ? '' : `, for i${instance}`}`);
    this.history.fault(`database ${how}`);
    database.change(how, instance);
    this.time.after(forMs, () => {
      if (!this.isNamed('main')) return;
      this.history.tell('the database is well');
      database.change('well', instance);
      if (instance !== null) database.change('well', null);
    });
  }

  private actOn(
    instance: Instance,
    action: Exclude<Action, { kind: 'message' | 'weather' | 'service' | 'loginRefused' | 'database' }>,
  ): void {
    const { history, time } = this;
    switch (action.kind) {
      case 'crash':
        instance.kill(action.downMs);
        return;
      case 'crashAt':
        instance.crashAt(action.port, action.call, action.when, action.downMs);
        return;
      case 'freeze':
      case 'suspend':
        instance.sleep(action.kind === 'freeze' ? 'frozen' : 'suspended', action.forMs);
        return;
      case 'wallClock':
        history.tell(`the wall clock of i${action.instance} jumps by ${action.byMs} ms`);
        history.fault('wall clock');
        instance.wall.offsetMs += action.byMs;
        return;
      case 'disk':
        history.tell(`the disk of i${action.instance} is ${action.how} for ${action.forMs} ms`);
        history.fault(`disk ${action.how}`);
        instance.disk.state = action.how;
        time.after(action.forMs, () => (instance.disk.state = 'well'));
        return;
      case 'deploy':
        instance.deploy();
        return;
      case 'deployNode':
        instance.deployNode(action.node);
        return;
      case 'removeNode':
        if (action.forMs === forGoodMs) instance.gone.add(action.node);
        instance.setNode(action.node, false);
        time.after(action.forMs, () => instance.setNode(action.node, true));
        return;
      case 'accounts':
        instance.changeAccounts(action.accounts, action.change);
        return;
      case 'hold':
        instance.hold(action.node, action.segments, action.forMs);
        return;
      case 'operator':
        instance.ask(action.member, action.asks);
        return;
      case 'erase':
        instance.erase(action.member, action.user, action.domain);
        return;
      case 'audience':
        instance.audience(action.rows, action.force);
        return;
      case 'refresh':
        instance.refresh();
        return;
      case 'lift':
        instance.lift(action.user, action.domain);
    }
  }

  /** Ends every fault. People have done their part: a refused login is deployed again. */
  private *heal(): Generator<number, void, void> {
    const { time } = this;
    this.history.tell('everything works again');
    this.lookAtFiles();
    this.weather.rates = {};
    for (const service of this.services.values()) {
      service.state = 'well';
      service.refusedLogins.clear();
    }
    for (const [name, database] of this.databases) {
      // A database that the accounts have left since it failed may never recover.
      if (database.isBroken && !this.isNamed(name)) continue;
      for (const instance of database.ways.keys()) database.change('well', instance);
      database.change('well', null);
    }
    for (const instance of this.instances) {
      instance.forgetCrash();
      instance.disk.state = 'well';
      instance.wake();
      if (!instance.time.alive) instance.boot();
    }
    // A deploy that waits for another has not applied its changes yet.
    yield* this.endDeploys();
    for (const instance of this.instances) {
      for (const [id, state] of instance.accountStates) {
        if (!state.enabled) instance.changeAccounts([id], { enabled: true });
        if (this.refused.has(state.username))
          instance.changeAccounts([id], { username: `${state.username}2` });
      }
      for (const [id, node] of instance.nodeStates)
        if (!node.present && !instance.gone.has(id)) instance.setNode(id, true);
    }
    // After the recovery, so that no request of an operator is lost.
    yield time.nowMs + 8_000;
    yield* this.endDeploys();
    for (const instance of this.instances)
      for (const { id } of this.plan.setup.members) {
        instance.ask(id, 'resume');
        instance.ask(id, 'retry');
      }
  }

  private *endDeploys(): Generator<number, void, void> {
    while (this.instances.some(({ isDeploying }) => isDeploying)) yield this.time.nowMs + lookEveryMs;
  }

  /** With encryption no user id is readable in a file. */
  private lookAtFiles(): void {
    if (this.plan.setup.encrypted !== true) return;
    const users = new Set(this.history.messages.flatMap(({ entries }) => entries.map(({ user }) => user)));
    for (const { index, disk } of this.instances)
      for (const user of disk.readable([...users]))
        this.history.complain(`the disk of i${index} shows ${user}`);
  }

  /**
   * Keeps the flow running. Nothing is rejected before something else was accepted, so there must be other
   * entries.
   */
  private feed(): void {
    for (const instance of this.instances)
      for (const { id } of this.plan.setup.nodes) instance.message(id, [this.newEntry()]);
  }

  private newEntry(): Entry {
    const number = this.fed++;
    const block = { seg_id: 10001, value: 1_000_000 + number, expiration: 0 };
    return { user: String(900_000_000 + number), domain: null, agoMs: 0, blocks: [block] };
  }

  private ended(): Omit<Played, 'healedMs' | 'restedMs' | 'synced'> {
    const { time, plan, history } = this;
    this.lookAtFiles();
    for (const thrown of time.thrown)
      history.complain(`thrown: ${thrown instanceof Error ? (thrown.stack ?? '') : String(thrown)}`);
    const members = [...this.services.values()].flatMap((service) => membersOf(service, time.nowMs));
    return {
      plan,
      history,
      events: time.events,
      instances: this.instances.map((instance) => this.endOf(instance)),
      members,
      endMs: time.nowMs,
    };
  }

  private endOf({ index, engines, time, mostPending }: Instance): InstanceEnd {
    const list = engines.list();
    let connections = 0;
    for (const database of this.databases.values())
      if (!database.isBroken) connections += database.connections.get(index) ?? 0;
    return {
      index,
      engines: list.map(({ member, queue, engine }) => {
        const { state, counters, shared } = engine.stats();
        return { member, queue, state: state.kind, counters: { ...counters }, kept: shared?.kept ?? 0 };
      }),
      timers: time.timers,
      mostTimers: time.mostTimers,
      mostPending,
      connections,
      sharedQueues: list.filter(({ queue }) => queue === 'shared').length,
    };
  }
}

export function membersOf({ member, memberships }: SimService, nowMs: number): Member[] {
  return [...memberships.all(epochMs + nowMs)].map(({ segment, user_id, domain, value, expires }) => ({
    member,
    segment,
    user: user_id,
    domain,
    value,
    expiresMs: expires === null ? Infinity : Date.parse(expires),
  }));
}

// Instances of the simulation with a shared queue, which a test drives by hand and inspects. Random
// combinations are tested by the simulation itself.
import type { Deleted } from '../../../src/delivery/respond/deletions';
import { userKeysOf } from '../../../src/entry/keys';
import type { MemberQueue } from '../../../src/delivery/engine';
import { violationsOf } from '../../simulation/model/model';
import { poisoned } from '../../simulation/world/make-plan';
import type { Action, Plan } from '../../simulation/world/plan';
import type { MessageRecord } from '../../simulation/world/history';
import type { VirtualTime } from '../../simulation/world/virtual-time';
import { membersOf, SimulatedParts, World } from '../../simulation/world/world';
import { device, documentedLimits } from './world';

export interface InstancesOptions {
  readonly instances?: number;
  /** Each has a node of the same name. */
  readonly accounts?: readonly string[];
  readonly completeOn?: 'accepted' | 'queued';
  readonly queueMaxEntries?: number;
  /** Wall clocks of the instances minus the database's. */
  readonly skewMs?: readonly number[];
}

type WithoutTime<A> = A extends unknown ? Omit<A, 'atMs'> : never;

/** A segment to which users are added. */
const segment = 10001;

export class Instances {
  readonly world: World;
  private readonly actions: Action[] = [];
  private readonly time: VirtualTime;
  private blocks = 0;

  constructor(options: InstancesOptions = {}) {
    const plan = planOf(options, this.actions);
    const parts = new SimulatedParts(plan);
    this.time = parts.time;
    this.world = new World(plan, parts);
  }

  get history() {
    return this.world.history;
  }

  /** The shared queue as stored in the database. */
  get logStore() {
    return this.world.database('main').logStore('1');
  }

  get service() {
    return this.world.services.get(1)!;
  }

  /** The active instance; -1 for none. */
  get sender(): number {
    return this.world.instances.findIndex((_, at) => this.queue(at).stats().shared!.isSender);
  }

  queue(instance: number): MemberQueue {
    return this.world.instances[instance]!.queueOf(1)!;
  }

  keptOn(instance: number): number {
    return this.queue(instance).stats().shared!.kept;
  }

  /** Members of a segment at the service, without the users of the final phase of the flow. */
  members(id = segment): string[] {
    return membersOf(this.service, this.time.nowMs)
      .filter((one) => one.segment === String(id) && one.domain !== null)
      .map(({ user }) => user)
      .sort();
  }

  /** In a turn of its own, where promises can be made to settle. */
  advance(ms: number): Promise<void> {
    return this.inTurn(() => this.time.run(this.time.nowMs + ms));
  }

  private inTurn<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  act(action: WithoutTime<Action>): void {
    const timed = { ...action, atMs: this.time.nowMs };
    this.actions.push(timed);
    this.world.act(timed);
  }

  /** Disconnects an instance from the database until `join`. */
  cut(instance: number): void {
    this.act({ kind: 'database', how: 'refuses', instance, forMs: Infinity });
  }

  join(instance: number): void {
    this.world.database('main').change('well', instance);
  }

  /**
   * Submits one entry as a message: an add to a segment, or a removal. The service refuses every entry of
   * `poisoned`.
   */
  add(
    instance: number,
    user: number | typeof poisoned,
    { id = segment, expiration = 0, node = 'a' } = {},
  ): MessageRecord {
    this.blocks += 1;
    const blocks = [{ seg_id: id, value: this.blocks, expiration }];
    const name = user === poisoned ? { user, domain: null } : { user: device(user), domain: 'idfa' };
    const entries = [{ ...name, agoMs: 0, blocks }];
    this.act({ kind: 'message', instance, node, entries });
    return this.history.messages.at(-1)!;
  }

  /** Purges the queue through an instance. */
  purge(instance: number): Promise<Deleted> {
    const done = this.queue(instance).purge();
    this.world.instances[instance]!.discard(1, null, done);
    return done;
  }

  erase(instance: number, user: number): Promise<Deleted> {
    const id = device(user);
    const done = this.queue(instance).erase(userKeysOf('idfa', id), id);
    this.world.instances[instance]!.discard(1, id, done);
    return done;
  }

  /** Late outcomes that nodes of an instance received: the user, and how the entry ended. */
  lateOutcomesOn(instance: number): string[] {
    const users = new Map(
      this.history.messages.flatMap(({ entries: [entry] }) =>
        entry === undefined ? [] : [[entry.blocks[0]!.value, entry.user] as const],
      ),
    );
    return this.history.late
      .filter((one) => one.instance === instance)
      .map(({ value, end, code }) => `${users.get(value)} ${code ?? end}`)
      .sort();
  }

  /**
   * Ends all faults, waits until everything has settled, and returns violations found by the simulation's
   * model.
   */
  violations(): Promise<string[]> {
    return this.inTurn(() => {
      const ending = this.world.ending();
      for (let step = ending.next(); ; step = ending.next()) {
        if (step.done === true)
          return violationsOf(step.value).map(({ promise, text }) => `${promise}: ${text}`);
        this.time.run(step.value);
      }
    });
  }
}

function planOf(options: InstancesOptions, actions: readonly Action[]): Plan {
  const { instances = 2, accounts = ['a'], skewMs = [], completeOn = 'accepted' } = options;
  const { queueMaxEntries = 1_000_000 } = options;
  return {
    seed: 1,
    shape: 'directed',
    setup: {
      instances,
      members: [{ id: 1, queue: 'shared', limits: documentedLimits }],
      accounts: accounts.map((id) => ({ id, member: 1, username: id, connection: 'its' })),
      nodes: accounts.map((id) => ({ id, account: id, completeOn })),
      memoryMark: 10_000,
      pageRows: 2_000,
      queueMaxEntries,
      maxOpenMessages: 50_000,
      latencyMs: 1,
      jitterMs: 40,
      diskMs: 0,
      databaseMs: 5,
      skewMs,
      sqlite: false,
    },
    actions,
    healMs: 0,
  };
}

// Makes a plan from a seed.
import { Dice, hash } from './dice';
import {
  fates,
  type Action,
  type AccountChange,
  type Block,
  type Entry,
  type Fate,
  type Limits,
  type Path,
  type Plan,
  type Port,
} from './plan';
import type { AccountPlan, MemberPlan, NodePlan, QueueKind, Setup } from './plan';
import { specialPlan, specialShapeOf } from './special-plans';
import { isSyncSeed, syncPlan } from './sync-plans';

const shapes = [
  'mixed',
  'mixed',
  'accounts',
  'accounts',
  'shared',
  'shared',
  'shared',
  'network',
  'backlog',
  'giveUp',
] as const;
type Shape = (typeof shapes)[number];

/** Segments that the service lists by id and by code. */
export const segments = [10001, 10002, 10003, 10004].map((id) => ({ id, code: `code_${id}` }));
/** A user, and a segment by code: the service refuses a body with it. */
export const poisoned = 'poison';
/** A user without a valid segment, according to the service. */
export const invalidUser = 'unheard';

/** The node or account is never added again. */
export const forGoodMs = 1e9;

export function makePlan(seed: number): Plan {
  if (isSyncSeed(seed)) return syncPlan(seed, poisoned);
  const special = specialShapeOf(seed);
  if (special === null) return new Maker(seed).plan();
  return special === 'encrypted' ? encryptedPlan(seed) : specialPlan(seed, special);
}

/** User ids are encrypted in the queue's files. */
function encryptedPlan(seed: number): Plan {
  const shape = new Dice(`encrypted ${seed}`).pick(['mixed', 'giveUp'] as const);
  const plan = new Maker(seed, shape, true).plan();
  // Little memory, so that rows of a user are looked up in the file.
  const setup = { ...plan.setup, memoryMark: Math.min(plan.setup.memoryMark, 3) };
  return { ...plan, shape: 'encrypted', setup: { ...setup, sqlite: true, encrypted: true } };
}

class Maker {
  private readonly dice: Dice;
  private readonly shape: Shape;
  private readonly actions: Action[] = [];
  private readonly users: readonly Pick<Entry, 'user' | 'domain'>[];
  private readonly setup: Setup;
  private lengthMs: number;
  private nextValue = 1;
  /** In one plan of five, entries name segments by id and by code in turn. Null in the others. */
  private readonly naming: Dice | null;

  constructor(
    private readonly seed: number,
    shape?: Shape,
    private readonly onDisk = false,
  ) {
    const dice = (this.dice = new Dice(`plan ${seed}`));
    const naming = dice.fork('naming');
    this.naming = naming.chance(0.2) ? naming : null;
    this.shape = shape ?? dice.pick(shapes);
    this.lengthMs = dice.pick([8_000, 20_000, 20_000, 40_000, 70_000, 200_000]);
    this.setup = this.makeSetup();
    this.users = this.makeUsers();
  }

  plan(): Plan {
    const { shape, dice } = this;
    if (shape === 'backlog') this.backlog();
    else {
      this.messages(dice.between(6, shape === 'accounts' ? 30 : 45));
      this.faults();
    }
    const actions = this.actions.filter(({ atMs }) => atMs < this.lengthMs).sort((a, b) => a.atMs - b.atMs);
    return { seed: this.seed, shape, setup: this.setup, actions, healMs: this.lengthMs };
  }

  // ── The flow ────────────────────────────────────────────────────────────────────────────────────────────────

  private makeSetup(): Setup {
    const { dice, shape } = this;
    const shared = shape === 'shared' || (shape !== 'backlog' && !this.onDisk && dice.chance(0.15));
    const instances = shared ? dice.pick([1, 1, 2, 2, 3]) : 1;
    const twoMembers = shape === 'accounts' ? dice.chance(0.5) : dice.chance(0.2);
    const members = (twoMembers ? [1, 2] : [1]).map((id): MemberPlan => ({
      id,
      queue: shared
        ? 'shared'
        : this.onDisk
          ? 'disk'
          : dice.pick<QueueKind>(['memory', 'disk', 'disk', 'disk']),
      limits: this.makeLimits(),
    }));
    const accounts = this.makeAccounts(members);
    return {
      instances,
      members,
      accounts,
      nodes: this.makeNodes(accounts),
      memoryMark: dice.pick([3, 10, 40, 1_000]),
      pageRows: dice.pick([2, 5, 50]),
      queueMaxEntries: this.makeQueueCap(shared),
      maxOpenMessages: dice.chance(0.1) ? dice.between(1, 10) : 50_000,
      ...this.makeSlices(),
      latencyMs: dice.pick([1, 1, 5, 20]),
      jitterMs: dice.pick([2, 40, 40, 300]),
      ...this.makePath(),
      diskMs: dice.pick([0, 0, 2, 20]),
      databaseMs: dice.pick([1, 5, 30]),
      skewMs: Array.from({ length: instances }, () => dice.pick([0, 0, -4_000, 90_000])),
      sqlite: dice.chance(0.1),
    };
  }

  private makeQueueCap(shared: boolean): number {
    // From separate dice, so that other plans stayed as they were before shared queues had small limits.
    const dice = shared ? new Dice(`cap ${this.seed}`) : this.dice;
    return dice.chance(0.1) ? dice.between(5, 40) : 100_000;
  }

  /** A long path that gets faster and slower again; from separate dice, like the limit. */
  private makePath(): Partial<Path> {
    const dice = new Dice(`path ${this.seed}`);
    if (!dice.chance(0.2)) return {};
    const fasterPath = { share: dice.pick([0.5, 0.6, 0.8]), everyMs: dice.between(500, 5_000) };
    return { latencyMs: dice.pick([30, 60, 100]), jitterMs: dice.pick([1, 10, 40]), fasterPath };
  }

  /** From separate dice, like the limit. */
  private makeSlices(): Pick<Setup, 'blocksPerSlice' | 'turnMs'> {
    const dice = new Dice(`slices ${this.seed}`);
    const blocksPerSlice = dice.pick([1, 3, 20, 2_000]);
    return dice.chance(0.2) ? { blocksPerSlice, turnMs: 2 } : { blocksPerSlice };
  }

  private makeLimits(): Limits {
    const { dice } = this;
    if (this.shape === 'backlog') return { postsPerSecond: 20, usersPerSecond: 60, maxConcurrent: 4 };
    return {
      postsPerSecond: dice.pick([2, 5, 20, 100]),
      usersPerSecond: dice.pick([4, 20, 100, 1_000]),
      maxConcurrent: dice.pick([1, 3, 15]),
    };
  }

  private makeAccounts(members: readonly MemberPlan[]): AccountPlan[] {
    const { dice, shape } = this;
    const count = shape === 'accounts' ? dice.between(2, 3) : dice.pick([1, 1, 2]);
    const accounts: AccountPlan[] = [];
    for (const { id: member } of members) {
      for (let i = 0; i < count; i += 1) {
        const username = dice.pick([
          'login',
          `login${member}`,
          `login${member}`,
          `login${member}${i}`,
          `login${member}${i}`,
        ]);
        accounts.push({ id: `a${member}${i}`, member, username, connection: dice.pick(['c', 'c', 'd']) });
      }
    }
    return accounts;
  }

  private makeNodes(accounts: readonly AccountPlan[]): NodePlan[] {
    const { dice } = this;
    return accounts.flatMap(({ id }) =>
      Array.from({ length: dice.pick([1, 1, 2]) }, (_, i): NodePlan => ({
        id: `n${id}${i}`,
        account: id,
        completeOn: dice.pick(['accepted', 'accepted', 'queued']),
      })),
    );
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  private makeUsers(): Pick<Entry, 'user' | 'domain'>[] {
    const { dice } = this;
    const users = Array.from({ length: dice.pick([2, 4, 12, 60]) }, (_, i) => {
      if (i % 4 === 3) return { user: String(70_000 + i), domain: null };
      if (i % 4 === 2) return { user: `${'ab'.repeat(18)}${String(1000 + i)}`, domain: 'sha1udid' };
      return { user: `${String(10_000_000 + i)}-0000-4000-8000-00000000000a`, domain: 'idfa' };
    });
    return dice.chance(0.25) ? [...users, { user: poisoned, domain: null }] : users;
  }

  private entry(): Entry {
    const { dice } = this;
    const { user, domain } = dice.pick(this.users);
    const count = dice.pick([1, 1, 1, 2, 3]);
    const chosen = new Set<number>();
    const byCode = dice.chance(0.25);
    while (chosen.size < count) chosen.add(dice.between(0, segments.length - 1));
    return {
      // The service compares device ids without case, and has two names for one kind.
      user: domain === null || dice.chance(0.7) ? user : user.toUpperCase(),
      domain: domain === 'sha1udid' && dice.chance(0.3) ? 'sh1udid' : domain,
      agoMs: dice.chance(0.15) ? dice.pick([30_000, 90_000, 600_000]) : 0,
      blocks: this.named([...chosen].map((at) => this.block(at, byCode))),
    };
  }

  /**
   * Replaces the names of some blocks by the other name of their segment, and repeats some by that name, in any
   * order.
   */
  private named(blocks: Entry['blocks'][number][]): Entry['blocks'] {
    const { naming } = this;
    if (naming?.chance(0.5) !== true) return blocks;
    const more = blocks.flatMap((block) => {
      const other = otherName(block);
      if (naming.chance(0.3)) return [other];
      const expiration = naming.chance(0.5) ? block.expiration : naming.pick([-1, 0, 60]);
      const again = { ...other, value: this.nextValue++, ...(expiration !== undefined && { expiration }) };
      return naming.chance(0.5) ? [block, again] : [block];
    });
    return more.sort((a, b) => hash(`${a.value} ${this.seed}`) - hash(`${b.value} ${this.seed}`));
  }

  private block(at: number, byCode: boolean): Entry['blocks'][number] {
    const { dice } = this;
    const { id, code } = segments[at]!;
    const expiration = dice.pick([-1, -1, -1, 0, undefined, 1, 2, 3, 60, 43_200]);
    return {
      ...(byCode ? { seg_code: code, member_id: 1 } : { seg_id: id }),
      value: this.nextValue++,
      ...(expiration !== undefined && { expiration }),
    };
  }

  private messages(count: number): void {
    const { dice } = this;
    const burst = dice.chance(0.4);
    for (let i = 0; i < count; i += 1) {
      const atMs = burst
        ? dice.between(0, 4) * (this.lengthMs / 5) + dice.between(0, 300)
        : dice.between(0, this.lengthMs);
      const entries = dice.chance(0.04) ? dice.between(40, 120) : dice.pick([1, 1, 1, 2, 4]);
      this.message(atMs, entries);
    }
  }

  private message(atMs: number, entries: number): void {
    const { instances, nodes } = this.setup;
    this.actions.push({
      kind: 'message',
      atMs,
      instance: this.dice.between(0, instances - 1),
      node: this.dice.pick(nodes).id,
      entries: Array.from({ length: entries }, () => this.entry()),
    });
  }

  /** More adds than the quota allows at once, and removals behind them. */
  private backlog(): void {
    const { dice, setup } = this;
    this.lengthMs = 9_000;
    const node = setup.nodes[0]!.id;
    const adds = Array.from({ length: dice.between(200, 500) }, (_, i): Entry => ({
      user: `${String(20_000_000 + i)}-0000-4000-8000-00000000000b`,
      domain: 'idfa',
      agoMs: 0,
      blocks: [{ seg_id: 10001, value: this.nextValue++, expiration: 60 }],
    }));
    for (let at = 0; at < adds.length; at += 25)
      this.actions.push({
        kind: 'message',
        atMs: 1_500 + at,
        instance: 0,
        node,
        entries: adds.slice(at, at + 25),
      });
    for (let i = 0; i < 6; i += 1) {
      const { user, domain } = adds[i * 30 + dice.between(0, 29)]!;
      const removal: Entry = {
        user,
        domain,
        agoMs: 0,
        blocks: [{ seg_id: 10001, value: this.nextValue++, expiration: -1 }],
      };
      this.actions.push({
        kind: 'message',
        atMs: 2_500 + dice.between(0, 2_000),
        instance: 0,
        node,
        entries: [removal],
      });
    }
  }

  // ── What goes wrong ─────────────────────────────────────────────────────────────────────────────────────────

  private at(): number {
    return this.dice.between(200, this.lengthMs - 200);
  }

  private forMs(): number {
    return this.dice.pick([300, 2_000, 2_000, 8_000, 25_000]);
  }

  private faults(): void {
    const { dice, shape } = this;
    if (dice.chance(shape === 'network' ? 1 : 0.5)) this.weather();
    const count = dice.pick([0, 1, 2, 3, 5, 8]);
    const kinds = this.kinds();
    for (let i = 0; i < count; i += 1) this.actions.push(...this.fault(dice.pick(kinds)));
  }

  private weather(): void {
    const { dice } = this;
    const rates: Partial<Record<Fate, number>> = {};
    const total = dice.pick([0.05, 0.2, 0.5]);
    const chosen = Array.from({ length: dice.between(1, 4) }, () => dice.pick(fates));
    for (const fate of chosen) rates[fate] = total / chosen.length;
    const atMs = dice.chance(0.5) ? 0 : this.at();
    this.actions.push({
      kind: 'weather',
      atMs,
      rates,
      forMs: dice.chance(0.5) ? this.lengthMs : this.forMs(),
    });
  }

  private kinds(): readonly string[] {
    const { shape, setup } = this;
    const isShared = setup.members[0]!.queue === 'shared';
    const always = [
      'crash',
      'crashAt',
      'freeze',
      'suspend',
      'wallClock',
      'service',
      'deploy',
      'operator',
      'loginRefused',
    ];
    const stored = isShared ? ['database', 'database', 'disk'] : ['disk'];
    switch (shape) {
      case 'accounts':
        return ['deploy', 'deployNode', 'removeNode', 'removeNode', 'account', 'account', 'service', 'crash'];
      case 'shared':
        return [
          ...always,
          'database',
          'database',
          'database',
          'handOver',
          'handOver',
          'suspend',
          'freeze',
          'crashAt',
          'account',
          'erase',
          'deployNode',
        ];
      case 'network':
        return ['service', 'loginRefused', 'crash', 'weather', 'freeze'];
      case 'giveUp':
        return ['operator', 'erase', 'erase', 'crashAt', 'service', ...stored];
      default:
        return [...always, ...stored, 'account', 'deployNode', 'removeNode', 'erase'];
    }
  }

  private fault(kind: string): Action[] {
    const { dice, setup } = this;
    const instance = dice.between(0, setup.instances - 1);
    const atMs = this.at();
    const forMs = this.forMs();
    const { id: member } = dice.pick(setup.members);
    const { id: node } = dice.pick(setup.nodes);
    const isShared = setup.members[0]!.queue === 'shared';
    const long = isShared ? 50_000 : 150_000;
    switch (kind) {
      case 'weather':
        this.weather();
        return [];
      case 'crash':
        return [{ kind, atMs, instance, downMs: dice.pick([0, 500, 3_000, 15_000]) }];
      case 'crashAt': {
        const port = dice.pick<Port>(['disk', 'disk', 'database', 'network', 'timer']);
        const when = dice.pick(['before', 'after'] as const);
        return [
          { kind, atMs, instance, port, call: dice.between(1, 6), when, downMs: dice.pick([0, 500, 3_000]) },
        ];
      }
      case 'freeze':
      case 'suspend':
        // An instance without a sign of life for a minute counts as gone, and others receive its outcomes. A
        // machine sleeps longer than a process is frozen: only then may an entry age meanwhile.
        return [
          {
            kind,
            atMs,
            instance,
            forMs: dice.pick([500, 2_500, kind === 'suspend' ? long : 4_000, 12_000, long]),
          },
        ];
      case 'wallClock':
        return [{ kind, atMs, instance, byMs: dice.pick([-3_600_000, -70_000, -1_000, 2_000, 90_000]) }];
      case 'service':
        return [{ kind, atMs, member, how: dice.pick(['away', 'silent', 'refusesBodies'] as const), forMs }];
      case 'loginRefused':
        return [{ kind, atMs, username: dice.pick(setup.accounts).username, forMs }];
      case 'disk':
        return [{ kind, atMs, instance, how: dice.pick(['full', 'broken', 'slow'] as const), forMs }];
      case 'database':
        return this.databaseFault(atMs, instance, forMs);
      case 'handOver':
        return this.handOver(atMs, instance, forMs);
      case 'deploy':
        return [{ kind, atMs, instance }];
      case 'deployNode':
        return [{ kind, atMs, instance, node }];
      case 'removeNode':
        return [
          {
            kind,
            atMs,
            instance,
            node,
            forMs: this.mayGo(node) ? forGoodMs : dice.pick([100, 5_000, 15_000, 40_000]),
          },
        ];
      case 'account':
        return this.accountFault(atMs, instance);
      case 'operator':
        return this.operator(atMs, instance, member, forMs);
      default: {
        const { user, domain } = dice.pick(this.users);
        return [{ kind: 'erase', atMs, instance, member, user, domain }];
      }
    }
  }

  /**
   * With one instance: the queue moves away from a database that fails during a commit. With several: the
   * active instance is disconnected then, and another takes over and is removed.
   */
  private handOver(atMs: number, one: number, forMs: number): Action[] {
    const { dice, setup } = this;
    const node = dice.pick(setup.nodes).id;
    const message = (at: number, instance: number, expiration: number): Action => {
      const [entry] = [this.entry()];
      const blocks = [{ seg_id: 10001, value: this.nextValue++, expiration }];
      return {
        kind: 'message',
        atMs: at,
        instance,
        node,
        entries: [{ ...entry, ...this.users[0]!, agoMs: 0, blocks }],
      };
    };
    const burst = Array.from({ length: 6 }, (_, i) => message(atMs - 60 + i * 12, one, 60));
    const how = dice.pick(['silent', 'repliesLost'] as const);
    if (setup.instances === 1) {
      const { member } = setup.accounts.find(
        ({ id }) => id === setup.nodes.find((its) => its.id === node)!.account,
      )!;
      const accounts = setup.accounts.filter((its) => its.member === member).map(({ id }) => id);
      const change: AccountChange = dice.chance(0.5) ? { database: 'other' } : { queue: 'disk' };
      const moved: Action = {
        kind: 'accounts',
        atMs: atMs + dice.between(100, 3_000),
        instance: 0,
        accounts,
        change,
      };
      return [...burst, { kind: 'database', atMs, how, instance: null, forMs: 60_000 }, moved];
    }
    const other = (one + 1) % setup.instances;
    return [
      ...burst,
      { kind: 'database', atMs, how: 'repliesLost', instance: one, forMs: 150 },
      { kind: 'database', atMs: atMs + 151, how: 'refuses', instance: one, forMs: 9_300 },
      message(atMs + 3_500, other, -1),
      { kind: 'crash', atMs: atMs + dice.between(5_500, 6_300), instance: other, downMs: forMs + 4_000 },
    ];
  }

  private databaseFault(atMs: number, one: number, forMs: number): Action[] {
    const { dice } = this;
    const how = dice.pick([
      'refuses',
      'silent',
      'repliesLost',
      'repliesLost',
      'readOnly',
      'standbyLost',
    ] as const);
    return [{ kind: 'database', atMs, how, instance: dice.chance(0.6) ? one : null, forMs }];
  }

  /** A node of an account may be removed while another account of the member stays. */
  private mayGo(node: string): boolean {
    const { accounts, nodes } = this.setup;
    const { account } = nodes.find(({ id }) => id === node)!;
    const { member } = accounts.find(({ id }) => id === account)!;
    const others = accounts.filter((its) => its.member === member && its.id !== account);
    const isFirst = !this.actions.some(
      (action) => action.kind === 'removeNode' && action.forMs === forGoodMs,
    );
    return isFirst && others.length > 0 && this.dice.chance(0.5);
  }

  private accountFault(atMs: number, instance: number): Action[] {
    const { dice, setup } = this;
    const { id: account, member, username } = dice.pick(setup.accounts);
    const queue = setup.members.find(({ id }) => id === member)!.queue;
    const change = (what: AccountChange, at = atMs, accounts: readonly string[] = [account]): Action => ({
      kind: 'accounts',
      atMs: at,
      instance,
      accounts,
      change: what,
    });
    // Two instances with queues in two places would be two senders.
    const kinds = ['enabled', 'enabled', 'connection', 'username', 'queue'] as const;
    switch (dice.pick(setup.instances === 1 ? kinds : kinds.slice(0, 4))) {
      case 'enabled':
        return [
          change({ enabled: false }),
          change({ enabled: true }, atMs + dice.pick([500, 12_000, 30_000])),
        ];
      case 'connection':
        return [change({ connection: dice.pick(['c', 'd', 'e']) })];
      case 'username':
        return [change({ username: `${username}x` })];
      case 'queue': {
        const all = setup.accounts.filter((one) => one.member === member).map(({ id }) => id);
        const to: AccountChange =
          queue === 'shared' && dice.chance(0.6)
            ? { database: 'other' }
            : { queue: queue === 'disk' ? 'memory' : 'disk' };
        // All at once, since two accounts of a member cannot differ; the database may be the reason.
        const reason =
          queue === 'shared' && dice.chance(0.7)
            ? this.databaseFault(Math.max(0, atMs - 1_500), instance, 60_000)
            : [];
        return [...reason, change(to, atMs, all)];
      }
    }
  }

  private operator(atMs: number, instance: number, member: number, forMs: number): Action[] {
    const ask = (asks: Extract<Action, { kind: 'operator' }>['asks'], at = atMs): Action => ({
      kind: 'operator',
      atMs: at,
      instance,
      member,
      asks,
    });
    switch (this.dice.pick(['pause', 'pausePurge', 'purge', 'flush', 'retry'] as const)) {
      case 'pause':
        return [ask('pause'), ask('resume', atMs + this.dice.pick([forMs, 24_000]))];
      case 'pausePurge':
        return [ask('pause'), ask('purge', atMs + 1_000), ask('resume', atMs + 18_000)];
      case 'purge':
        return [ask('purge')];
      case 'flush':
        return [ask('flush')];
      case 'retry':
        return [ask('retry')];
    }
  }
}

/** The same block by the other name of its segment. */
function otherName({ seg_id: id, seg_code: code, value, expiration }: Block): Block {
  const { id: itsId, code: itsCode } = segments.find((one) => one.id === id || one.code === code)!;
  return {
    ...(id === undefined ? { seg_id: itsId } : { seg_code: itsCode, member_id: 1 }),
    value,
    ...(expiration !== undefined && { expiration }),
  };
}

// Special plans for rare combinations: one seed of twenty plays one of them, the shapes in turn.
import { Dice } from './dice';
import { fates, type Action, type Block, type Entry, type Fate, type Limits, type Plan } from './plan';
import type { NodePlan, QueueKind, Setup } from './plan';

const specialShapes = ['wide', 'hold', 'flood', 'linger', 'dryRun', 'encrypted', 'outage', 'large'] as const;
export type SpecialShape = (typeof specialShapes)[number];

/** Null for a seed with a random plan. */
export function specialShapeOf(seed: number): SpecialShape | null {
  return seed % 20 === 13 ? specialShapes[Math.floor(seed / 20) % specialShapes.length]! : null;
}

/** Entries before this time only ensure that there is a token and that the first second is over. */
export const lingerFromMs = 3_000;
/** Not in the list of the others, for which nodes may ask for warm-ups. */
const wideFrom = 20_001;

export function specialPlan(seed: number, shape: Exclude<SpecialShape, 'encrypted'>): Plan {
  return new SpecialMaker(seed, shape).plan();
}

const noFaults = { latencyMs: 1, jitterMs: 2, diskMs: 0, databaseMs: 1, skewMs: [0], sqlite: false } as const;

class SpecialMaker {
  private readonly dice: Dice;
  private readonly actions: Action[] = [];
  private nextValue = 1;
  private limits: Limits = { postsPerSecond: 20, usersPerSecond: 100, maxConcurrent: 4 };
  private nodes: NodePlan[] = [{ id: 'n', account: 'a', completeOn: 'accepted' }];
  private healMs = 9_000;

  constructor(
    private readonly seed: number,
    private readonly shape: Exclude<SpecialShape, 'encrypted'>,
  ) {
    this.dice = new Dice(`special ${seed}`);
  }

  plan(): Plan {
    this[this.shape]();
    const actions = this.actions.sort((a, b) => a.atMs - b.atMs);
    return { seed: this.seed, shape: this.shape, setup: this.setup(), actions, healMs: this.healMs };
  }

  private slices: Pick<Setup, 'blocksPerSlice' | 'turnMs'> = {};

  private setup(): Setup {
    const { dice, limits, nodes } = this;
    const queue = dice.pick<QueueKind>(['memory', 'disk', 'disk']);
    return {
      instances: 1,
      members: [{ id: 1, queue, limits }],
      accounts: [{ id: 'a', member: 1, username: 'login', connection: 'c' }],
      nodes,
      memoryMark: dice.pick(this.shape === 'hold' || this.shape === 'linger' ? [50, 1_000] : [10, 1_000]),
      pageRows: dice.pick([5, 50]),
      queueMaxEntries: 100_000,
      maxOpenMessages: 50_000,
      ...this.slices,
      ...noFaults,
    };
  }

  private message(atMs: number, entries: readonly Entry[], node = 'n'): void {
    this.actions.push({ kind: 'message', atMs, instance: 0, node, entries });
  }

  private block(name: Omit<Block, 'value'>, expiration: number | undefined): Block {
    return { ...name, value: this.nextValue++, ...(expiration !== undefined && { expiration }) };
  }

  private some(user: number): Pick<Entry, 'user' | 'domain' | 'agoMs'> {
    const name = `${String(30_000_000 + user)}-0000-4000-8000-00000000000c`;
    return { user: this.dice.chance(0.8) ? name : name.toUpperCase(), domain: 'idfa', agoMs: 0 };
  }

  // ── More than a request may hold ────────────────────────────────────────────────────────────────────────────

  /** Entries with more blocks of one user than a request takes, and more bytes than a body. */
  private wide(): void {
    const { dice } = this;
    this.limits = {
      ...this.limits,
      usersPerPost: dice.pick([2, 1_000]),
      blocksPerUser: dice.pick([7, 100]),
      maxBodyBytes: dice.pick([1_500, 1_000_000]),
    };
    this.wideMessages(dice.between(3, 8), 'n');
    if (dice.chance(0.5)) this.weather();
    if (dice.chance(0.3)) this.actions.push({ kind: 'crash', atMs: 4_000, instance: 0, downMs: 500 });
  }

  private wideMessages(count: number, node: string): void {
    const { dice } = this;
    for (let i = 0; i < count; i += 1) {
      const entries = Array.from({ length: dice.between(1, 3) }, () => this.wideEntry());
      this.message(dice.between(200, 6_000), entries, node);
    }
  }

  private wideEntry(): Entry {
    const { dice } = this;
    const byCode = dice.chance(0.3);
    const long = 'x'.repeat(dice.pick([1, 1, 150]));
    const from = dice.between(0, 100);
    const blocks = Array.from({ length: dice.pick([1, 20, 130, 260]) }, (_, at): Block => {
      const number = wideFrom + from + at;
      const name = byCode ? { seg_code: `${long}_${number}`, member_id: 1 } : { seg_id: number };
      return this.block(name, dice.pick([-1, 0, undefined, 2, 600, 43_200]));
    });
    return { ...this.some(dice.between(0, 2)), agoMs: dice.pick([0, 0, 90_000]), blocks };
  }

  private weather(): void {
    const { dice } = this;
    const chosen = Array.from({ length: 2 }, () => dice.pick(fates));
    const rates: Partial<Record<Fate, number>> = {};
    for (const fate of chosen) rates[fate] = 0.15;
    this.actions.push({ kind: 'weather', atMs: 0, rates, forMs: this.healMs });
  }

  // ── Large messages ─────────────────────────────────────────────────────────────────────────────────────────

  /** Messages with very many entries, short ones behind them, and an event while they are being queued. */
  private large(): void {
    const { dice } = this;
    this.limits = { postsPerSecond: 50, usersPerSecond: 400, maxConcurrent: 8 };
    this.nodes = ['n', 'm'].map((id) => ({
      id,
      account: 'a',
      completeOn: dice.pick(['accepted', 'queued']),
    }));
    this.slices = { blocksPerSlice: dice.pick([1, 5, 20]), turnMs: dice.pick([1, 4]) };
    for (let i = dice.between(1, 4); i > 0; i -= 1) {
      const atMs = dice.between(500, 7_000);
      const entries = dice.between(150, 400);
      this.message(atMs, this.largeEntries(entries), dice.pick(['n', 'm']));
      for (let behind = dice.between(1, 6); behind > 0; behind -= 1)
        this.message(atMs + dice.between(0, 300), this.largeEntries(1), dice.pick(['n', 'm']));
      if (dice.chance(0.8)) this.actions.push(this.meanwhile(atMs + dice.between(1, 400)));
    }
  }

  private largeEntries(count: number): Entry[] {
    const { dice } = this;
    return Array.from({ length: count }, () => ({
      ...this.some(dice.between(0, 200)),
      blocks: [this.block({ seg_id: dice.between(10001, 10004) }, dice.pick([-1, 0, 60]))],
    }));
  }

  private meanwhile(atMs: number): Action {
    const { dice } = this;
    const here = { atMs, instance: 0 };
    const { user, domain } = this.some(dice.between(0, 200));
    return dice.pick<Action>([
      { ...here, kind: 'crash', downMs: 500 },
      { ...here, kind: 'deploy' },
      { ...here, kind: 'deployNode', node: 'n' },
      { ...here, kind: 'removeNode', node: 'n', forMs: 2_000 },
      { ...here, kind: 'disk', how: 'full', forMs: dice.pick([50, 1_500]) },
      { ...here, kind: 'suspend', forMs: 3_000 },
      { ...here, kind: 'operator', member: 1, asks: dice.pick(['purge', 'pause', 'flush']) },
      { ...here, kind: 'erase', member: 1, user, domain },
      { ...here, kind: 'accounts', accounts: ['a'], change: { queue: dice.pick(['disk', 'memory']) } },
    ]);
  }

  // ── Warm-ups ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Nodes ask for warm-ups, and change them. Users from 100 on never use those segments. */
  private hold(): void {
    const { dice } = this;
    this.healMs = 70_000;
    this.nodes = ['n', 'm'].map((id) => ({ id, account: 'a', completeOn: 'accepted' }));
    const asks: Action = {
      kind: 'hold',
      atMs: dice.between(200, 9_000),
      instance: 0,
      node: 'm',
      segments: [10001],
      forMs: 90_000,
    };
    this.actions.push(asks);
    const withCodes = dice.chance(0.5);
    for (let i = dice.between(1, 3); i > 0; i -= 1) {
      const segments = dice.pick([[10001], [10001, 10002], [10002], []]);
      const atMs = dice.between(200, 40_000);
      const node = dice.pick(['n', 'n', 'n', 'm']);
      this.actions.push({
        kind: 'hold',
        atMs,
        instance: 0,
        node,
        segments,
        forMs: dice.pick([25_000, 90_000]),
      });
    }
    for (let i = dice.between(15, 45); i > 0; i -= 1)
      this.message(dice.between(0, 65_000), [this.heldEntry(withCodes)]);
    if (dice.chance(0.4)) return;
    if (dice.chance(0.3)) this.weather();
    if (dice.chance(0.6)) this.actions.push({ kind: 'crash', atMs: 30_000, instance: 0, downMs: 500 });
    if (dice.chance(0.3))
      this.actions.push({ kind: 'deploy', atMs: dice.between(20_000, 60_000), instance: 0 });
    if (dice.chance(0.3))
      this.actions.push({ kind: 'operator', atMs: 45_000, instance: 0, member: 1, asks: 'flush' });
  }

  private heldEntry(withCodes: boolean): Entry {
    const { dice } = this;
    const isFree = dice.chance(0.3);
    const expiration = (): number | undefined => dice.pick([-1, 0, undefined, 60, 43_200]);
    const id = isFree ? dice.between(10003, 10004) : dice.between(10001, 10003);
    const byCode = withCodes && !isFree && dice.chance(0.2);
    const name = byCode ? { seg_code: `code_${id}`, member_id: 1 } : { seg_id: id };
    return {
      ...this.some(isFree ? dice.between(100, 102) : dice.between(0, 3)),
      blocks: [this.block(name, expiration())],
    };
  }

  // ── Removals first ──────────────────────────────────────────────────────────────────────────────────────────

  private flood(): void {
    const { dice } = this;
    this.limits = { postsPerSecond: 20, usersPerSecond: 60, maxConcurrent: 4 };
    const list = (count: number, from: number, expiration: number): Entry[] =>
      Array.from({ length: count }, (_, at) => ({
        ...this.some(from + at),
        blocks: [this.block({ seg_id: 10001 }, expiration)],
      }));
    this.message(1_500, list(dice.between(400, 600), 0, -1));
    this.message(1_501, list(dice.between(5, 35), 10_000, 60));
  }

  /** More users than may be tried one by one wait for a service that does not answer. */
  private outage(): void {
    const { dice } = this;
    this.healMs = 16_000;
    this.limits = { postsPerSecond: 50, usersPerSecond: 200, maxConcurrent: 8 };
    const how = dice.pick(['away', 'refusesBodies'] as const);
    this.actions.push({ kind: 'service', atMs: 2_000, member: 1, how, forMs: 12_000 });
    for (let i = 0; i < 400; i += 1)
      this.message(dice.between(1_800, 12_000), [
        { ...this.some(i), blocks: [this.block({ seg_id: 10001 }, 60)] },
      ]);
    if (dice.chance(0.5)) this.purgeMeanwhile();
  }

  /** Pending entries are purged long before the service is back. */
  private purgeMeanwhile(): void {
    this.healMs = 40_000;
    this.actions[0] = { kind: 'service', atMs: 2_000, member: 1, how: 'away', forMs: 36_000 };
    this.actions.push({ kind: 'operator', atMs: 12_500, instance: 0, member: 1, asks: 'purge' });
  }

  // ── At once, or lingering ───────────────────────────────────────────────────────────────────────────────────

  /** One entry after the other, each with its own user: slowly, and faster than posts may be sent. */
  private linger(): void {
    const { dice } = this;
    this.limits = { postsPerSecond: 100, usersPerSecond: 1_000, maxConcurrent: 15 };
    let user = 0;
    const one = (atMs: number): void => {
      this.message(atMs, [{ ...this.some((user += 1)), blocks: [this.block({ seg_id: 10001 }, 0)] }]);
    };
    one(500);
    let atMs = lingerFromMs;
    for (const everyMs of [dice.pick([30, 40]), dice.pick([12, 14]), dice.pick([2, 3, 5])]) {
      const untilMs = atMs + 1_200;
      for (; atMs < untilMs; atMs += everyMs) one(atMs);
      atMs += 2_000;
    }
    this.healMs = atMs;
  }

  // ── Dry runs ────────────────────────────────────────────────────────────────────────────────────────────────

  private dryRun(): void {
    const { dice } = this;
    this.limits = { ...this.limits, blocksPerUser: dice.pick([7, 100]), usersPerPost: dice.pick([2, 1_000]) };
    this.nodes = [...this.nodes, { id: 'd', account: 'a', completeOn: 'accepted', dryRun: true }];
    this.wideMessages(dice.between(2, 4), 'd');
    this.wideMessages(2, 'n');
  }
}

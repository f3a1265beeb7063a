// Plans of a synced segment: whole audiences, renewals, refused runs, erasures and lifted suppressions among live events, with
// crashes and faults at any moment. One seed of twenty plays one of them with the queue on disk, another one with a shared queue.
import { Dice } from './dice';
import { fates, type Action, type AudienceRow, type Entry, type Fate, type Plan } from './plan';

export function isSyncSeed(seed: number): boolean {
  return seed % 20 === 7 || isShared(seed);
}

function isShared(seed: number): boolean {
  return seed % 20 === 17;
}

const syncedSegment = 10002;
/** Values of the rows of audiences; those of messages are smaller. */
const firstValue = 500_000;

/** @param poisoned a user whom the service refuses */
export function syncPlan(seed: number, poisoned: string): Plan {
  return new SyncMaker(seed, poisoned).plan();
}

class SyncMaker {
  private readonly dice: Dice;
  private readonly actions: Action[] = [];
  private readonly lengthMs: number;
  private readonly pool: readonly Pick<AudienceRow, 'user' | 'domain'>[];
  /** Each audience has a size of its own, an even one. */
  private readonly sizes = new Set<number>();
  private nextMessageValue = 1;
  private nextRowValue = firstValue;
  private nextFiller = 610_000;
  private readonly instances: number;

  constructor(
    private readonly seed: number,
    poisoned: string,
  ) {
    const dice = (this.dice = new Dice(`sync ${seed}`));
    this.lengthMs = dice.pick([15_000, 30_000, 60_000]);
    this.instances = isShared(seed) ? dice.pick([2, 2, 3]) : 1;
    const pool = Array.from({ length: dice.between(10, 30) }, (_, i) =>
      i % 3 === 2
        ? { user: String(600_001 + i), domain: null }
        : { user: `${String(40_000_000 + i)}-0000-4000-8000-00000000000d`, domain: 'idfa' },
    );
    this.pool = dice.chance(0.3) ? [...pool, { user: poisoned, domain: null }] : pool;
  }

  plan(): Plan {
    const { dice, lengthMs } = this;
    this.audiences();
    for (let i = dice.between(5, 30); i > 0; i -= 1) this.message(this.at());
    for (let i = dice.between(4, 20); i > 0; i -= 1) this.refresh(this.at());
    for (let i = dice.pick([0, 0, 1, 2, 4]); i > 0; i -= 1) this.erase(this.at());
    for (let i = dice.pick([0, 0, 1, 2, 4]); i > 0; i -= 1) this.fault(this.at());
    if (dice.chance(0.4)) this.weather();
    return {
      seed: this.seed,
      shape: this.isShared ? 'shared sync' : 'sync',
      setup: {
        instances: this.instances,
        members: [
          {
            id: 1,
            queue: this.isShared ? 'shared' : 'disk',
            limits: dice.pick([
              { postsPerSecond: 20, usersPerSecond: 100, maxConcurrent: 4 },
              { postsPerSecond: 5, usersPerSecond: 10, maxConcurrent: 2 },
            ]),
          },
        ],
        accounts: [{ id: 'a', member: 1, username: 'login', connection: 'c' }],
        nodes: [{ id: 'n', account: 'a', completeOn: dice.pick(['accepted', 'queued']) }],
        memoryMark: dice.pick([3, 10, 1_000]),
        pageRows: dice.pick([2, 5, 50]),
        queueMaxEntries: 100_000,
        maxOpenMessages: 50_000,
        latencyMs: dice.pick([1, 5, 20]),
        jitterMs: dice.pick([2, 40]),
        diskMs: dice.pick([0, 5, 20, 20]),
        databaseMs: this.isShared ? dice.pick([1, 5, 20]) : 1,
        skewMs: [0, dice.pick([0, 200, -3_000]), 0],
        sqlite: false,
        syncedSegment,
      },
      actions: this.actions.filter(({ atMs }) => atMs < lengthMs).sort((a, b) => a.atMs - b.atMs),
      healMs: lengthMs,
    };
  }

  private get isShared(): boolean {
    return this.instances > 1;
  }

  private at(): number {
    return this.dice.between(1_500, this.lengthMs - 200);
  }

  private anyInstance(): number {
    return this.isShared ? this.dice.between(0, this.instances - 1) : 0;
  }

  // ── The table ───────────────────────────────────────────────────────────────────────────────────────────────

  private audiences(): void {
    const { dice } = this;
    let rows = this.pool.filter(() => dice.chance(0.8)).map((user) => this.row(user));
    let atMs = dice.between(1_200, 3_000);
    for (let left = dice.between(2, 5); left > 0; left -= 1) {
      this.audience(atMs, rows);
      rows = this.changed(rows);
      atMs += dice.pick([50, 1_000, 5_000, 12_000]);
    }
  }

  private row(user: Pick<AudienceRow, 'user' | 'domain'>): AudienceRow {
    return { ...user, value: this.nextRowValue++ };
  }

  /** Some users leave, at times more than a run may remove; some join, and some have another value. */
  private changed(rows: readonly AudienceRow[]): AudienceRow[] {
    const { dice } = this;
    const leave = dice.pick([0, 0.05, 0.1, 0.5]);
    const stay = rows.filter(() => !dice.chance(leave));
    const missing = this.pool.filter(({ user }) => !stay.some((row) => row.user === user));
    return [
      ...stay.map((row) => (dice.chance(0.1) ? this.row(row) : row)),
      ...missing.filter(() => dice.chance(0.3)).map((user) => this.row(user)),
    ];
  }

  private audience(atMs: number, some: readonly AudienceRow[]): void {
    const rows = [...some];
    while (rows.length % 2 === 1 || this.sizes.has(rows.length))
      rows.push(this.row({ user: String(this.nextFiller++), domain: null }));
    this.sizes.add(rows.length);
    this.actions.push({ kind: 'audience', atMs, instance: 0, rows, force: this.dice.chance(0.1) });
  }

  /** Half of them while a live event of a member is on its way. */
  private refresh(atMs: number): void {
    const { dice } = this;
    this.actions.push({ kind: 'refresh', atMs, instance: 0 });
    if (!dice.chance(0.5)) return;
    for (let i = dice.between(1, 4); i > 0; i -= 1) this.message(atMs + dice.between(-60, 40));
  }

  // ── Live events ─────────────────────────────────────────────────────────────────────────────────────────────

  private message(atMs: number): void {
    const { dice } = this;
    const isSynced = dice.chance(0.7);
    const block = {
      seg_id: isSynced ? syncedSegment : 10_003,
      value: this.nextMessageValue++,
      expiration: dice.pick([-1, -1, -1, 0]),
    };
    const entry: Entry = { ...dice.pick(this.pool), agoMs: 0, blocks: [block] };
    this.actions.push({ kind: 'message', atMs, instance: this.anyInstance(), node: 'n', entries: [entry] });
  }

  private erase(atMs: number): void {
    const { dice } = this;
    const { user, domain } = dice.pick(this.pool);
    this.actions.push({ kind: 'erase', atMs, instance: this.anyInstance(), member: 1, user, domain });
    if (dice.chance(0.3))
      this.actions.push({ kind: 'lift', atMs: atMs + dice.between(500, 8_000), instance: 0, user, domain });
  }

  // ── What goes wrong ─────────────────────────────────────────────────────────────────────────────────────────

  private fault(atMs: number): void {
    const { dice } = this;
    const here = { atMs, instance: this.anyInstance() };
    const forMs = dice.pick([300, 2_000, 8_000]);
    const when = dice.pick(['before', 'after'] as const);
    const call = dice.between(1, 8);
    // Events whose outcomes may have to wait for the disk.
    for (let i = dice.between(0, 3); i > 0; i -= 1) this.message(atMs + dice.between(-60, 0));
    if (this.isShared && dice.chance(0.5)) {
      this.sharedFault(here);
      return;
    }
    this.actions.push(
      dice.pick<Action>([
        { ...here, kind: 'crash', downMs: dice.pick([0, 500, 3_000]) },
        { ...here, kind: 'crashAt', port: 'disk', call, when, downMs: 500 },
        { ...here, kind: 'crashAt', port: 'disk', call, when, downMs: 500 },
        { ...here, kind: 'crashAt', port: 'network', call, when, downMs: 500 },
        { ...here, kind: 'disk', how: dice.pick(['full', 'broken', 'slow']), forMs },
        { ...here, kind: 'disk', how: 'full', forMs },
        { ...here, kind: 'disk', how: 'full', forMs },
        { ...here, kind: 'freeze', forMs },
        { ...here, kind: 'suspend', forMs },
        { ...here, kind: 'service', member: 1, how: dice.pick(['away', 'silent']), forMs },
        { ...here, kind: 'operator', member: 1, asks: 'purge' },
        { ...here, kind: 'operator', member: 1, asks: 'flush' },
      ]),
    );
  }

  private sharedFault(here: { readonly atMs: number; readonly instance: number }): void {
    const { dice } = this;
    const forMs = dice.pick([300, 3_000, 8_000]);
    const call = dice.between(1, 20);
    const when = dice.pick(['before', 'after'] as const);
    const how = dice.pick(['refuses', 'silent', 'repliesLost'] as const);
    const instance = dice.pick([here.instance, null]);
    this.actions.push(
      dice.pick<Action>([
        { ...here, kind: 'crashAt', port: 'database', call, when, downMs: 500 },
        { ...here, kind: 'crashAt', port: 'database', call, when, downMs: 5_000 },
        { ...here, instance, kind: 'database', how, forMs },
        { ...here, instance: null, kind: 'database', how: dice.pick(['readOnly', 'standbyLost']), forMs },
        { ...here, kind: 'freeze', forMs },
        { ...here, kind: 'crash', downMs: dice.pick([500, 8_000]) },
      ]),
    );
  }

  private weather(): void {
    const { dice } = this;
    const rates: Partial<Record<Fate, number>> = {};
    for (const fate of [dice.pick(fates), dice.pick(fates)]) rates[fate] = dice.pick([0.05, 0.2]);
    this.actions.push({ kind: 'weather', atMs: 0, rates, forMs: this.lengthMs });
  }
}

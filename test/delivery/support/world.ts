// An engine, its outbox, a faulty service and a clock, driven by a script; and what must hold afterwards.
import { checkEntry } from '../../../src/audience/check';
import type { CheckedEntry } from '../../../src/audience/entry';
import { Engine, type EngineOptions, type Recovered } from '../../../src/delivery/engine';
import type { TicketEnd } from '../../../src/delivery/tickets';
import { MemoryOutbox } from '../../../src/outbox/memory-outbox';
import type { Commit, Outbox, Opened, Page, Lane } from '../../../src/outbox/outbox';
import { OutboxError } from '../../../src/outbox/outbox';
import { FakeClock } from './fake-clock';
import { FakeService, type Block, type Fate } from './fake-service';

/** Small, fast, seeded: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Survives its engine, as a file does; a commit takes time, and a kill falls before or after it. */
export class KillableOutbox implements Outbox {
  readonly durable = true;
  failing = false;
  private killed = false;
  private chain: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly store: MemoryOutbox,
    private readonly clock: FakeClock,
    private readonly random: () => number,
    private readonly commitMs: () => number,
  ) {}

  /** The process dies: what had not been carried out yet may or may not be. */
  kill(): void {
    this.killed = true;
    void this.store.close();
  }

  open(): Promise<Opened> {
    return this.store.open();
  }

  commit(commit: Commit): Promise<void> {
    return this.next(() => {
      if (this.failing) throw new OutboxError('full', 'disk full');
      return this.store.commit(commit);
    });
  }

  read(lane: Lane, after: number, through: number, limit: number): Promise<Page> {
    return this.next(() => this.store.read(lane, after, through, limit));
  }

  getMeta(key: string): Promise<string | null> {
    return this.store.getMeta(key);
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.store.setMeta(key, value);
  }

  close(): Promise<void> {
    return this.next(() => this.store.close());
  }

  private next<T>(call: () => Promise<T>): Promise<T> {
    const result = this.chain.then(async () => {
      const beforeMs = this.commitMs();
      if (beforeMs > 0) await this.sleep(beforeMs);
      if (this.killed) return new Promise<T>(() => undefined);
      const value = await call();
      const afterMs = this.commitMs();
      if (afterMs > 0) await this.sleep(afterMs);
      if (this.killed) return new Promise<T>(() => undefined);
      return value;
    });
    this.chain = result.catch(() => undefined);
    return result;
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms * this.random(), resolve));
  }
}

export interface WorldOptions {
  readonly seed: number;
  readonly fates?: Partial<Record<Fate, number>>;
  readonly delayMs?: () => number;
  readonly commitMs?: number;
  readonly memoryMark?: number;
  readonly pageRows?: number;
  readonly limits?: EngineOptions['limits'];
  readonly aliases?: Readonly<Record<string, number>>;
  readonly poison?: (user: string, block: Block) => boolean;
  readonly queueMaxEntries?: number;
  readonly maxOpenMessages?: number;
}

interface Input {
  readonly user: string;
  readonly blocks: readonly Block[];
  readonly bornMs: number;
  end: TicketEnd | null;
  /** Of an engine that was killed before it said anything. */
  orphaned: boolean;
  /** Whether it counts: refused input changes nothing. */
  taken: boolean;
}

/** A minute of rounding, and what a lost request may run late (time-out and margin). */
const lateByMs = 60_000 + 10_000 + 20_000 + 100;

export class World {
  readonly clock = new FakeClock();
  readonly random: () => number;
  readonly service: FakeService;
  readonly store = new MemoryOutbox();
  readonly inputs: Input[] = [];
  readonly recovered: Recovered[] = [];
  readonly doubleEnds: string[] = [];
  calm = false;
  outbox!: KillableOutbox;
  engine!: Engine;
  private token = 1;
  private asked = 0;
  private lifeNumber = 0;

  constructor(readonly options: WorldOptions) {
    this.random = seeded(options.seed);
    const fates = Object.entries(options.fates ?? {}) as [Fate, number][];
    this.service = new FakeService({
      clock: this.clock,
      random: this.random,
      fate: () => this.fate(fates),
      delayMs: options.delayMs ?? ((): number => 1 + this.random() * 40),
      ...(options.poison && { poison: options.poison }),
      ...(options.aliases && { aliases: options.aliases }),
    });
    this.boot();
  }

  private fate(fates: readonly [Fate, number][]): Fate {
    if (this.calm) return 'ok';
    let draw = this.random();
    for (const [fate, probability] of fates) {
      draw -= probability;
      if (draw < 0) {
        if (fate === 'deadToken') this.service.validToken = `token ${++this.token}`;
        return fate;
      }
    }
    return 'ok';
  }

  boot(): void {
    const life = ++this.lifeNumber;
    const { options } = this;
    this.outbox = new KillableOutbox(this.store, this.clock, this.random, () =>
      this.calm ? 0 : (options.commitMs ?? 0),
    );
    this.engine = new Engine({
      outbox: this.outbox,
      clock: this.clock,
      random: this.random,
      limits: options.limits ?? { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 },
      queueMaxEntries: options.queueMaxEntries ?? 1_000_000,
      queueMaxBytes: 1e9,
      ...(options.memoryMark !== undefined && { memoryMark: options.memoryMark }),
      ...(options.pageRows !== undefined && { pageRows: options.pageRows }),
      ...(options.maxOpenMessages !== undefined && { maxOpenMessages: options.maxOpenMessages }),
    });
    let current = this.service.validToken;
    this.engine.attach({
      account: 'a',
      token: () => {
        this.asked += 1;
        return Promise.resolve({ kind: 'token', token: current });
      },
      refused: (token) => {
        if (token === current) current = this.service.validToken;
      },
      post: (body, token) => {
        if (life !== this.lifeNumber) throw new Error('a dead engine posts');
        return this.service.post(body, token);
      },
      networkFloorMs: () => 0,
    });
    this.engine.onRecovered('n', (list) => this.recovered.push(...list));
    this.engine.start();
  }

  /** kill -9 and start again. */
  kill(): void {
    this.outbox.kill();
    this.service.clientDied();
    // A dead process runs nothing: its timers and promises must not touch the world any more.
    (this.engine as unknown as { closed: boolean }).closed = true;
    for (const input of this.inputs) if (input.end === null) input.orphaned = true;
    this.boot();
  }

  add(user: string, blocks: readonly Block[], completeOn: 'accepted' | 'queued' = 'accepted'): Input {
    const input: Input = {
      user,
      blocks,
      bornMs: this.clock.monoMs(),
      end: null,
      orphaned: false,
      taken: true,
    };
    this.inputs.push(input);
    this.engine.submit({
      source: { node: 'n', account: 'a' },
      entries: [entryOf(user, blocks)],
      indexes: null,
      completeOn,
      onEnd: (end) => {
        if (input.end !== null) this.doubleEnds.push(user);
        input.end = end;
        if (end.kind === 'failed') input.taken = false;
      },
    });
    return input;
  }

  /** Lets everything come to rest under a service that behaves. */
  async rest(ms = 400_000): Promise<void> {
    this.calm = true;
    await this.clock.advance(ms);
  }

  /** Which entries of a killed engine made it into the outbox is only known afterwards; see `differences`. */
  differences(): string[] {
    const found: string[] = [];
    const expected = new Map<string, { options: (Block & { bornMs: number })[] }>();
    for (const input of this.inputs) {
      if (!input.taken) continue;
      for (const block of input.blocks) {
        const key = `idfa:${input.user} ${this.segmentOf(block)}`;
        const stated = { ...block, bornMs: input.bornMs };
        // An entry of a killed engine may not have been taken: then the one before it still holds.
        const before = input.orphaned ? (expected.get(key)?.options ?? [{ expiration: -1, bornMs: 0 }]) : [];
        expected.set(key, { options: [...before, stated] });
      }
    }
    for (const [key, { options }] of expected) {
      if (!options.some((option) => this.holds(key, option))) {
        found.push(
          `${key}: expected ${JSON.stringify(options.at(-1))}, service has ${JSON.stringify(this.service.state.get(key))}`,
        );
      }
    }
    for (const key of this.service.state.keys()) if (!expected.has(key)) found.push(`${key}: unexpected`);
    return found;
  }

  private segmentOf(block: Block): string {
    if (block.seg_id !== undefined) return String(block.seg_id);
    const alias = this.options.aliases?.[String(block.seg_code).toLowerCase()];
    return alias === undefined ? `${block.member_id}:${String(block.seg_code).toLowerCase()}` : String(alias);
  }

  private holds(key: string, wanted: Block & { bornMs: number }): boolean {
    const has = this.service.state.get(key);
    if (wanted.expiration === -1) return has === undefined;
    if (wanted.expiration === undefined || wanted.expiration === 0) {
      return has !== undefined && has.expiration === wanted.expiration && has.value === wanted.value;
    }
    const untilMs = wanted.bornMs + wanted.expiration * 60_000;
    if (has === undefined) return untilMs <= this.clock.monoMs();
    return (
      has.value === wanted.value &&
      has.expiration !== undefined &&
      has.atMs + has.expiration * 60_000 <= untilMs + lateByMs
    );
  }

  /** Everything that must hold after `rest`, as sentences; empty when all does. */
  violations(): string[] {
    const limits = this.options.limits ?? { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
    const found = [...this.differences(), ...this.service.problems];
    const worst = this.service.worstSecond();
    if (worst.posts > limits.postsPerSecond) found.push(`${worst.posts} posts in one second`);
    if (worst.users > limits.usersPerSecond) found.push(`${worst.users} users in one second`);
    if (worst.concurrent > limits.maxConcurrent) found.push(`${worst.concurrent} calls in flight`);
    const counters = this.engine.counters;
    if (counters.waiting !== 0) found.push(`${counters.waiting} still waiting`);
    const ends = counters.accepted + counters.superseded + counters.expired + counters.rejected;
    if (ends !== counters.taken) found.push(`counters: ${JSON.stringify(counters)}`);
    if (this.doubleEnds.length > 0) found.push(`ended twice: ${this.doubleEnds.join()}`);
    const open = this.inputs.filter((input) => input.end === null && !input.orphaned);
    if (open.length > 0) found.push(`${open.length} without an end`);
    return found;
  }
}

export function entryOf(user: string, blocks: readonly Block[]): CheckedEntry {
  const result = checkEntry({ user_id: user, domain: 'idfa', seg_block: blocks });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.entry;
}

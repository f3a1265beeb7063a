// Segment look-ups of an out node: their size and rate, and the entries that wait for them.
import assert from 'node:assert/strict';
import { checkEntry } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import type { SegmentFinding } from '../../src/usage/segment-check';
import type { ReadOutcome } from '../../src/service/reply/outcome';
import type { Segment } from '../../src/service/reply/schemas';
import type { SegmentList, SegmentQuery } from '../../src/service/segments';
import { SegmentWatch } from '../../nodes/instant-audience-out/segment-watch';

interface Due {
  readonly ms: number;
  readonly call: () => void;
}

/** A watch whose timers the test runs by hand, over a list that has every id below a thousand. */
class Watched {
  readonly asked: SegmentQuery[] = [];
  /** What it asks to hold, by who asks. */
  readonly held = new Map<string, ReadonlyMap<string, number>>();
  holdsAsked = 0;
  readonly failures: (string | null)[] = [];
  found: readonly SegmentFinding[] = [];
  answer: ReadOutcome<SegmentList> | null = null;
  segment: Partial<Segment> = {};
  readonly watch: SegmentWatch;
  private due: Due[] = [];
  private readonly real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

  constructor(
    readonly store: SqliteStore,
    holds: boolean,
  ) {
    const timers: any = {
      setTimeout: (call: () => void, ms: number) => {
        const due = { ms, call };
        this.due.push(due);
        return { due, unref: () => ({ due }) };
      },
      clearTimeout: ({ due }: { due: Due }) => {
        this.due = this.due.filter((one) => one !== due);
      },
    };
    Object.assign(globalThis, timers);
    const client = {
      segments: (query: SegmentQuery) => {
        this.asked.push(query);
        return Promise.resolve(this.answer ?? this.listed(query));
      },
    };
    const keeper = {
      token: () => Promise.resolve({ kind: 'token', token: 't' }),
      refused: () => undefined,
      accepted: () => undefined,
    };
    this.watch = new SegmentWatch({
      RED: { nodes: { eachNode: () => undefined }, events: { on: () => undefined } } as never,
      node: 'out',
      out: 'out',
      account: { id: 'a', member: '1', connection: () => ({ client, keeper }) as never },
      engine: { meta: store, holdSegments: (owner, untils) => this.hold(owner, untils) },
      holds,
      changed: (found) => (this.found = found),
      noLogin: 'no login',
      failed: (reason) => this.failures.push(reason),
    });
    this.watch.start();
  }

  private hold(owner: string, untils: ReadonlyMap<string, number>): void {
    this.held.set(owner, untils);
    this.holdsAsked += 1;
  }

  get heldKeys(): string[] {
    return [...this.held.values()].flatMap((untils) => [...untils.keys()]);
  }

  private listed({ ids = [], code }: SegmentQuery): ReadOutcome<SegmentList> {
    const common = { shortName: null, state: 'active', memberId: 1, expireMinutes: null, lastModified: null };
    const known = ids
      .filter((id) => id < 1_000)
      .map((id) => ({ ...common, id, code: null, ...this.segment }));
    const shared = code === undefined ? [] : [{ ...common, id: 5_000, code, memberId: 9, state: 'inactive' }];
    return { kind: 'read', value: { segments: [...known, ...shared], total: 5_000 } };
  }

  end(): void {
    this.watch.stop();
    Object.assign(globalThis, this.real);
  }

  /** Runs what is to run first, and says after how long it was to. */
  async next(): Promise<number> {
    const first = this.due.reduce((a, b) => (b.ms < a.ms ? b : a));
    this.due = this.due.filter((one) => one !== first);
    first.call();
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
    return first.ms;
  }

  saw(...blocks: object[]): void {
    const entry = checkEntry({ user_id: '7', seg_block: blocks }) as { entry: CheckedEntry };
    this.watch.saw([entry.entry]);
  }
}

const ids = (count: number, from = 1): object[] =>
  Array.from({ length: count }, (_, index) => ({ seg_id: from + index }));

describe('the watch over segments', () => {
  let watched: Watched;

  async function watch(holds = false): Promise<void> {
    const store = new SqliteStore(':memory:');
    await store.open();
    watched = new Watched(store, holds);
    assert.equal(await watched.next(), 500, 'the look on deploy');
    assert.deepEqual(watched.asked, [], 'which finds nothing to ask for');
  }

  afterEach(() => watched.end());

  it('looks up new segments together, a hundred ids at a time, with some seconds between', async () => {
    await watch();
    watched.saw(...ids(60));
    watched.saw(...ids(250));
    assert.equal(await watched.next(), 200);
    assert.ok((await watched.next()) > 4_000);
    assert.ok((await watched.next()) > 4_000);
    assert.deepEqual(
      watched.asked.map((query) => query.ids?.length),
      [100, 100, 50],
    );
    watched.saw(...ids(250));
    assert.equal(await watched.next(), 3_600_000, 'nothing more to look up for an hour');
    assert.equal(watched.asked.length, 6);
  });

  it('looks up at most nine hundred ids and fifty codes in an hour, and forgets unused segments', async () => {
    await watch();
    watched.saw(...ids(2_000));
    watched.saw(...Array.from({ length: 200 }, (_, n) => ({ seg_code: `c${n}`, member_id: 1 })));
    while ((await watched.next()) < 3_600_000);
    const asked = watched.asked.flatMap((query) => query.ids ?? []);
    assert.equal(new Set(asked).size, 900);
    assert.equal(new Set(watched.asked.flatMap(({ code }) => code ?? [])).size, 50);
    watched.saw({ seg_id: 1 });
    watched.asked.length = 0;
    await watched.next();
    assert.deepEqual(watched.asked, [{ ids: [1] }]);
    watched.saw({ seg_id: 1_500 });
    await watched.next();
    assert.deepEqual(watched.asked[1], { ids: [1_500] });
  });

  it('tries a look that failed again and again, each time within twice as long', async () => {
    await watch();
    const { random } = Math;
    Math.random = () => 1;
    try {
      watched.answer = { kind: 'configuration', code: 'http_403', message: 'not allowed' };
      watched.saw({ seg_id: 1 });
      const waits: number[] = [];
      for (let n = 0; n < 12; n += 1) waits.push(await watched.next());
      assert.deepEqual(
        waits,
        [200, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 600_000, 600_000],
      );
      watched.saw({ seg_id: 2 });
      watched.answer = null;
      watched.segment = { state: 'inactive' };
      await watched.next();
    } finally {
      Math.random = random;
    }
    assert.deepEqual(watched.failures, ['not allowed', null]);
    assert.deepEqual(
      watched.found.map(({ kind, segment }) => `${segment} ${kind}`),
      ['1 inactive', '2 inactive'],
    );
    assert.equal(await watched.next(), 3_600_000);
  });

  it('holds adds to a segment until it was looked up, half a minute at most, where new segments are held', async () => {
    await watch(true);
    const nowMs = Date.now();
    watched.saw({ seg_id: 1 }, { seg_id: 2, expiration: -1 });
    assert.deepEqual(watched.heldKeys, ['i1']);
    const untilMs = watched.held.get('out unknown')!.get('i1')!;
    assert.ok(untilMs >= nowMs + 30_000 && untilMs < nowMs + 31_000);
    await watched.next();
    assert.deepEqual(watched.heldKeys, []);
    // Only adds to a segment depend on how old it is.
    watched.segment = { code: 'two', lastModified: new Date().toISOString().slice(0, 19) };
    watched.saw({ seg_id: 2 });
    assert.deepEqual(watched.heldKeys, ['i2']);
    await watched.next();
    assert.deepEqual(watched.heldKeys, ['i2', 'c1:two']);
    watched.answer = { kind: 'configuration', code: 'http_403', message: 'not allowed' };
    watched.saw({ seg_id: 3 });
    await watched.next();
    const { holdsAsked } = watched;
    watched.saw({ seg_id: 4 });
    assert.equal(watched.holdsAsked, holdsAsked, 'nothing more waits for looks that fail');
  });

  it('keeps the holds of an earlier process until the next look-up', async () => {
    await watch(true);
    watched.segment = { code: 'Two', lastModified: new Date().toISOString().slice(0, 19) };
    watched.saw({ seg_id: 2 }, { seg_id: 4_000 });
    await watched.next();
    const { held, store } = watched;
    watched.end();
    watched = new Watched(store, true);
    for (const [owner, untils] of held) watched.held.set(owner, untils);
    watched.segment = { code: 'Two', lastModified: new Date().toISOString().slice(0, 19) };
    watched.saw({ seg_id: 3 });
    assert.deepEqual(watched.heldKeys, ['i2', 'c1:two', 'i3']);
    watched.asked.length = 0;
    while ((await watched.next()) < 3_600_000 && watched.asked.length === 0);
    while (watched.asked.every(({ ids: asked }) => asked?.includes(2) !== true)) await watched.next();
    assert.deepEqual(new Set(watched.heldKeys), new Set(['i2', 'i3', 'c1:two']));
    assert.deepEqual([...new Set(watched.found.map(({ kind }) => kind))], ['warmUp']);
  });

  it('checks segments that other members share, by id and by code', async () => {
    await watch();
    watched.segment = { memberId: 9, state: 'inactive' };
    watched.saw({ seg_id: 7 }, { seg_code: 'Theirs', member_id: 9 }, { seg_id: 4_000 });
    await watched.next();
    assert.deepEqual(
      watched.found.map(({ kind, segment }) => `${segment} ${kind}`),
      ['7 inactive', '4000 notOurs', 'Theirs inactive'],
    );
    assert.deepEqual(
      watched.watch.warnings(Date.now()).map(({ segment }) => segment),
      [7, 'Theirs'],
    );
    watched.segment = { memberId: 9 };
    watched.saw({ seg_id: 8 });
    await watched.next();
    assert.equal(
      watched.found.find(({ segment }) => segment === 8)!.kind,
      'notOurs',
      'whether it may be filled',
    );
  });
});

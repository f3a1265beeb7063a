// Read-ahead: which rows are in memory. No entry of a lane overtakes another.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { hashUserKey } from '../../src/entry/keys';
import { ReadAhead, type RowsRead } from '../../src/delivery/pending/read-ahead';
import { lanes, type Lane, type NewRow } from '../../src/queue/store';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { runs } from './support/runs';

function rowOf(seq: number, lane: Lane): NewRow {
  return {
    seq,
    lane,
    userHash: hashUserKey(`user ${seq}`),
    source: { node: 'n', account: 'a' },
    eventWallMs: 0,
    eventMonoMs: 0,
    appendedWallMs: 0,
    body: `{"seq":${seq}}`,
  };
}

type Step =
  | { readonly kind: 'take'; readonly lane: Lane; readonly user: number }
  | { readonly kind: 'commit' }
  | { readonly kind: 'read' }
  | { readonly kind: 'end'; readonly lane: Lane };

const lane = fc.constantFrom('add' as const, 'add', 'removal', 'bulk');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('take' as const), lane, user: fc.nat({ max: 9 }) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'commit' }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'read' }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), lane }) },
);

/** A read-ahead with its store, and the entries in memory by lane, in the order in which they were loaded. */
class Bench {
  readonly store = new SqliteStore(':memory:');
  readonly readAhead: ReadAhead;
  readonly came: Record<Lane, number[]> = { add: [], removal: [], bulk: [] };
  readonly inMemory: Record<Lane, { readonly seq: number; readonly further: boolean }[]> = {
    add: [],
    removal: [],
    bulk: [],
  };
  lastSeq = 0;
  private readonly users = new Map<number, number>();
  private appended: NewRow[] = [];

  constructor(
    private readonly memoryMark: number,
    pageRows: number,
  ) {
    this.readAhead = new ReadAhead(this.store, memoryMark, pageRows);
  }

  async open(): Promise<void> {
    this.readAhead.opened(await this.store.open());
  }

  take(its: Lane, user: number): void {
    this.lastSeq += 1;
    this.users.set(this.lastSeq, user);
    this.appended.push(rowOf(this.lastSeq, its));
    const further = this.isFurther(this.lastSeq);
    if (this.readAhead.admits(its, this.lastSeq, further)) this.arrive(its, this.lastSeq, further);
  }

  private isFurther(seq: number): boolean {
    const user = this.users.get(seq);
    return Object.values(this.inMemory).some((rows) => rows.some((row) => this.users.get(row.seq) === user));
  }

  async commit(): Promise<void> {
    await this.store.commit({ append: this.appended.splice(0) });
    this.readAhead.committed(this.lastSeq);
  }

  async read(): Promise<void> {
    const pages: RowsRead[] = [];
    this.readAhead.request(
      (read) => pages.push(read),
      (error) => assert.fail(String(error)),
    );
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
    for (const read of pages) {
      assert.ok(read.kind === 'page');
      for (const { lane: its, seq } of read.rows) {
        const further = this.isFurther(seq);
        this.readAhead.loaded(its, further);
        this.arrive(its, seq, further);
      }
      this.readAhead.admitted(read);
    }
  }

  async end(its: Lane): Promise<void> {
    const first = this.inMemory[its].shift();
    if (first === undefined) return;
    this.readAhead.unloaded(its, first.further, first.seq);
    await this.commit();
    await this.store.commit({ remove: [first.seq] });
  }

  private arrive(its: Lane, seq: number, further: boolean): void {
    this.came[its].push(seq);
    this.inMemory[its].push({ seq, further });
  }

  check(pageRows: number): void {
    for (const its of lanes) {
      const further = this.inMemory[its].filter((row) => row.further).length;
      const first = this.inMemory[its].length - further;
      assert.ok(first <= this.memoryMark + pageRows, `${first} users' entries in memory`);
      assert.ok(further <= 4 * this.memoryMark + pageRows, `${further} further entries in memory`);
      const sorted = [...this.came[its]].sort((a, b) => a - b);
      assert.deepEqual(this.came[its], sorted, 'one came to memory before an older one of its lane');
      assert.equal(new Set(sorted).size, sorted.length, 'one came to memory twice');
    }
  }
}

describe('the read-ahead', () => {
  it('loads every row of a lane once, in order, however input, commits, reads and ends interleave', async () => {
    let paged = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 80 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 5 }),
        async (steps, mark, pageRows) => {
          const bench = new Bench(mark, pageRows);
          await bench.open();
          for (const each of steps) {
            switch (each.kind) {
              case 'take':
                bench.take(each.lane, each.user);
                break;
              case 'end':
                await bench.end(each.lane);
                break;
              case 'commit':
                await bench.commit();
                break;
              case 'read':
                await bench.read();
                break;
            }
            if (bench.readAhead.unreadAny) paged += 1;
            bench.check(pageRows);
          }
          await bench.commit();
          for (let i = 0; i < 200 && bench.readAhead.unreadAny; i += 1) {
            await bench.read();
            for (const each of lanes) await bench.end(each);
            bench.check(pageRows);
          }
          assert.equal(bench.readAhead.unreadAny, false);
          assert.equal(lanes.flatMap((each) => bench.came[each]).length, bench.lastSeq);
        },
      ),
      runs(200),
    );
    assert.ok(paged > 500, `${paged} steps with something on disk only`);
  });

  it('treats every row as unread after opening, and a new store as empty', () => {
    const opened = { lastSeq: 9, waiting: 3, bodyChars: 0, recovered: [], oldestAppendedWallMs: null };
    const readAhead = new ReadAhead(new SqliteStore(':memory:'), 10, 10);
    readAhead.opened(opened);
    assert.ok(readAhead.unreadAny);
    assert.equal(readAhead.admits('add', 10, false), false);
    const fresh = new ReadAhead(new SqliteStore(':memory:'), 10, 10);
    fresh.opened({ ...opened, lastSeq: 0, waiting: 0 });
    assert.equal(fresh.unreadAny, false);
    assert.equal(fresh.admits('add', 1, false), true);
  });

  it('loads more entries of users in memory, up to four times the high-water mark', async () => {
    const bench = new Bench(2, 5);
    await bench.open();
    for (let i = 0; i < 12; i += 1) bench.take('add', 7);
    assert.equal(bench.inMemory.add.length, 1 + 4 * 2);
    assert.ok(bench.readAhead.unreadAny);
  });

  it('has read a lane whose last row is the last one of a full page', async () => {
    const bench = new Bench(2, 2);
    await bench.open();
    for (let user = 0; user < 4; user += 1) bench.take('add', user);
    await bench.commit();
    for (let ended = 0; ended < 2; ended += 1) await bench.end('add');
    await bench.read();
    assert.equal(bench.came.add.length, 4);
    assert.equal(bench.readAhead.unreadAny, false);
  });

  it('tells whether an older row may be unread, in either lane', async () => {
    const bench = new Bench(2, 5);
    await bench.open();
    for (let user = 0; user < 3; user += 1) bench.take('add', user);
    bench.take('removal', 3);
    await bench.commit();
    // 1 and 2 are in memory, 3 is on disk, 4 is a removal in memory.
    assert.equal(bench.readAhead.hasUnreadThrough(2), false);
    assert.equal(bench.readAhead.hasUnreadThrough(3), true);
    assert.equal(bench.readAhead.hasUnreadIn('removal', 3), false);
    assert.equal(bench.readAhead.readThroughSeq, 2);
    await bench.end('add');
    await bench.read();
    assert.equal(bench.readAhead.hasUnreadThrough(4), false);
  });

  it('tries a failed read again', async () => {
    const store = new SqliteStore(':memory:');
    const readAhead = new ReadAhead(store, 1, 1);
    readAhead.opened({ lastSeq: 5, waiting: 5, bodyChars: 0, recovered: [], oldestAppendedWallMs: null });
    let failures = 0;
    for (let i = 0; i < 2; i += 1) {
      readAhead.request(
        () => assert.fail('the store is closed'),
        () => (failures += 1),
      );
      for (let j = 0; j < 5; j += 1) await Promise.resolve();
    }
    assert.equal(failures, 2 * lanes.length);
  });
});

// Model test: all stores behave like a plain model, for any commits, reads and re-openings.
import assert from 'node:assert/strict';
import { join } from 'node:path';

import fc from 'fast-check';

import type { Commit, NewRow, Opened, QueueStore, QueueError, Row } from '../../src/queue/store';
import type { EncryptionOptions } from '../../src/queue/sqlite/encryption';
import { openLog, type SqliteLog } from '../../src/queue/sqlite/sqlite-log';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { cleanUps } from '../support/clean-up';
import { compileStore, type Compiled } from './compiled';
import { PlainStore } from './plain-store';
import { batchOf, temporaryFolder } from './rows';
import { processNamed, TestDatabase, type PostgresQueue } from './shared-stores';
import type { PostgresLog } from '../../src/queue-postgres/postgres-log';

interface Shape {
  /** Distances between sequence numbers; 0 does not continue the log, so the commit must fail. */
  readonly append: readonly (Omit<NewRow, 'seq'> & { readonly step: number })[];
  readonly commit: Omit<Commit, 'append'>;
}
type Step =
  | ({ readonly kind: 'commit' } & Shape)
  | { readonly kind: 'read'; readonly args: Parameters<QueueStore['read']> }
  | { readonly kind: 'users'; readonly args: Parameters<QueueStore['rowsOfUsers']> }
  | { readonly kind: 'meta'; readonly key: string; readonly value: string }
  | { readonly kind: 'reopen' };

const seq = fc.integer({ min: 0, max: 60 });
const post = fc.integer({ min: -4, max: 8 });
const userHash = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.maxSafeNat());
const time = fc.double({ min: 0, max: 2e12, noNaN: true });

const append = fc.record({
  step: fc.oneof(
    { weight: 40, arbitrary: fc.integer({ min: 1, max: 2 }) },
    { weight: 1, arbitrary: fc.constant(0) },
  ),
  lane: fc.constantFrom('add' as const, 'removal' as const, 'bulk' as const),
  userHash,
  source: fc.constantFrom(
    { node: 'a', account: 'x' },
    { node: 'b', account: 'x' },
    { node: 'a', account: 'ü"' },
  ),
  eventWallMs: time,
  eventMonoMs: time,
  appendedWallMs: time,
  body: fc.json(),
  cold: fc.boolean(),
});

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: 1 });
}

const numbers = fc.oneof(
  fc.array(seq, { maxLength: 6 }),
  fc
    .tuple(seq, fc.integer({ min: 1, max: 30 }))
    .map(([from, count]) => Array.from({ length: count }, (_, i) => from + i)),
);

const commitStep: fc.Arbitrary<Step> = fc
  .record({
    append: fc.oneof(fc.array(append, { maxLength: 4 }), {
      weight: 1,
      arbitrary: fc.array(append, { minLength: 30, maxLength: 50 }),
    }),
    remove: optional(numbers),
    repeat: optional(numbers),
    begin: optional(
      fc.array(
        fc.record({ post: fc.integer({ min: 1, max: 8 }), userHashes: fc.array(userHash, { maxLength: 4 }) }),
        { maxLength: 2 },
      ),
    ),
    settle: optional(fc.array(post, { maxLength: 3 })),
    unknown: optional(fc.array(fc.record({ post, untilWallMs: time }), { maxLength: 2 })),
  })
  .map(({ append: rows, ...parts }) => {
    const commit = Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined));
    return { kind: 'commit', append: rows, commit };
  });

const range = fc.record({
  userHash: fc.integer({ min: 0, max: 5 }),
  afterSeq: seq,
  throughSeq: fc.oneof(seq, fc.constant(Infinity)),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: commitStep },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom('add' as const, 'removal' as const, 'bulk' as const),
        seq,
        fc.oneof(seq, fc.constant(Infinity)),
        seq,
      )
      .map(([lane, after, through, limit]): Step => ({
        kind: 'read',
        args: [lane, after, through, limit + 1],
      })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.array(range, { maxLength: 4 }), fc.integer({ min: 1, max: 20 }))
      .map((args): Step => ({ kind: 'users', args })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ key: fc.constantFrom('a', 'b'), value: fc.json() })
      .map((meta): Step => ({ kind: 'meta', ...meta })),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reopen' }) },
);

/** Result of a call, errors as their codes. */
async function resultOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    return { code: (error as QueueError).code };
  }
}

function callOf(store: QueueStore, what: Step, lastSeq: number): Promise<unknown> {
  switch (what.kind) {
    case 'commit': {
      let next = lastSeq;
      const rows = what.append.map(({ step: by, ...row }) => ({ ...row, seq: (next += by) }));
      return store.commit({ append: rows, ...what.commit });
    }
    case 'read':
      return store.read(...what.args);
    case 'users':
      return store.rowsOfUsers(...what.args);
    case 'meta':
      return store.getMeta(what.key).then((before) => store.setMeta(what.key, what.value).then(() => before));
    case 'reopen':
      return store.close().then(() => store.open());
  }
}

async function compare(steps: readonly Step[], model: QueueStore, real: QueueStore): Promise<void> {
  assert.deepEqual(await real.open(), await model.open());
  let lastSeq = 0;
  for (const what of steps) {
    if (what.kind === 'reopen' && !real.durable) continue;
    const expected = await resultOf(callOf(model, what, lastSeq));
    assert.deepEqual(await resultOf(callOf(real, what, lastSeq)), expected, what.kind);
    if (what.kind === 'commit' && expected === undefined) {
      lastSeq += what.append.reduce((sum, row) => sum + row.step, 0);
    }
  }
  const last: Step[] = [
    ...(real.durable ? [{ kind: 'reopen' } as const] : []),
    { kind: 'read', args: ['add', 0, Infinity, Infinity] },
    { kind: 'read', args: ['removal', 0, Infinity, Infinity] },
    { kind: 'read', args: ['bulk', 0, Infinity, Infinity] },
  ];
  for (const what of last) {
    assert.deepEqual(await resultOf(callOf(real, what, 0)), await resultOf(callOf(model, what, 0)));
  }
  await real.close();
}

/**
 * A shared log assigns its own successive numbers, does not use another process's monotonic clock, and finds every row of a
 * user.
 */
function asShared(what: Step): Step[] {
  if (what.kind !== 'commit') return [what];
  const rows = what.append.map((row) => ({ ...row, step: 1, eventMonoMs: 0, cold: true }));
  return [
    { kind: 'commit', append: rows, commit: {} },
    { kind: 'commit', append: [], commit: what.commit },
  ];
}

/** The lease holder's store of a shared log; new rows are appended through the producer's side. */
class HoldersView implements QueueStore {
  readonly durable = true;
  #store!: QueueStore;
  #batches = 0;

  constructor(
    private readonly log: PostgresLog,
    private readonly token: number,
  ) {}

  open(): Promise<Opened> {
    this.#store = this.log.store(holder, this.token);
    return this.#store.open();
  }

  async commit(commit: Commit): Promise<void> {
    const rows = commit.append ?? [];
    if (rows.length === 0) return this.#store.commit(commit);
    const given = rows.map(({ seq: _seq, eventMonoMs: _eventMonoMs, cold: _cold, ...row }) => row);
    const appended = await this.log.append(batchOf('one', ++this.#batches, given));
    assert.deepEqual(appended, { kind: 'appended', firstSeq: rows[0]!.seq, lastSeq: rows.at(-1)!.seq });
  }

  async read(...args: Parameters<QueueStore['read']>): Promise<readonly Row[]> {
    return (await this.#store.read(...args)).map(withoutInstance);
  }

  async rowsOfUsers(...args: Parameters<QueueStore['rowsOfUsers']>) {
    return (await this.#store.rowsOfUsers(...args)).map((rows) => rows.map(withoutInstance));
  }

  getMeta(key: string): Promise<string | null> {
    return this.#store.getMeta(key);
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.#store.setMeta(key, value);
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

const holder = processNamed('holder');

function withoutInstance({ instance, ...row }: Row): Row {
  assert.equal(instance, 'one');
  return row;
}

describe('the store in a database, compared with its model', () => {
  const ends = cleanUps();
  let database: TestDatabase;
  before(async function () {
    database = await TestDatabase.find(this, ends);
  });

  async function compareIn(queue: PostgresQueue, steps: readonly Step[]): Promise<void> {
    try {
      const log = await queue.log();
      const { fencingToken: token } = await log.claim(holder, true, null, 60_000);
      await compare(steps.flatMap(asShared), new PlainStore(), new HoldersView(log, token));
    } finally {
      await queue.end();
    }
  }

  it('returns the same results for the same calls', function () {
    this.timeout(60_000);
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => compareIn(database.queue(), steps)),
      { numRuns: 10, endOnFailure: false },
    );
  });
});

/**
 * The log of a file without its thread, which would take most of the time. `encryptionOf` is called each time
 * it is opened.
 */
class FileLog implements QueueStore {
  readonly durable = true;
  #log!: SqliteLog;
  #opened = 0;

  constructor(
    private readonly path: string,
    private readonly encryptionOf: (opened: number) => EncryptionOptions | null,
  ) {}

  open(): Promise<Opened> {
    this.#log = openLog(this.path, this.encryptionOf(this.#opened++));
    return this.#result(() => this.#log.takeOver(true));
  }

  commit(commit: Commit): Promise<void> {
    return this.#result(() => void this.#log.commit(commit));
  }

  read(...args: Parameters<QueueStore['read']>): ReturnType<QueueStore['read']> {
    return this.#result(() => this.#log.read(...args));
  }

  rowsOfUsers(...args: Parameters<QueueStore['rowsOfUsers']>): ReturnType<QueueStore['rowsOfUsers']> {
    return this.#result(() => this.#log.rowsOfUsers(...args));
  }

  getMeta(key: string): Promise<string | null> {
    return this.#result(() => this.#log.getMeta(key));
  }

  setMeta(key: string, value: string): Promise<void> {
    return this.#result(() => this.#log.setMeta(key, value));
  }

  close(): Promise<void> {
    return this.#result(() => this.#log.close());
  }

  #result<T>(call: () => T): Promise<T> {
    return new Promise((resolve) => resolve(call()));
  }
}

describe('the store in SQLite, compared with its model', () => {
  let compiled: Compiled;
  before(() => (compiled = compileStore()));
  after(() => compiled.remove());

  async function check(open: (path: string) => QueueStore, numRuns: number): Promise<void> {
    const folder = temporaryFolder();
    let run = 0;
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
          compare(steps, new PlainStore(), open(join(folder.path, `${run++}`, 'queue.db'))),
        ),
        { numRuns, endOnFailure: false },
      );
    } finally {
      folder.remove();
    }
  }

  it('returns the same results for the same calls, in memory', () =>
    check(() => new SqliteStore(':memory:'), 60));

  it('returns the same results for the same calls, in memory, also when a commit takes several turns of the event loop', () =>
    check(() => new SqliteStore(':memory:', { rowsPerStep: 3 }), 30));

  it('returns the same results for the same calls, in a file', () =>
    check((path) => new FileLog(path, () => null), 60));

  it('returns the same results for the same calls, when encryption is switched on and off', () =>
    check((path) => new FileLog(path, (opened) => ({ isOn: opened % 2 === 0, secrets: ['a secret'] })), 30));

  it('give the same results for the same calls, in a thread of its own', () =>
    check((path) => new compiled.SqliteStore(path, { rowsPerStep: 20 }), 8));
});

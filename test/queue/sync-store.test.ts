// Sync store: each store behaves like a plain model, for any members, runs, commits and re-openings.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';

import { memberKeyOf } from '../../src/entry/member-key';
import type { EncryptionOptions } from '../../src/queue/sqlite/encryption';
import { openLog } from '../../src/queue/sqlite/sqlite-log';
import type { QueueError, QueueStore } from '../../src/queue/store';
import { newSuppressionKey, suppressionHashOfMember, suppressionKeyNote } from '../../src/queue/suppression';
import type {
  ComparedPage,
  ComparisonRules,
  MemberChange,
  StagedRow,
  SyncStore,
} from '../../src/queue/sync-store';
import { cleanUps } from '../support/clean-up';
import { compileStore, type Compiled } from './compiled';
import { PlainSyncStore } from './plain-sync-store';
import { batchOf, codeOf, errorOf, newRow, sharedRow, temporaryFolder } from './rows';
import { one, processNamed, TestDatabase, two, type PostgresQueue } from './shared-stores';

const suppressionKey = newSuppressionKey();
const now = 29_000_000;
const kept = ['i10001', 'c1661:ä"b'];
const segment = fc.constantFrom(...kept, 'i404');
const memberKey = fc.oneof(
  fc.integer({ min: 1, max: 9 }).map((id) => memberKeyOf(null, `${id}`)),
  fc.constantFrom(memberKeyOf(null, 'ü\n😀'), memberKeyOf(null, '￿'), memberKeyOf('a domain', 'x:y')),
);
const terms = {
  value: fc.option(fc.integer({ min: 0, max: 2 })),
  expiration: fc.option(fc.constantFrom(0, 5, 100, 43_200)),
};
const member: fc.Arbitrary<MemberChange> = fc.record({
  segment,
  memberKey,
  ...terms,
  state: fc.constantFrom('member' as const, 'member', 'member', 'live', 'gone', 'rejected', 'erased'),
  sinceMinutes: fc.integer({ min: now - 200, max: now }),
});
const row: fc.Arbitrary<StagedRow> = fc.record({ memberKey, ...terms });
const rules: fc.Arbitrary<ComparisonRules> = fc.record({
  nowMinutes: fc.integer({ min: now, max: now + 120 }),
  refreshPercent: fc.constantFrom(0, 25, 60, 100),
  removes: fc.boolean(),
  resends: fc.boolean(),
});
const mostRows = fc.integer({ min: 1, max: 5 });

type Step =
  | { readonly kind: 'commit'; readonly members: readonly MemberChange[]; readonly states: string[] }
  | {
      readonly kind: 'keep' | 'forget' | 'beginStaging' | 'endStaging' | 'dropStaging';
      readonly segment: string;
    }
  | { readonly kind: 'stage'; readonly segment: string; readonly rows: readonly StagedRow[] }
  | {
      readonly kind: 'compare' | 'count' | 'due';
      readonly segment: string;
      readonly rules: ComparisonRules;
      readonly mostRows: number;
    }
  | { readonly kind: 'setState'; readonly segment: string; readonly text: string }
  | { readonly kind: 'suppress' | 'liftSuppressions' | 'segmentsOf'; readonly keys: readonly string[] }
  | { readonly kind: 'reopen' };

const walk = (kind: 'compare' | 'count' | 'due') =>
  fc.record({ kind: fc.constant(kind), segment, rules, mostRows });
const about = (kind: 'keep' | 'forget' | 'beginStaging' | 'endStaging' | 'dropStaging') =>
  fc.record({ kind: fc.constant(kind), segment });
const keys = fc.array(memberKey, { maxLength: 3 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      members: fc.array(member, { maxLength: 8 }),
      states: fc.array(fc.json(), { maxLength: 1 }),
    }),
  },
  { weight: 3, arbitrary: about('beginStaging') },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('stage' as const),
      segment,
      rows: fc.oneof(fc.array(row, { maxLength: 8 }), {
        weight: 1,
        arbitrary: fc.array(row, { minLength: 40, maxLength: 50 }),
      }),
    }),
  },
  { weight: 3, arbitrary: about('endStaging') },
  { weight: 4, arbitrary: walk('compare') },
  { weight: 2, arbitrary: walk('count') },
  { weight: 3, arbitrary: walk('due') },
  { weight: 1, arbitrary: about('dropStaging') },
  { weight: 1, arbitrary: about('forget') },
  { weight: 1, arbitrary: about('keep') },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('setState' as const), segment, text: fc.json() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('suppress' as const, 'liftSuppressions', 'segmentsOf'),
      keys,
    }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'reopen' }) },
);

/** Several changes of one member in one commit: an erased one stays erased until it is gone. */
const inOneCommit: [Step[]] = [
  [
    ['erased', 'rejected'] as const,
    ['gone', 'live'] as const,
    ['rejected'] as const,
    ['erased'] as const,
    ['gone', 'rejected'] as const,
    ['member', 'rejected'] as const,
  ].map((states) => ({
    kind: 'commit',
    members: states.map((state) => ({
      segment: kept[0]!,
      memberKey: memberKeyOf(null, '1'),
      value: null,
      expiration: null,
      state,
      sinceMinutes: now,
    })),
    states: [],
  })),
];

/** The whole walk, page by page; merged when the order of the pages is that of a blind index. */
async function walked(
  sync: SyncStore,
  what: Extract<Step, { readonly mostRows: number }>,
  merges: boolean,
): Promise<unknown> {
  const pages: ComparedPage[] = [];
  let after: string | null = null;
  do {
    const page: ComparedPage =
      what.kind === 'due'
        ? await sync.due(what.segment, what.rules, after, what.mostRows)
        : await sync.compare(what.segment, what.rules, after, what.mostRows, what.kind === 'count');
    pages.push(page);
    after = page.through;
  } while (after !== null);
  if (!merges) return pages;
  const counts = Object.keys(pages[0]!.counts) as (keyof ComparedPage['counts'])[];
  return {
    counts: counts.map((kind) => pages.reduce((sum, page) => sum + page.counts[kind], 0)),
    changes: pages.flatMap(({ changes }) => changes).sort((a, b) => (a.memberKey < b.memberKey ? -1 : 1)),
  };
}

async function resultOf(sync: SyncStore, commit: Committer, what: Step, merges: boolean): Promise<unknown> {
  try {
    switch (what.kind) {
      case 'commit':
        await commit(
          what.members,
          what.states.map((text) => ({ segment: kept[0]!, text })),
        );
        return null;
      case 'keep':
      case 'forget':
      case 'beginStaging':
      case 'endStaging':
      case 'dropStaging':
        return (await sync[what.kind](what.segment)) ?? null;
      case 'stage':
        await sync.stage(what.segment, what.rows);
        return null;
      case 'compare':
      case 'count':
      case 'due':
        return await walked(sync, what, merges);
      case 'setState':
        await sync.setState(what);
        return null;
      case 'segmentsOf':
        return (await sync.segmentsOf([...new Set(what.keys)])).map((one) => JSON.stringify(one)).sort();
      case 'suppress':
        await sync.suppress(hashesOf(what.keys), what.keys);
        return null;
      case 'liftSuppressions':
        await sync.liftSuppressions(hashesOf(what.keys));
        return null;
      case 'reopen':
        return null;
    }
  } catch (error) {
    return { code: (error as QueueError).code };
  }
}

const hashesOf = (memberKeys: readonly string[]): string[] =>
  memberKeys.map((key) => suppressionHashOfMember(suppressionKey, key));

type Committer = (
  members: readonly MemberChange[],
  states: readonly { readonly segment: string; readonly text: string }[],
) => Promise<void>;

async function stateOf(sync: SyncStore): Promise<unknown> {
  return {
    segments: await sync.segments(),
    staged: await Promise.all(kept.map((its) => sync.staged(its))),
    suppressions: (await sync.suppressions()).map(({ hash }) => hash).sort(),
  };
}

/** `open` opens the store again; `switches`: encryption is switched each time. */
async function compare(
  steps: readonly Step[],
  model: PlainSyncStore,
  open: () => Promise<QueueStore>,
  switches = false,
): Promise<void> {
  let store = await open();
  try {
    await store.setMeta(suppressionKeyNote, suppressionKey);
    for (const its of kept) for (const sync of [model, store.sync!]) await sync.keep(its);
    for (const what of steps) {
      if (what.kind === 'reopen') {
        await store.close();
        store = await open();
        if (switches) for (const { segment: its } of await model.segments()) await model.dropStaging(its);
      }
      const expected = await resultOf(
        model,
        (members, states) => {
          model.commit(members, states);
          return Promise.resolve();
        },
        what,
        switches,
      );
      const real = store;
      const found = await resultOf(
        real.sync!,
        (members, syncStates) => real.commit({ members, syncStates }),
        what,
        switches,
      );
      assert.deepEqual(found, expected, what.kind);
      assert.deepEqual(await stateOf(store.sync!), await stateOf(model), `after ${what.kind}`);
    }
  } finally {
    await store.close();
  }
}

const model = (): PlainSyncStore =>
  new PlainSyncStore(
    () => Math.floor(Date.now() / 60_000),
    () => suppressionKey,
    (key) => Buffer.from(key, 'utf8').toString('latin1'),
  );

describe('the sync store of a database', () => {
  const ends = cleanUps();
  let database: TestDatabase;
  before(async function () {
    database = await TestDatabase.find(this, ends);
  });

  async function compareIn(queue: PostgresQueue, steps: readonly Step[]): Promise<void> {
    const holder = processNamed('holder');
    try {
      const log = await queue.log();
      const { fencingToken } = await log.claim(holder, true, null, 60_000);
      const open = async (): Promise<QueueStore> => {
        const store = log.store(holder, fencingToken);
        await store.open();
        return store;
      };
      await compare(steps, model(), open);
    } finally {
      await queue.end();
    }
  }

  it('returns the same results as its model', function () {
    this.timeout(120_000);
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) => compareIn(database.queue(), steps)),
      { numRuns: 7, endOnFailure: false, examples: [inOneCommit] },
    );
  });

  it('changes nothing for an instance whose lease is over', async () => {
    const queue = database.queue();
    const [log, other] = [await queue.log(), await queue.log()];
    const { fencingToken } = await log.claim(one, true, null, 60_000);
    const store = log.store(one, fencingToken);
    await store.open();
    const sync = store.sync!;
    const row = { memberKey: ':1', value: null, expiration: null };
    const chunk = (batchSequence: number, text: string): Promise<unknown> => {
      const states = [{ segment: 'i1', text }];
      return log.append(batchOf('one', batchSequence, [sharedRow(1)], { sync: { fencingToken, states } }));
    };
    await sync.keep('i1');
    await sync.beginStaging('i1');
    await sync.stage('i1', [row]);
    await chunk(1, 'first');
    assert.equal((await sync.segments())[0]?.state, 'first');
    await queue.pass(60_000);
    const { fencingToken: next, lastSeq } = await other.claim(two, true, null, 60_000);
    const member: MemberChange = { ...row, segment: 'i1', state: 'member', sinceMinutes: 1 };
    const calls = [
      () => chunk(2, 'second'),
      () => store.commit({ members: [member] }),
      () => sync.keep('i2'),
      () => sync.setState({ segment: 'i1', text: 'second' }),
      () => sync.stage('i1', [{ ...row, memberKey: ':2' }]),
      () => sync.endStaging('i1'),
      () => sync.beginStaging('i1'),
      () => sync.dropStaging('i1'),
      () => sync.suppress(['a hash'], []),
      () => sync.forget('i1'),
    ];
    for (const call of calls) assert.equal(await codeOf(call), 'fenced', call.toString());
    const newStore = other.store(two, next);
    assert.equal((await newStore.open()).lastSeq, lastSeq);
    assert.deepEqual(await newStore.sync!.segments(), [
      { segment: 'i1', state: 'first', members: 0, rejected: 0 },
    ]);
    assert.equal(await newStore.sync!.endStaging('i1'), 1);
    await queue.end();
  });
});

describe('the sync store of a queue file', () => {
  let compiled: Compiled;
  const folder = temporaryFolder();
  let files = 0;
  before(() => (compiled = compileStore()));
  after(() => {
    compiled.remove();
    folder.remove();
  });

  const opened = async (path: string, cipher?: EncryptionOptions): Promise<QueueStore> => {
    const store = new compiled.SqliteStore(path, cipher === undefined ? {} : { cipher });
    await store.open();
    return store;
  };
  const newPath = (): string => join(folder.path, `${files++}`, 'queue.sqlite');

  it('returns the same results as its model', function () {
    this.timeout(120_000);
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => {
        const path = newPath();
        return compare(steps, model(), () => opened(path));
      }),
      { numRuns: 13, endOnFailure: false, examples: [inOneCommit] },
    );
  });

  it('returns the same results when encryption is switched on and off, without the rows of an open run', function () {
    this.timeout(120_000);
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => {
        const path = newPath();
        let opens = 0;
        const open = () => opened(path, { isOn: opens++ % 2 === 0, secrets: ['a secret'] });
        return compare(steps, model(), open, true);
      }),
      { numRuns: 12, endOnFailure: false },
    );
  });

  describe('its files', () => {
    const rows = [1, 2, 3].map((id) => ({
      memberKey: memberKeyOf(null, `77000${id}`),
      value: null,
      expiration: 5,
    }));
    const all: ComparisonRules = { nowMinutes: now, refreshPercent: 25, removes: true, resends: false };
    const asMember = ({ memberKey }: StagedRow): MemberChange => ({
      segment: 'i1',
      memberKey,
      value: null,
      expiration: 5,
      state: 'member',
      sinceMinutes: now,
    });

    async function withRun(cipher?: EncryptionOptions): Promise<{ path: string; store: QueueStore }> {
      const path = newPath();
      const store = await opened(path, cipher);
      await store.sync!.keep('i1');
      await store.sync!.beginStaging('i1');
      await store.sync!.stage('i1', rows);
      return { path, store };
    }
    const filesOf = (path: string): string[] =>
      readdirSync(join(path, '..')).map((name) => join(path, '..', name));

    it('are accessible only to their owner, and gone when the run is dropped', async () => {
      const { path, store } = await withRun();
      const modes = (): Set<number> => new Set(filesOf(path).map((file) => statSync(file).mode & 0o777));
      assert.deepEqual([...modes()], [0o600]);
      assert.equal(await store.sync!.endStaging('i1'), 3);
      assert.deepEqual([...modes()], [0o600]);
      await store.sync!.dropStaging('i1');
      await store.close();
      assert.deepEqual(filesOf(path), [path]);
    });

    it('hold no id when they are encrypted', async () => {
      const { path, store } = await withRun({ isOn: true, secrets: ['a secret'] });
      const content = (): string =>
        filesOf(path)
          .map((file) => readFileSync(file, 'latin1'))
          .join('');
      assert.doesNotMatch(content(), /77000/);
      await store.sync!.endStaging('i1');
      const state = JSON.stringify({ after: rows[0]!.memberKey });
      await store.commit({ members: rows.map(asMember), syncStates: [{ segment: 'i1', text: state }] });
      assert.equal((await store.sync!.segments())[0]?.state, state);
      assert.equal((await store.sync!.compare('i1', all, null, 9, false)).counts.unchanged, 3);
      assert.doesNotMatch(content(), /77000/);
      await store.close();
    });

    it('of damaged rows fail with a sentence, and the queue goes on', async () => {
      const { path, store } = await withRun();
      await store.sync!.endStaging('i1');
      const file = filesOf(path).find((name) => name.endsWith('.sorted'))!;
      writeFileSync(file, readFileSync(file).fill(0xa5, 100));
      const error = await errorOf(() => store.sync!.compare('i1', all, null, 9, true));
      assert.equal(error?.code, 'failed');
      assert.match(
        error.message,
        /rows of a run in .*sorted cannot be used \(.+\)\. Nobody was added or removed/,
      );
      await store.commit({ append: [newRow(1)], members: [asMember(rows[0]!)] });
      await store.sync!.beginStaging('i1');
      assert.equal(await store.sync!.endStaging('i1'), 0);
      await store.close();
    });

    it('lose the rows of a run, and nothing else, when the key is another one', async () => {
      const path = newPath();
      for (const isOn of [true, false, true]) {
        const store = await opened(path, { isOn, secrets: ['a secret'] });
        await store.sync!.keep('i1');
        assert.equal(await store.sync!.staged('i1'), 'none');
        await store.sync!.beginStaging('i1');
        await store.sync!.stage('i1', rows);
        await store.commit({ members: rows.slice(0, 2).map(asMember) });
        assert.equal((await store.sync!.due('i1', all, null, 9)).counts.unchanged, 2);
        await store.close();
      }
    });

    it('lose the members of a segment that was forgotten when the process ended', async () => {
      const { path, store } = await withRun();
      await store.commit({ members: rows.map(asMember) });
      await store.close();
      const log = openLog(path);
      log.takeOver();
      log.sync({ of: 'forget', args: ['i1'] });
      while (log.tidy(true));
      log.close();
      assert.deepEqual(filesOf(path), [path]);
      assert.doesNotMatch(readFileSync(path, 'latin1'), /77000/);
    });
  });
});

// A message of many entries, taken for a shared log: in batches of bounded size, all or none of it, with one outcome for
// each entry, whatever happens in between.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import type { CheckedEntry } from '../../src/entry/entry';
import { parseBody } from '../../src/entry/read-body';
import { closedEnd, type MessageEnd, type Recovered } from '../../src/delivery/pending-messages';
import { commonOf } from '../../src/delivery/engine-options';
import { SharedProducer } from '../../src/delivery/shared/shared-producer';
import { LocalBuffer } from '../../src/delivery/shared/local-buffer';
import type { Commit } from '../../src/queue/store';
import type { Appended, Batch } from '../../src/queue/shared-log';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { batchOf, seqs, sharedRow } from '../queue/rows';
import { FakeClock } from './support/fake-clock';
import { runs } from './support/runs';
import { device, documentedLimits, entryOf } from './support/world';

const mostRows = 1_000;
const mostChars = 1_000_000;

/** Knows the size of each batch. */
class WatchedLog extends MemorySharedLog {
  readonly sizes: { rows: number; chars: number }[] = [];
  /** Between two batches. */
  afterAppend: (appends: number) => void = () => undefined;

  override async append(batch: Batch): Promise<Appended> {
    const chars = batch.rows.reduce((sum, { body }) => sum + body.length, 0);
    this.sizes.push({ rows: batch.rows.length, chars });
    const appended = await super.append(batch);
    this.afterAppend(this.sizes.length);
    return appended;
  }
}

/** A disk that takes its time. */
class SlowStore extends SqliteStore {
  commitMs = 0;

  constructor(private readonly clock: FakeClock) {
    super(':memory:', { clock });
  }

  override async commit(commit: Commit): Promise<void> {
    if (this.commitMs > 0)
      await new Promise<void>((resolve) => void this.clock.after(this.commitMs, resolve));
    await super.commit(commit);
  }
}

class Taking {
  readonly clock = new FakeClock();
  readonly logStore = new MemoryLogStore(this.clock);
  readonly log = new WatchedLog(this.logStore);
  readonly disk = new SlowStore(this.clock);
  readonly localBuffer = new LocalBuffer(this.disk, this.log, 'one');
  readonly producer: SharedProducer;
  readonly recovered: Recovered[] = [];
  private told = 0;

  constructor(queueMaxEntries = 1_000_000, queueMaxBytes = 1e9, blocksPerSlice?: number) {
    const settings = { clock: this.clock, random: () => 0, limits: documentedLimits, maxOpenMessages: 1_000 };
    const sizes = { queueMaxEntries, queueMaxBytes, ...(blocksPerSlice !== undefined && { blocksPerSlice }) };
    const common = commonOf({ ...settings, ...sizes });
    this.producer = new SharedProducer({
      common,
      log: this.log,
      localBuffer: this.localBuffer,
      instance: 'one',
      takesOneMore: () => false,
      appended: () => undefined,
    });
    common.reporter.listeners.listen('n', (recovered) => this.recovered.push(...recovered));
    this.producer.start();
    // Without a delay it is open at once.
    void this.log.open();
  }

  submit(entries: readonly CheckedEntry[], completeOn: 'accepted' | 'queued' = 'accepted'): MessageEnd[] {
    const ends: MessageEnd[] = [];
    const source = { node: 'n', account: 'a' };
    this.producer.submit({ source, entries, indexes: null, completeOn, onEnd: (end) => ends.push(end) });
    return ends;
  }

  /** The sender has delivered what is in the log so far; every tenth entry was refused. */
  deliver(): void {
    const rows = this.logStore.rows.read('add', this.told, Infinity, Infinity);
    this.told = rows.at(-1)?.seq ?? this.told;
    const own = rows.filter(({ seq }) => this.logStore.instanceSources.get(seq) === 'one');
    this.producer.report(
      own.map(({ seq, source, body }) => ({
        seq,
        source,
        pendingMessage: null,
        checked: parseBody(body),
        ending: {
          rejection: seq % 10 === 0 ? { code: 'bad', message: 'bad' } : null,
          effect: seq % 10 === 0 ? 'none' : 'accepted',
          warnings: null,
        },
      })),
    );
  }

  users(): string[] {
    const rows = this.logStore.rows.read('add', 0, Infinity, Infinity);
    return rows
      .filter(({ seq }) => this.logStore.instanceSources.get(seq) === 'one')
      .map(({ body }) => parseBody(body).userKey);
  }

  addUp(): void {
    const { taken, accepted, superseded, expired, rejected, waiting } = this.producer.counters;
    assert.equal(taken, accepted + superseded + expired + rejected + waiting);
  }
}

const entriesOf = (first: number, last: number): CheckedEntry[] =>
  seqs(first, last).map((user) => entryOf(device(user), [{ seg_id: 1 }]));

/** About 10,000 characters. */
const wideEntry = (user: number): CheckedEntry =>
  entryOf(
    device(user),
    seqs(1, 100).map((segment) => ({ seg_code: `${segment}`.padStart(80, 'x'), member_id: 7 })),
  );

function assertSmall(log: WatchedLog): void {
  for (const { rows, chars } of log.sizes) {
    assert.ok(rows <= mostRows, `${rows} rows at once`);
    assert.ok(chars <= mostChars, `${chars} characters at once`);
  }
}

describe('a large message for a shared log', () => {
  it('is appended in small batches, and ends once, with each entry under its place', async () => {
    const taking = new Taking();
    const { log, clock, logStore } = taking;
    // Others append in between, and the sender is quick.
    log.afterAppend = (appends) => {
      logStore.append(batchOf('two', appends, [sharedRow(appends), sharedRow(0)]));
      taking.deliver();
    };
    const entries = entriesOf(1, 3_500);
    const ends = taking.submit(entries);
    const small = taking.submit(entriesOf(4_000, 4_001));
    await clock.advance(1_000);
    taking.deliver();
    assertSmall(log);
    assert.deepEqual(
      log.sizes.map(({ rows }) => rows),
      [1_000, 1_000, 1_000, 500, 2],
    );
    assert.deepEqual(
      taking.users(),
      [...entries, ...entriesOf(4_000, 4_001)].map(({ userKey }) => userKey),
    );
    const [end] = ends;
    assert.equal(ends.length, 1);
    assert.ok(end?.kind === 'settled');
    const rows = logStore.rows.read('add', 0, Infinity, Infinity);
    const own = rows.filter(({ seq }) => logStore.instanceSources.get(seq) === 'one').slice(0, 3_500);
    const refused = own.flatMap(({ seq }, place) => (seq % 10 === 0 ? [place] : []));
    assert.deepEqual(
      end.rejections.map(({ index }) => index).sort((a, b) => a - b),
      refused,
    );
    assert.equal(end.summary.accepted, 3_500 - refused.length);
    assert.equal(small.length, 1);
    assert.deepEqual(taking.recovered, []);
    taking.addUp();
  });

  it('is appended in batches of bounded size also where its entries are long', async () => {
    const taking = new Taking();
    const ends = [taking.submit(seqs(1, 250).map(wideEntry)), taking.submit(seqs(251, 300).map(wideEntry))];
    await taking.clock.advance(1_000);
    assertSmall(taking.log);
    assert.ok(taking.log.sizes.length > 2);
    taking.deliver();
    for (const [end] of ends) assert.equal(end?.kind, 'settled');
  });

  it('is refused as a whole where the queue has room for a part of it only', async () => {
    for (const taking of [new Taking(3_000), new Taking(1_000_000, 200_000)]) {
      const ends = [
        taking.submit(entriesOf(1, 10)),
        taking.submit(entriesOf(11, 3_010)),
        taking.submit(entriesOf(3_011, 3_020)),
      ];
      await taking.clock.advance(1_000);
      taking.deliver();
      assert.deepEqual(
        ends.map(([end]) => end?.kind),
        ['settled', 'failed', 'settled'],
      );
      assert.equal(taking.users().length, 20);
      taking.addUp();
    }
  });

  it('is taken as a whole when others fill the queue after its first batch', async () => {
    const taking = new Taking(4_000);
    taking.log.afterAppend = (appends) => {
      if (appends === 1)
        taking.logStore.append(
          batchOf(
            'two',
            1,
            seqs(1, 2_000).map((user) => sharedRow(user)),
          ),
        );
    };
    const ends = taking.submit(entriesOf(1, 3_000), 'queued');
    await taking.clock.advance(1_000);
    assert.deepEqual([ends.map(({ kind }) => kind), taking.users().length], [['queued'], 3_000]);
  });

  it('is kept on the machine from the batch on that the log did not take, and what had ended is told', async () => {
    for (const link of ['cut', 'cutReplies'] as const) {
      const taking = new Taking();
      const { log, clock, localBuffer } = taking;
      log.afterAppend = (appends) => {
        if (appends === 2) log[link]();
      };
      const entries = entriesOf(1, 3_500);
      const ends = taking.submit(entries);
      await clock.advance(1_000);
      taking.deliver();
      assert.deepEqual(ends, [], 'not all of it is safe yet');
      await clock.advance(5_000);
      const [end] = ends as MessageEnd[];
      assert.deepEqual([ends.length, end?.kind === 'queued' && end.reason], [1, 'lateOutcomes']);
      assert.equal(localBuffer.waiting, 1_500);
      taking.addUp();
      log.join();
      await clock.advance(10_000);
      taking.deliver();
      assertSmall(log);
      assert.equal(localBuffer.waiting, 0);
      assert.deepEqual(
        taking.users(),
        entries.map(({ userKey }) => userKey),
      );
      assert.equal(taking.recovered.length, 3_500);
      assert.deepEqual([ends.length, taking.producer.counters.waiting], [1, 0]);
      taking.addUp();
    }
  });

  it('becomes rows a slice at a time, and later messages follow it', async () => {
    const taking = new Taking(1_000_000, 1e9, 100);
    const { clock } = taking;
    await clock.settle();
    const endOfTurn = clock.endOfTurn.bind(clock);
    let turns = 0;
    let later: MessageEnd[] = [];
    clock.endOfTurn = (call) => {
      turns += 1;
      if (turns === 10) later = taking.submit(entriesOf(2_501, 2_501), 'queued');
      endOfTurn(call);
    };
    const ends = taking.submit(entriesOf(1, 2_500), 'queued');
    await clock.advance(1_000);
    assert.ok(turns >= 25, `${turns} turns`);
    assert.deepEqual([ends.length, later.length], [1, 1]);
    assert.deepEqual(
      taking.users(),
      entriesOf(1, 2_501).map(({ userKey }) => userKey),
    );
  });

  it('is not taken when the queue closes between two slices of it', async () => {
    const taking = new Taking(1_000_000, 1e9, 100);
    const { clock } = taking;
    await clock.settle();
    const ends = taking.submit(entriesOf(1, 2_500));
    let turns = 0;
    const endOfTurn = clock.endOfTurn.bind(clock);
    clock.endOfTurn = (call) => {
      turns += 1;
      if (turns === 5) void taking.producer.close();
      endOfTurn(call);
    };
    await clock.advance(1_000);
    assert.deepEqual(ends, [closedEnd]);
    assert.deepEqual(taking.users(), []);
  });

  it('ends without an output when its node closes, and not before all of it is safe', async () => {
    const taking = new Taking();
    taking.log.delayMs = () => 50;
    const ends = taking.submit(entriesOf(1, 2_500));
    await taking.clock.advance(150);
    taking.producer.closeNode('n');
    assert.deepEqual(ends, []);
    await taking.clock.advance(1_000);
    assert.deepEqual(ends, [{ kind: 'parked' }]);
    assert.equal(taking.users().length, 2_500);
  });

  it('is all on the machine, once and in its order, when the database is away and Node-RED stops', async () => {
    const taking = new Taking();
    const { log, clock, producer, localBuffer } = taking;
    log.afterAppend = (appends) => {
      if (appends === 1) log.cut();
    };
    const ends = taking.submit(entriesOf(1, 3_500), 'queued');
    await clock.advance(500);
    void producer.drain(0);
    await clock.advance(3_000);
    assert.deepEqual([ends.map(({ kind }) => kind), localBuffer.waiting], [['queued'], 2_500]);
    log.join();
    await clock.advance(10_000);
    assert.deepEqual(
      taking.users(),
      entriesOf(1, 3_500).map(({ userKey }) => userKey),
    );
  });

  it('keeps every entry once and in order, with one outcome, whatever the size and whenever the log is away', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('submit' as const), entries: fc.integer({ min: 1, max: 3_200 }) }),
      fc.record({ kind: fc.constantFrom('cut', 'cutReplies', 'join', 'deliver', 'drain') }),
    );
    const waits = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 4_000 }));
    const diskMs = fc.constantFrom(0, 15, 90);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, waits), { maxLength: 12 }),
        diskMs,
        async (steps, commitMs) => {
          const taking = new Taking();
          const { log, clock, producer } = taking;
          await clock.advance(1);
          log.delayMs = () => 40;
          taking.disk.commitMs = commitMs;
          const messages: { entries: CheckedEntry[]; ends: MessageEnd[] }[] = [];
          let users = 0;
          for (const [what, waitMs] of steps) {
            if ('entries' in what) {
              const entries = entriesOf(users + 1, users + what.entries);
              users += what.entries;
              messages.push({
                entries,
                ends: taking.submit(entries, users % 2 === 0 ? 'queued' : 'accepted'),
              });
            } else if (what.kind === 'deliver') taking.deliver();
            else if (what.kind === 'drain') void producer.drain(0);
            else log[what.kind]();
            await clock.advance(waitMs);
            taking.addUp();
          }
          log.join();
          await clock.advance(60_000);
          taking.deliver();
          await clock.advance(1_000);
          assertSmall(log);
          assert.deepEqual(
            taking.users(),
            messages.flatMap(({ entries }) => entries.map(({ userKey }) => userKey)),
          );
          let told = taking.recovered.length;
          for (const { ends } of messages) {
            assert.equal(ends.length, 1);
            const [end] = ends;
            if (end?.kind === 'settled') told += end.summary.entries;
            else assert.equal(end?.kind, 'queued');
          }
          assert.equal(told, users);
          assert.equal(producer.counters.waiting, 0);
          taking.addUp();
        },
      ),
      runs(12),
    );
  });
});

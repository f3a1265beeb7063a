// What comes of entries that a process took for a shared log finds its message, however it crosses the answer of the log; and
// what is taken before the log and the file on this machine are open waits for both.
import { strict as assert } from 'node:assert';
import { commonOf, type Common } from '../../src/delivery/engine-options';
import { SharedProducer } from '../../src/delivery/shared/shared-producer';
import { LocalBuffer } from '../../src/delivery/shared/local-buffer';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import type { Submission } from '../../src/delivery/submission';
import { QueueError } from '../../src/queue/store';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { FakeClock } from './support/fake-clock';
import { device, documentedLimits as limits, entryOf } from './support/world';

const random = (): number => 0;
const entry = entryOf(device(1), [{ seg_id: 1 }]);

describe('what a process takes for a shared log', () => {
  let clock: FakeClock;
  let log: MemorySharedLog;
  let localBuffer: LocalBuffer;
  let common: Common;
  let producer: SharedProducer;

  beforeEach(async () => {
    clock = new FakeClock();
    log = new MemorySharedLog(new MemoryLogStore(clock));
    await log.open();
    localBuffer = new LocalBuffer(new SqliteStore(':memory:', { clock }), log, 'one');
    common = commonOf({ clock, random, limits, queueMaxEntries: 1e6, queueMaxBytes: 1e9 });
    producer = new SharedProducer({
      common,
      log,
      localBuffer,
      instance: 'one',
      takesOneMore: () => false,
      appended: () => undefined,
    });
  });

  function submit(entries: number, its = entry): MessageEnd[] {
    const ends: MessageEnd[] = [];
    const submission = {
      source: { node: 'n', account: 'a' },
      entries: Array.from({ length: entries }, () => its),
      indexes: null,
      completeOn: 'accepted',
      onEnd: (end: MessageEnd) => ends.push(end),
    };
    // Without properties of its own, as one of the out node's.
    producer.submit(Object.create(submission) as Submission);
    return ends;
  }

  it('ends with its message, also when it has ended before the log has said its number', async () => {
    log.delayMs = () => 100;
    const lost: unknown[] = [];
    common.reporter.listeners.listen('n', (recovered) => lost.push(...recovered));
    producer.start();
    const ends = submit(1);
    await clock.advance(150);
    assert.equal(log.logStore.rows.totals.waiting, 1);
    const ending = { rejection: null, effect: 'accepted', warnings: null } as const;
    producer.report([{ seq: 1, source: { node: 'n' }, pendingMessage: null, checked: entry, ending }]);
    assert.deepEqual(ends, []);
    await clock.advance(100);
    assert.deepEqual(
      ends.map(({ kind }) => kind),
      ['settled'],
    );
    assert.deepEqual(lost, []);
    assert.equal(producer.counters.waiting, 0);
  });

  it('ages from when it was handed in, however long it waits and however the wall clock is set meanwhile', async () => {
    const eventTimeMs = clock.wallMs() - 600_000;
    submit(1, { ...entry, eventTimeMs });
    submit(1);
    await clock.advance(120_000);
    clock.jumpWall(-3_600_000);
    producer.start();
    await clock.advance(1_000);
    const rows = log.logStore.rows.read('add', 0, 2, 10);
    const nowMs = clock.wallMs();
    assert.deepEqual(
      rows.map(({ eventWallMs }) => nowMs - eventWallMs),
      [721_000, 121_000],
    );
  });

  it('waits in memory before the start, up to a bound', async () => {
    const [some, many, more] = [submit(1), submit(50_000), submit(1)];
    await clock.advance(10_000);
    assert.equal(localBuffer.waiting, 0, 'the file may still be the queue’s before it');
    assert.ok(more[0]?.kind === 'failed' && more[0].code === 'outbox');
    producer.start();
    await clock.advance(1_000);
    assert.deepEqual([some, many], [[], []]);
    assert.equal(log.logStore.rows.totals.waiting, 50_001);
  });

  it('goes on after a drain while neither the log nor the file on this machine worked', async () => {
    producer.start();
    await clock.advance(100);
    const away = (): Promise<never> => Promise.reject(new QueueError('unavailable', 'away'));
    const append = log.append.bind(log);
    log.append = away;
    localBuffer.keep = away;
    const ends = submit(1);
    await clock.advance(600);
    // The pump pauses; so does the drain.
    const drained = producer.drain(0);
    await clock.advance(1_000);
    await drained;
    log.append = append;
    await clock.advance(5_000);
    assert.equal(log.logStore.rows.totals.waiting, 1);
    assert.deepEqual(ends, []);
  });
});

// Store-and-forward buffer: entries are handed over once and in order, wherever a crash happens.
import { strict as assert } from 'node:assert';
import { LocalBuffer } from '../../src/delivery/shared/local-buffer';
import { QueueError, type Commit, type QueueStore } from '../../src/queue/store';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { batchOf, seqs, sharedRow } from '../queue/rows';
import { FakeClock } from './support/fake-clock';
import { Files } from './support/files';

const caps = { maxEntries: 1_000_000, maxChars: 1e9 };

/** A store whose process dies before it removes the entries handed over. */
function withoutRemovals(store: QueueStore): QueueStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'commit')
        return (commit: Commit) =>
          commit.remove === undefined
            ? target.commit(commit)
            : Promise.reject(new QueueError('failed', 'the process has died'));
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('the store-and-forward buffer', () => {
  let clock: FakeClock;
  let log: MemorySharedLog;
  let files: Files;
  const file = (): QueueStore => files.store('localBuffer');

  beforeEach(async () => {
    clock = new FakeClock();
    log = new MemorySharedLog(new MemoryLogStore(clock));
    await log.open();
    files = new Files(clock);
  });

  async function handAllOver(localBuffer: LocalBuffer): Promise<void> {
    while ((await clock.outcome(localBuffer.handOver(caps))).kind === 'handedOver');
  }

  function usersInLog(): number[] {
    const rows = log.logStore.rows.read('add', 0, Infinity, Infinity);
    return rows.map(({ userHash }) => userHash);
  }

  const rowsOf = (first: number, last: number) => seqs(first, last).map((user) => sharedRow(user));

  it('is not handed over again when a crash happens before the removal', async () => {
    const before = new LocalBuffer(withoutRemovals(file()), log, 'one');
    await clock.outcome(before.keep(rowsOf(1, 3), null));
    await assert.rejects(clock.outcome(before.handOver(caps)));
    files.unlock();
    const after = new LocalBuffer(file(), log, 'one');
    await clock.outcome(after.keep(rowsOf(4, 5), null));
    await handAllOver(after);
    assert.deepEqual(usersInLog(), seqs(1, 5));
    assert.equal(after.waiting, 0);
  });

  it('is not handed over again when the shared log already has the same batch', async () => {
    const doubt = { producerId: 'one', batchSequence: 7 };
    await log.append(batchOf('one', 7, rowsOf(1, 3)));
    const localBuffer = new LocalBuffer(file(), log, 'one');
    await clock.outcome(localBuffer.keep(rowsOf(1, 3), doubt));
    await clock.outcome(localBuffer.keep(rowsOf(4, 5), null));
    await handAllOver(localBuffer);
    assert.deepEqual(usersInLog(), seqs(1, 5));
  });

  it('is handed over when the shared log does not have it, also by a later process', async () => {
    const before = new LocalBuffer(file(), log, 'one');
    await clock.outcome(before.keep(rowsOf(1, 3), { producerId: 'one', batchSequence: 7 }));
    files.unlock();
    const localBuffer = new LocalBuffer(file(), log, 'two');
    await clock.outcome(localBuffer.keep(rowsOf(4, 5), null));
    await handAllOver(localBuffer);
    assert.deepEqual(usersInLog(), seqs(1, 5));
    assert.equal(await log.appendedThrough('one'), 7);
  });

  it('is handed over to an empty shared log even if it exceeds the log’s limits', async () => {
    const few = { maxEntries: 2, maxChars: 10 };
    await log.append(batchOf('other', 1, rowsOf(6, 6)));
    const localBuffer = new LocalBuffer(file(), log, 'one');
    await clock.outcome(localBuffer.keep(rowsOf(1, 5), null));
    assert.equal((await clock.outcome(localBuffer.handOver(few))).kind, 'full');
    log.logStore.rows.commit({ remove: [1] });
    assert.equal((await clock.outcome(localBuffer.handOver(few))).kind, 'handedOver');
    assert.deepEqual(usersInLog(), seqs(1, 5));
  });
});

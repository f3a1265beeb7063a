// What waits on a machine for the shared log is handed over once, and in order, wherever a crash comes between.
import { strict as assert } from 'node:assert';
import { Spool } from '../../src/delivery/spool';
import { OutboxError, type Commit, type Outbox } from '../../src/outbox/outbox';
import { MemoryLogStore, MemorySharedLog } from '../outbox/memory-shared-log';
import { batchOf, seqs, sharedRow } from '../outbox/rows';
import { FakeClock } from './support/fake-clock';
import { Files } from './support/files';

const caps = { maxEntries: 1_000_000, maxChars: 1e9 };

/** Its process dies before what was handed over is removed. */
function withoutRemovals(outbox: Outbox): Outbox {
  return new Proxy(outbox, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'commit')
        return (commit: Commit) =>
          commit.remove === undefined
            ? target.commit(commit)
            : Promise.reject(new OutboxError('failed', 'the process has died'));
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('what waits on a machine for the shared log', () => {
  let clock: FakeClock;
  let log: MemorySharedLog;
  let files: Files;
  const file = (): Outbox => files.outbox('spool');

  beforeEach(async () => {
    clock = new FakeClock();
    log = new MemorySharedLog(new MemoryLogStore(clock));
    await log.open();
    files = new Files(clock);
  });

  async function handAllOver(spool: Spool): Promise<void> {
    while ((await clock.outcome(spool.handOver(caps))).kind === 'handedOver');
  }

  function usersInLog(): number[] {
    const { rows } = log.store.rows.read('add', 0, Infinity, Infinity);
    return rows.map(({ userHash }) => userHash);
  }

  const rowsOf = (first: number, last: number) => seqs(first, last).map((user) => sharedRow(user));

  it('is not handed over again when a crash came before it was removed', async () => {
    const before = new Spool(withoutRemovals(file()), log, 'one');
    await clock.outcome(before.keep(rowsOf(1, 3), null));
    await assert.rejects(clock.outcome(before.handOver(caps)));
    files.unlock();
    const after = new Spool(file(), log, 'one');
    await clock.outcome(after.keep(rowsOf(4, 5), null));
    await handAllOver(after);
    assert.deepEqual(usersInLog(), seqs(1, 5));
    assert.equal(after.waiting, 0);
  });

  it('is not handed over again when the log has had it under the number it had before', async () => {
    const doubt = { stream: 'one', number: 7 };
    await log.append(batchOf('one', 7, rowsOf(1, 3)));
    const spool = new Spool(file(), log, 'one');
    await clock.outcome(spool.keep(rowsOf(1, 3), doubt));
    await clock.outcome(spool.keep(rowsOf(4, 5), null));
    await handAllOver(spool);
    assert.deepEqual(usersInLog(), seqs(1, 5));
  });

  it('is handed over when the log has not had it, also by a later process', async () => {
    const before = new Spool(file(), log, 'one');
    await clock.outcome(before.keep(rowsOf(1, 3), { stream: 'one', number: 7 }));
    files.unlock();
    const spool = new Spool(file(), log, 'two');
    await clock.outcome(spool.keep(rowsOf(4, 5), null));
    await handAllOver(spool);
    assert.deepEqual(usersInLog(), seqs(1, 5));
    assert.equal(await log.streamThrough('one'), 7);
  });

  it('is handed over to an empty log also where it is more at once than that may hold', async () => {
    const few = { maxEntries: 2, maxChars: 10 };
    await log.append(batchOf('other', 1, rowsOf(6, 6)));
    const spool = new Spool(file(), log, 'one');
    await clock.outcome(spool.keep(rowsOf(1, 5), null));
    assert.equal((await clock.outcome(spool.handOver(few))).kind, 'full');
    log.store.rows.commit({ remove: [1] });
    assert.equal((await clock.outcome(spool.handOver(few))).kind, 'handedOver');
    assert.deepEqual(usersInLog(), seqs(1, 5));
  });
});

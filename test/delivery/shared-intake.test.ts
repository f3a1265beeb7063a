// What comes of entries that a process took for a shared log finds its message, however it crosses the answer of the log.
import { strict as assert } from 'node:assert';
import { SharedIntake } from '../../src/delivery/shared-intake';
import { Spool } from '../../src/delivery/spool';
import type { TicketEnd } from '../../src/delivery/tickets';
import { MemoryOutbox } from '../../src/outbox/memory-outbox';
import { MemoryLogStore, MemorySharedLog } from '../outbox/memory-shared-log';
import { FakeClock } from './support/fake-clock';
import { device, entryOf } from './support/world';

describe('what a process takes for a shared log', () => {
  it('ends with its message, also when it has ended before the log has said its number', async () => {
    const clock = new FakeClock();
    const log = new MemorySharedLog(new MemoryLogStore(clock));
    await log.open();
    log.delayMs = () => 100;
    const intake = new SharedIntake({
      log,
      spool: new Spool(new MemoryOutbox(), log, 'one'),
      instance: 'one',
      clock,
      caps: { queueMaxEntries: 1_000, queueMaxBytes: 1e9, maxOpenMessages: 1_000 },
      appended: () => undefined,
      write: () => undefined,
    });
    const lost: unknown[] = [];
    intake.onRecovered('n', (recovered) => lost.push(...recovered));
    intake.start();
    const entry = entryOf(device(1), [{ seg_id: 1 }]);
    const ends: TicketEnd[] = [];
    intake.submit({
      source: { node: 'n', account: 'a' },
      entries: [entry],
      indexes: null,
      completeOn: 'accepted',
      onEnd: (end) => ends.push(end),
    });
    await clock.advance(150);
    assert.equal(log.store.rows.totals.waiting, 1);
    const accepted = { rejection: null, acceptedBlocks: 1, expiredBlocks: 0, warnings: null };
    intake.ended([{ seq: 1, node: 'n', entry, ...accepted }]);
    assert.deepEqual(ends, []);
    await clock.advance(100);
    assert.deepEqual(
      ends.map(({ kind }) => kind),
      ['settled'],
    );
    assert.deepEqual(lost, []);
    assert.equal(intake.counters.waiting, 0);
  });
});

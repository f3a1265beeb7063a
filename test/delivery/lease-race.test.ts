// Lease race: the lease is released during a renewal, and needed again before the reply arrives.
import { strict as assert } from 'node:assert';

import { LeaseKeeper } from '../../src/delivery/shared/lease-keeper';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { FakeClock } from './support/fake-clock';

describe('a released lease', () => {
  it('is not won by the reply to an earlier renewal', async () => {
    const clock = new FakeClock();
    const log = new MemorySharedLog(new MemoryLogStore(clock));
    await log.open();
    const told: string[] = [];
    const keeper = new LeaseKeeper({
      log,
      instance: { id: 'one', name: 'machine one' },
      clock,
      events: {
        claimed: () => undefined,
        gained: ({ fencingToken: token }) => told.push(`gained ${token}`),
        lost: () => told.push('lost'),
        unreachable: () => undefined,
      },
    });
    keeper.start();
    await clock.advance(10);
    assert.equal(keeper.mayPost(1), true);
    log.delayMs = () => 100;
    keeper.claim(); // The renewal, on its way.
    await clock.advance(10);
    void keeper.release(); // A deploy parks the queue …
    keeper.setWants(true); // … and goes on at once.
    const wrong: number[] = [];
    for (let ms = 5; ms < 1_000; ms += 5) {
      await clock.advance(5);
      if (keeper.mayPost(1) && !log.logStore.holds('one', 1)) wrong.push(ms);
    }
    assert.deepEqual(wrong, [], `believed: ${told.join(', ')}`);
    keeper.close();
  });
});

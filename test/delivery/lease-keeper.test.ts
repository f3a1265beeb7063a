// Lease keeper: the lease as one instance holds it, by its own monotonic clock.
import { strict as assert } from 'node:assert';
import { LeaseKeeper, leaseMs } from '../../src/delivery/shared/lease-keeper';
import type { Claim, Instance } from '../../src/queue/shared-log';
import { MemoryLogStore, MemorySharedLog } from '../queue/memory-shared-log';
import { FakeClock } from './support/fake-clock';

const instance: Instance = { id: 'one', name: 'machine one' };

describe('the lease of an instance', () => {
  let clock: FakeClock;
  let log: MemorySharedLog;
  let told: string[];
  let keeper: LeaseKeeper;

  const logStore = (): MemoryLogStore => log.logStore;

  beforeEach(async () => {
    clock = new FakeClock();
    log = new MemorySharedLog(new MemoryLogStore(clock));
    await log.open();
    told = [];
    keeper = new LeaseKeeper({
      log,
      instance,
      clock,
      events: {
        claimed: ({ fencingToken: token }: Claim) => told.push(`token ${token}`),
        gained: ({ fencingToken: token }) => told.push(`gained ${token}`),
        lost: () => told.push('lost'),
        unreachable: () => told.push('unreachable'),
      },
    });
  });

  it('counts from the request, however late the reply arrives', async () => {
    log.delayMs = () => 500;
    keeper.start();
    await clock.advance(1_000);
    assert.equal(keeper.mayPost(1), true);
    log.cut();
    await clock.advance(leaseMs - 1_000 - 250 - 1);
    assert.equal(keeper.mayPost(1), true);
    await clock.advance(1);
    assert.equal(keeper.mayPost(1), false);
  });

  it('is not trusted when the wall clock shows its end, until it is renewed', async () => {
    keeper.start();
    await clock.advance(10);
    // A sleep too short for the monotonic clock to count, or a clock that was set.
    clock.jumpWall(leaseMs);
    assert.equal(keeper.mayPost(1), false);
    log.logStore.lease.expiresAtMs += leaseMs;
    await clock.advance((leaseMs * 3) / 8);
    assert.equal(keeper.mayPost(1), true);
    clock.jumpWall(-24 * 3_600_000);
    assert.equal(keeper.mayPost(1), true);
  });

  it('ends and begins again when it returns under another token', async () => {
    keeper.start();
    await clock.advance(10);
    assert.deepEqual(told, ['gained 1', 'token 1']);
    // Another instance held the lease while this one was disconnected.
    log.cut();
    await clock.advance(leaseMs + 1);
    const { logStore } = log;
    logStore.claim({ id: 'two', name: 'machine two' }, true, null, 1);
    await clock.advance(2);
    told.length = 0;
    log.join();
    await clock.advance(1_000);
    assert.deepEqual(told.slice(0, 3), ['lost', 'gained 3', 'token 3']);
    // Requests built under the first token stay.
    assert.deepEqual([keeper.mayPost(1), keeper.mayPost(3)], [false, true]);
  });

  it('is won the moment that of a silent holder runs out', async () => {
    await clock.advance(100);
    // Between two regular looks.
    logStore().claim({ id: 'two', name: 'machine two' }, true, null, leaseMs - 300);
    keeper.start();
    await clock.advance(leaseMs - 301);
    assert.equal(logStore().holds('one', 2), false);
    await clock.advance(6);
    assert.equal(logStore().holds('one', 2), true);
    keeper.close();
  });

  it('is renewed in time by a holder whose database answers nothing for a second', async () => {
    let silentUntilMs = -Infinity;
    log.delayMs = () => Math.max(0, silentUntilMs - clock.monoMs());
    keeper.start();
    for (let at = 0; at < 40; at += 1) {
      await clock.advance(137);
      silentUntilMs = clock.monoMs() + 1_000;
      await clock.advance(1_000);
      logStore().claim({ id: 'two', name: 'machine two' }, true, null, leaseMs);
      await clock.advance(1_000);
    }
    assert.deepEqual([...new Set(told)], ['gained 1', 'token 1']);
    keeper.close();
  });

  it('is released at once, and not requested again before it is needed', async () => {
    keeper.start();
    await clock.advance(10);
    await keeper.release();
    assert.equal(keeper.mayPost(1), false);
    await clock.advance(leaseMs);
    assert.equal(log.logStore.holds('one', 1), false);
    keeper.setWants(true);
    await clock.advance(10);
    assert.equal(log.logStore.holds('one', 2), true);
    keeper.close();
  });
});

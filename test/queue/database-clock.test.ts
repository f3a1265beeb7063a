// Database clock against this machine's clock, however the process is interrupted between its readings.
import assert from 'node:assert/strict';
import { MachineClock } from '../../src/machine-clock';
import { DatabaseClock } from '../../src/queue-postgres/database-clock';

/**
 * Both clocks run alike; each reading of the wall clock is delayed by this much after the reading of the other.
 */
class InterruptedClock {
  nowMs = 1_000;
  interruptedMs = 0;

  monoMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    this.nowMs += this.interruptedMs;
    return 1_700_000_000_000 + this.nowMs;
  }
}

function measured(aheadMs: number): { clock: InterruptedClock; database: DatabaseClock } {
  const clock = new InterruptedClock();
  const database = new DatabaseClock(clock);
  const sentMs = clock.monoMs();
  clock.nowMs += 2;
  database.measured(sentMs, 1_700_000_000_000 + sentMs + 1 + aheadMs);
  return { clock, database };
}

describe('the database clock', () => {
  it('equals this machine’s clock, within the error of a measurement', () => {
    const { database } = measured(1.5);
    assert.equal(database.toDatabase(5_000), 5_000);
    assert.equal(database.fromDatabase(5_000), 5_000);
  });

  it('is ahead by the measured offset', () => {
    const { database } = measured(90_000);
    assert.equal(database.toDatabase(5_000), 95_000);
    assert.equal(database.fromDatabase(95_000), 5_000);
  });

  it('is not affected by this machine’s sleep', () => {
    let [awakeMs, asleepMs] = [1_000, 0];
    const readings = {
      monoMs: () => awakeMs,
      wallMs: () => 1_700_000_000_000 + awakeMs + asleepMs,
      uptimeMs: () => awakeMs + asleepMs,
    };
    const machine = new MachineClock(readings);
    const database = new DatabaseClock({ monoMs: () => machine.monoMs(), wallMs: readings.wallMs });
    database.measured(awakeMs, readings.wallMs() + 90_000);
    awakeMs += 1_000;
    asleepMs += 3_600_000;
    assert.equal(database.toDatabase(5_000), 95_000);
  });

  it('does not change when the process is interrupted between two readings of its own clocks', () => {
    const { clock, database } = measured(0);
    for (clock.interruptedMs of [3, 50, 4_000]) assert.equal(database.toDatabase(5_000), 5_000);
  });
});

// The database's clock against this machine's, however the process is interrupted while it looks at its own.
import assert from 'node:assert/strict';
import { MachineClock } from '../../src/machine-clock';
import { DatabaseClock } from '../../src/queue-postgres/database-clock';

/** Both clocks run alike; each look at the wall clock comes so much later than the one at the other before it. */
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

describe('the clock of a database', () => {
  it('is this machine’s own, as far as a measurement can tell', () => {
    const { database } = measured(1.5);
    assert.equal(database.toDatabase(5_000), 5_000);
    assert.equal(database.fromDatabase(5_000), 5_000);
  });

  it('is ahead by what was measured, there and back', () => {
    const { database } = measured(90_000);
    assert.equal(database.toDatabase(5_000), 95_000);
    assert.equal(database.fromDatabase(95_000), 5_000);
  });

  it('stays what it is while this machine sleeps', () => {
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

  it('is not taken for another one when the process is interrupted between two looks at its own clocks', () => {
    const { clock, database } = measured(0);
    for (clock.interruptedMs of [3, 50, 4_000]) assert.equal(database.toDatabase(5_000), 5_000);
  });
});

// Machine clock: counts the machine's sleep, from a clock that stops during sleep, one that may be set, and one
// with a coarse resolution.
import { strict as assert } from 'node:assert';
import { systemClock } from '../../src/clock';
import { MachineClock, type Readings } from '../../src/machine-clock';

class Machine implements Readings {
  awakeMs = 5_000.25;
  asleepMs = 0;
  setMs = 0;
  looks = 0;

  constructor(private readonly uptimeStepMs: number) {}

  monoMs(): number {
    return this.awakeMs;
  }

  wallMs(): number {
    return Math.round(1_700_000_000_000 + this.awakeMs + this.asleepMs + this.setMs);
  }

  uptimeMs(): number {
    this.looks += 1;
    const ms = 90_000 + this.awakeMs + this.asleepMs;
    return Math.floor(ms / this.uptimeStepMs) * this.uptimeStepMs;
  }
}

const hourMs = 3_600_000;

for (const [system, uptimeStepMs] of [
  ['to ten milliseconds', 10],
  ['to a second', 1_000],
] as const) {
  describe(`the machine's clock, with an uptime ${system}`, () => {
    let machine: Machine;
    let clock: MachineClock;

    beforeEach(() => {
      machine = new Machine(uptimeStepMs);
      clock = new MachineClock(machine);
    });

    it('equals the monotonic clock exactly while the machine is awake, and reads no slow clock', () => {
      for (let step = 0; step < 1_000; step += 1) {
        assert.equal(clock.monoMs(), machine.awakeMs);
        machine.awakeMs += 0.75;
      }
      assert.deepEqual([clock.sleptMs(), machine.looks], [0, 1]);
    });

    it('counts each of several sleeps as soon as it is over', () => {
      for (const sleeps of [1, 2, 3]) {
        machine.asleepMs += hourMs;
        assert.ok(Math.abs(clock.sleptMs() - sleeps * hourMs) <= uptimeStepMs);
        assert.ok(Math.abs(clock.monoMs() - machine.awakeMs - sleeps * hourMs) <= uptimeStepMs);
        machine.awakeMs += 60_000;
      }
    });

    it('ignores a wall clock that is set forward or back, also with a sleep in between', () => {
      for (const jumpMs of [hourMs, -hourMs, 24 * hourMs, -24 * hourMs]) {
        machine.setMs += jumpMs;
        assert.equal(clock.monoMs(), machine.awakeMs);
        machine.awakeMs += 1_000;
      }
      machine.asleepMs += hourMs;
      machine.setMs -= 30 * 60_000;
      assert.ok(Math.abs(clock.sleptMs() - hourMs) <= uptimeStepMs);
    });

    it('counts short sleeps once their sum exceeds the error of the uptime', () => {
      for (let naps = 1; naps <= 20; naps += 1) {
        machine.asleepMs += 400;
        machine.awakeMs += 5_000;
        const behindMs = machine.asleepMs - clock.sleptMs();
        assert.ok(behindMs <= 1_500 + uptimeStepMs + 500, `${behindMs} ms after ${naps} naps`);
      }
      assert.ok(clock.sleptMs() > 5_000);
    });

    it('never steps back', () => {
      let lastMs = -Infinity;
      for (let step = 0; step < 2_000; step += 1) {
        machine.awakeMs += step % 7;
        if (step % 90 === 0) machine.asleepMs += step % 180 === 0 ? 700 : 4_321;
        if (step % 50 === 0) machine.setMs += step % 100 === 0 ? 86_400_000 : -86_400_000;
        const nowMs = clock.monoMs();
        assert.ok(nowMs >= lastMs);
        lastMs = nowMs;
      }
    });
  });
}

describe('the clock of this system', () => {
  it('runs, whatever sleep it counts', async () => {
    const beforeMs = systemClock.monoMs();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(systemClock.monoMs() - beforeMs >= 15);
    assert.ok(systemClock.sleptMs() >= 0);
  });
});

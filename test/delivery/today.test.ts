// The count of rejected entries since midnight.
import assert from 'node:assert/strict';
import { Monitor } from '../../src/delivery/monitor/monitor';
import { FakeClock } from './support/fake-clock';

describe('rejected today', () => {
  const at = (day: number, hour: number): number => new Date(2026, 10, day, hour).getTime();
  const invalid = { code: 'user_id_zero', message: '', entry: {} };

  it('counts since midnight of this machine, also if its clock is set back', () => {
    const clock = new FakeClock();
    let nowMs = at(28, 9);
    clock.wallMs = () => nowMs;
    const monitor = new Monitor(clock);
    assert.equal(monitor.rejectedToday, 0);
    monitor.refused('node', [invalid, invalid]);
    nowMs = at(28, 23);
    monitor.refused('node', [invalid]);
    assert.equal(monitor.rejectedToday, 3);
    nowMs = at(29, 0);
    assert.equal(monitor.rejectedToday, 0);
    monitor.refused('node', [invalid]);
    assert.equal(monitor.rejectedToday, 1);
    nowMs = at(28, 12);
    assert.equal(monitor.rejectedToday, 0);
    assert.equal(monitor.invalid, 4);
  });
});

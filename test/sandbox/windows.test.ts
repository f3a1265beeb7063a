// SlidingWindow and Quota against counts over all events.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Quota, documentedLimits } from '../../src/sandbox/quota';
import { SlidingWindow } from '../../src/sandbox/windows';
import { FakeClock } from './helpers';

/** Steps that often land exactly on a window's edge. */
const steps = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.constantFrom(0, 1, 499, 500, 999, 1000, 1001), fc.nat(2500)),
    weight: fc.integer({ min: 0, max: 50 }),
  }),
  { maxLength: 300 },
);

function timed(events: readonly { waitMs: number; weight: number }[]): { at: number; weight: number }[] {
  let at = 0;
  return events.map(({ waitMs, weight }) => ({ at: (at += waitMs), weight }));
}

const sumIn = (events: readonly { at: number; weight: number }[], from: number, to: number) =>
  events.reduce((sum, { at, weight }) => (at > from && at <= to ? sum + weight : sum), 0);

describe('sliding windows', () => {
  it('have the sum of all events in the last second', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const window = new SlidingWindow(1000);
        const events = timed(list);
        events.forEach(({ at, weight }, index) => {
          window.add(at, weight);
          assert.equal(window.sum(at), sumIn(events.slice(0, index + 1), at - 1000, at));
        });
      }),
    );
  });

  it('have the peak of all half-open seconds, wherever they begin', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const window = new SlidingWindow(1000);
        const events = timed(list);
        for (const { at, weight } of events) window.add(at, weight);
        // [from, from + 1000), where a maximum always begins at an event.
        const worst = events.map(({ at: from }) =>
          events.reduce((sum, { at, weight }) => (at >= from && at < from + 1000 ? sum + weight : sum), 0),
        );
        assert.equal(window.peak, Math.max(0, ...worst));
      }),
    );
  });

  it('admit no more than the limit in any second, and refuse only calls over it', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const clock = new FakeClock();
        const limits = { ...documentedLimits, postsPerSecond: 5, usersPerSecond: 60 };
        const quota = new Quota(limits, clock);
        const admitted: { at: number; weight: number }[] = [];
        for (const { waitMs, weight } of list) {
          clock.advance(waitMs);
          const now = clock.monoMs();
          const inside = admitted.filter(({ at }) => at > now - 1000);
          const users = inside.reduce((sum, one) => sum + one.weight, 0);
          const expected =
            inside.length + 1 > 5 ? 'postsPerSecond' : users + weight > 60 ? 'usersPerSecond' : null;
          assert.equal(quota.admitPost(weight), expected);
          if (expected === null) admitted.push({ at: now, weight });
        }
      }),
    );
  });
});

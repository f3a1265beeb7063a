// NetworkFloor: the lower bound of the network's share in a round trip.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { NetworkFloor } from '../../src/service/http/network-floor';

const MINUTE = 60_000;

function measured(connects: readonly number[], replies: readonly number[], nowMs = 0): NetworkFloor {
  const floor = new NetworkFloor();
  for (const ms of connects) floor.connected('10.0.0.1:443', ms, nowMs);
  for (const ms of replies) floor.replied(ms, nowMs);
  return floor;
}

describe('the network floor', () => {
  it('is 0.4 of the fastest connect or reply, whichever is less', () => {
    assert.equal(measured([50, 40, 60, 45, 70], [100, 90]).floorMs(0), 16);
    assert.equal(measured([50, 40, 60, 45, 70], [100, 20]).floorMs(0), 8);
  });

  it('is 0 with fewer than five connects or without a reply', () => {
    assert.equal(measured([50, 40, 60, 45], [100]).floorMs(0), 0);
    assert.equal(measured([50, 40, 60, 45, 70], []).floorMs(0), 0);
    assert.equal(new NetworkFloor().floorMs(0), 0);
  });

  it('starts over when the address changes, and when it changes back', () => {
    const floor = measured([50, 40, 60, 45, 70], [100]);
    floor.connected('10.0.0.2:443', 10, 1);
    assert.equal(floor.floorMs(1), 0);
    for (let n = 0; n < 4; n += 1) floor.connected('10.0.0.2:443', 30, 1);
    assert.equal(floor.floorMs(1), 0, 'the reply of the other address does not count');
    floor.replied(100, 1);
    assert.equal(floor.floorMs(1), 4);
    floor.connected('10.0.0.1:443', 50, 2);
    assert.equal(floor.floorMs(2), 0);
  });

  it('uses measurements of the last ten minutes only', () => {
    const floor = measured([50, 40, 60, 45, 70], [100]);
    floor.replied(200, 9 * MINUTE);
    assert.equal(floor.floorMs(9 * MINUTE), 16);
    assert.equal(floor.floorMs(10 * MINUTE + 1), 0);
  });

  it('never exceeds 0.4 of any measurement of the last nine minutes to the same address', () => {
    const step = fc.record({
      gapMs: fc.integer({ min: 0, max: 3 * MINUTE }),
      address: fc.constantFrom('a', 'a', 'a', 'b'),
      kind: fc.constantFrom('connect', 'reply'),
      ms: fc.integer({ min: 0, max: 500 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const floor = new NetworkFloor();
        let nowMs = 0;
        let address = '';
        let seen: { atMs: number; ms: number; kind: string }[] = [];
        for (const one of steps) {
          nowMs += one.gapMs;
          if (one.kind === 'connect') {
            if (one.address !== address) seen = [];
            address = one.address;
            floor.connected(address, one.ms, nowMs);
          } else floor.replied(one.ms, nowMs);
          seen.push({ atMs: nowMs, ms: one.ms, kind: one.kind });
          const recent = seen.filter(({ atMs }) => nowMs - atMs < 9.5 * MINUTE);
          const value = floor.floorMs(nowMs);
          for (const { ms } of recent) assert.ok(value <= 0.4 * ms);
          const tenMinutes = seen.filter(
            ({ atMs, kind }) => kind === 'connect' && nowMs - atMs <= 10 * MINUTE,
          );
          if (tenMinutes.length < 5) assert.equal(value, 0);
        }
      }),
    );
  });
});

// Small pieces: the FIFO queue, the heap and the backoff.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { LogTally } from '../../src/delivery/monitor/log-tally';
import { NodeListeners } from '../../src/delivery/respond/node-listeners';
import { backoffMs } from '../../src/delivery/schedule/backoff';
import { Fifo } from '../../src/delivery/pending/fifo';
import { DueHeap } from '../../src/delivery/pending/heap';
import { FakeClock } from './support/fake-clock';
import { runs } from './support/runs';
import { device, entryOf } from './support/world';

describe('a first-in-first-out queue', () => {
  it('behaves like an array', () => {
    const step = fc.constantFrom('push', 'push', 'shift', 'unshift');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        steps.forEach((what, at) => {
          if (what === 'push') {
            fifo.push(at);
            model.push(at);
          } else if (what === 'unshift') {
            fifo.unshift(at);
            model.unshift(at);
          } else assert.equal(fifo.shift(), model.shift());
          assert.equal(fifo.size, model.length);
          assert.equal(fifo.peek(), model[0]);
        });
      }),
      runs(300),
    );
  });

  it('keeps its order over many thousands of items', () => {
    const fifo = new Fifo<number>();
    let next = 0;
    for (let i = 0; i < 30_000; i += 1) {
      fifo.push(i);
      if (i % 3 > 0) assert.equal(fifo.shift(), next++);
    }
    while (fifo.size > 0) assert.equal(fifo.shift(), next++);
    assert.equal(next, 30_000);
  });
});

describe('the due heap', () => {
  it('returns due values, earliest first, and none before its time', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 }), { maxLength: 60 }), fc.nat({ max: 60 }), (times, nowMs) => {
        const heap = new DueHeap<number>();
        for (const atMs of times) heap.push(atMs, atMs);
        assert.equal(heap.nextAtMs(), times.length === 0 ? Infinity : Math.min(...times));
        const due: number[] = [];
        for (let value = heap.popDue(nowMs); value !== null; value = heap.popDue(nowMs)) due.push(value);
        assert.deepEqual(
          due,
          times.filter((atMs) => atMs <= nowMs).sort((a, b) => a - b),
        );
        assert.equal(heap.size, times.length - due.length);
      }),
      runs(300),
    );
  });
});

describe('the backoff', () => {
  it('doubles its ceiling with each failure up to the limit, and uses the whole range', () => {
    const ceilings = [1, 2, 3, 4, 7, 100].map((failures) => backoffMs(failures, () => 1));
    assert.deepEqual(ceilings, [500, 1000, 2000, 4000, 30_000, 30_000]);
    assert.equal(
      backoffMs(5, () => 0),
      0,
    );
    assert.equal(
      backoffMs(2, () => 0.25, 100, 1000),
      50,
    );
  });
});

describe('a node that is being deployed', () => {
  it('gets any number of late outcomes', () => {
    const clock = new FakeClock();
    const listeners = new NodeListeners(clock, new LogTally(clock, () => undefined));
    const ended = { entry: entryOf(device(1), [{ seg_id: 1 }]), end: 'superseded', rejection: null } as const;
    listeners.away('n', []);
    listeners.notify('n', new Array(200_000).fill(ended));
    let got = 0;
    listeners.listen('n', ({ length }) => (got += length));
    assert.equal(got, 200_000);
  });
});

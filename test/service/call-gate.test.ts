// CallGate: the limit of calls in flight, and their order.
import assert from 'node:assert/strict';
import { CallGate } from '../../src/service/http/exchange';

describe('the call gate', () => {
  it('runs at most its limit of calls, in order, and starts the next when one ends or fails', async () => {
    const gate = new CallGate(2);
    const started: number[] = [];
    const ends: (() => void)[] = [];
    const calls = Array.from({ length: 5 }, (_, n) =>
      gate
        .run(
          () =>
            new Promise<void>((resolve, reject) => {
              started.push(n);
              ends.push(n % 2 ? resolve : () => reject(new Error('bad')));
            }),
        )
        .catch(() => undefined),
    );
    assert.deepEqual(started, [0, 1], 'started at once');
    for (let n = 0; n < 5; n += 1) {
      ends[n]?.();
      await new Promise(setImmediate);
      assert.deepEqual(started, [0, 1, 2, 3, 4].slice(0, Math.min(5, n + 3)));
    }
    await Promise.all(calls);
  });
});

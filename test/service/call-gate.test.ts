// No more calls at a time than allowed, in the order in which they came.
import assert from 'node:assert/strict';
import { CallGate } from '../../src/service/call-gate';

describe('the call gate', () => {
  it('lets so many through at a time, in order, and the next when one ends, also badly', async () => {
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
    assert.deepEqual(started, [0, 1], 'without waiting for a turn');
    for (let n = 0; n < 5; n += 1) {
      ends[n]?.();
      await new Promise(setImmediate);
      assert.deepEqual(started, [0, 1, 2, 3, 4].slice(0, Math.min(5, n + 3)));
    }
    await Promise.all(calls);
  });
});

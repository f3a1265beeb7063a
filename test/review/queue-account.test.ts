// Hot user whose blocks are of many segments and of two kinds: rows read from the log while new segments are held.
import { strict as assert } from 'node:assert';
import { Item } from '../../src/delivery/item';
import { User } from '../../src/delivery/user';
import { device, entryOf } from '../delivery/support/world';

describe('a user with many segments of two kinds', () => {
  it('is merged row by row in constant time, also where rows are older than what is in memory', () => {
    const user = new User('u', 1);
    const source = { node: 'n', account: 'a' };
    const add = (seq: number, block: object) =>
      user.add(new Item(seq, entryOf(device(1), [block as never]), source, 0, 0, 'waiting', null));
    const many = 20_000;
    for (let n = 0; n < many; n += 1) add(100_000 + n, { seg_id: n + 1, expiration: -1 });
    const timed = (first: number): number => {
      const startMs = performance.now();
      for (let n = 0; n < 2_000; n += 1) {
        add(first + n, { seg_code: `c${first + n}`, member_id: 1 });
        user.merge();
        user.nextAccounts();
      }
      return performance.now() - startMs;
    };
    const ms = timed(1);
    assert.ok(ms < 200, `${ms} ms for 2,000 rows`);
  });
});

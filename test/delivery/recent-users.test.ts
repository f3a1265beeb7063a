// Recent users of a queue: an older entry of a recent user is not moved there; an entry of another user is.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import { hashUserKey } from '../../src/entry/keys';
import { RecentUsers } from '../../src/delivery/pending/recent-users';

function entryOf(number: number): CheckedEntry {
  const result = checkEntry({ user_id: String(1_000_000 + number), seg_block: [{ seg_id: 1 }] });
  assert.ok(result.ok);
  return result.entry;
}

function rowOf(number: number, appendedWallMs = 2_000): { userHash: number; appendedWallMs: number } {
  return { userHash: hashUserKey(entryOf(number).userKey), appendedWallMs };
}

describe('the recent users of a queue', () => {
  it('allow only users without entries since recording began', () => {
    const users = new RecentUsers(1_000);
    assert.equal(users.allows(rowOf(3)), false, 'it is not open yet');
    users.opened(7, null);
    users.record();
    users.appended([entryOf(1), entryOf(2)], 3_000);
    assert.deepEqual(
      [1, 2, 3].map((number) => users.allows(rowOf(number))),
      [false, false, true],
    );
    assert.equal(users.allows(rowOf(3, 1_000)), false, 'of what it took before nothing is known');
    assert.equal(users.allows(rowOf(1, 3_001)), true, 'nothing was taken since');
  });

  it('allow entries older than the start when the queue was empty from its beginning', () => {
    const users = new RecentUsers(1_000);
    users.opened(0, null);
    users.record();
    users.appended([entryOf(1)], 3_000);
    assert.deepEqual([users.allows(rowOf(2, 999)), users.allows(rowOf(1, 999))], [true, false]);
  });

  it('allow only entries newer than the last one while users are not recorded', () => {
    const users = new RecentUsers(0);
    users.opened(0, null);
    users.appended([entryOf(1)], 3_000);
    assert.deepEqual([users.allows(rowOf(2, 3_000)), users.allows(rowOf(1, 3_001))], [false, true]);
    users.record();
    users.appended([entryOf(3)], 4_000);
    assert.deepEqual([users.allows(rowOf(2, 3_000)), users.allows(rowOf(2, 3_001))], [false, true]);
  });

  it('are known after a restart, when no entry was queued after the save', () => {
    const before = new RecentUsers(0);
    before.opened(0, null);
    before.record();
    before.appended([entryOf(1)], 3_000);
    before.appendedMoved([rowOf(4)]);
    const saved = before.text(9);
    const later = (lastSeq: number, records: boolean): RecentUsers => {
      const users = new RecentUsers(5_000);
      if (records) users.record();
      users.opened(lastSeq, saved);
      return users;
    };
    const passing = (users: RecentUsers): number[] => [1, 2, 4].filter((one) => users.allows(rowOf(one)));
    assert.deepEqual(passing(later(9, true)), [2]);
    assert.deepEqual(passing(later(10, true)), [], 'something was taken and not saved');
    assert.deepEqual(passing(later(9, false)), [], 'they are not looked at');
    assert.equal(later(9, false).allows(rowOf(1, 3_001)), true);
    const third = new RecentUsers(6_000);
    third.record();
    third.opened(9, later(9, true).text(9));
    assert.deepEqual(passing(third), [2]);
  });

  it('allow most other users even after 100,000 users, and none of these', () => {
    const users = new RecentUsers(0);
    users.opened(0, null);
    users.record();
    for (let from = 0; from < 100_000; from += 1_000)
      users.appended(
        Array.from({ length: 1_000 }, (_, index) => entryOf(from + index)),
        9_000,
      );
    const passing = (from: number, step: number): number =>
      Array.from({ length: 1_000 }, (_, index) => from + step * index).filter((number) =>
        users.allows(rowOf(number)),
      ).length;
    assert.equal(passing(0, 100), 0);
    assert.ok(passing(200_000, 1) > 970, `${passing(200_000, 1)} of 1,000`);
  });
});

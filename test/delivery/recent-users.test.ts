// Whose entries a queue took lately: an older entry of one of them is not moved there, one of another user is.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/audience/check';
import type { CheckedEntry } from '../../src/audience/entry';
import { hashUserKey } from '../../src/audience/keys';
import { RecentUsers } from '../../src/delivery/recent-users';

function entryOf(number: number): CheckedEntry {
  const result = checkEntry({ user_id: String(1_000_000 + number), seg_block: [{ seg_id: 1 }] });
  assert.ok(result.ok);
  return result.entry;
}

function rowOf(number: number, takenWallMs = 2_000): { userHash: number; takenWallMs: number } {
  return { userHash: hashUserKey(entryOf(number).userKey), takenWallMs };
}

describe('the users that a queue took lately', () => {
  it('let pass only who was not taken since the queue was opened', () => {
    const users = new RecentUsers(1_000);
    users.took([entryOf(1), entryOf(2)]);
    assert.deepEqual(
      [1, 2, 3].map((number) => users.allows(rowOf(number))),
      [false, false, true],
    );
    assert.equal(users.allows(rowOf(3, 999)), false);
    users.isNew();
    assert.equal(users.allows(rowOf(3, 999)), true);
  });

  it('let most others pass also after 100,000 users, and none of these', () => {
    const users = new RecentUsers(0);
    for (let from = 0; from < 100_000; from += 1_000)
      users.took(Array.from({ length: 1_000 }, (_, index) => entryOf(from + index)));
    const passing = (from: number, step: number): number =>
      Array.from({ length: 1_000 }, (_, index) => from + step * index).filter((number) =>
        users.allows(rowOf(number)),
      ).length;
    assert.equal(passing(0, 100), 0);
    assert.ok(passing(200_000, 1) > 970, `${passing(200_000, 1)} of 1,000`);
  });
});

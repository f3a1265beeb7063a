// Ready queue: one position per user, removals first, every fifth slot for adds, each account separately.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { ReadyUsers } from '../../src/delivery/schedule/ready';
import { PendingEntry } from '../../src/delivery/pending/pending-entry';
import { User } from '../../src/delivery/pending/user';
import { runs } from './support/runs';
import { device, entryOf } from './support/world';

function userOf(number: number, removes: boolean, bulk = false): User {
  const user = new User(entryOf(device(number), [{ seg_id: 1 }]).userKey, number);
  user.add(pendingOf(number, removes, bulk));
  return user;
}

function pendingOf(number: number, removes: boolean, bulk: boolean, seq = number + 1): PendingEntry {
  const entry = entryOf(device(number), [{ seg_id: 1, expiration: removes ? -1 : 60 }]);
  const source = { node: 'n', account: 'a' };
  const lane = bulk ? 'bulk' : removes ? 'removal' : 'add';
  return new PendingEntry({ seq, lane, source, eventMonoMs: 0, appendedWallMs: 0 }, entry, 'waiting');
}

function drained(ready: ReadyUsers, account = 'a'): User[] {
  return ready.drain(account);
}

describe('the ready queue', () => {
  it('returns users in the order of arrival, each once', () => {
    const ready = new ReadyUsers();
    const users = [0, 1, 2].map((number) => userOf(number, false));
    for (const user of [...users, ...users]) ready.put(user, 'a');
    assert.equal(ready.size('a'), 3);
    assert.deepEqual(drained(ready), users);
    assert.equal(ready.size('a'), 0);
    assert.equal(ready.shift('a'), null);
  });

  it('returns removals first, and an add in every fifth slot while any waits', () => {
    const ready = new ReadyUsers();
    for (let i = 0; i < 40; i += 1) ready.put(userOf(i, i >= 20), 'a');
    const kinds = drained(ready)
      .map((user) => (user.removes ? 'r' : 'a'))
      .join('');
    assert.equal(kinds, `${'rrrra'.repeat(5)}${'a'.repeat(15)}`);
  });

  it('returns a bulk entry in every tenth slot, in the place of a removal, and after all others', () => {
    const ready = new ReadyUsers();
    for (let i = 0; i < 60; i += 1) ready.put(userOf(i, i < 20, i >= 40), 'a');
    assert.equal(ready.someLive('a'), true);
    const order = drained(ready)
      .map(({ lane }) => lane[0])
      .join('');
    assert.equal(order, `${'rrrrarrrba'.repeat(2)}rrrrarrabaaaaaaaaabaaaaa${'b'.repeat(16)}`);
    assert.equal(ready.someLive('a'), false);
  });

  it('moves a user from the adds to the removals when a removal arrives, and not back', () => {
    const ready = new ReadyUsers();
    const users = [0, 1, 2].map((number) => userOf(number, false));
    for (const user of users) ready.put(user, 'a');
    const removal = pendingOf(2, true, false, 9);
    users[2]!.add(removal);
    ready.put(users[2]!, 'a');
    removal.blocks[0]!.state = 'ended';
    ready.put(users[2]!, 'a');
    assert.equal(ready.size('a'), 3);
    assert.deepEqual(drained(ready), [users[2], users[0], users[1]]);
  });

  it('keeps the position of a user that was put back', () => {
    const ready = new ReadyUsers();
    const users = [0, 1].map((number) => userOf(number, false));
    for (const user of users) ready.put(user, 'a');
    ready.putBack(ready.shift('a')!, 'a');
    assert.equal(ready.size('a'), 2);
    assert.deepEqual(drained(ready), users);
  });

  it('returns the users of one account at a time', () => {
    const ready = new ReadyUsers();
    const user = userOf(1, false);
    ready.put(user, 'a');
    ready.put(user, 'b');
    assert.deepEqual([ready.size('a'), ready.size('b')], [0, 1]);
    assert.equal(ready.shift('a'), null);
    assert.equal(ready.shift('b'), user);
  });

  it('forgets a user in any position, and counts correctly whatever happens', () => {
    const step = fc.tuple(
      fc.constantFrom('put', 'put', 'forget', 'shift', 'back'),
      fc.nat({ max: 7 }),
      fc.constantFrom('a', 'b'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ready = new ReadyUsers();
        const users = Array.from({ length: 8 }, (_, number) => userOf(number, number % 2 === 0));
        const where = new Map<User, string>();
        for (const [what, number, account] of steps) {
          const user = users[number]!;
          if (what === 'put') {
            ready.put(user, account);
            where.set(user, account);
          } else if (what === 'forget') {
            ready.forget(user);
            where.delete(user);
          } else {
            const next = ready.shift(account);
            assert.equal(next === null, ![...where.values()].includes(account));
            if (next === null) continue;
            assert.equal(where.get(next), account);
            where.delete(next);
            if (what === 'shift') continue;
            ready.putBack(next, account);
            where.set(next, account);
          }
          for (const each of ['a', 'b'])
            assert.equal(ready.size(each), [...where.values()].filter((one) => one === each).length);
        }
      }),
      runs(300),
    );
  });
});

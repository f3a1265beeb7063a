// User table: finds users by their keys, in whatever order they come and go, and keeps the order in which they came.
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { User } from '../../src/delivery/pending/user';
import { UserTable } from '../../src/delivery/pending/user-table';
import { hashUserKey } from '../../src/entry/keys';

const userOf = (key: string, hash = hashUserKey(key)): User => new User(key, hash);

describe('the user table', () => {
  it('behaves like a Map', () => {
    const steps = fc.array(fc.record({ number: fc.nat(300), adds: fc.boolean() }), { maxLength: 2_000 });
    fc.assert(
      fc.property(steps, (all) => {
        const table = new UserTable<User>();
        const model = new Map<string, User>();
        for (const { number, adds } of all) {
          const key = `user ${number}`;
          const known = model.get(key);
          assert.equal(table.find(key), known);
          if (adds && known === undefined) {
            const user = userOf(key);
            table.add(user);
            model.set(key, user);
          } else if (!adds && known !== undefined) {
            table.delete(known);
            model.delete(key);
          }
        }
        assert.deepEqual(
          [...table].map(({ key }) => key),
          [...model.keys()],
        );
      }),
    );
  });

  it('distinguishes users whose hashes are equal', () => {
    const table = new UserTable<User>();
    const users = ['a', 'b', 'c'].map((key) => userOf(key, 7));
    for (const user of users) table.add(user);
    table.delete(users[1]!);
    assert.equal(table.find('a', 7), users[0]);
    assert.equal(table.find('b', 7), undefined);
    assert.equal(table.find('c', 7), users[2]);
  });

  it('does nothing to a user that is not in it, also if another has its key', () => {
    const table = new UserTable<User>();
    const user = userOf('a');
    table.add(user);
    table.delete(userOf('a'));
    assert.equal(table.find('a'), user);
    assert.deepEqual([...table], [user]);
  });

  it('lets a user that has gone point to no other', () => {
    const table = new UserTable<User>();
    const users = Array.from({ length: 500 }, (_, at) => userOf(`user ${at}`));
    for (const user of users) table.add(user);
    for (const user of users) {
      table.delete(user);
      assert.deepEqual([user.chained, user.before, user.after], [null, null, null]);
    }
    assert.deepEqual([...table], []);
  });
});

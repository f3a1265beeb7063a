// Bisection of a refused body: halves within a quarter of the quota, lone users with backoff.
import { strict as assert } from 'node:assert';
import { Bisection, type Group } from '../../src/delivery/schedule/bisection';
import { User } from '../../src/delivery/pending/user';

const limits = { postsPerSecond: 8, usersPerSecond: 40, maxConcurrent: 4 };
/** After the first second, which counts as used. */
const nowMs = 10_000;

const pendingUsers = (count: number): User[] =>
  Array.from({ length: count }, (_, i) => new User(`user ${i}`, i));
const sizes = (groups: readonly (Group | null)[]): (number | null)[] =>
  groups.map((group) => group?.users.length ?? null);

describe('the bisection', () => {
  it('halves a group, and splits it further where a half exceeds a quarter of the users’ quota', () => {
    const bisection = new Bisection(limits, 20_000, 0);
    bisection.split(pendingUsers(7));
    assert.deepEqual(sizes([bisection.next(nowMs, 1000, true), bisection.next(nowMs, 1000, true)]), [4, 3]);
    bisection.split(pendingUsers(33));
    const groups = [1, 2, 3, 4, 5].map(() => bisection.next(nowMs, 1000, true));
    assert.deepEqual(sizes(groups), [10, 10, 10, 3, null]);
  });

  it('uses at most a quarter of posts and users, by its own rate limiter', () => {
    const bisection = new Bisection(limits, 20_000, 0);
    for (let i = 0; i < 4; i += 1) bisection.push({ users: pendingUsers(4), probe: false });
    const takeNext = (): Group | null => {
      const group = bisection.next(nowMs, 1000, true);
      if (group !== null) bisection.quota.take(group.users.length);
      return group;
    };
    assert.deepEqual(sizes([takeNext(), takeNext(), takeNext()]), [4, 4, null]);
  });

  it('makes a group wait until the whole quota has room for it', () => {
    const bisection = new Bisection(limits, 20_000, 0);
    bisection.push({ users: pendingUsers(6), probe: false });
    assert.equal(bisection.next(nowMs, 5, true), null);
    assert.equal(bisection.next(nowMs, 6, true)?.users.length, 6);
  });

  it('probes a lone user when it is due, and only when probes are allowed', () => {
    const bisection = new Bisection(limits, 20_000, 0);
    const [user] = pendingUsers(1);
    bisection.probeAt(nowMs + 500, user!);
    assert.equal(user!.inBisection, true);
    assert.equal(bisection.next(nowMs, 1000, true), null);
    assert.equal(bisection.next(nowMs + 500, 1000, false), null);
    assert.deepEqual(bisection.next(nowMs + 500, 1000, true), { users: [user], probe: true });
    assert.equal(bisection.size, 0);
  });

  it('follows new limits', () => {
    const bisection = new Bisection(limits, 20_000, 0);
    bisection.push({ users: pendingUsers(10), probe: false });
    bisection.setLimits({ postsPerSecond: 8, usersPerSecond: 12, maxConcurrent: 4 });
    assert.equal(bisection.next(nowMs, 1000, true)?.users.length, 3);
  });
});

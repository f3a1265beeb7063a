// The sandbox that accounts of one process share: when it runs, and what it keeps.
import assert from 'node:assert/strict';
import { SharedSandbox } from '../../src/sandbox/shared-sandbox';
import { documentedLimits, type Sandbox } from '../../src/sandbox/sandbox';
import { call, entry, login, post, sandboxes } from './helpers';

const start = sandboxes();
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const answers = (url: string): Promise<boolean> =>
  call(url, 'GET /segment').then(
    () => true,
    () => false,
  );

describe('the shared sandbox', () => {
  it('starts with its first user and is the same for all, also when they come at once', async () => {
    const shared = new SharedSandbox({}, 0);
    assert.equal(shared.current(), null);
    const [one, other] = await Promise.all([shared.join(), shared.join()]);
    assert.equal(one, other);
    assert.equal(await shared.current(), one);
    shared.leave();
    await sleep(5);
    assert.ok(await answers(one.url));
    shared.leave();
    await sleep(5);
    assert.equal(shared.current(), null);
    assert.ok(!(await answers(one.url)));
  });

  it('outlives a deploy: the same port, the same tokens, the same memberships', async () => {
    const shared = new SharedSandbox({}, 50);
    const before = await shared.join();
    const token = await login(before.url);
    shared.leave();
    await sleep(5);
    const after = await shared.join();
    assert.equal(after, before);
    assert.equal((await post(after.url, token, entry('7'))).json.response.status, 'OK');
    await sleep(60);
    assert.ok(await answers(after.url));
    shared.leave();
    await shared.stopUnused();
  });

  it('lets through what its users may send: the largest limits of those that are there', async () => {
    const shared = new SharedSandbox({}, 50);
    const two = { ...documentedLimits, usersPerCall: 2, segmentsPerUser: 2 };
    const three = { ...documentedLimits, usersPerCall: 3 };
    const users = [entry('1'), entry('2'), entry('3'), entry('4')];
    const sandbox = await shared.join(two);
    const token = await login(sandbox.url);
    const counted = async (): Promise<number> =>
      (await post(sandbox.url, token, ...users)).json.response.message.users_in_request;
    assert.equal(await counted(), 2);
    await shared.join(three);
    assert.equal(await counted(), 3);
    // A form that asks something has no limits of its own.
    shared.leave(three);
    await shared.join();
    assert.equal(await counted(), 2);
    shared.leave();
    shared.leave(two);
    await shared.stopUnused();
  });

  it('hands its memberships on to the next one, even to one that is wanted while it closes', async () => {
    const shared = new SharedSandbox({}, 10_000);
    const first = await shared.join();
    await post(first.url, await login(first.url), entry('7'));
    shared.leave();
    const stopped = shared.stopUnused();
    const second = await shared.join();
    await stopped;
    assert.notEqual(second, first);
    assert.deepEqual(
      second.state().map(({ user_id }) => user_id),
      ['7'],
    );
    shared.leave();
    await shared.stopUnused();
  });

  it('does not stop while somebody uses it', async () => {
    const shared = new SharedSandbox({}, 0);
    const live: Sandbox = await shared.join();
    await shared.stopUnused();
    assert.ok(await answers(live.url));
    shared.leave();
    await shared.stopUnused();
    assert.ok(!(await answers(live.url)));
  });

  it('counts nobody who could not join, and tries again for the next', async () => {
    const taken = await start();
    const shared = new SharedSandbox({ port: taken.port }, 0);
    const failed = await Promise.allSettled([shared.join(), shared.join()]);
    for (const result of failed) {
      assert.equal(result.status, 'rejected');
      assert.match(String(result.reason), /is taken by another program/);
    }
    assert.equal(shared.current(), null);
    await taken.close();
    const live = await shared.join();
    shared.leave();
    await sleep(5);
    assert.ok(!(await answers(live.url)));
  });
});

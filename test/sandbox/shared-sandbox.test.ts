// SharedSandbox: start and stop by its users, settings of several users, and state across restarts.
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
  it('starts with its first user and is the same for all, also for concurrent joins', async () => {
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

  it('survives a deploy with the same port, tokens and memberships', async () => {
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

  it('applies the largest limits of its current users', async () => {
    const shared = new SharedSandbox({}, 50);
    const times = { warmUpMinutes: 20, defaultExpirationMinutes: 60 };
    const two = { ...times, limits: { ...documentedLimits, usersPerCall: 2, segmentsPerUser: 2 } };
    const three = { ...times, limits: { ...documentedLimits, usersPerCall: 3 } };
    const users = [entry('1'), entry('2'), entry('3'), entry('4')];
    const sandbox = await shared.join(two);
    const token = await login(sandbox.url);
    const counted = async (): Promise<number> =>
      (await post(sandbox.url, token, ...users)).json.response.message.users_in_request;
    assert.equal(await counted(), 2);
    await shared.join(three);
    assert.equal(await counted(), 3);
    // A form joins without limits of its own.
    shared.leave(three);
    await shared.join();
    assert.equal(await counted(), 2);
    shared.leave();
    shared.leave(two);
    await shared.stopUnused();
  });

  it('applies the longest warm-up and default expiration of its users', async () => {
    const shared = new SharedSandbox({}, 50);
    const limits = documentedLimits;
    const patient = { limits, warmUpMinutes: 20, defaultExpirationMinutes: 60 };
    const quick = { limits, warmUpMinutes: 0, defaultExpirationMinutes: 90 };
    const forever = { limits, warmUpMinutes: 0, defaultExpirationMinutes: 0 };
    const { url } = await shared.join(quick);
    const token = await login(url);
    const made = (await call(url, 'POST /segment', { token, body: { segment: {} } })).json.response.id;
    const state = async (user: string): Promise<unknown> => {
      const sandbox = (await shared.current())!;
      const before = Date.now();
      await post(url, token, entry(user, [{ seg_id: made }]));
      const held = sandbox.state().find(({ user_id }) => user_id === user);
      return (
        held && (held.expires === null ? null : Math.floor((Date.parse(held.expires) - before) / 60_000))
      );
    };
    assert.equal(await state('1'), 90);
    await shared.join(patient);
    assert.equal(await state('2'), undefined);
    shared.leave(patient);
    await shared.join(forever);
    assert.equal(await state('3'), null);
    shared.leave(forever);
    shared.leave(quick);
    await shared.stopUnused();
  });

  it('passes segments made in it on to the next one, with the rest of their warm-up', async () => {
    const shared = new SharedSandbox({}, 10_000);
    const first = await shared.join();
    const made = await call(first.url, 'POST /segment', {
      token: await login(first.url),
      body: { segment: { short_name: 'Mine', code: 'mine' } },
    });
    shared.leave();
    await shared.stopUnused();
    const second = await shared.join();
    const token = await login(second.url);
    const { json } = await call(second.url, 'GET /segment?code=mine', { token });
    const { id, last_modified } = made.json.response.segment;
    assert.deepEqual([json.response.segment.id, json.response.segment.last_modified], [id, last_modified]);
    await post(second.url, token, entry('7', [{ seg_code: 'mine', member_id: 1 }]));
    assert.deepEqual(second.state(), []);
    shared.leave();
    await shared.stopUnused();
  });

  it('passes its memberships on to the next one, even if that is requested during the close', async () => {
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

  it('does not stop while it has a user', async () => {
    const shared = new SharedSandbox({}, 0);
    const live: Sandbox = await shared.join();
    await shared.stopUnused();
    assert.ok(await answers(live.url));
    shared.leave();
    await shared.stopUnused();
    assert.ok(!(await answers(live.url)));
  });

  it('does not count users of a failed start, and tries again for the next user', async () => {
    const other = await start();
    const shared = new SharedSandbox({ port: other.port }, 0);
    const failed = await Promise.allSettled([shared.join(), shared.join()]);
    for (const result of failed) {
      assert.equal(result.status, 'rejected');
      assert.match(String(result.reason), /is in use by another program/);
    }
    assert.equal(shared.current(), null);
    await other.close();
    const live = await shared.join();
    shared.leave();
    await sleep(5);
    assert.ok(!(await answers(live.url)));
  });
});

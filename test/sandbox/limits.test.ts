// The member's limits over sockets, with a virtual clock.
import assert from 'node:assert/strict';
import { call, entry, FakeClock, login, post, sandboxes, until, type Answer } from './helpers';

const users = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => entry(`u${from + index}`));

describe('limits', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const clock = new FakeClock();
    const sandbox = await start({ clock, ...options });
    return { clock, sandbox, url: sandbox.url, token: await login(sandbox.url) };
  }

  it('refuse a post over the limit with 429 and two Retry-After headers, and apply nothing', async () => {
    const { clock, sandbox, url, token } = await started({ limits: { postsPerSecond: 3 } });
    for (let sent = 0; sent < 3; sent += 1) assert.equal((await post(url, token, entry('1'))).status, 200);
    const refused = await post(url, token, entry('2'));
    assert.equal(refused.status, 429);
    assert.deepEqual(refused.headers['retry-after'], ['1', '2']);
    assert.match(refused.json.response.error, /request limit of 3 writes per 1 seconds to rt-segment,/);
    assert.equal(sandbox.state().length, 1);
    clock.advance(999);
    assert.equal((await post(url, token, entry('2'))).status, 429);
    clock.advance(1);
    assert.equal((await post(url, token, entry('2'))).status, 200);
  });

  it('refuse a post over the limit of users per second', async () => {
    const { clock, sandbox, url, token } = await started();
    assert.equal((await post(url, token, ...users(600))).status, 200);
    const refused = await post(url, token, ...users(401, 600));
    assert.match(refused.json.response.error, /request limit of 1000 users per 1 seconds/);
    assert.equal((await post(url, token, ...users(400, 600))).status, 200);
    clock.advance(1000);
    assert.equal((await post(url, token, ...users(1000))).status, 200);
    assert.equal(sandbox.state().length, 1000);
  });

  it('refuse a read of segments over the limit per minute, but no read of usage', async () => {
    const { clock, url, token } = await started({ limits: { segmentReadsPerMinute: 3 } });
    const segments = () => call(url, 'GET /segment', { token });
    for (let read = 0; read < 3; read += 1) assert.equal((await segments()).status, 200);
    const refused = await segments();
    assert.equal(refused.status, 429);
    assert.match(refused.json.response.error, /request limit of 3 reads per 60 seconds to segment,/);
    assert.equal((await call(url, 'GET /rt-segment-processed', { token })).status, 200);
    clock.advance(59_999);
    assert.equal((await segments()).status, 429);
    clock.advance(1);
    assert.equal((await segments()).status, 200);
  });

  it('can refuse with 503 and x-ratelimit-code, or with LIMIT in a 200', async () => {
    const seen: Answer[] = [];
    for (const form of ['503', 'LIMIT'] as const) {
      const { url, token } = await started({ limits: { postsPerSecond: 0 }, rateLimit: { form } });
      seen.push(await post(url, token, entry('1')));
    }
    assert.deepEqual([seen[0]!.status, seen[0]!.headers['x-ratelimit-code']], [503, ['429']]);
    assert.deepEqual([seen[1]!.status, seen[1]!.json.response.error_id], [200, 'LIMIT']);
  });

  it('refuse a call over the limit of calls in flight with an error in a 200', async () => {
    const { clock, sandbox, url, token } = await started({
      limits: { concurrent: 2 },
      faults: [{ kind: 'latency', beforeMs: 100 }],
    });
    const slow = [post(url, token, entry('1')), post(url, token, entry('2'))];
    await until(() => clock.waiting === 2);
    const { status, json } = await post(url, token, entry('3'));
    assert.deepEqual([status, json.response.error_id], [200, 'LIMIT']);
    clock.advance(100);
    for (const answer of await Promise.all(slow)) assert.equal(answer.json.response.status, 'OK');
    const { concurrent, concurrentPosts } = sandbox.peaks().worst;
    assert.deepEqual([concurrent, concurrentPosts], [3, 3]);
    assert.equal(sandbox.state().length, 2);
    const after = post(url, token, entry('3'));
    await until(() => clock.waiting === 1);
    clock.advance(100);
    assert.equal((await after).json.response.status, 'OK', 'an ended call makes room');
  });

  it('refuse bodies over 1 MB, even of 3 MB, with 413, and then serve other calls', async () => {
    const { sandbox, url, token } = await started();
    for (const bytes of [1_000_001, 3_000_000]) {
      const { status } = await call(url, 'POST /rt-segment', { token, body: 'x'.repeat(bytes) });
      assert.equal(status, 413);
    }
    assert.equal(sandbox.peaks().worst.bodyBytes, 3_000_000);
    const frame = JSON.stringify({ rt_segment: [entry('1', [{ seg_id: 1 }])] });
    const body = frame + ' '.repeat(1_000_000 - frame.length);
    assert.equal((await call(url, 'POST /rt-segment', { token, body })).status, 200);
  });

  it('are all disabled by Infinity', async () => {
    const names = ['postsPerSecond', 'usersPerSecond', 'usersPerCall', 'segmentsPerUser', 'bodyBytes'];
    const { sandbox, url, token } = await started({
      limits: Object.fromEntries(names.map((name) => [name, Infinity])),
    });
    const blocks = Array.from({ length: 150 }, (_, index) => ({ seg_id: index + 1 }));
    const { json } = await post(url, token, ...users(30_000), entry('many', blocks));
    assert.deepEqual(json.response.message, { users_in_request: 30_001, segments_in_request: 30_150 });
    for (let sent = 0; sent < 120; sent += 1) assert.equal((await post(url, token, entry('1'))).status, 200);
    assert.equal(sandbox.peaks().worst.postsPerSecond, 121);
  });

  it('do not change the peaks, which count refused and faulted calls too', async () => {
    const { clock, sandbox, url, token } = await started({ limits: { postsPerSecond: 2 } });
    sandbox.faults.set([{ kind: 'status', status: 503, count: 1 }]);
    for (let sent = 0; sent < 4; sent += 1) await post(url, token, ...users(10));
    clock.advance(1000);
    await post(url, undefined, ...users(25));
    await call(url, 'GET /segment', { token });
    const { totals, worst } = sandbox.peaks();
    assert.deepEqual([totals.posts, totals.users, totals.gets, totals.rateLimited], [5, 65, 1, 1]);
    assert.deepEqual([worst.postsPerSecond, worst.usersPerSecond, worst.usersPerCall], [4, 40, 25]);
    assert.equal(worst.getsPerSecond, 1);
  });
});

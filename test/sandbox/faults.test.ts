// Every kind of scripted fault, seen from a socket.
import assert from 'node:assert/strict';
import { Faults, type Fault } from '../../src/sandbox/faults';
import { call, entry, FakeClock, login, post, sandboxes, until } from './helpers';

describe('scripted faults', () => {
  const start = sandboxes();

  async function started(...faults: Fault[]) {
    const clock = new FakeClock();
    const sandbox = await start({ clock });
    const token = await login(sandbox.url);
    sandbox.faults.set(faults);
    const send = (user: string) => post(sandbox.url, token, entry(user));
    const inside = () => sandbox.state().map(({ user_id }) => user_id);
    return { clock, sandbox, token, url: sandbox.url, send, inside };
  }

  for (const status of [500, 502, 503, 504, 400, 403, 404]) {
    it(`reply ${status} as often as configured, and apply nothing`, async () => {
      const { send, inside } = await started({ kind: 'status', status, count: 2 });
      assert.deepEqual([(await send('1')).status, (await send('2')).status], [status, status]);
      assert.equal((await send('3')).status, 200);
      assert.deepEqual(inside(), ['3']);
    });
  }

  it('reply 502 although the post was applied', async () => {
    const { send, inside } = await started({ kind: 'status', status: 502, applied: true });
    assert.equal((await send('1')).status, 502);
    assert.deepEqual(inside(), ['1']);
  });

  it('reply as if the limit were exceeded, in each form', async () => {
    const { send, inside } = await started(
      { kind: 'status', status: 429, count: 1 },
      { kind: 'rateLimit', as: '503', count: 1 },
      { kind: 'rateLimit', as: 'LIMIT', count: 1 },
    );
    const [first, second, third] = [await send('1'), await send('2'), await send('3')];
    assert.deepEqual([first.status, first.headers['retry-after']], [429, ['1', '2']]);
    assert.deepEqual([second.status, second.headers['x-ratelimit-code']], [503, ['429']]);
    assert.deepEqual([third.status, third.json.response.error_id], [200, 'LIMIT']);
    assert.deepEqual(inside(), []);
  });

  it("reply with the service's own refusals", async () => {
    const { send } = await started(
      { kind: 'error', errorId: 'SYSTEM', count: 1 },
      { kind: 'error', errorId: 'NOAUTH_EXPIRED', status: 401, count: 1 },
    );
    const [first, second] = [await send('1'), await send('2')];
    assert.deepEqual([first.status, first.json.response.error_id], [200, 'SYSTEM']);
    assert.deepEqual([second.status, second.json.response.error_id], [401, 'NOAUTH_EXPIRED']);
  });

  it('refuse bodies that contain a poisoned user, and only those', async () => {
    const { url, token, inside } = await started({ kind: 'poison', userIds: ['bad', 'worse'] });
    const refused = await post(url, token, entry('1'), entry('bad'), entry('2'));
    assert.deepEqual([refused.status, refused.json.response.error_id], [400, 'SYNTAX']);
    assert.equal((await post(url, token, entry('1'), entry('2'))).status, 200);
    assert.equal((await post(url, token, entry('worse'))).status, 400);
    assert.deepEqual(inside(), ['1', '2']);
  });

  it('break the connection before anything is applied', async () => {
    const { send, inside } = await started({ kind: 'drop', count: 1 });
    await assert.rejects(send('1'), { code: 'ECONNRESET' });
    assert.deepEqual(inside(), []);
    assert.equal((await send('2')).status, 200);
  });

  it('lose the reply after the post was applied', async () => {
    const { send, inside } = await started({ kind: 'lostReply', count: 1 });
    await assert.rejects(send('1'), { code: 'ECONNRESET' });
    assert.deepEqual(inside(), ['1']);
  });

  it('apply a post late, after newer ones, although its connection has ended', async () => {
    const { clock, sandbox, url, token, inside } = await started({
      kind: 'lateApply',
      afterMs: 5000,
      count: 1,
    });
    await assert.rejects(post(url, token, entry('1', [{ seg_id: 10001, expiration: 60 }])), {
      code: 'ECONNRESET',
    });
    assert.deepEqual(inside(), []);
    await post(url, token, entry('1', [{ seg_id: 10001, expiration: -1 }]));
    clock.advance(4999);
    assert.deepEqual(inside(), []);
    clock.advance(1);
    assert.deepEqual(inside(), ['1']);
    assert.deepEqual(
      sandbox.operations().map(({ expiration }) => expiration),
      [-1, 60],
    );
  });

  it('apply a post whose client has aborted', async () => {
    const { clock, url, token, inside } = await started({ kind: 'latency', beforeMs: 1000 });
    const client = new AbortController();
    const aborted = fetch(`${url}/rt-segment`, {
      method: 'POST',
      headers: { authorization: token },
      body: JSON.stringify({ rt_segment: [entry('1')] }),
      signal: client.signal,
    });
    await until(() => clock.waiting === 1);
    client.abort();
    await assert.rejects(aborted, { name: 'AbortError' });
    assert.deepEqual(inside(), []);
    clock.advance(1000);
    assert.deepEqual(inside(), ['1']);
  });

  it('delay the effect and the reply of a call, each by its own time', async () => {
    const { clock, send, inside } = await started(
      { kind: 'latency', beforeMs: 20, afterMs: [30, 30] },
      { kind: 'latency', afterMs: 10 },
    );
    const answer = send('1');
    await until(() => clock.waiting === 1);
    clock.advance(19);
    assert.deepEqual(inside(), []);
    clock.advance(1);
    assert.deepEqual(inside(), ['1']);
    clock.advance(39);
    assert.equal(clock.waiting, 1, 'no reply yet');
    clock.advance(1);
    assert.equal((await answer).status, 200);
  });

  it('invalidate all tokens now, or just before a call', async () => {
    const { sandbox, url, send } = await started();
    sandbox.faults.killTokens();
    assert.equal((await send('1')).status, 401);
    const fresh = await login(url);
    sandbox.faults.add({ kind: 'deadToken' });
    assert.equal((await post(url, fresh, entry('1'))).status, 401);
    const next = await login(url);
    sandbox.faults.add({ kind: 'deadToken', count: 1 });
    assert.equal((await post(url, next, entry('1'))).status, 401);
    assert.equal((await post(url, await login(url), entry('1'))).status, 200);
  });

  it('reply with text that is not JSON, applied or not', async () => {
    const { send, inside } = await started(
      { kind: 'garbage', count: 1 },
      { kind: 'garbage', applied: false, count: 1 },
    );
    for (const user of ['1', '2']) {
      const { status, json } = await send(user);
      assert.deepEqual([status, json], [200, undefined]);
    }
    assert.deepEqual(inside(), ['1']);
  });

  it('affect only the calls they name', async () => {
    const { url, token, send } = await started(
      { kind: 'status', status: 500, on: 'auth' },
      { kind: 'status', status: 502, on: 'segments' },
      { kind: 'status', status: 504, on: 'usage' },
    );
    assert.equal(
      (await call(url, 'POST /auth', { body: { auth: { username: 'a', password: 'b' } } })).status,
      500,
    );
    assert.equal((await call(url, 'GET /segment', { token })).status, 502);
    assert.equal((await call(url, 'GET /rt-segment-processed', { token })).status, 504);
    assert.equal((await send('1')).status, 200);
  });

  it('occur equally for equal seeds, and about as often as their probability', () => {
    const run = (seed: number) => {
      const faults = new Faults(() => undefined, seed);
      faults.set([{ kind: 'lostReply', probability: 0.1 }]);
      return Array.from({ length: 2000 }, () => faults.plan('post', () => false).effect !== null);
    };
    assert.deepEqual(run(7), run(7));
    assert.notDeepEqual(run(7), run(8));
    const occurred = run(7).filter(Boolean).length;
    assert.ok(occurred > 120 && occurred < 280, `${occurred} of 2000`);
  });

  it('can be set over HTTP, with a seed, and read', async () => {
    const { url, send } = await started();
    const list = [
      { kind: 'lostReply', probability: 0.5 },
      { kind: 'status', status: 503, count: 3 },
    ];
    const set = await call(url, 'PUT /sandbox/faults', { body: { seed: 3, faults: list } });
    assert.deepEqual(
      set.json.faults,
      list.map((fault) => ({ ...fault, fired: 0 })),
    );
    await call(url, 'PUT /sandbox/faults', { body: [{ kind: 'status', status: 503, count: 1 }] });
    assert.equal((await send('1')).status, 503);
    assert.equal((await call(url, 'GET /sandbox/faults')).json.faults[0].fired, 1);
    assert.equal((await send('1')).status, 200);
  });

  it('stay unchanged after a wrong script, whose error names the place', async () => {
    const { sandbox, url } = await started({ kind: 'drop' });
    for (const [body, where] of [
      [[{ kind: 'drop' }, { kind: 'status' }], 'faults[1].status'],
      [[{ kind: 'boom' }], 'faults[0].kind'],
      [[{ kind: 'drop', probability: 2 }], 'faults[0].probability'],
      [[{ kind: 'drop', probabilty: 1 }], 'faults[0]'],
      ['nonsense', 'faults'],
    ] as const) {
      const { status, json } = await call(url, 'PUT /sandbox/faults', { body });
      assert.equal(status, 400);
      assert.ok(json.response.error.startsWith(`${where}: `), json.response.error);
    }
    assert.equal(sandbox.faults.list().length, 1);
    assert.throws(() => sandbox.faults.add({ kind: 'latency', beforeMs: [5, 1] }), /faults\[0\]\.beforeMs/);
  });
});

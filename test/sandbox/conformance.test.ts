// The sandbox replies to the documented requests (test/cases) exactly as documented, over HTTP.
import assert from 'node:assert/strict';
import { type Answer, call, caseFile, FakeClock, login, sandboxes } from './helpers';

describe('the documented requests', () => {
  const start = sandboxes();

  async function postCase(request: unknown) {
    const { url } = await start();
    return call(url, 'POST /rt-segment', { token: await login(url), body: request });
  }

  const cases = [
    '01-two-segments',
    '02-idfa',
    '03-codes-of-other-members',
    '05-no-segment-identity',
    '06-no-seg-block',
    '07-no-user-id',
  ];
  for (const name of cases) {
    it(`are answered as documented: ${name}`, async () => {
      const { request, reply } = caseFile(name);
      const answer = await postCase(request);
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.json, reply);
    });
  }

  it('are answered as documented: 04-over-1000-users', async () => {
    const { request_entry, request_users, reply } = caseFile('04-over-1000-users');
    const rest: string[] = reply.response.warnings.map((warning: any) => warning.entity.user_id);
    const ids = Array.from({ length: request_users - rest.length }, (_, index) => String(index + 1));
    const rt_segment = [...ids, ...rest].map((user_id) => ({ user_id, ...request_entry }));
    const sandbox = await start();
    const answer = await call(sandbox.url, 'POST /rt-segment', {
      token: await login(sandbox.url),
      body: { rt_segment },
    });
    assert.deepEqual(answer.json, reply);
    const inside = new Set(sandbox.state().map(({ user_id }) => user_id));
    assert.equal(inside.size, 1000);
    for (const user of rest) assert.ok(!inside.has(user), 'a user beyond the 1000th is not applied');
  });

  it('are answered as documented: 08-auth', async () => {
    const { url } = await start();
    const { request, reply } = caseFile('08-auth');
    const { json } = await call(url, 'POST /auth', { body: request });
    assert.match(json.response.token, /^hbapi:\d+:[0-9a-f]+:\w+$/);
    const withToken = { response: { ...reply.response, token: json.response.token } };
    assert.deepEqual(json, withToken);
  });

  it('are answered as documented: 09-auth-refused', async () => {
    const { url } = await start({ users: { me: 'secret' } });
    const body = { auth: { username: 'me', password: 'wrong' } };
    const answer = await call(url, 'POST /auth', { body });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, caseFile('09-auth-refused').reply);
  });

  it('are answered as documented: 12-rate-limited', async () => {
    const documented = caseFile('12-rate-limited');
    const { url } = await start({
      clock: new FakeClock(),
      rateLimit: { retryAfterSeconds: [9, 24] },
    });
    const token = await login(url);
    // Ten at a time, within the limit of calls in flight. The clock stands still, so all are in one second.
    let answers: Answer[] = [];
    for (let sent = 0; sent < 1010; sent += answers.length) {
      const ten = Array.from({ length: 10 }, () => call(url, 'GET /rt-segment-processed', { token }));
      answers = await Promise.all(ten);
      if (sent < 1000) assert.ok(answers.every(({ status }) => status === 200));
    }
    const last = answers.at(-1)!;
    assert.equal(last.status, documented.status);
    for (const [name, value] of Object.entries(documented.headers)) {
      assert.deepEqual(last.headers[name], [value].flat(), name);
    }
    assert.equal(last.json.response.error, documented.error);
  });
});

// Authentication of the sandbox: accepted logins, lifetimes of tokens, and the limit of logins.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { startSandbox } from '../../src/sandbox/sandbox';
import { call, entry, FakeClock, login, post, sandboxes } from './helpers';

const minutes = 60_000;
const hours = 60 * minutes;

function keyPair() {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { key: pair.privateKey, pem: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

const registered = keyPair();
const unregistered = keyPair();

function jwt(options: { header?: object; claims?: object; key?: typeof registered.key } = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = part({ alg: 'RS256', typ: 'JWT', kid: 'mine', ...options.header });
  const text = `${head}.${part({ sub: 'me', iat: 1_700_000_000, ...options.claims })}`;
  return `${text}.${sign('RSA-SHA256', Buffer.from(text), options.key ?? registered.key).toString('base64url')}`;
}

function sendJwt(url: string, body: string, type = 'text/plain') {
  return call(url, 'POST /v2/auth/jwt', { body, headers: { 'content-type': type } });
}

describe('authentication', () => {
  const start = sandboxes();

  it('accepts any non-empty name and password without configured users', async () => {
    const { url } = await start();
    assert.match(await login(url, 'anybody', 'anything'), /^hbapi:/);
    for (const auth of [
      { username: '', password: 'x' },
      { username: 'x', password: '' },
      { username: 'x' },
    ]) {
      const { status, json } = await call(url, 'POST /auth', { body: { auth } });
      assert.deepEqual([status, json.response.error_id], [200, 'NOAUTH']);
    }
  });

  it('accepts only the configured users, and no inherited property names', async () => {
    const { url } = await start({ users: { me: 'secret' } });
    assert.match(await login(url, 'me', 'secret'), /^hbapi:/);
    for (const username of ['you', 'constructor', '__proto__', 'toString']) {
      const { json } = await call(url, 'POST /auth', { body: { auth: { username, password: 'secret' } } });
      assert.equal(json.response.error_id, 'NOAUTH', username);
    }
  });

  it('refuses a body of another form', async () => {
    const { url } = await start();
    for (const body of ['', 'not json', '[]', '{"auth":"me"}', 'null']) {
      const { status, json } = await call(url, 'POST /auth', { body });
      assert.deepEqual([status, json.response.error_id], [400, 'SYNTAX'], body);
    }
  });

  it('accepts a bare token in the header or in the query, and nothing else', async () => {
    const { url } = await start();
    const token = await login(url);
    assert.equal((await post(url, token, entry('1'))).status, 200);
    assert.equal((await call(url, `GET /segment?access_token=${token}`)).status, 200);
    for (const wrong of [undefined, `Bearer ${token}`, 'hbapi:1:abc:sandbox']) {
      const { status, json } = await post(url, wrong, entry('1'));
      assert.deepEqual([status, json.response.error_id], [401, 'NOAUTH']);
    }
  });

  it('keeps a token valid for two hours after its last call', async () => {
    const clock = new FakeClock();
    const { url } = await start({ clock });
    const token = await login(url);
    clock.advance(2 * hours - 1);
    assert.equal((await post(url, token, entry('1'))).status, 200);
    clock.advance(2 * hours - 1);
    assert.equal((await post(url, token, entry('1'))).status, 200);
    clock.advance(2 * hours);
    assert.equal((await post(url, token, entry('1'))).status, 401);
  });

  it('keeps a token valid for at most 24 hours, however often it is used', async () => {
    const clock = new FakeClock();
    const { url } = await start({ clock });
    const token = await login(url);
    for (let hour = 1; hour < 24; hour += 1) {
      clock.advance(hours);
      assert.equal((await post(url, token, entry('1'))).status, 200);
    }
    clock.advance(hours - 1);
    assert.equal((await post(url, token, entry('1'))).status, 200);
    clock.advance(1);
    assert.equal((await post(url, token, entry('1'))).status, 401);
  });

  it('allows ten successful authentications of a login in five minutes, not counting failed ones', async () => {
    const clock = new FakeClock();
    const sandbox = await start({ clock, users: { me: 'secret', you: 'secret' } });
    const { url } = sandbox;
    const auth = (username: string, password: string) =>
      call(url, 'POST /auth', { body: { auth: { username, password } } });
    for (let tried = 0; tried < 20; tried += 1) await auth('me', 'wrong');
    for (let done = 0; done < 10; done += 1)
      assert.equal((await auth('me', 'secret')).json.response.status, 'OK');
    assert.equal((await auth('me', 'secret')).json.response.error_id, 'LIMIT');
    assert.equal((await auth('you', 'secret')).json.response.status, 'OK', 'another login has its own limit');
    clock.advance(5 * minutes - 1);
    assert.equal((await auth('me', 'secret')).json.response.error_id, 'LIMIT');
    clock.advance(1);
    assert.equal((await auth('me', 'secret')).json.response.status, 'OK');
    assert.equal(sandbox.peaks().worst.authenticationsIn5Minutes, 10);
    assert.equal(sandbox.peaks().totals.authentications, 12);
  });

  it('has a limit that can be changed and disabled', async () => {
    const one = await start({ authLimit: 1 });
    assert.match(await login(one.url), /^hbapi:/);
    assert.equal(await login(one.url), undefined);
    const none = await start({ authLimit: Infinity });
    for (let done = 0; done < 30; done += 1) assert.match(await login(none.url), /^hbapi:/);
  });

  it('accepts any well-formed RS256 token when no key is registered', async () => {
    const { url } = await start();
    const { json } = await sendJwt(url, `${jwt({ key: unregistered.key })}\n`);
    assert.match(json.response.token, /^authn:/);
    assert.deepEqual(json.response.debug_info, {});
    assert.equal((await post(url, json.response.token, entry('1'))).status, 200);
  });

  it('refuses tokens that are not well formed', async () => {
    const { url } = await start();
    const wrong = [
      'nonsense',
      '..',
      'a.b.c',
      jwt().split('.').slice(0, 2).join('.'),
      `${jwt()}.more`,
      jwt({ header: { alg: 'HS256' } }),
      jwt({ header: { alg: 'none' } }),
      jwt({ header: { typ: undefined } }),
      jwt({ header: { kid: undefined } }),
      jwt({ claims: { sub: '' } }),
      jwt({ claims: { iat: undefined } }),
    ];
    for (const body of wrong) assert.equal((await sendJwt(url, body)).json.response.error_id, 'NOAUTH', body);
    assert.equal((await sendJwt(url, jwt(), 'application/json')).json.response.error_id, 'SYNTAX');
  });

  it('checks the signature against the registered key of that name', async () => {
    const { url } = await start({ keys: { mine: registered.pem }, users: { me: 'secret' } });
    assert.match((await sendJwt(url, jwt())).json.response.token, /^authn:/);
    for (const body of [
      jwt({ key: unregistered.key }),
      jwt({ header: { kid: 'other' } }),
      jwt({ claims: { sub: 'nobody' } }),
    ]) {
      assert.equal((await sendJwt(url, body)).json.response.error_id, 'NOAUTH');
    }
  });

  it('names a registered key that is invalid, without showing its text', async () => {
    await assert.rejects(startSandbox({ keys: { mine: 'SECRET TEXT' } }), (error: Error) => {
      assert.match(error.message, /keys\["mine"\] is not an RSA public key/);
      assert.doesNotMatch(error.message, /SECRET/);
      return true;
    });
  });
});

// The sandbox serves programs on this machine under its own host names, and refuses web pages.
import assert from 'node:assert/strict';
import type { Sandbox } from '../../src/sandbox/sandbox';
import { startSandbox } from '../../src/sandbox/sandbox';
import { call, entry, login, type Answer } from './helpers';

const routes = [
  'POST /auth',
  'POST /v2/auth/jwt',
  'POST /rt-segment',
  'GET /rt-segment-processed',
  'GET /segment',
  'GET /',
  'GET /sandbox/members',
  'GET /sandbox/state',
  'PUT /sandbox/faults',
  'DELETE /sandbox/state',
  'GET /nothing',
];
const loginBody = { auth: { username: 'a', password: 'b' } };

describe('the sandbox', () => {
  let sandbox: Sandbox;
  let token: string;

  before(async () => {
    sandbox = await startSandbox();
    token = await login(sandbox.url);
  });
  after(() => sandbox.close());

  const send = (route: string, headers: Record<string, string>): Promise<Answer> =>
    call(sandbox.url, route, {
      token,
      headers,
      ...(route === 'POST /auth' && { body: loginBody }),
      ...(route === 'POST /rt-segment' && { body: { rt_segment: [entry('1')] } }),
    });
  const refused = async (route: string, headers: Record<string, string>, message: RegExp): Promise<void> => {
    const { status, json } = await send(route, headers);
    assert.equal(status, 403, `${route} ${JSON.stringify(headers)}`);
    assert.match(json.response.error, message);
  };

  it('refuses other host names on every route, since a web page may resolve its own to this machine', async () => {
    for (const route of routes)
      for (const host of ['rebound.example', 'rebound.example:80', '127.0.0.1.rebound.example', '10.0.0.1'])
        await refused(route, { host }, /answers only at 127\.0\.0\.1 and localhost/);
  });

  it('refuses web pages on every route', async () => {
    for (const route of routes) {
      for (const origin of ['https://page.example', sandbox.url, 'null'])
        await refused(route, { origin }, /Web pages may not use the sandbox/);
      for (const site of ['cross-site', 'same-site'])
        await refused(route, { 'sec-fetch-site': site }, /Web pages may not use the sandbox/);
    }
    assert.deepEqual(sandbox.state(), []);
  });

  it('serves every name of this machine with any port, and a URL typed into a browser', async () => {
    for (const host of [
      '127.0.0.1',
      '127.0.0.1:1',
      '127.8.9.10:8080',
      'localhost',
      'LOCALHOST:1880',
      '[::1]:8080',
    ])
      assert.equal((await send('GET /segment', { host })).status, 200, host);
    for (const site of ['none', 'same-origin'])
      assert.equal((await send('GET /sandbox/members', { 'sec-fetch-site': site })).status, 200);
  });
});

// The sandbox answers to programs of this machine, under its own names, and to no page of the web.
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
const login1 = { auth: { username: 'a', password: 'b' } };

describe('the sandbox', () => {
  let sandbox: Sandbox;
  let token: string;

  before(async () => {
    sandbox = await startSandbox();
    token = await login(sandbox.url);
  });
  after(() => sandbox.close());

  const asked = (route: string, headers: Record<string, string>): Promise<Answer> =>
    call(sandbox.url, route, {
      token,
      headers,
      ...(route === 'POST /auth' && { body: login1 }),
      ...(route === 'POST /rt-segment' && { body: { rt_segment: [entry('1')] } }),
    });
  const refused = async (route: string, headers: Record<string, string>, told: RegExp): Promise<void> => {
    const { status, json } = await asked(route, headers);
    assert.equal(status, 403, `${route} ${JSON.stringify(headers)}`);
    assert.match(json.response.error, told);
  };

  it('answers to no other host name, on no route: a page of the web may have one that means this machine', async () => {
    for (const route of routes)
      for (const host of ['rebound.example', 'rebound.example:80', '127.0.0.1.rebound.example', '10.0.0.1'])
        await refused(route, { host }, /answers only to 127\.0\.0\.1 and localhost/);
  });

  it('answers to no page of the web, on no route', async () => {
    for (const route of routes) {
      for (const origin of ['https://page.example', sandbox.url, 'null'])
        await refused(route, { origin }, /Pages of the web may not use the sandbox/);
      for (const site of ['cross-site', 'same-site'])
        await refused(route, { 'sec-fetch-site': site }, /Pages of the web may not use the sandbox/);
    }
    assert.deepEqual(sandbox.state(), []);
  });

  it('answers to every name of this machine, with any port, and to an address typed into a browser', async () => {
    for (const host of [
      '127.0.0.1',
      '127.0.0.1:1',
      '127.8.9.10:8080',
      'localhost',
      'LOCALHOST:1880',
      '[::1]:8080',
    ])
      assert.equal((await asked('GET /segment', { host })).status, 200, host);
    for (const site of ['none', 'same-origin'])
      assert.equal((await asked('GET /sandbox/members', { 'sec-fetch-site': site })).status, 200);
  });
});

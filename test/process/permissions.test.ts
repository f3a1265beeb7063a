// Permissions of every admin route: for nobody, readers, writers, deployers, and a page of another site.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { actions } from '../../nodes/sidebar/actions';
import { NodeRed, nodeRedVersion, type FlowNode } from '../support/node-red';

const root = path.join(__dirname, '..', '..');
const read = 'instant-audience.read';
const write = 'instant-audience.write';
const deploy = 'flows.write';

/** What is needed to be answered, by route. `acts`: it changes something, so a page of another site must not. */
interface Rule {
  readonly needs: readonly string[];
  readonly acts?: boolean;
}
const rules: Readonly<Record<string, Rule>> = {
  'GET sandbox/members': { needs: [read] },
  'GET account/:id/segments': { needs: [read] },
  'POST account/test': { needs: [write, deploy], acts: true },
  'POST account/test-database': { needs: [write, deploy], acts: true },
  'POST account/queued': { needs: [write, deploy], acts: true },
  'POST account/segments': { needs: [write, deploy], acts: true },
  'POST builder/:id/last-message': { needs: [write, deploy] },
  'POST builder/:id/evaluate': { needs: [write, deploy], acts: true },
  'POST tab/watch': { needs: [read] },
  'GET tab/rejected': { needs: [write] },
  'GET tab/suppressions': { needs: [write] },
  'GET metrics': { needs: [read] },
  ...Object.fromEntries(actions.map((action) => [`POST tab/${action}`, { needs: [write], acts: true }])),
};

/** Node-RED's own words: `read`, `write` and `*` cover ours. */
const users: Readonly<Record<string, readonly string[]>> = {
  reader: ['read'],
  writer: ['write'],
  'our-reader': [read],
  'our-writer': [write],
  deployer: [deploy],
  'deploying-writer': [write, deploy],
  everything: ['*'],
};

function holds(permissions: readonly string[], needed: string): boolean {
  if (permissions.includes('*') || permissions.includes(needed)) return true;
  return ['read', 'write'].some((word) => permissions.includes(word) && needed.endsWith(`.${word}`));
}

describe('the admin routes', function () {
  this.timeout(120_000);
  let nodeRed: NodeRed;
  afterEach(() => nodeRed.stop());

  const flows: readonly FlowNode[] = [
    { id: 'tab', type: 'tab', label: 'permissions' },
    { id: 'a', type: 'xandr-account', environment: 'sandbox' },
    {
      id: 'b',
      type: 'xandr-segment-builder',
      z: 'tab',
      x: 9,
      y: 9,
      account: 'a',
      wires: [[], []],
    },
    { id: 'o', type: 'xandr-instant-audience-out', z: 'tab', x: 9, y: 9, account: 'a', wires: [[], []] },
  ];
  const start = (settings: object): Promise<NodeRed> =>
    NodeRed.start({ flows, settings: { instantAudience: { metrics: true }, ...settings } });
  const addressOf = (route: string): string => {
    const [, where = ''] = route.split(' ');
    return `instant-audience/${where.replace(':id', where.startsWith('account') ? 'a' : 'b')}`;
  };
  const ask = (route: string, headers: Record<string, string>, body = '{"queue":"q","user":"0"}') => {
    const [method = ''] = route.split(' ');
    return nodeRed.fetch(addressOf(route), { method, headers, ...(method === 'POST' && { body }) });
  };

  it('are all that the code has, each with its permission in docs/internals/security.md', async () => {
    nodeRed = await start({});
    assert.deepEqual(routesInCode(), Object.keys(rules).sort());
    const page = readFileSync(path.join(root, 'docs', 'internals', 'security.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(GET|POST) \/instant-audience\/(\S+?)` +\|.*\| +(.*?) +\|$/gm)];
    assert.ok(rows.length >= Object.keys(rules).length - actions.length);
    for (const [route, { needs }] of Object.entries(rules)) {
      const row = rows.find(([, method, where]) => matches(`${method} ${where}`, route));
      assert.ok(row !== undefined, `${route} is not in docs/internals/security.md`);
      assert.deepEqual(
        [...row[3]!.matchAll(/`([\w.-]+)`/g)].map((match) => match[1]),
        needs,
        route,
      );
    }
  });

  it('answer only logged-in users, by their permissions', async () => {
    // "open sesame"
    const password = '$2b$04$Q3tChzJPArAQzKlCwPWLiODWTOe8cN0I6bGh92lYb/K9wO0a7/u2u';
    const known = Object.entries(users).map(([username, permissions]) => ({
      username,
      password,
      permissions,
    }));
    nodeRed = await start({ adminAuth: { type: 'credentials', users: known } });
    const json = { 'content-type': 'application/json' };
    for (const route of Object.keys(rules)) {
      assert.equal((await ask(route, json)).status, 401, `${route} for nobody`);
      const forged = { ...json, authorization: 'Bearer 0123456789abcdef' };
      assert.equal((await ask(route, forged)).status, 401, `${route} with a token of nobody`);
    }
    for (const [username, permissions] of Object.entries(users)) {
      const login = { client_id: 'node-red-admin', grant_type: 'password', scope: '', username };
      const { body } = await nodeRed.post('auth/token', { ...login, password: 'open sesame' });
      const headers = { ...json, authorization: `Bearer ${body.access_token}` };
      for (const [route, { needs }] of Object.entries(rules)) {
        const { status } = await ask(route, headers);
        const allowed = needs.every((needed) => holds(permissions, needed));
        assert.equal(status !== 401, allowed, `${route} for ${username}: ${status}`);
      }
    }
  });

  it('allow a page of another site what Node-RED’s own do, which is nothing on 5, also without a login', async () => {
    nodeRed = await start({});
    const origin = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    const allowedBy = ({ headers }: Response): (string | null)[] =>
      ['origin', 'headers'].map((what) => headers.get(`access-control-allow-${what}`));
    // What a browser asks before it sends JSON.
    const preflight = async (where: string, method: string): Promise<(string | null)[]> => {
      const wanted = {
        'access-control-request-method': method,
        'access-control-request-headers': 'content-type',
      };
      return allowedBy(await nodeRed.fetch(where, { method: 'OPTIONS', headers: { ...origin, ...wanted } }));
    };
    const ofNodeRed = {
      reply: allowedBy(await nodeRed.fetch('settings', { headers: origin })),
      preflight: await preflight('settings', 'GET'),
    };
    const nothing = [null, null];
    if (nodeRedVersion === '5') assert.deepEqual(ofNodeRed, { reply: nothing, preflight: nothing });
    const simple = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'];
    for (const [route, { acts }] of Object.entries(rules)) {
      for (const type of simple) {
        const reply = await ask(route, { ...origin, 'content-type': type });
        assert.deepEqual(allowedBy(reply), ofNodeRed.reply, route);
        if (acts)
          assert.ok(reply.status >= 400 && reply.status < 500, `${route} as ${type}: ${reply.status}`);
      }
      assert.deepEqual(await preflight(addressOf(route), route.split(' ')[0]!), ofNodeRed.preflight, route);
    }
    // The same question in the form of our own editor is answered.
    const erase = await ask('POST tab/erase', { 'content-type': 'application/json' }, '{"user":"12345"}');
    assert.equal(erase.status, 200);
  });

  it('explain in Node-RED’s language how to switch metrics on', async () => {
    nodeRed = await start({ lang: 'de', instantAudience: {} });
    const reply = await nodeRed.fetch('instant-audience/metrics');
    assert.equal(reply.status, 404);
    const how = /^Ausgeschaltet: Setzen Sie instantAudience: \{ metrics: true \} in settings\.js/;
    assert.match(await reply.text(), how);
  });

  it('aside, the sandbox listens only on the loopback address, and describes itself', async () => {
    nodeRed = await start({ uiHost: '0.0.0.0' });
    const sandbox = /Sandbox: .*never reach the service.* listens on (http:\/\/127\.0\.0\.1:(\d+))/;
    await nodeRed.logged(sandbox);
    const [, url = '', port = ''] = sandbox.exec(nodeRed.output)!;
    assert.match(await (await fetch(url)).text(), /Nothing posted here reaches a real audience/);
    // Another address of the same machine, which a server that listens everywhere answers on.
    if (process.platform !== 'linux') return;
    assert.equal(await connects('127.0.0.2', Number(new URL(nodeRed.url).port)), true);
    assert.equal(await connects('127.0.0.2', Number(port)), false);
  });
});

/** As the sources register them. */
function routesInCode(): string[] {
  const routes: string[] = [];
  for (const file of globSync('nodes/**/*.ts', { cwd: root })) {
    // Types are no routes.
    const code = readFileSync(path.join(root, file), 'utf8').replaceAll(/NodeAPI\['httpAdmin'\]/g, '');
    const calls = [...code.matchAll(/\.httpAdmin\.(\w+)\(\s*['"`]\/instant-audience\/(.*?)['"`]/g)];
    const mentions = code.match(/httpAdmin|httpNode/g) ?? [];
    assert.equal(
      mentions.length,
      calls.length,
      `${file} registers a route in a way that this test cannot read`,
    );
    // Routes of accounts are registered by `post('test', …)`.
    const posted = [...code.matchAll(/^\s*post\('([\w-]+)'/gm)].map(([, route]) => route!);
    for (const [, method, where] of calls) {
      const [variable, values] = where!.includes('${action}') ? ['${action}', actions] : ['${route}', posted];
      const all = where!.includes(variable)
        ? values.map((value) => where!.replace(variable, value))
        : [where!];
      routes.push(...all.map((one) => `${method!.toUpperCase()} ${one}`));
    }
  }
  return routes.sort();
}

/** The page says `ID` for `:id`, and `…` for every action. */
function matches(row: string, route: string): boolean {
  if (row === 'POST tab/…') return actions.some((action) => route === `POST tab/${action}`);
  return row.replace('ID', ':id') === route;
}

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 3_000 });
    const end = (did: boolean) => (): void => {
      socket.destroy();
      resolve(did);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

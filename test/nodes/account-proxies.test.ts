// Proxies of an account: the chosen one, or the environment's by Node-RED's own rules.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { proxyFromEnvironment } from '../../nodes/account/connection/proxy-environment';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { listen, proxyServer, type Running } from '../service/loopback';
import { customAccount, entry, Flow, load, logged, login, unload, until, useNodeRed } from './out-flow';

const anyVariable = /^(npm_config_)?(https?|all|no)?_?proxy$/i;

describe("an account's way out", () => {
  useNodeRed();
  let sandbox: Sandbox;
  let proxy: Running;
  let asked: http.IncomingHttpHeaders[];
  let kept: NodeJS.ProcessEnv;

  beforeEach(async () => {
    kept = process.env;
    const others = Object.entries(process.env).filter(([name]) => !anyVariable.test(name));
    process.env = Object.fromEntries(others);
    sandbox = await startSandbox({ users: { me: 'secret' } });
    asked = [];
    proxy = await listen(proxyServer(asked, () => null));
  });
  afterEach(async () => {
    await unload();
    process.env = kept;
    await Promise.all([sandbox.close(), proxy.close()]);
  });

  const deliver = async (account: object = {}, more: object[] = [], credentials = {}): Promise<Flow> => {
    const flow = new Flow();
    const nodes = [...more, customAccount(sandbox.url, { queue: 'memory', ...account }), ...flow.nodes()];
    await load(nodes, { ...login(), ...credentials }, flow);
    await flow.send({ payload: entry(1) });
    assert.equal(sandbox.state().length, 1);
    return flow;
  };
  const proxyUrl = (words = ''): string => `http://${words}127.0.0.1:${proxy.port}`;
  const chosen = (changes: object = {}): object => ({
    id: 'proxy',
    type: 'http proxy',
    url: proxyUrl(),
    noproxy: [],
    ...changes,
  });

  it('is direct without any', async () => {
    await deliver();
    assert.equal(asked.length, 0);
  });

  it('is the one from the environment, with its login', async () => {
    process.env.HTTP_PROXY = proxyUrl('jo:w%C3%B6rd@');
    await deliver();
    // One tunnel to log in, one to post.
    assert.equal(asked.length, 2);
    const basic = `Basic ${Buffer.from('jo:wörd').toString('base64')}`;
    assert.deepEqual(new Set(asked.map((headers) => headers['proxy-authorization'])), new Set([basic]));
    assert.ok(!logged().some((line) => /w%C3%B6rd|wörd/.test(line)));
  });

  it('is direct to the hosts that the environment excepts', async () => {
    process.env.http_proxy = proxyUrl();
    process.env.no_proxy = 'example.com, 127.0.0.1';
    await deliver();
    assert.equal(asked.length, 0);
  });

  it('is the chosen one, despite the environment', async () => {
    process.env.http_proxy = 'http://127.0.0.1:9';
    const words = { proxy: { username: 'jo', password: 'word' } };
    await deliver({ proxy: 'proxy' }, [chosen()], words);
    assert.equal(asked.length, 2);
    assert.equal(asked[0]!['proxy-authorization'], `Basic ${Buffer.from('jo:word').toString('base64')}`);
  });

  it('is direct to each of the two hosts that the chosen one excepts', async () => {
    const port = new URL(sandbox.url).port;
    const other = `http://localhost:${port}`;
    await deliver({ proxy: 'proxy', authUrl: other }, [chosen({ noproxy: ['localhost'] })]);
    assert.deepEqual(
      asked.map(({ host }) => host),
      [`127.0.0.1:${port}`],
    );
  });

  it('is none to the sandbox inside, which no proxy can reach', async () => {
    process.env.http_proxy = proxyUrl();
    const flow = new Flow();
    await load([{ id: 'account', type: 'xandr-account' }, ...flow.nodes()], {}, flow);
    await flow.send({ payload: entry(1) });
    assert.equal(asked.length, 0);
  });

  for (const [what, value, told] of [
    ['an address that is none', 'socks5://127.0.0.1:9', /The proxy URL is not a URL that starts with https/],
    ['a login that cannot be read', 'http://jo:100%@127.0.0.1:9', /cannot be read: write % as %25/],
  ] as const) {
    it(`tells of ${what}, and where to correct it, without repeating it`, async () => {
      process.env.all_proxy = value;
      const flow = new Flow();
      await load([customAccount(sandbox.url, { queue: 'memory' }), ...flow.nodes()], login(), flow);
      await until(() => flow.status === 'account not usable', 'the status');
      const line = logged().find((text) => told.test(text));
      assert.match(line ?? '', /in the http proxy node, or in the environment variable that names the proxy/);
      assert.ok(!logged().some((text) => text.includes(value)));
    });
  }
});

describe('the rules for a proxy from the environment', () => {
  // Not among the files that its package lets others load.
  const core = createRequire(createRequire(__filename).resolve('@node-red/nodes/package.json'));
  const helper = core('./core/network/lib/proxyHelper.js') as {
    readonly getProxyForUrl: (url: string, options: object) => string;
  };
  const names = ['http_proxy', 'https_proxy', 'all_proxy', 'npm_config_proxy', 'npm_config_https_proxy'];
  const proxies = fc.constantFrom('', 'http://p:1', 'https://q:2', 'r:3', 'socks5://s:4');
  const host = fc.constantFrom('a.example.com', 'example.com', 'myexample.com', '127.0.0.1', '[::1]', 'b');
  const exception = fc
    .tuple(
      fc.constantFrom('', '.', '*', '*.'),
      fc.oneof(host, fc.constantFrom('com', '')),
      fc.constantFrom('', ':443', ':80', ':0'),
    )
    .map((parts) => parts.join(''));
  const exceptions = fc
    .tuple(fc.array(exception, { maxLength: 4 }), fc.constantFrom(',', ' ', ', '))
    .map(([list, by]) => list.join(by));
  const cased = (name: string): fc.Arbitrary<string> => fc.constantFrom(name, name.toUpperCase());
  const variable = fc.oneof(
    fc.tuple(fc.oneof(...names.map(cased)), proxies),
    fc.tuple(fc.oneof(cased('no_proxy'), cased('npm_config_no_proxy')), exceptions),
  );
  const env = fc.array(variable, { maxLength: 8 }).map((pairs) => Object.fromEntries(pairs));
  const flag = fc.option(fc.boolean(), { nil: undefined });
  const rules = fc.record({
    mode: fc.constantFrom(undefined, 'strict', 'legacy', 'other'),
    favourUpperCase: flag,
    lowerCaseOnly: flag,
    excludeNpm: flag,
  });
  const address = fc
    .tuple(fc.constantFrom('http', 'https'), host, fc.constantFrom('', ':80', ':443', ':8443'))
    .map(([scheme, name, port]) => `${scheme}://${name}${port}/path`);

  it("are those of Node-RED's own nodes, for every address and environment", () => {
    let proxied = 0;
    fc.assert(
      fc.property(address, env, rules, (url, variables, its) => {
        const expected = helper.getProxyForUrl(url, { ...its, env: variables });
        if (expected !== '') proxied += 1;
        assert.equal(proxyFromEnvironment(url, variables, its), expected);
      }),
      { numRuns: 5_000 },
    );
    assert.ok(proxied > 500, `only ${proxied} of them had a proxy`);
  });

  it('let NR_PROXY_MODE go before the settings', () => {
    const variables = { NR_PROXY_MODE: 'legacy', HTTP_PROXY: 'http://p:1' };
    assert.equal(proxyFromEnvironment('https://a', variables, { mode: 'strict' }), 'http://p:1');
    assert.equal(proxyFromEnvironment('https://a', { ...variables, NR_PROXY_MODE: '' }), '');
  });
});

// TLS and proxies as a company has them: its own CA, certificates that ran out, client certificates, proxies with logins.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import path from 'node:path';
import { ServiceClient, type ServiceClientOptions, type ServiceProxy } from '../../src/service/client';
import type { PostOutcome } from '../../src/service/outcome';
import { fixture, listen, proxyServer, type Running } from './loopback';

const OK = '{"response":{"status":"OK","warnings":[]}}';
const BODY = '{"rt_segment":[]}';
const TOKEN = 'hbapi:1:2:nym2';
const ca = fixture('ca-cert.pem');
const passphrase = 'geheim-42';

describe('TLS and proxies', () => {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function running(server: net.Server, host = '127.0.0.1'): Promise<Running> {
    const one = await listen(server, host);
    cleanups.push(() => one.close());
    return one;
  }

  const server = (name: string, more: https.ServerOptions = {}): https.Server =>
    https.createServer(
      { key: fixture(`${name}-key.pem`), cert: fixture(`${name}-cert.pem`), ...more },
      (request, response) => request.resume().on('end', () => response.end(OK)),
    );
  const plainServer = (): http.Server =>
    http.createServer((request, response) => request.resume().on('end', () => response.end(OK)));

  function clientFor(url: string, more: Partial<ServiceClientOptions>): ServiceClient {
    const client = new ServiceClient({ authUrl: url, serviceUrl: url, requestTimeoutMs: 5000, ...more });
    cleanups.push(() => client.close());
    return client;
  }

  /** One that says why it refuses, as most servers do and Node.js does not; null without the program. */
  async function openSslServer(version: 'TLSv1.2' | 'TLSv1.3'): Promise<number | null> {
    if (spawnSync('openssl', ['version']).error !== undefined) return null;
    const file = (name: string): string => path.join(__dirname, 'fixtures', `${name}.pem`);
    const args = [
      's_server',
      '-accept',
      '127.0.0.1:0',
      version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3',
      '-www',
    ];
    const keys = ['-cert', file('signed-cert'), '-key', file('signed-key'), '-CAfile', file('ca-cert')];
    const child = spawn('openssl', [...args, ...keys, '-Verify', '1', '-verify_return_error']);
    const ended = once(child, 'exit');
    cleanups.push(async () => {
      child.kill();
      await ended;
    });
    return new Promise((resolve, reject) => {
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
        if (port !== undefined) resolve(Number(port));
      });
      child.once('exit', () => reject(new Error(`openssl s_server did not start: ${said}`)));
    });
  }

  async function post(of: https.Server, tls: ServiceClientOptions['tls'] = {}): Promise<PostOutcome> {
    const { port } = await running(of);
    return clientFor(`https://127.0.0.1:${port}`, { tls }).post(BODY, TOKEN);
  }

  function assertRefused(outcome: PostOutcome, code: string, sentence: RegExp): void {
    assert.ok(outcome.kind === 'configuration', JSON.stringify(outcome));
    assert.equal(outcome.code, code, outcome.message);
    assert.match(outcome.message, sentence);
    assert.ok(!outcome.message.includes(passphrase) && !outcome.message.includes(TOKEN));
  }

  describe('a certificate of the service', () => {
    it('is taken when its CA is given', async () => {
      assert.equal((await post(server('signed'), { ca })).kind, 'accepted');
    });

    it('is refused without its CA, and the sentence says where the CA goes', async () => {
      const sentence = /is not trusted \([A-Z_]+\): if it is your own, add its CA to the TLS configuration/;
      assertRefused(await post(server('signed')), 'tls', sentence);
      assertRefused(await post(server('localhost')), 'tls', sentence);
      assertRefused(await post(server('signed'), { ca: fixture('elsewhere-cert.pem') }), 'tls', sentence);
    });

    it('is taken when it signed itself and is given as its own CA', async () => {
      assert.equal((await post(server('localhost'), { ca: fixture('localhost-cert.pem') })).kind, 'accepted');
    });

    it('is refused after its end, and the sentence says who can help', async () => {
      const outcome = await post(server('expired'), { ca });
      const sentence =
        /out of date \(CERT_HAS_EXPIRED\).*clock first.*whoever runs 127\.0\.0\.1:\d+ has to renew/;
      assertRefused(outcome, 'tls', sentence);
    });

    it('is refused when it is for another host', async () => {
      const outcome = await post(server('elsewhere'), { ca: fixture('elsewhere-cert.pem') });
      assertRefused(outcome, 'tls', /is for another host name: check the URL in the account/);
    });
  });

  describe('a service that asks for a client certificate', () => {
    const own = { ca, cert: fixture('client-cert.pem'), key: fixture('client-key.pem') };
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const asking = { requestCert: true, ca, minVersion: version, maxVersion: version };

      it(`takes the one of the TLS configuration (${version})`, async () => {
        assert.equal((await post(server('signed', asking), own)).kind, 'accepted');
      });

      it(`and refuses none, or one that it does not know, is told as such (${version})`, async function () {
        const port = await openSslServer(version);
        if (port === null) this.skip();
        const strange = { ca, cert: fixture('elsewhere-cert.pem'), key: fixture('elsewhere-key.pem') };
        const sentence =
          /refused our side of the TLS connection.*check certificate and key of the TLS configuration/;
        // By TLS 1.3 the verdict may arrive when the request has left: ten times, to meet every order of events.
        for (let n = 0; n < 10; n += 1) {
          for (const tls of [{ ca }, strange]) {
            const outcome = await clientFor(`https://127.0.0.1:${port}`, { tls }).post(BODY, TOKEN);
            assertRefused(outcome, 'tls', sentence);
          }
        }
      });
    }

    it('can have a key with a passphrase; a wrong one is told and never shown', async () => {
      const key = fixture('client-locked-key.pem');
      const asking = { requestCert: true, ca };
      assert.equal((await post(server('signed', asking), { ...own, key, passphrase })).kind, 'accepted');
      const sentence =
        /cannot be read \(ERR_OSSL_\w+\): load both once more, as PEM, with the key's passphrase/;
      const wrong = await post(server('signed', asking), { ...own, key, passphrase: `${passphrase}!` });
      assertRefused(wrong, 'tls', sentence);
      assertRefused(await post(server('signed', asking), { ...own, key }), 'tls', /cannot be read/);
    });
  });

  describe('a proxy', () => {
    const basic = (words: string): string => `Basic ${Buffer.from(words).toString('base64')}`;

    /** One that wants this login, and collects what it was asked with. */
    async function proxyFor(
      words: string | null,
    ): Promise<{ port: number; asked: http.IncomingHttpHeaders[] }> {
      const asked: http.IncomingHttpHeaders[] = [];
      const refuse = (): number | null =>
        words === null || asked.at(-1)?.['proxy-authorization'] === basic(words) ? null : 407;
      const { port } = await running(proxyServer(asked, refuse));
      return { port, asked };
    }

    for (const secure of [true, false]) {
      const scheme = secure ? 'https' : 'http';
      const target = async (): Promise<string> =>
        `${scheme}://127.0.0.1:${(await running(secure ? server('signed') : plainServer())).port}`;
      const through = async (serviceProxy: ServiceProxy): Promise<PostOutcome> =>
        clientFor(await target(), { tls: { ca }, serviceProxy }).post(BODY, TOKEN);

      it(`without a login lets ${scheme} through, and gets no token to see`, async () => {
        const { port, asked } = await proxyFor(null);
        assert.equal((await through({ uri: `http://127.0.0.1:${port}` })).kind, 'accepted');
        assert.equal(asked.length, 1);
        assert.ok(!JSON.stringify(asked).includes(TOKEN));
        assert.equal(asked[0]!['proxy-authorization'], undefined);
      });

      it(`with a login takes it from its URL, or from beside it (${scheme})`, async () => {
        const words = 'jo@corp:p:ä/%"word';
        const { port } = await proxyFor(words);
        const [username, ...rest] = words.split(':');
        const password = rest.join(':');
        const inside = `${encodeURIComponent(username!)}:${encodeURIComponent(password)}`;
        assert.equal((await through({ uri: `http://${inside}@127.0.0.1:${port}` })).kind, 'accepted');
        const auth = { username: username!, password };
        assert.equal((await through({ uri: `http://127.0.0.1:${port}`, auth })).kind, 'accepted');
        // The one beside goes first.
        assert.equal((await through({ uri: `http://x:y@127.0.0.1:${port}`, auth })).kind, 'accepted');
      });

      it(`that refuses the login is told as such, without the login (${scheme})`, async () => {
        const { port } = await proxyFor('right:word');
        const outcome = await through({ uri: `http://someone:s3cr3t@127.0.0.1:${port}` });
        assertRefused(
          outcome,
          'http_407',
          /wants a login \(HTTP 407\): check .* user name and password, in the/,
        );
        assert.doesNotMatch(JSON.stringify(outcome), /someone|s3cr3t/);
      });
    }

    it('whose login holds a percent sign that stands for nothing is told, not thrown', async () => {
      const { port } = await proxyFor(null);
      assert.throws(
        () => clientFor('https://localhost', { serviceProxy: { uri: `http://jo:100%@127.0.0.1:${port}` } }),
        /The proxy URL holds a user name or password that cannot be read/,
      );
    });

    it('does not hide what is wrong with the certificate behind it', async () => {
      const { port } = await proxyFor(null);
      const to = async (name: string, tls: ServiceClientOptions['tls']): Promise<PostOutcome> => {
        const { port: target } = await running(server(name));
        const serviceProxy = { uri: `http://127.0.0.1:${port}` };
        return clientFor(`https://127.0.0.1:${target}`, { tls: tls ?? {}, serviceProxy }).post(BODY, TOKEN);
      };
      assertRefused(await to('signed', {}), 'tls', /through the proxy 127\.0\.0\.1:\d+\) is not trusted/);
      assertRefused(await to('expired', { ca }), 'tls', /is out of date/);
      assertRefused(
        await to('elsewhere', { ca: fixture('elsewhere-cert.pem') }),
        'tls',
        /is for another host name/,
      );
    });

    it('that nobody answers at is told as a passing trouble that names it', async () => {
      const gone = await listen(plainServer());
      await gone.close();
      const serviceProxy = { uri: `http://127.0.0.1:${gone.port}` };
      const outcome = await clientFor('http://127.0.0.1:9', { serviceProxy }).post(BODY, TOKEN);
      assert.ok(outcome.kind === 'passing', JSON.stringify(outcome));
      assert.deepEqual([outcome.code, outcome.ambiguous], ['refused', false]);
      assert.match(outcome.message, new RegExp(`through the proxy 127\\.0\\.0\\.1:${gone.port}`));
    });

    it('is for one of the two hosts alone, when the other has none', async () => {
      const { port, asked } = await proxyFor(null);
      const url = `http://127.0.0.1:${(await running(plainServer())).port}`;
      const proxy = { uri: `http://127.0.0.1:${port}` };
      const login = { method: 'password', username: 'me', password: 'secret' } as const;
      await clientFor(url, { authProxy: proxy }).post(BODY, TOKEN);
      assert.equal(asked.length, 0);
      await clientFor(url, { authProxy: proxy }).authenticate(login);
      assert.equal(asked.length, 1);
      await clientFor(url, { serviceProxy: proxy }).authenticate(login);
      assert.equal(asked.length, 1);
    });
  });
});

// TLS and proxies of company networks: own CA, expired certificates, client certificates, proxies with logins.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import type { ServiceClientOptions, ServiceProxy } from '../../src/service/client';
import type { PostOutcome } from '../../src/service/reply/outcome';
import { clients, fixture, listen, proxyServer } from './loopback';

const OK = '{"response":{"status":"OK","warnings":[]}}';
const BODY = '{"rt_segment":[]}';
const TOKEN = 'hbapi:1:2:nym2';
const ca = fixture('ca-cert.pem');
const passphrase = 'geheim-42';

describe('TLS and proxies', () => {
  const { ends, running, clientFor } = clients();

  const server = (name: string, more: https.ServerOptions = {}): https.Server =>
    https.createServer(
      { key: fixture(`${name}-key.pem`), cert: fixture(`${name}-cert.pem`), ...more },
      (request, response) => request.resume().on('end', () => response.end(OK)),
    );
  const plainServer = (): http.Server =>
    http.createServer((request, response) => request.resume().on('end', () => response.end(OK)));

  /**
   * A server that names the reason for refusing a certificate, which Node.js does not; null if `openssl` is missing.
   */
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
    ends(async () => {
      child.kill();
      await ended;
    });
    return new Promise((resolve, reject) => {
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (port !== undefined) resolve(Number(port));
      });
      child.once('exit', () => reject(new Error(`openssl s_server did not start: ${output}`)));
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
    it('is accepted when its CA is configured', async () => {
      assert.equal((await post(server('signed'), { ca })).kind, 'accepted');
    });

    it('is refused without its CA, and the sentence names the setting for the CA', async () => {
      const sentence =
        /^Certificate not trusted: if it is your own, add its CA to the TLS configuration\. .*\([A-Z_]+\)/;
      assertRefused(await post(server('signed')), 'tls', sentence);
      assertRefused(await post(server('localhost')), 'tls', sentence);
      assertRefused(await post(server('signed'), { ca: fixture('elsewhere-cert.pem') }), 'tls', sentence);
    });

    it('is accepted when it is self-signed and configured as its own CA', async () => {
      assert.equal((await post(server('localhost'), { ca: fixture('localhost-cert.pem') })).kind, 'accepted');
    });

    it('is refused when expired, and the sentence names who can renew it', async () => {
      const outcome = await post(server('expired'), { ca });
      const sentence =
        /clock: .*out of date \(CERT_HAS_EXPIRED\).*ask the operator of 127\.0\.0\.1:\d+ to renew/;
      assertRefused(outcome, 'tls', sentence);
    });

    it('is refused when it is for another host, unless that is named or nothing is verified', async () => {
      const its = { ca: fixture('elsewhere-cert.pem') };
      const outcome = await post(server('elsewhere'), its);
      const sentence =
        /^Check the URL in the account, .*certificate of 127\.0\.0\.1:\d+ is for another hostname/;
      assertRefused(outcome, 'tls', sentence);
      const named = { ...its, servername: 'elsewhere.example' };
      for (const tls of [named, { rejectUnauthorized: false }])
        assert.equal((await post(server('elsewhere'), tls)).kind, 'accepted');
    });

    it('is missed where the server has no TLS', async () => {
      const { port } = await running(plainServer());
      const outcome = await clientFor(`https://127.0.0.1:${port}`, { tls: { ca } }).post(BODY, TOKEN);
      assertRefused(outcome, 'tls', /No TLS connection with/);
    });
  });

  describe('a service that asks for a client certificate', () => {
    const own = { ca, cert: fixture('client-cert.pem'), key: fixture('client-key.pem') };
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const asking = { requestCert: true, ca, minVersion: version, maxVersion: version };

      it(`accepts the one of the TLS configuration (${version})`, async () => {
        assert.equal((await post(server('signed', asking), own)).kind, 'accepted');
      });

      it(`refuses a missing or unknown one, and the sentence says so (${version})`, async function () {
        const port = await openSslServer(version);
        if (port === null) this.skip();
        const strange = { ca, cert: fixture('elsewhere-cert.pem'), key: fixture('elsewhere-key.pem') };
        const sentence =
          /refused our side of the TLS connection.*check certificate and key of the TLS configuration/;
        // With TLS 1.3 the alert may arrive after the request was sent, so ten tries cover both orders of events.
        for (let n = 0; n < 10; n += 1) {
          for (const tls of [{ ca }, strange]) {
            const outcome = await clientFor(`https://127.0.0.1:${port}`, { tls }).post(BODY, TOKEN);
            assertRefused(outcome, 'tls', sentence);
          }
        }
      });
    }

    it('works with a key that has a passphrase; a wrong passphrase is reported and never shown', async () => {
      const key = fixture('client-locked-key.pem');
      const asking = { requestCert: true, ca };
      assert.equal((await post(server('signed', asking), { ...own, key, passphrase })).kind, 'accepted');
      const sentence = /cannot be read \(ERR_OSSL_\w+\): load both again, as PEM, with the key's passphrase/;
      const wrong = await post(server('signed', asking), { ...own, key, passphrase: `${passphrase}!` });
      assertRefused(wrong, 'tls', sentence);
      assertRefused(await post(server('signed', asking), { ...own, key }), 'tls', /cannot be read/);
      const none = { ca, cert: 'no PEM', key: 'no PEM' };
      assertRefused(await post(server('signed', asking), none), 'tls', /cannot be read/);
    });
  });

  describe('a proxy', () => {
    const basic = (words: string): string => `Basic ${Buffer.from(words).toString('base64')}`;

    /** A proxy that requires this login (null: none) and collects the headers of each CONNECT. */
    async function proxyFor(
      words: string | null,
    ): Promise<{ port: number; connects: http.IncomingHttpHeaders[] }> {
      const connects: http.IncomingHttpHeaders[] = [];
      const refuse = (): number | null =>
        words === null || connects.at(-1)?.['proxy-authorization'] === basic(words) ? null : 407;
      const { port } = await running(proxyServer(connects, refuse));
      return { port, connects };
    }

    for (const secure of [true, false]) {
      const scheme = secure ? 'https' : 'http';
      const target = async (): Promise<string> =>
        `${scheme}://127.0.0.1:${(await running(secure ? server('signed') : plainServer())).port}`;
      const through = async (serviceProxy: ServiceProxy): Promise<PostOutcome> =>
        clientFor(await target(), { tls: { ca }, serviceProxy }).post(BODY, TOKEN);

      it(`without a login forwards ${scheme}, and sees no token`, async () => {
        const { port, connects } = await proxyFor(null);
        assert.equal((await through({ uri: `http://127.0.0.1:${port}` })).kind, 'accepted');
        assert.equal(connects.length, 1);
        assert.ok(!JSON.stringify(connects).includes(TOKEN));
        assert.equal(connects[0]!['proxy-authorization'], undefined);
      });

      it(`receives its login from the URL, or from its own fields (${scheme})`, async () => {
        const words = 'jo@corp:p:ä/%"word';
        const { port } = await proxyFor(words);
        const [username, ...rest] = words.split(':');
        const password = rest.join(':');
        const inside = `${encodeURIComponent(username!)}:${encodeURIComponent(password)}`;
        assert.equal((await through({ uri: `http://${inside}@127.0.0.1:${port}` })).kind, 'accepted');
        const auth = { username: username!, password };
        assert.equal((await through({ uri: `http://127.0.0.1:${port}`, auth })).kind, 'accepted');
        // The fields take precedence.
        assert.equal((await through({ uri: `http://x:y@127.0.0.1:${port}`, auth })).kind, 'accepted');
      });

      it(`that refuses the login is reported, without showing the login (${scheme})`, async () => {
        const { port } = await proxyFor('right:word');
        const outcome = await through({ uri: `http://someone:s3cr3t@127.0.0.1:${port}` });
        assertRefused(
          outcome,
          'http_407',
          /requires a login \(HTTP 407\): check .* username and password, in the/,
        );
        assert.doesNotMatch(JSON.stringify(outcome), /someone|s3cr3t/);
      });
    }

    it('distinguishes one that refuses from one that fails, and leaves the network’s own part unknown', async () => {
      const { port: target } = await running(plainServer());
      const through = async (status: number | null) => {
        const { port } = await running(proxyServer([], () => status));
        return clientFor(`http://127.0.0.1:${target}`, { serviceProxy: { uri: `http://127.0.0.1:${port}` } });
      };
      assertRefused(await (await through(403)).post(BODY, TOKEN), 'proxy', /./);
      const failing = await (await through(503)).post(BODY, TOKEN);
      assert.ok(failing.kind === 'retriable' && failing.code === 'proxy' && !failing.ambiguous);
      const client = await through(null);
      for (let n = 0; n < 6; n += 1) assert.equal((await client.post(BODY, TOKEN)).kind, 'accepted');
      assert.equal(client.networkFloorMs(performance.now()), 0);
    });

    it('whose login contains an invalid percent sign gives a sentence', async () => {
      const { port } = await proxyFor(null);
      assert.throws(
        () => clientFor('https://localhost', { serviceProxy: { uri: `http://jo:100%@127.0.0.1:${port}` } }),
        /The username or password in the proxy URL cannot be read/,
      );
    });

    it('does not hide a wrong certificate of the service', async () => {
      const { port } = await proxyFor(null);
      const to = async (name: string, tls: ServiceClientOptions['tls']): Promise<PostOutcome> => {
        const { port: target } = await running(server(name));
        const serviceProxy = { uri: `http://127.0.0.1:${port}` };
        return clientFor(`https://127.0.0.1:${target}`, { tls: tls ?? {}, serviceProxy }).post(BODY, TOKEN);
      };
      assertRefused(
        await to('signed', {}),
        'tls',
        /^Certificate not trusted: .*through the proxy 127\.0\.0\.1:\d+\)/,
      );
      assertRefused(await to('expired', { ca }), 'tls', /is out of date/);
      assertRefused(
        await to('elsewhere', { ca: fixture('elsewhere-cert.pem') }),
        'tls',
        /is for another hostname/,
      );
    });

    it('that does not answer is a retriable failure, and the message names the proxy', async () => {
      const stopped = await listen(plainServer());
      await stopped.close();
      const serviceProxy = { uri: `http://127.0.0.1:${stopped.port}` };
      const outcome = await clientFor('http://127.0.0.1:9', { serviceProxy }).post(BODY, TOKEN);
      assert.ok(outcome.kind === 'retriable', JSON.stringify(outcome));
      assert.deepEqual([outcome.code, outcome.ambiguous], ['refused', false]);
      assert.match(outcome.message, new RegExp(`through the proxy 127\\.0\\.0\\.1:${stopped.port}`));
    });

    it('is used for one of the two hosts only, when the other has none', async () => {
      const { port, connects } = await proxyFor(null);
      const url = `http://127.0.0.1:${(await running(plainServer())).port}`;
      const proxy = { uri: `http://127.0.0.1:${port}` };
      const login = { method: 'password', username: 'me', password: 'secret' } as const;
      await clientFor(url, { authProxy: proxy }).post(BODY, TOKEN);
      assert.equal(connects.length, 0);
      await clientFor(url, { authProxy: proxy }).authenticate(login);
      assert.equal(connects.length, 1);
      await clientFor(url, { serviceProxy: proxy }).authenticate(login);
      assert.equal(connects.length, 1);
    });
  });
});

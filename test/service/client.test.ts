// ServiceClient against real servers on loopback: requests, replies, and failures of network, TLS and proxy.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type http from 'node:http';
import net from 'node:net';
import {
  DEFAULT_AUTH_URL,
  DEFAULT_SERVICE_URL,
  ServiceClient,
  ServiceUrlError,
  type ServiceClientOptions,
} from '../../src/service/client';
import type { PostOutcome } from '../../src/service/reply/outcome';
import { fixture, httpServer, httpsServer, listen, proxyServer, type Running, type Seen } from './loopback';

const OK =
  '{"response":{"status":"OK","message":{"users_in_request":1,"segments_in_request":2},"warnings":[]}}';
const BODY = '{"rt_segment":[{"user_id":"ü","seg_block":[{"seg_id":1}]}]}';
const TOKEN = 'hbapi:1:2:nym2';

describe('the service client', () => {
  const cleanups: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function running(server: net.Server): Promise<Running> {
    const one = await listen(server);
    cleanups.push(() => one.close());
    return one;
  }

  function clientFor(url: string, more: Partial<ServiceClientOptions> = {}): ServiceClient {
    const client = new ServiceClient({ authUrl: url, serviceUrl: url, requestTimeoutMs: 5000, ...more });
    cleanups.push(() => client.close());
    return client;
  }

  async function withServer(
    answer: (seen: Seen, response: http.ServerResponse) => void,
    more: Partial<ServiceClientOptions> = {},
  ) {
    const seen: Seen[] = [];
    const server = httpServer((one, response) => {
      seen.push(one);
      answer(one, response);
    });
    const { port } = await running(server);
    return { seen, client: clientFor(`http://127.0.0.1:${port}`, more) };
  }

  /** A client of a server that answers on the raw socket, after the whole request. */
  async function withSocket(answer: (socket: net.Socket) => void, more: Partial<ServiceClientOptions> = {}) {
    const server = net.createServer((socket) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
        if (text.endsWith(BODY)) answer(socket);
      });
    });
    const { port } = await running(server);
    return clientFor(`http://127.0.0.1:${port}`, more);
  }

  function assertPassing(outcome: PostOutcome, code: string, ambiguous: boolean): void {
    assert.ok(outcome.kind === 'passing', JSON.stringify(outcome));
    assert.deepEqual([outcome.code, outcome.ambiguous], [code, ambiguous], outcome.message);
  }

  describe('posting', () => {
    it('sends the body with the bare token, and reads the reply whatever its content type', async () => {
      const { seen, client } = await withServer((_, response) => {
        response.setHeader('content-type', 'text/html');
        response.end(OK);
      });
      const outcome = await client.post(BODY, TOKEN);
      assert.deepEqual(outcome, { kind: 'accepted', warnings: [], counts: { users: 1, segments: 2 } });
      const [post] = seen;
      assert.deepEqual([post?.method, post?.url, post?.body], ['POST', '/rt-segment', BODY]);
      assert.equal(post?.headers.authorization, TOKEN);
      assert.equal(post.headers['content-type'], 'application/json');
      assert.equal(post.headers['content-length'], String(Buffer.byteLength(BODY)));
    });

    it('keeps a path in the configured URL', async () => {
      const seen: string[] = [];
      const server = httpServer(({ url }, response) => (seen.push(url), response.end(OK)));
      const { port } = await running(server);
      await clientFor(`http://127.0.0.1:${port}/a/b/`).post(BODY, TOKEN);
      assert.deepEqual(seen, ['/a/b/rt-segment']);
    });

    it('opens no more connections than calls may be in flight, and reuses them', async () => {
      const sockets = new Set<unknown>();
      let now = 0;
      let most = 0;
      const server = httpServer((_, response) => {
        sockets.add(response.socket);
        most = Math.max(most, (now += 1));
        setTimeout(() => {
          now -= 1;
          response.end(OK);
        }, 2);
      });
      const { port } = await running(server);
      const client = clientFor(`http://127.0.0.1:${port}`, { maxConcurrent: 3 });
      const outcomes = await Promise.all(Array.from({ length: 30 }, () => client.post(BODY, TOKEN)));
      assert.ok(outcomes.every(({ kind }) => kind === 'accepted'));
      assert.deepEqual([most, sockets.size], [3, 3]);
    });

    it('counts posts, logins and reads together as calls in flight', async () => {
      let now = 0;
      let most = 0;
      const { seen, client } = await withServer(
        (_, response) => {
          most = Math.max(most, (now += 1));
          setTimeout(() => {
            now -= 1;
            response.end(OK);
          }, 2);
        },
        { maxConcurrent: 2 },
      );
      const login = { method: 'password', username: 'jo', password: 'x' } as const;
      const rounds = Array.from({ length: 4 }, () => [
        client.post(BODY, TOKEN),
        client.authenticate(login),
        client.usage({}, TOKEN),
      ]);
      await Promise.all(rounds.flat());
      assert.deepEqual([most, seen.length], [2, 12]);
    });

    it('waits for the larger of two Retry-After headers', async () => {
      const { client } = await withServer((_, response) => {
        response.statusCode = 429;
        response.setHeader('Retry-After', ['9', '24']);
        response.end('{"error":"Rate limit exceeded."}');
      });
      const outcome = await client.post(BODY, TOKEN);
      assert.ok(outcome.kind === 'rateLimited');
      assert.equal(outcome.retryAfterMs, 24_000);
    });

    it('reads a chunked reply that is split inside a character', async () => {
      const warned = Buffer.from('{"status":"OK","warnings":[{"message":"Odd ü","entity":null}]}');
      const at = warned.indexOf('ü') + 1;
      const { client } = await withServer((_, response) => {
        response.write(warned.subarray(0, at));
        setTimeout(() => response.end(warned.subarray(at)), 5);
      });
      assert.deepEqual(await client.post(BODY, TOKEN), {
        kind: 'accepted',
        warnings: [{ message: 'Odd ü', entity: null }],
        counts: { users: null, segments: null },
      });
    });

    it('follows no redirect, which would send the token to another host', async () => {
      const { seen, client } = await withServer((_, response) => {
        response.writeHead(307, { location: '/elsewhere' });
        response.end();
      });
      const outcome = await client.post(BODY, TOKEN);
      assert.ok(outcome.kind === 'configuration');
      assert.equal(outcome.code, 'redirect');
      assert.equal(seen.length, 1);
    });

    it('treats garbage as ambiguous, not as a reply of the service', async () => {
      const { client } = await withServer((_, response) => response.end('<html>hello</html>'));
      assertPassing(await client.post(BODY, TOKEN), 'unreadable', true);
      const noHttp = await withSocket((socket) => socket.end('SSH-2.0-hello\r\n'));
      assertPassing(await noHttp.post(BODY, TOKEN), 'reset', true);
    });

    it('ignores an informational reply', async () => {
      const { client } = await withServer((_, response) => {
        response.writeProcessing();
        response.end(OK);
      });
      assert.equal((await client.post(BODY, TOKEN)).kind, 'accepted');
    });

    it('masks the token in a reply that repeats it', async () => {
      const { client } = await withServer((_, response) => {
        response.end('{"error_id":"SYNTAX","error":"unknown: top secret token!"}');
      });
      const outcome = await client.post(BODY, 'top secret token');
      assert.ok(outcome.kind === 'bodyRefused');
      assert.match(outcome.message, /unknown: …!/);
    });
  });

  describe('when the network fails', () => {
    it('a server that never answers is an ambiguous time-out, and its connection is not reused', async () => {
      let calls = 0;
      const { client } = await withServer(
        (_, response) => {
          calls += 1;
          if (calls > 1) response.end(OK);
        },
        { requestTimeoutMs: 60, maxConcurrent: 1 },
      );
      assertPassing(await client.post(BODY, TOKEN), 'timeout', true);
      assert.equal((await client.post(BODY, TOKEN)).kind, 'accepted');
    });

    it('a body that trickles is cut off at the same time-out', async () => {
      const { client } = await withServer(
        (_, response) => {
          response.writeHead(200);
          const drip = setInterval(() => response.write(' '), 10);
          response.on('close', () => clearInterval(drip));
        },
        { requestTimeoutMs: 80 },
      );
      assertPassing(await client.post(BODY, TOKEN), 'timeout', true);
    });

    it('a lost reply and a reset are ambiguous', async () => {
      const lost = await withSocket((socket) => socket.end());
      assertPassing(await lost.post(BODY, TOKEN), 'reset', true);
      const reset = await withSocket((socket) => socket.resetAndDestroy());
      assertPassing(await reset.post(BODY, TOKEN), 'reset', true);
    });

    it('a reply cut off in its headers or its body is ambiguous', async () => {
      for (const part of [
        'HTTP/1.1 200 OK\r\ncontent-le',
        `HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n${OK}`,
        `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n${OK.slice(0, 5)}\r\n`,
        `HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${OK.slice(0, 40)}`,
      ]) {
        const client = await withSocket((socket) => socket.end(part));
        const outcome = await client.post(BODY, TOKEN);
        assert.ok(outcome.kind === 'passing' && outcome.ambiguous, `${part}: ${JSON.stringify(outcome)}`);
      }
    });

    it('a reply of more than 8 MB is cut off and ambiguous', async () => {
      let sent = 0;
      const { client } = await withServer((_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, ' '))) sent += 65_536;
        };
        response.on('drain', more);
        more();
      });
      assertPassing(await client.post(BODY, TOKEN), 'reply_too_large', true);
      assert.ok(sent < 40_000_000);
    });

    it('a refused connection and an unknown host name are not ambiguous, and the message names them', async () => {
      const server = await listen(net.createServer());
      await server.close();
      const refused = await clientFor(`http://127.0.0.1:${server.port}`).post(BODY, TOKEN);
      assertPassing(refused, 'refused', false);
      assert.ok('message' in refused && refused.message.includes(`127.0.0.1:${server.port}`));
      const unknown = await clientFor('http://nobody.invalid').post(BODY, TOKEN);
      assertPassing(unknown, 'dns', false);
    });

    it('a connection that is not established in time is not ambiguous', async () => {
      // The server never answers the TLS handshake.
      const { port } = await running(net.createServer());
      const client = clientFor(`https://127.0.0.1:${port}`, { requestTimeoutMs: 60, maxConcurrent: 1 });
      const outcomes = await Promise.all([client.post(BODY, TOKEN), client.post(BODY, TOKEN)]);
      for (const outcome of outcomes) assertPassing(outcome, 'connect_timeout', false);
    });

    /** A server that answers TLS handshakes only after `open` is called. */
    async function withSlowHandshake(more: Partial<ServiceClientOptions> = {}) {
      const seen: Seen[] = [];
      let isOpen = false;
      const opening: (() => void)[] = [];
      const server = httpsServer('localhost', (one, response) => {
        seen.push(one);
        response.end(OK);
      });
      const target = await running(server);
      const front = net.createServer((socket) => {
        const back = net.connect(target.port, '127.0.0.1');
        back.on('error', () => undefined).on('close', () => socket.destroy());
        socket.on('close', () => back.destroy());
        const join = () => void socket.pipe(back).pipe(socket);
        if (isOpen) join();
        else opening.push(join);
      });
      const { port } = await running(front);
      const tls = { ca: fixture('localhost-cert.pem') };
      const client = clientFor(`https://127.0.0.1:${port}`, { maxConcurrent: 1, tls, ...more });
      const open = (): void => {
        isOpen = true;
        for (const join of opening.splice(0)) join();
      };
      return { seen, client, open };
    }

    it('a post that timed out before its connection was established is not sent later', async () => {
      const { seen, client, open } = await withSlowHandshake({ requestTimeoutMs: 100 });
      assertPassing(await client.post(BODY, TOKEN), 'connect_timeout', false);
      open();
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.deepEqual(seen, []);
    });

    it('a post that is cancelled before its connection is established is not sent, and the next one is', async () => {
      const { seen, client, open } = await withSlowHandshake();
      let mayLeave = true;
      const post = client.post(BODY, TOKEN, () => mayLeave);
      await new Promise((resolve) => setTimeout(resolve, 50));
      mayLeave = false;
      open();
      assertPassing(await post, 'held_back', false);
      assert.deepEqual(seen, []);
      assert.equal((await client.post(BODY, TOKEN, () => true)).kind, 'accepted');
      assert.equal(seen.length, 1);
    });

    it('nor is a post that is cancelled while it waits for another call', async () => {
      let end: () => void = () => undefined;
      const { seen, client } = await withServer((_, response) => (end = () => response.end(OK)), {
        maxConcurrent: 1,
      });
      let mayLeave = true;
      const posts = [client.post(BODY, TOKEN), client.post(BODY, TOKEN, () => mayLeave)] as const;
      while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      mayLeave = false;
      end();
      assert.equal((await posts[0]).kind, 'accepted');
      assertPassing(await posts[1], 'held_back', false);
      assert.equal(seen.length, 1);
    });

    it('closing ends posts in flight as ambiguous and refuses later ones', async () => {
      const client = await withSocket(() => undefined);
      const post = client.post(BODY, TOKEN);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await client.close();
      assertPassing(await post, 'closed', true);
      assertPassing(await client.post(BODY, TOKEN), 'closed', false);
    });

    it('a token that is invalid in a header gives an outcome', async () => {
      const { seen, client } = await withServer((_, response) => response.end(OK));
      assertPassing(await client.post(BODY, 'a\r\nb'), 'connect', false);
      assert.equal(seen.length, 0);
    });
  });

  describe('TLS', () => {
    const post = async (server: net.Server, host: string, more: Partial<ServiceClientOptions>) => {
      const { port } = await running(server);
      return clientFor(`https://${host}:${port}`, more).post(BODY, TOKEN);
    };
    const answer = (_: Seen, response: http.ServerResponse) => response.end(OK);
    const trusting = { tls: { ca: fixture('localhost-cert.pem') } };
    const assertTls = (outcome: PostOutcome, pattern: RegExp) => {
      assert.ok(outcome.kind === 'configuration', JSON.stringify(outcome));
      assert.equal(outcome.code, 'tls');
      assert.match(outcome.message, pattern);
    };

    it('accepts a certificate that its CA has signed', async () => {
      const outcome = await post(httpsServer('localhost', answer), '127.0.0.1', trusting);
      assert.equal(outcome.kind, 'accepted', JSON.stringify(outcome));
    });

    it('refuses a certificate for another host and names the host', async () => {
      const ca = fixture('elsewhere-cert.pem');
      const outcome = await post(httpsServer('elsewhere', answer), '127.0.0.1', { tls: { ca } });
      assertTls(outcome, /certificate of 127\.0\.0\.1:\d+ is for another host name/);
    });

    it('uses the server name and the choice not to verify of the TLS configuration', async () => {
      const ca = fixture('elsewhere-cert.pem');
      const named = { tls: { ca, servername: 'elsewhere.example' } };
      assert.equal((await post(httpsServer('elsewhere', answer), '127.0.0.1', named)).kind, 'accepted');
      const trustful = { tls: { rejectUnauthorized: false } };
      assert.equal((await post(httpsServer('elsewhere', answer), '127.0.0.1', trustful)).kind, 'accepted');
    });

    it('refuses a certificate without a trusted CA', async () => {
      assertTls(await post(httpsServer('localhost', answer), '127.0.0.1', {}), /not trusted/);
    });

    it('names a server without TLS, and an own certificate that cannot be read', async () => {
      assertTls(await post(httpServer(answer), '127.0.0.1', trusting), /No TLS connection with/);
      const tls = { ...trusting.tls, cert: 'no PEM', key: 'no PEM' };
      assertTls(await post(httpsServer('localhost', answer), '127.0.0.1', { tls }), /cannot be read/);
    });

    it('sends its own certificate to a server that asks for one', async () => {
      const asking = { requestCert: true, ca: fixture('elsewhere-cert.pem') };
      const own = { cert: fixture('elsewhere-cert.pem'), key: fixture('elsewhere-key.pem') };
      const shown = { tls: { ...trusting.tls, ...own } };
      const accepted = await post(httpsServer('localhost', answer, asking), '127.0.0.1', shown);
      assert.equal(accepted.kind, 'accepted', JSON.stringify(accepted));
      const missing = await post(httpsServer('localhost', answer, asking), '127.0.0.1', trusting);
      assert.notEqual(missing.kind, 'accepted');
    });
  });

  describe('through a proxy', () => {
    async function withProxy(refuse: () => number | null, secure: boolean) {
      const connects: http.IncomingHttpHeaders[] = [];
      const target = await running(
        secure
          ? httpsServer('localhost', (_, response) => response.end(OK))
          : httpServer((_, response) => response.end(OK)),
      );
      const proxy = await running(proxyServer(connects, refuse));
      const client = clientFor(`${secure ? 'https' : 'http'}://127.0.0.1:${target.port}`, {
        serviceProxy: {
          uri: `http://127.0.0.1:${proxy.port}`,
          auth: { username: 'jo', password: 'pröxy' },
        },
        tls: { ca: fixture('localhost-cert.pem') },
      });
      return { connects, client };
    }

    for (const secure of [false, true]) {
      it(`posts ${secure ? 'https' : 'http'} through a tunnel with the proxy's own login`, async () => {
        const { connects, client } = await withProxy(() => null, secure);
        for (let n = 0; n < 6; n += 1) assert.equal((await client.post(BODY, TOKEN)).kind, 'accepted');
        const basic = `Basic ${Buffer.from('jo:pröxy').toString('base64')}`;
        assert.equal(connects[0]?.['proxy-authorization'], basic);
        assert.equal(connects[0].authorization, undefined);
        assert.equal(client.networkFloorMs(performance.now()), 0);
      });
    }

    it('distinguishes a proxy that requires a login, one that refuses and one that fails', async () => {
      for (const [status, expected] of [
        [407, 'configuration http_407'],
        [403, 'configuration proxy'],
        [503, 'passing proxy'],
      ] as const) {
        const { client } = await withProxy(() => status, true);
        const outcome = await client.post(BODY, TOKEN);
        assert.ok(outcome.kind === 'configuration' || outcome.kind === 'passing');
        assert.equal(`${outcome.kind} ${outcome.code}`, expected);
        if (outcome.kind === 'passing') assert.equal(outcome.ambiguous, false);
        assert.doesNotMatch(outcome.message, /pröxy/);
      }
    });
  });

  describe('authenticating', () => {
    it('posts user name and password as JSON', async () => {
      const { seen, client } = await withServer((_, response) =>
        response.end('{"response":{"status":"OK","token":"hbapi:1"}}'),
      );
      const outcome = await client.authenticate({ method: 'password', username: 'jo', password: 'p"w' });
      assert.deepEqual(outcome, { kind: 'token', token: 'hbapi:1' });
      assert.deepEqual([seen[0]?.method, seen[0]?.url], ['POST', '/auth']);
      assert.deepEqual(JSON.parse(seen[0]?.body ?? ''), { auth: { username: 'jo', password: 'p"w' } });
    });

    it('posts the bare JWT as text', async () => {
      const { seen, client } = await withServer((_, response) =>
        response.end('{"response":{"status":"OK","token":"authn:1"}}'),
      );
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const outcome = await client.authenticate({
        method: 'jwt',
        username: 'jo',
        keyName: 'k',
        privateKey: pem,
      });
      assert.deepEqual(outcome, { kind: 'token', token: 'authn:1' });
      assert.equal(seen[0]?.url, '/v2/auth/jwt');
      assert.equal(seen[0].headers['content-type'], 'text/plain');
      assert.match(seen[0].body, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    });

    it('sends nothing for a login with an empty field or an unreadable key', async () => {
      const { seen, client } = await withServer((_, response) => response.end(OK));
      const jwt = { method: 'jwt', username: 'jo', keyName: 'k', privateKey: 'x' } as const;
      for (const [login, sentence] of [
        [{ method: 'password', username: '', password: 'x' }, /no user name/],
        [{ method: 'password', username: 'jo', password: '' }, /no password/],
        [{ ...jwt, keyName: '' }, /no key name/],
        [{ ...jwt, privateKey: '' }, /no private key/],
        [jwt, /not in PEM form/],
      ] as const) {
        const outcome = await client.authenticate(login);
        assert.ok(outcome.kind === 'configuration');
        assert.match(outcome.message, sentence);
      }
      assert.equal(seen.length, 0);
    });

    it('says whether a lost login may have succeeded, and never shows the password', async () => {
      const login = { method: 'password', username: 'jo', password: 'hush-hush' } as const;
      const lost = await withServer((_, response) => response.destroy());
      const outcome = await lost.client.authenticate(login);
      assert.ok(outcome.kind === 'passing' && outcome.ambiguous === true);
      const server = await listen(net.createServer());
      await server.close();
      const refused = await clientFor(`http://127.0.0.1:${server.port}`).authenticate(login);
      assert.ok(refused.kind === 'passing' && refused.ambiguous === false);
      const echo = await withServer((_, response) =>
        response.end('{"response":{"error_id":"NOAUTH","error":"jo/hush-hush is wrong"}}'),
      );
      const named = await echo.client.authenticate(login);
      assert.ok(named.kind === 'loginRefused');
      assert.match(named.message, /"jo\/… is wrong"/);
    });
  });

  describe('reading', () => {
    it('lists segments page by page, from the authentication host', async () => {
      const { seen, client } = await withServer((one, response) => {
        const start = Number(new URL(one.url, 'http://x').searchParams.get('start_element'));
        const segments = Array.from({ length: Math.min(100, 130 - start) }, (_, n) => ({ id: start + n }));
        response.end(JSON.stringify({ response: { status: 'OK', count: 130, segments } }));
      });
      const outcome = await client.segments({ search: 'kit' }, TOKEN);
      assert.ok(outcome.kind === 'read', JSON.stringify(outcome));
      assert.equal(outcome.value.segments.length, 130);
      assert.deepEqual(
        seen.map(({ url, headers }) => [url, headers.authorization]),
        [
          ['/segment?search=kit&start_element=0&num_elements=100', TOKEN],
          ['/segment?search=kit&start_element=100&num_elements=100', TOKEN],
        ],
      );
    });

    it('gets usage statistics, from the service host', async () => {
      const { seen, client } = await withServer((_, response) =>
        response.end('{"response":{"status":"OK","report":{"num_valid_users":3}}}'),
      );
      const outcome = await client.usage({ memberId: 7, aggregate: true }, TOKEN);
      assert.ok(outcome.kind === 'read');
      assert.equal(outcome.value.hours[0]?.validUsers, 3);
      assert.equal(seen[0]?.url, '/rt-segment-processed?member_id=7&agg=true');
    });

    it('has the same refusals as a post', async () => {
      const { client } = await withServer((_, response) => response.end('{"error_id":"NOAUTH"}'));
      assert.equal((await client.segments({}, TOKEN)).kind, 'deadToken');
      assert.equal((await client.usage({}, TOKEN)).kind, 'deadToken');
    });
  });

  it('never rejects: wrong arguments give an outcome, and nothing is sent', async () => {
    const { seen, client } = await withServer((_, response) => response.end(OK));
    const none = undefined as never;
    const wrong: [string, Promise<{ readonly kind: string }>, string][] = [
      ['a post without a token', client.post(BODY, none), 'bodyRefused'],
      ['a post whose body is not text', client.post({} as never, TOKEN), 'passing'],
      ['a token of two lines', client.post(BODY, 'a\nb'), 'passing'],
      ['usage from an invalid time', client.usage({ startMs: NaN }, TOKEN), 'bodyRefused'],
      ['usage until an invalid time', client.usage({ endMs: Infinity }, TOKEN), 'bodyRefused'],
      ['usage without a query', client.usage(none, TOKEN), 'bodyRefused'],
      ['segments without a query', client.segments(none, TOKEN), 'bodyRefused'],
      ['no login', client.authenticate(none), 'configuration'],
      ['a login of an unknown kind', client.authenticate({ method: 'x' } as never), 'configuration'],
    ];
    for (const [what, outcome, kind] of wrong) assert.equal((await outcome).kind, kind, what);
    assert.deepEqual(await client.segments({ ids: [] }, TOKEN), {
      kind: 'read',
      value: { segments: [], total: 0 },
    });
    assert.deepEqual(seen, []);
  });

  it('measures the network from its own connects and replies', async () => {
    const { client } = await withServer((_, response) => {
      response.setHeader('connection', 'close');
      response.end(OK);
    });
    for (let n = 0; n < 6; n += 1) await client.post(BODY, TOKEN);
    const floorMs = client.networkFloorMs(performance.now());
    // Loopback answers within a millisecond or so; the floor must be neither negative nor the whole time of a reply.
    assert.ok(floorMs >= 0 && floorMs < 5, String(floorMs));
  });

  it('refuses unusable URLs with a sentence that does not repeat them', () => {
    for (const url of [
      '',
      'streaming-data.appnexus.com',
      'ftp://x',
      'https://jo:secret@x',
      'https://x?token=secret',
    ]) {
      assert.throws(
        () => new ServiceClient({ authUrl: DEFAULT_AUTH_URL, serviceUrl: url }),
        (error: unknown) => error instanceof ServiceUrlError && !error.message.includes('secret'),
        url,
      );
    }
  });

  it('exports the two hosts of the service', async () => {
    assert.deepEqual(
      [DEFAULT_AUTH_URL, DEFAULT_SERVICE_URL],
      ['https://api.appnexus.com', 'https://streaming-data.appnexus.com'],
    );
    await new ServiceClient({ authUrl: DEFAULT_AUTH_URL, serviceUrl: DEFAULT_SERVICE_URL }).close();
  });
});

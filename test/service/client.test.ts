// ServiceClient against real servers on loopback: posts, replies, and failures of the network. TLS and proxies: tls-proxy.test.ts.
import assert from 'node:assert/strict';
import net from 'node:net';
import type { ServiceClientOptions } from '../../src/service/client';
import type { PostOutcome } from '../../src/service/reply/outcome';
import { clients, fixture, httpServer, httpsServer, listen, type Seen } from './loopback';

const OK =
  '{"response":{"status":"OK","message":{"users_in_request":1,"segments_in_request":2},"warnings":[]}}';
const BODY = '{"rt_segment":[{"user_id":"ü","seg_block":[{"seg_id":1}]}]}';
const TOKEN = 'hbapi:1:2:nym2';

describe('the service client', () => {
  const { running, clientFor, withServer } = clients();

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
    assert.ok(outcome.kind === 'retriable', JSON.stringify(outcome));
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
        assert.ok(outcome.kind === 'retriable' && outcome.ambiguous, `${part}: ${JSON.stringify(outcome)}`);
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
  });
});

// What may come back over a real socket: cut, slow, huge, compressed, elsewhere, or no HTTP at all.
import assert from 'node:assert/strict';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';

import { ServiceClient } from '../../src/service/client';
import { listen, type Running } from '../service/loopback';
import { casesRun, fuzzAsync, timeoutMs } from './cases';

/** What the server does with one request, as soon as its head is there. */
interface Behaviour {
  readonly bytes: Buffer;
  /** Written one after another, each in a turn of its own. */
  readonly pieces: number;
  readonly pauseMs: number;
  readonly then: 'end' | 'reset' | 'stay';
  /** Whether it is the service's own, whole and right. */
  readonly isRight: boolean;
}

const accepted = '{"response":{"status":"OK","warnings":[]}}';
const token = '{"response":{"status":"OK","token":"hbapi:1:abc:nym2"}}';
const requestTimeoutMs = 250;
/** On top of the time-out, on a busy machine. */
const lateMs = 5_000;

function reply(status: string, headers: readonly string[], body: string | Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status}\r\n${headers.map((one) => `${one}\r\n`).join('')}\r\n`, 'latin1'),
    Buffer.from(body),
  ]);
}

const withLength = (body: string | Buffer, more: readonly string[] = [], status = '200 OK'): Buffer =>
  reply(status, [`content-length: ${Buffer.byteLength(body)}`, ...more], body);

/** Sixteen megabytes of nothing in sixteen kilobytes. */
const bomb = gzipSync(Buffer.alloc(16 * 1024 * 1024, 0x20), { level: 9 });
const huge = Buffer.alloc(9 * 1024 * 1024, 0x5b);

const bodies = fc.oneof(
  fc.constantFrom<string | Buffer>(
    accepted,
    token,
    '',
    '[',
    '{"response":',
    '<html>no</html>',
    bomb,
    Buffer.from(accepted, 'utf16le'),
  ),
  fc.string({ unit: 'binary', maxLength: 200 }),
);
const statusLines = fc.oneof(
  fc.constantFrom(
    '200 OK',
    '204 No',
    '301 Moved',
    '302 Found',
    '307 Go',
    '304 Not',
    '400 Bad',
    '401 No',
    '429 Slow',
    '500 Oh',
    '503 No',
    '101 Switch',
    '100 Go on',
    '999 ?',
    '99 x',
    '-1 x',
    '',
  ),
  fc.string({ maxLength: 10 }),
);
const oddHeaders = fc.array(
  fc.constantFrom(
    'content-encoding: gzip',
    'transfer-encoding: chunked',
    'content-length: 5',
    'content-length: -1',
    'content-length: 99999999999999999999',
    'content-type: text/html; charset=utf-16',
    'location: http://127.0.0.1:1/elsewhere',
    'retry-after: 3600, Wed, 21 Oct 2015 07:28:00 GMT',
    'connection: close',
    'connection: upgrade',
    'upgrade: websocket',
    'date: never',
    `x-long: ${'x'.repeat(20_000)}`,
    'set-cookie: \u0000',
    ' folded',
    'no colon',
  ),
  { maxLength: 4 },
);

const bytes: fc.Arbitrary<{ bytes: Buffer; isRight: boolean }> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ bytes: withLength(accepted), isRight: true }) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(statusLines, oddHeaders, bodies)
      .map(([status, headers, body]) => ({ bytes: withLength(body, headers, status), isRight: false })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(statusLines, oddHeaders, bodies)
      .map(([status, headers, body]) => ({ bytes: reply(status, headers, body), isRight: false })),
  },
  // Cut anywhere.
  {
    weight: 3,
    arbitrary: fc.double({ min: 0, max: 0.99, noNaN: true }).map((part) => ({
      bytes: withLength(accepted).subarray(0, Math.floor(withLength(accepted).length * part)),
      isRight: false,
    })),
  },
  // A second reply that nobody asked for must not become the reply to the next request.
  {
    weight: 1,
    arbitrary: fc.constant({
      bytes: Buffer.concat([withLength('{}', [], '500 Oh'), withLength(accepted)]),
      isRight: false,
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('5\r\nab', 'ffffffffffffffffff\r\n', 'z\r\n', '-1\r\n', '2\r\n{}\r\n0\r\n\r\n')
      .map((chunks) => ({ bytes: reply('200 OK', ['transfer-encoding: chunked'], chunks), isRight: false })),
  },
  {
    weight: 1,
    arbitrary: fc.nat(40).map((times) => ({
      bytes: Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(times)),
      isRight: false,
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 300 })
      .map((noise) => ({ bytes: Buffer.from(noise), isRight: false })),
  },
);

const behaviour: fc.Arbitrary<Behaviour> = fc
  .tuple(
    bytes,
    fc.constantFrom(1, 1, 1, 2, 7, 200),
    fc.oneof(
      { weight: 30, arbitrary: fc.constant<Behaviour['then']>('end') },
      { weight: 10, arbitrary: fc.constant<Behaviour['then']>('reset') },
      // Each of them takes as long as a request may.
      { weight: 1, arbitrary: fc.constant<Behaviour['then']>('stay') },
    ),
  )
  .map(([what, pieces, then]) => ({
    ...what,
    pieces,
    pauseMs: 0,
    then: what.isRight && then === 'reset' ? 'end' : then,
  }));

/** By hand, since each takes as long as a request may, or megabytes. */
const slowOnes: readonly Behaviour[] = [
  { bytes: withLength(accepted), pieces: 400, pauseMs: 20, then: 'end', isRight: false },
  { bytes: reply('200 OK', [], huge), pieces: 1, pauseMs: 0, then: 'end', isRight: false },
  {
    bytes: reply('200 OK', ['content-encoding: gzip'], bomb),
    pieces: 1,
    pauseMs: 0,
    then: 'stay',
    isRight: false,
  },
  { bytes: Buffer.alloc(0), pieces: 1, pauseMs: 0, then: 'stay', isRight: false },
  {
    bytes: Buffer.concat([withLength('', [`x: ${'y'.repeat(9_000_000)}`])]),
    pieces: 1,
    pauseMs: 0,
    then: 'stay',
    isRight: false,
  },
];

const calls = ['post', 'authenticate', 'segments', 'usage'] as const;
type Call = (typeof calls)[number];

async function play(socket: net.Socket, { bytes: all, pieces, pauseMs, then }: Behaviour): Promise<void> {
  const size = Math.max(1, Math.ceil(all.length / pieces));
  for (let at = 0; at < all.length && !socket.destroyed; at += size) {
    socket.write(all.subarray(at, at + size));
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    else if (pieces > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  if (then === 'end') socket.end();
  if (then === 'reset') socket.resetAndDestroy();
}

describe('a service that answers in any way', function () {
  this.timeout(timeoutMs);
  let server: Running;
  let client: ServiceClient | undefined;
  let members = 0;
  let connections = 0;
  let behaviours: readonly Behaviour[] = [];

  before(async () => {
    server = await listen(
      net.createServer((socket) => {
        connections += 1;
        let asked = '';
        socket.on('data', (chunk) => {
          asked += chunk.toString('latin1');
          // Bodies are small: they come with their heads.
          const of = /authorization: case(\d+)|"username":"case(\d+)"/i.exec(asked);
          const index = Number(of?.[1] ?? of?.[2] ?? NaN);
          const found = behaviours[index];
          if (found === undefined) return;
          asked = '';
          void play(socket, found);
        });
      }),
    );
    await startAnew();
  });
  after(async () => {
    await client?.close();
    await server.close();
    assert.ok(casesRun() > 0 && connections > 0);
  });

  /** As another member each time: what one was asked to wait for must not keep the next from asking. */
  async function startAnew(): Promise<void> {
    await client?.close();
    const url = `http://127.0.0.1:${server.port}`;
    const member = String((members += 1));
    client = new ServiceClient({ authUrl: url, serviceUrl: url, member, requestTimeoutMs });
  }

  async function ask(index: number, call: Call): Promise<{ kind: string; message?: string }> {
    const name = `case${index}`;
    if (call === 'post') return client!.post('{"rt_segment":[]}', name);
    if (call === 'authenticate')
      return client!.authenticate({ method: 'password', username: name, password: 'a secret' });
    return call === 'segments' ? client!.segments({ limit: 1 }, name) : client!.usage({}, name);
  }

  const failures = ['rateLimited', 'deadToken', 'loginRefused', 'configuration', 'retriable', 'bodyRefused'];
  const kinds: Readonly<Record<Call, readonly string[]>> = {
    post: ['accepted', ...failures],
    authenticate: ['token', 'rateLimited', 'loginRefused', 'configuration', 'retriable'],
    segments: ['read', ...failures],
    usage: ['read', ...failures],
  };

  async function comesToAnOutcome(list: readonly (readonly [Behaviour, Call])[]): Promise<void> {
    await startAnew();
    behaviours = list.map(([one]) => one);
    const startedMs = performance.now();
    const outcomes = await Promise.all(list.map(([, call], index) => ask(index, call)));
    const tookMs = performance.now() - startedMs;
    // At most as many at a time as the client has connections for.
    assert.ok(tookMs < requestTimeoutMs * list.length + lateMs, `${Math.round(tookMs)} ms`);
    outcomes.forEach((outcome, index) => {
      const [how, call] = list[index]!;
      assert.ok(kinds[call].includes(outcome.kind), JSON.stringify(outcome));
      // One that waits for its turn may wait too long.
      if (how.isRight && call === 'post' && tookMs < requestTimeoutMs)
        assert.equal(outcome.kind, 'accepted', JSON.stringify(outcome));
      if (outcome.message !== undefined) {
        assert.ok(
          outcome.message.length > 10 && outcome.message.length < 2_500,
          String(outcome.message.length),
        );
        assert.ok(!outcome.message.includes('a secret'), outcome.message);
      }
    });
  }

  it('always leads to an outcome with a sentence, in time, and never to the reply of another request', () =>
    fuzzAsync(
      fc.array(fc.tuple(behaviour, fc.constantFrom(...calls)), { minLength: 12, maxLength: 12 }),
      80,
      comesToAnOutcome,
      12,
    ));

  it('byte by byte, for ever, with megabytes or a bomb is cut off, and never unpacked', async () => {
    for (const call of calls) {
      const before = process.memoryUsage().arrayBuffers;
      await comesToAnOutcome(slowOnes.map((one) => [one, call] as const));
      const grownMb = (process.memoryUsage().arrayBuffers - before) / 1e6;
      assert.ok(grownMb < 100, `${Math.round(grownMb)} MB more`);
    }
  });

  it('has no connection left in the way of what comes after', async () => {
    behaviours = [{ bytes: withLength(accepted), pieces: 1, pauseMs: 0, then: 'stay', isRight: true }];
    for (let at = 0; at < 40; at++) assert.equal((await ask(0, 'post')).kind, 'accepted');
  });
});

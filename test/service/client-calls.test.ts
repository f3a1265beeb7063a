// ServiceClient against real servers on loopback: logins and reads, arguments that are wrong, and the network's own part.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import net from 'node:net';
import { DEFAULT_AUTH_URL, ServiceClient, ServiceUrlError } from '../../src/service/client';
import { clients, listen } from './loopback';

const OK = '{"response":{"status":"OK","warnings":[]}}';
const BODY = '{"rt_segment":[]}';
const TOKEN = 'hbapi:1:2:nym2';

describe('the service client, beside posts', () => {
  const { clientFor, withServer } = clients();

  describe('authenticating', () => {
    it('posts username and password as JSON', async () => {
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
        [{ method: 'password', username: '', password: 'x' }, /no username/],
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
      assert.ok(outcome.kind === 'retriable' && outcome.ambiguous === true);
      const server = await listen(net.createServer());
      await server.close();
      const refused = await clientFor(`http://127.0.0.1:${server.port}`).authenticate(login);
      assert.ok(refused.kind === 'retriable' && refused.ambiguous === false);
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
      ['a post whose body is not text', client.post({} as never, TOKEN), 'retriable'],
      ['a token of two lines', client.post(BODY, 'a\nb'), 'retriable'],
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
});

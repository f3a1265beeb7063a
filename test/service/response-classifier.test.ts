// Classification of replies: every row of the table in service.md 3.4, for posts, authentications and reads.
import assert from 'node:assert/strict';
import {
  readAuthReply,
  readPostReply,
  readReply,
  type HttpReply,
} from '../../src/service/reply/response-classifier';
import { retryAfterMs } from '../../src/service/reply/retry-after';

const reply = (status: number, body: unknown = '', headers: HttpReply['headers'] = {}): HttpReply => ({
  status,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const refused = (errorId: string, error = 'because') => ({ response: { error_id: errorId, error } });
const notOk = (more: object = {}) => ({ response: { status: 'error', error: 'because', ...more } });
const counted = (users: unknown, segments: unknown, warnings?: string[]) => ({
  response: { status: 'OK', message: { users_in_request: users, segments_in_request: segments }, warnings },
});
const html = '<html><head><title>Bad</title></head><body>nginx</body></html>';
const sentence =
  'Rate limit exceeded. You have exceeded your request limit of 100 writes per 1 seconds to rt-segment, please wait';

/** The kind of an outcome, with its code and ambiguity. */
function gist(outcome: object): string {
  const { kind, code, ambiguous } = outcome as { kind: string; code?: string; ambiguous?: boolean };
  return [kind, code, ambiguous === undefined ? undefined : ambiguous ? 'ambiguous' : 'certain']
    .filter((part) => part !== undefined)
    .join(' ');
}

const rows: readonly (readonly [name: string, reply: HttpReply, gist: string])[] = [
  ['429', reply(429), 'rateLimited'],
  ['429 with an OK body', reply(429, { status: 'OK' }), 'rateLimited'],
  ['503 with x-ratelimit-code', reply(503, html, { 'x-ratelimit-code': '429' }), 'rateLimited'],
  ['405 with x-ratelimit-code', reply(405, html, { 'x-ratelimit-code': '429' }), 'rateLimited'],
  ['405 with RATE_EXCEEDED', reply(405, { error_code: 'RATE_EXCEEDED' }), 'rateLimited'],
  ['405 with the sentence', reply(405, sentence), 'rateLimited'],
  ['405 without a sign of a rate limit', reply(405, html), 'configuration http_405'],
  ['405 with Retry-After alone', reply(405, html, { 'retry-after': '9' }), 'configuration http_405'],
  [
    'RATE_EXCEEDED as a code',
    reply(200, { response: { error_code: 'RATE_EXCEEDED', error: 'x' } }),
    'rateLimited',
  ],
  [
    'RATE_EXCEEDED beside SYNTAX',
    reply(400, { response: { error_id: 'SYNTAX', error_code: 'RATE_EXCEEDED' } }),
    'rateLimited',
  ],
  ['RATE_EXCEEDED in a text', reply(500, 'error: RATE_EXCEEDED'), 'rateLimited'],
  ['LIMIT in a 200', reply(200, refused('LIMIT')), 'rateLimited'],
  ['the sentence with 200', reply(200, sentence), 'rateLimited'],
  ['the sentence with 400', reply(400, { error: sentence }), 'rateLimited'],
  ['the sentence with 403', reply(403, sentence), 'rateLimited'],
  ['the sentence with 500', reply(500, sentence), 'rateLimited'],
  ['401', reply(401, html), 'deadToken'],
  ['NOAUTH in a 200', reply(200, refused('NOAUTH')), 'deadToken'],
  ['NOAUTH in a 403', reply(403, refused('NOAUTH')), 'deadToken'],
  ['NOAUTH_EXPIRED', reply(200, refused('NOAUTH_EXPIRED')), 'loginRefused NOAUTH_EXPIRED'],
  ['NOAUTH_EXPIRED with 401', reply(401, refused('NOAUTH_EXPIRED')), 'loginRefused NOAUTH_EXPIRED'],
  ['NOAUTH_DISABLED', reply(200, refused('NOAUTH_DISABLED')), 'loginRefused NOAUTH_DISABLED'],
  ['UNAUTH', reply(200, refused('UNAUTH')), 'loginRefused UNAUTH'],
  ['403', reply(403, html), 'configuration http_403'],
  ['404', reply(404, html), 'configuration http_404'],
  ['407', reply(407, html), 'configuration http_407'],
  ['302', reply(302, '', { location: 'https://login.example/' }), 'configuration redirect'],
  ['408 of a gateway', reply(408, html), 'retriable http_408 ambiguous'],
  ['500 of a gateway', reply(500, html), 'retriable http_500 ambiguous'],
  [
    '500 of a framework',
    reply(500, { status: 500, error: 'Internal Server Error' }),
    'retriable http_500 ambiguous',
  ],
  ['500 of the service', reply(500, refused('OOPS')), 'retriable http_500 certain'],
  ['500 with an OK body', reply(500, { status: 'OK' }), 'retriable http_500 ambiguous'],
  ['500 of a gateway with JSON', reply(500, { status: 'Failure' }), 'retriable http_500 ambiguous'],
  ['500 with SYSTEM', reply(500, refused('SYSTEM')), 'retriable SYSTEM certain'],
  ['502', reply(502, html), 'retriable http_502 ambiguous'],
  ['502 with SYSTEM', reply(502, refused('SYSTEM')), 'retriable http_502 ambiguous'],
  ['503', reply(503, html), 'retriable http_503 ambiguous'],
  ['503 of the service', reply(503, refused('BUSY')), 'retriable http_503 certain'],
  ['504', reply(504, ''), 'retriable http_504 ambiguous'],
  ['SYSTEM in a 200', reply(200, refused('SYSTEM')), 'retriable SYSTEM certain'],
  ['a 200 that is not JSON', reply(200, html), 'retriable unreadable ambiguous'],
  ['a 200 without a body', reply(200, ''), 'retriable unreadable ambiguous'],
  ['a 204', reply(204, ''), 'retriable unreadable ambiguous'],
  ['a 200 cut off', reply(200, '{"response":{"status":"O'), 'retriable unreadable ambiguous'],
  ['a 200 with other JSON', reply(200, { hello: 1 }), 'retriable unreadable ambiguous'],
  ['a 200 with a JSON array', reply(200, []), 'retriable unreadable ambiguous'],
  ['a 200 with null', reply(200, 'null'), 'retriable unreadable ambiguous'],
  ['an unknown error_id', reply(200, refused('NEW_THING')), 'retriable unknown_error certain'],
  ['a status other than OK', reply(200, notOk()), 'bodyRefused status_not_ok'],
  ['the same without an envelope', reply(200, notOk().response), 'bodyRefused status_not_ok'],
  ['a status that is not text', reply(200, notOk({ status: 500 })), 'bodyRefused status_not_ok'],
  ['a status of null', reply(200, notOk({ status: null })), 'retriable unreadable ambiguous'],
  ['a status other than OK in a 400', reply(400, notOk()), 'bodyRefused http_400'],
  ['a status other than OK in a 500', reply(500, notOk()), 'retriable http_500 certain'],
  ['a status other than OK in a 502', reply(502, notOk()), 'retriable http_502 ambiguous'],
  ['a status beside SYNTAX', reply(200, notOk({ error_id: 'SYNTAX' })), 'bodyRefused SYNTAX'],
  ['a status beside SYSTEM', reply(200, notOk({ error_id: 'SYSTEM' })), 'retriable SYSTEM certain'],
  ['a status beside NOAUTH', reply(200, notOk({ error_id: 'NOAUTH' })), 'deadToken'],
  ['a status beside LIMIT', reply(200, notOk({ error_id: 'LIMIT' })), 'rateLimited'],
  ['a status beside the sentence', reply(200, notOk({ error: sentence })), 'rateLimited'],
  [
    'a status beside an unknown error_id',
    reply(200, notOk({ error_id: 'NEW' })),
    'bodyRefused status_not_ok',
  ],
  ['OK with an error_id', reply(200, { status: 'OK', error_id: 'SYNTAX' }), 'bodyRefused SYNTAX'],
  ['SYNTAX in a 200', reply(200, refused('SYNTAX')), 'bodyRefused SYNTAX'],
  ['SYNTAX in a 400', reply(400, refused('SYNTAX')), 'bodyRefused SYNTAX'],
  ['INTEGRITY in a 200', reply(200, refused('INTEGRITY')), 'bodyRefused INTEGRITY'],
  ['400', reply(400, html), 'bodyRefused http_400'],
  ['413', reply(413, html), 'bodyRefused http_413'],
  ['422 with an unknown error_id', reply(422, refused('NEW_THING')), 'bodyRefused http_422'],
  ['OK', reply(200, { response: { status: 'OK' } }), 'accepted'],
  ['OK with unknown fields', reply(200, { status: 'OK', later: { a: [1] } }), 'accepted'],
  ['OK with warnings null', reply(200, { status: 'OK', warnings: null }), 'accepted'],
  ['OK that counted no user', reply(200, counted(0, 0)), 'bodyRefused nothing_counted'],
  [
    'the same without a level and an envelope',
    reply(200, { status: 'OK', users_in_request: 0 }),
    'bodyRefused nothing_counted',
  ],
  ['OK that counted no user, with a warning', reply(200, counted(0, 0, ['Odd'])), 'accepted'],
  ['OK that counted users but no segment', reply(200, counted(1, 0)), 'accepted'],
  ['OK that counted nonsense', reply(200, counted('none', -1)), 'accepted'],
  ['OK after a byte order mark', reply(200, '\ufeff{"status":"OK"}'), 'accepted'],
];

describe('reading the reply of a post', () => {
  for (const [name, given, expected] of rows) {
    it(`${name} is ${expected}`, () => assert.equal(gist(readPostReply(given)), expected));
  }

  it('a syntax error or a warning that repeats such words from an entry is not a rate limit', () => {
    const echoed = refused('SYNTAX', `bad seg_code 'RATE_EXCEEDED' or '${sentence}'`);
    assert.equal(gist(readPostReply(reply(400, echoed))), 'bodyRefused SYNTAX');
    const withStatus = notOk({ error: echoed.response.error });
    assert.equal(gist(readPostReply(reply(200, withStatus))), 'bodyRefused status_not_ok');
    const warned = { status: 'OK', warnings: [{ message: 'Odd', entity: { user_id: 'RATE_EXCEEDED' } }] };
    assert.equal(gist(readPostReply(reply(200, warned))), 'accepted');
  });

  it('returns warnings as sent, including malformed ones', () => {
    const warnings = [{ message: 'A', entity: { user_id: '1' }, extra: 1 }, 'B', { text: 'C' }];
    assert.deepEqual(readPostReply(reply(200, { status: 'OK', warnings })), {
      kind: 'accepted',
      warnings: [
        { message: 'A', entity: { user_id: '1' } },
        { message: 'B', entity: undefined },
        { message: 'A warning without a message: {"text":"C"}', entity: { text: 'C' } },
      ],
      counts: { users: null, segments: null },
    });
    assert.equal(gist(readPostReply(reply(200, { status: 'OK', warnings: 'later' }))), 'accepted');
  });

  it('returns the counts of either level, and null without a valid count', () => {
    const counts = (body: object) => {
      const outcome = readPostReply(reply(200, body));
      return outcome.kind === 'accepted' ? outcome.counts : null;
    };
    assert.deepEqual(counts(counted(3, 5)), { users: 3, segments: 5 });
    assert.deepEqual(counts(counted('3', '5').response), { users: 3, segments: 5 });
    const flat = { status: 'OK', users_in_request: 1, segments_in_request: 2 };
    assert.deepEqual(counts(flat), { users: 1, segments: 2 });
    assert.deepEqual(counts({ response: flat }), { users: 1, segments: 2 });
    for (const odd of ['', 'x', -1, 1.5, 1e300, null, {}, [1], true])
      assert.deepEqual(counts(counted(odd, odd)), { users: null, segments: null }, JSON.stringify(odd));
  });

  it('quotes the service in a short line without tokens', () => {
    const error = `Bad\n token hbapi:1:secret and authn:2:secret and mine-3 ${'x'.repeat(900)}`;
    const outcome = readPostReply({ ...reply(400, refused('SYNTAX', error)), secrets: ['mine-3'] });
    assert.ok(outcome.kind === 'bodyRefused');
    assert.doesNotMatch(outcome.message, /secret|mine-3|\n/);
    assert.ok(outcome.message.length < 400, outcome.message);
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2030, 0, 1, 0, 0, 0);
  const wait = (value: string | string[], more: HttpReply['headers'] = {}) =>
    retryAfterMs({ 'Retry-After': value, ...more }, now);

  it('is at least 1 s, also when missing or unreadable', () => {
    assert.equal(retryAfterMs({}, now), 1000);
    for (const value of ['', 'soon', '-5', '0', '0.2', 'Wed, 99 Foo 2030 00:00:00 GMT']) {
      assert.equal(wait(value), 1000, value);
    }
  });

  it('is the largest of several, joined or separate, in any order', () => {
    assert.equal(wait('9, 24'), 24_000);
    assert.equal(wait('24,9'), 24_000);
    assert.equal(wait(['9', '24']), 24_000);
    assert.equal(wait(['24', 'x', '9']), 24_000);
  });

  it('may be a date, counted from the `Date` of the reply if it has one', () => {
    const inTwoMinutes = new Date(now + 120_000).toUTCString();
    assert.equal(wait(inTwoMinutes), 120_000);
    assert.equal(wait(`${inTwoMinutes}, 7`), 120_000);
    assert.equal(wait(['7', inTwoMinutes]), 120_000);
    assert.equal(wait(inTwoMinutes, { date: new Date(now + 90_000).toUTCString() }), 30_000);
    assert.equal(wait(new Date(now - 5000).toUTCString()), 1000);
  });

  it('is at most an hour', () => assert.equal(wait('999999999999999999'), 3_600_000));
});

describe('reading the reply of an authentication', () => {
  const authRows: readonly (readonly [name: string, reply: HttpReply, gist: string])[] = [
    ['401', reply(401, html), 'loginRefused NOAUTH'],
    ['NOAUTH_EXPIRED', reply(200, refused('NOAUTH_EXPIRED')), 'loginRefused NOAUTH_EXPIRED'],
    ['NOAUTH_DISABLED', reply(200, refused('NOAUTH_DISABLED')), 'loginRefused NOAUTH_DISABLED'],
    ['UNAUTH', reply(200, refused('UNAUTH')), 'loginRefused UNAUTH'],
    ['429', reply(429), 'rateLimited'],
    ['LIMIT', reply(200, refused('LIMIT')), 'rateLimited'],
    ['404', reply(404, html), 'configuration http_404'],
    ['SYNTAX', reply(200, refused('SYNTAX')), 'configuration SYNTAX'],
    ['400', reply(400, html), 'configuration http_400'],
    ['a status other than OK', reply(200, notOk()), 'configuration status_not_ok'],
    ['405', reply(405, html), 'configuration http_405'],
    ['500', reply(500, html), 'retriable http_500 ambiguous'],
    ['SYSTEM', reply(200, refused('SYSTEM')), 'retriable SYSTEM certain'],
    ['OK without a token', reply(200, { status: 'OK' }), 'retriable no_token ambiguous'],
    [
      'OK with a token that is invalid in a header',
      reply(200, { status: 'OK', token: 'a\r\nb' }),
      'retriable no_token ambiguous',
    ],
    ['OK with a JWT’s token', reply(200, { response: { status: 'OK', token: 'authn:1:2' } }), 'token'],
  ];
  for (const [name, given, expected] of authRows) {
    it(`${name} is ${expected}`, () => assert.equal(gist(readAuthReply(given)), expected));
  }

  it('names the login in its messages, not a post', () => {
    const noauth = readAuthReply(reply(200, refused('NOAUTH')));
    assert.ok('message' in noauth);
    assert.match(noauth.message, /^The service refused the login: check username and password/);
    const syntax = readAuthReply(reply(200, refused('SYNTAX')));
    assert.ok('message' in syntax);
    assert.match(syntax.message, /form of the login/);
  });
});

describe('reading the reply of a read', () => {
  it('returns the value, a refusal, or an unknown form', () => {
    const parse = (json: unknown) => (json as { n?: number }).n ?? null;
    assert.deepEqual(readReply(reply(200, { status: 'OK', n: 3 }), parse), { kind: 'read', value: 3 });
    assert.equal(gist(readReply(reply(200, refused('NOAUTH')), parse)), 'deadToken');
    assert.equal(gist(readReply(reply(200, { status: 'OK' }), parse)), 'retriable unknown_reply certain');
  });
});

// POST /rt-segment beyond the documented samples: applied blocks, warnings and refusals.
import assert from 'node:assert/strict';
import { checkEntry } from '../../src/entry/check';
import { call, entry, login, post, sandboxes } from './helpers';

describe('POST /rt-segment', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const sandbox = await start(options);
    return { sandbox, url: sandbox.url, token: await login(sandbox.url) };
  }

  it('applies valid blocks, and warns about the others', async () => {
    const { sandbox, url, token } = await started();
    const bad = { seg_code: 'abc', value: 1 };
    const { json } = await post(
      url,
      token,
      entry('1', [{ seg_id: 5 }, bad]),
      entry('2', [bad]),
      { user_id: '3', seg_block: [] },
      { user_id: '', seg_block: [{ seg_id: 5 }], domain: 'idfa' },
    );
    assert.deepEqual(json.response.message, { users_in_request: 3, segments_in_request: 1 });
    assert.deepEqual(json.response.warnings, [
      { message: "'seg_id' or 'seg_code' and 'member_id' are required", entity: bad },
      { message: "'seg_id' or 'seg_code' and 'member_id' are required", entity: bad },
      { message: 'No valid segments for user_id: 2.', entity: entry('2', [bad]) },
      { message: "'seg_block' is required", entity: { user_id: '3', seg_block: [] } },
      {
        message: "'user_id' is required and cannot be empty",
        entity: { user_id: '', seg_block: [{ seg_id: 5 }] },
      },
    ]);
    assert.deepEqual(
      sandbox.state().map(({ user_id }) => user_id),
      ['1'],
    );
  });

  it('applies neither a block that names its segment twice nor a user id that is a number', async () => {
    const { sandbox, url, token } = await started();
    const { json } = await post(url, token, entry('1', [{ seg_id: 5, seg_code: 'a', member_id: 1 }]), {
      user_id: 12,
      seg_block: [{ seg_id: 5 }],
    });
    assert.deepEqual(
      json.warnings.map(({ message }: any) => message),
      [
        "'seg_id' or 'seg_code' and 'member_id' are required",
        'No valid segments for user_id: 1.',
        "'user_id' is required and cannot be empty",
        'No valid rt_segment in request.',
      ],
    );
    assert.deepEqual(sandbox.state(), []);
  });

  it('repeats entries in warnings without null numbers and domain, but with a null seg_code', async () => {
    const { url, token } = await started();
    const nulls = { seg_id: null, seg_code: null, value: null, expiration: null, member_id: null };
    const sent = { user_id: '2', domain: 'idfa', seg_block: [nulls, { ...nulls, value: 4 }] };
    const { json } = await post(url, token, entry('1'), sent);
    assert.deepEqual(
      json.response.warnings.map(({ entity }: any) => entity),
      [
        { seg_code: null },
        { seg_code: null, value: 4 },
        { user_id: '2', seg_block: [{ seg_code: null }, { seg_code: null, value: 4 }] },
      ],
    );
  });

  it('warns that a request without entries is wholly invalid', async () => {
    const { url, token } = await started();
    for (const body of [{}, { rt_segment: [] }, { rt_segment: 'x' }]) {
      const { json } = await call(url, 'POST /rt-segment', { token, body });
      assert.deepEqual(json, {
        status: 'OK',
        message: { users_in_request: 0, segments_in_request: 0 },
        warnings: [{ message: 'No valid rt_segment in request.', entity: body }],
      });
    }
  });

  it('replies with counts and warnings to a request by code with an error', async () => {
    const { url, token } = await started();
    const { json } = await post(url, token, entry('1', [{ seg_code: 'a', member_id: 2 }, { seg_code: 'b' }]));
    assert.deepEqual(json.response.message, { users_in_request: 1, segments_in_request: 1 });
    assert.equal(json.response.warnings.length, 1);
  });

  it('refuses a whole body for an invalid value, names its place, and applies nothing', async () => {
    const { sandbox, url, token } = await started();
    const wrong: [unknown, string][] = [
      [entry('1', [{ seg_id: 1.5 }]), 'rt_segment[1].seg_block[0].seg_id'],
      [entry('1', [{ seg_id: 1 }, { seg_id: 2, expiration: -5 }]), 'rt_segment[1].seg_block[1].expiration'],
      [entry('1', [{ seg_id: 1, value: 2_147_483_648 }]), 'rt_segment[1].seg_block[0].value'],
      [
        { user_id: '1', seg_block: [{ seg_id: 1, expiration: 'soon' }] },
        'rt_segment[1].seg_block[0].expiration',
      ],
      [{ user_id: '1', seg_block: [{ seg_code: 5 }] }, 'rt_segment[1].seg_block[0].seg_code'],
      [{ user_id: '1', seg_block: [null] }, 'rt_segment[1].seg_block[0]'],
      [{ user_id: '1', domain: 5, seg_block: [] }, 'rt_segment[1].domain'],
      [null, 'rt_segment[1]'],
    ];
    for (const [one, where] of wrong) {
      const { status, json } = await post(url, token, entry('fine'), one);
      assert.deepEqual([status, json.response.error_id], [400, 'SYNTAX']);
      assert.ok(json.response.error.startsWith(`${where} must be`), json.response.error);
    }
    assert.deepEqual(sandbox.state(), []);
  });

  it('accepts exactly the numbers that checkEntry accepts', async () => {
    const { url, token } = await started();
    const edges = [
      -(2 ** 31) - 1,
      -(2 ** 31),
      -2,
      -1,
      0,
      1,
      2 ** 31 - 1,
      2 ** 31,
      Number.MAX_SAFE_INTEGER,
      0.5,
    ];
    const fields = {
      seg_id: { member_id: 1 },
      member_id: { seg_code: 'a' },
      value: { seg_id: 1 },
      expiration: { seg_id: 1 },
    };
    for (const [field, rest] of Object.entries(fields)) {
      for (const edge of edges) {
        const one = entry('1', [{ ...rest, [field]: edge }]);
        const { status } = await post(url, token, one);
        assert.equal(status === 200, checkEntry(one).ok, `${field} ${edge}: HTTP ${status}`);
      }
    }
  });

  it('refuses a body that is not a JSON object', async () => {
    const { url, token } = await started();
    for (const body of ['', 'x', '[]', 'null', '{"rt_segment":[']) {
      const { status, json } = await call(url, 'POST /rt-segment', { token, body });
      assert.deepEqual([status, json.response.error_id], [400, 'SYNTAX'], body);
    }
  });

  it('applies 100 segments of a user, and ignores further ones without a warning, since none is documented', async () => {
    const { sandbox, url, token } = await started();
    const blocks = Array.from({ length: 101 }, (_, index) => ({ seg_id: index + 1 }));
    const { json } = await post(url, token, entry('1', blocks));
    assert.deepEqual(json.response.message, { users_in_request: 1, segments_in_request: 100 });
    assert.deepEqual(json.response.warnings, []);
    assert.equal(sandbox.state().length, 100);
    assert.equal(sandbox.peaks().worst.segmentsPerUser, 101);
  });

  it('is safe against keys such as __proto__ and lone surrogates', async () => {
    const { sandbox, url, token } = await started();
    const odd =
      '{"user_id":"\\ud800","__proto__":{"seg_block":[]},"seg_block":[{"seg_id":7,"__proto__":{"a":1}}]}';
    const none = '{"__proto__":{"user_id":"x"},"seg_block":[{"seg_id":7}]}';
    const { json } = await call(url, 'POST /rt-segment', { token, body: `{"rt_segment":[${odd},${none}]}` });
    assert.equal(json.response.message.users_in_request, 1);
    assert.equal(json.response.warnings[0].message, "'user_id' is required and cannot be empty");
    assert.equal(sandbox.state().length, 1);
    assert.equal(({} as any).user_id, undefined);
  });

  it('counts users and segments that occur twice in a request, which clients must avoid', async () => {
    const { sandbox, url, token } = await started();
    await post(
      url,
      token,
      entry('1', [{ seg_id: 5 }]),
      entry('1', [{ seg_id: 6 }]),
      entry('2', [{ seg_id: 5 }]),
    );
    await post(url, token, entry('1', [{ seg_id: 10002 }, { seg_code: 'buyers', member_id: 1 }]));
    const { repeatedUsers, repeatedSegments } = sandbox.peaks().totals;
    assert.deepEqual({ repeatedUsers, repeatedSegments }, { repeatedUsers: 1, repeatedSegments: 1 });
  });
});

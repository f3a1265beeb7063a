// Segments made while the sandbox runs: POST /segment, warm-up and default expiration.
import assert from 'node:assert/strict';
import { call, caseFile, entry, FakeClock, login, post, sandboxes } from './helpers';

const minuteMs = 60_000;

describe('a segment of the sandbox', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const clock = new FakeClock();
    const sandbox = await start({ clock, ...options });
    const token = await login(sandbox.url);
    const make = (segment: unknown, query = '') =>
      call(sandbox.url, `POST /segment${query}`, { token, body: { segment } });
    const send = (...entries: unknown[]) => post(sandbox.url, token, ...entries);
    const users = () => sandbox.state().map(({ segment, user_id }) => `${segment}:${user_id}`);
    const report = async () => {
      const { json } = await call(sandbox.url, 'GET /rt-segment-processed?agg=true', { token });
      return json.response.report;
    };
    return { clock, sandbox, token, make, send, users, report };
  }

  it('is made as documented: 13-segment-created', async () => {
    const { request, reply } = caseFile('13-segment-created');
    const { make } = await started({ member: 25 });
    const { status, json } = await make(request.segment, '?member_id=25');
    assert.equal(status, 200);
    const { id, last_modified } = json.response.segment;
    const { short_name, code } = request.segment;
    const documented = { ...reply.response.segment, id, last_modified, short_name, code };
    assert.deepEqual(json.response, {
      ...reply.response,
      id,
      dbg_info: json.response.dbg_info,
      segment: documented,
    });
    assert.equal(last_modified, '2026-01-05 10:30:00');
  });

  it('accepts no users for 20 minutes after it was made, which only the statistics show', async () => {
    const { clock, make, send, users, report } = await started();
    const { id } = (await make({ code: 'fresh' })).json.response;
    const both = (user: string) =>
      send(entry(user, [{ seg_id: id }]), entry(`${user}c`, [{ seg_code: 'FRESH', member_id: 1 }]));
    const { json } = await both('1');
    assert.deepEqual(json.response, {
      status: 'OK',
      message: { users_in_request: 2, segments_in_request: 2 },
      warnings: [],
    });
    clock.advance(20 * minuteMs - 1);
    await both('2');
    await send(entry('1', [{ seg_id: id, expiration: -1 }]));
    assert.deepEqual(users(), []);
    assert.deepEqual([(await report()).num_invalid_segments, (await report()).num_valid_adds], [5, 0]);
    clock.advance(1);
    await both('3');
    assert.deepEqual(users(), [`${id}:3`, `${id}:3c`]);
  });

  it('has no warm-up if configured or unlisted; of the samples only 10996 has one', async () => {
    const { clock, send, users } = await started();
    const blocks = [{ seg_id: 10001 }, { seg_id: 10996 }, { seg_id: 77 }, { seg_code: 'x', member_id: 1 }];
    await send(entry('1', blocks));
    assert.deepEqual(users(), ['77:1', '10001:1', '1:x:1']);
    clock.advance(20 * minuteMs);
    await send(entry('1', blocks));
    assert.deepEqual(users(), ['77:1', '10001:1', '10996:1', '1:x:1']);
    const given = {
      id: 5,
      code: 'given',
      short_name: 'Given',
      state: 'active',
      member_id: 1,
      expire_minutes: null,
      last_modified: '2026-01-05 10:29:00',
    };
    const other = await started({ segments: [given] });
    await other.send(entry('1', [{ seg_id: 5 }]));
    assert.deepEqual(other.users(), ['5:1']);
  });

  it('has the warm-up that the sandbox is set to', async () => {
    const { make, send, users } = await started({ warmUpMinutes: 0 });
    const { id } = (await make({ short_name: 'No code' })).json.response;
    await send(entry('1', [{ seg_id: id }, { seg_id: 10996 }]));
    assert.deepEqual(users(), ['10996:1', `${id}:1`]);
  });

  it('sets the expiration of blocks without one, or else the sandbox does', async () => {
    const { sandbox, make, send } = await started({ warmUpMinutes: 0, defaultExpirationMinutes: 10 });
    const { id } = (await make({ expire_minutes: 60 })).json.response;
    await send(entry('1', [{ seg_id: id }, { seg_id: 77 }, { seg_id: 10003 }, { seg_id: 10005 }]));
    await send(entry('2', [{ seg_id: id, expiration: 5 }]), entry('3', [{ seg_id: id, expiration: 0 }]));
    assert.deepEqual(
      sandbox.state().map(({ segment, user_id, expires }) => [Number(segment), user_id, expires]),
      [
        [77, '1', '2026-01-05T10:40:00.000Z'],
        [10003, '1', '2026-01-12T10:30:00.000Z'],
        [10005, '1', '2026-01-05T10:40:00.000Z'],
        [id, '1', '2026-01-05T11:30:00.000Z'],
        [id, '2', '2026-01-05T10:35:00.000Z'],
        [id, '3', null],
      ],
    );
  });

  it('is not made with a code in use, for another member or with invalid values', async () => {
    const { make } = await started();
    assert.equal((await make({ code: 'once' })).json.response.status, 'OK');
    const refused: [unknown, string, string][] = [
      [{ code: 'ONCE' }, '', 'INTEGRITY'],
      [{ code: 'buyers' }, '', 'INTEGRITY'],
      [{ code: 'a', member_id: 2 }, '', 'UNAUTH'],
      [{ code: 'a' }, '?member_id=2', 'UNAUTH'],
      [{ code: 'a'.repeat(51) }, '', 'SYNTAX'],
      [{ code: 7 }, '', 'SYNTAX'],
      [{ expire_minutes: -1 }, '', 'SYNTAX'],
      [{ state: 'new' }, '', 'SYNTAX'],
      [undefined, '', 'SYNTAX'],
    ];
    for (const [segment, query, errorId] of refused) {
      const { json } = await make(segment, query);
      assert.equal(json.response.error_id, errorId, JSON.stringify(segment));
    }
  });
});

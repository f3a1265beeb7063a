// Usage statistics of the sandbox: posts without effect, and the processing delay.
import assert from 'node:assert/strict';
import { call, entry, FakeClock, login, post, sandboxes } from './helpers';

const minute = 60_000;

describe('usage statistics of the sandbox', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const clock = new FakeClock();
    const sandbox = await start({ clock, ...options });
    const { url } = sandbox;
    const token = await login(url);
    const send = async (...entries: unknown[]) => (await post(url, token, ...entries)).json;
    const report = async (query = '') =>
      (await call(url, `GET /rt-segment-processed${query}`, { token: await login(url) })).json.response
        .report;
    return { clock, sandbox, url, send, report };
  }

  it('count sample segments that are inactive, unauthorized or unknown', async () => {
    const { sandbox, send, report } = await started();
    const { response } = await send(
      entry('1', [{ seg_id: 10001 }, { seg_id: 10999 }, { seg_id: 10998 }, { seg_id: 10997 }]),
      entry('2', [{ seg_code: 'Summer_Sale_2019', member_id: 1 }]),
      entry('3', [{ seg_code: 'partner_travellers', member_id: 2 }]),
    );
    assert.equal(response.status, 'OK');
    assert.deepEqual(response.warnings, []);
    const [only] = await report();
    const { num_valid_adds, num_inactive_segments, num_unauth_segments, num_invalid_segments } = only;
    assert.deepEqual(
      [num_valid_adds, num_inactive_segments, num_unauth_segments, num_invalid_segments],
      [1, 2, 2, 1],
    );
    assert.equal(
      only.error_log_lines,
      "Inactive segments (id, code, segment owner member id): (10999, 'summer_sale_2019', 1)\n" +
        "Invalid segments (id, code, segment owner member id): (10997, 'segment_10997', 1)\n" +
        "Unauthorized segments (id, code, segment owner member id): (10998, 'partner_travellers', 2)",
    );
    assert.deepEqual(
      sandbox.state().map(({ segment }) => segment),
      ['10001'],
    );
  });

  it('can be explained by the state, member and date of the listed segments', async () => {
    const { url } = await started();
    const { json } = await call(url, 'GET /segment?id=10996,10997,10998,10999', { token: await login(url) });
    assert.deepEqual(
      json.response.segments.map((one: any) => [one.id, one.state, one.member_id, one.last_modified]),
      [
        [10996, 'active', 1, '2026-01-05 10:30:00'],
        [10998, 'active', 2, '2025-01-15 09:00:00'],
        [10999, 'inactive', 1, '2025-01-15 09:00:00'],
      ],
    );
  });

  it('count users with certain ids as unknown, although posts accept them', async () => {
    const { sandbox, send, report } = await started();
    const unknown = [
      entry('unknown-7'),
      entry('99999999123'),
      entry('FFFFFFFF-0000-4000-8000-000000000001', undefined, 'idfa'),
      entry('f'.repeat(32), undefined, 'md5udid'),
      entry('unknown', undefined, 'crm'),
    ];
    const known = [entry('9999999'), entry('f'.repeat(32)), entry('7-unknown')];
    assert.deepEqual((await send(...unknown, ...known)).response.warnings, []);
    const [only] = await report();
    assert.deepEqual(
      [only.num_valid_users, only.num_invalid_users, only.num_valid_adds, only.match_rate],
      [3, 5, 3, 37.5],
    );
    assert.match(only.error_log_lines, /^Inactive users: unknown-7, 99999999123, ffffffff-/);
    assert.equal(sandbox.state().length, 3);
  });

  it('have one line for each kind, whatever characters an id contains', async () => {
    const { send, report } = await started();
    await send(entry('7\nInactive users: 8'), entry('unknown\r\nInvalid segments: (1)'));
    const [only] = await report();
    assert.deepEqual(only.error_log_lines.split('\n'), ['Inactive users: unknown Invalid segments: (1)']);
    assert.equal(only.segment_log_lines.split('\n').length, 3);
  });

  it('count a post only after its processing, in the hour of its processing', async () => {
    const { clock, sandbox, send, report } = await started({ processingDelayMs: 40 * minute });
    await send(entry('1'), entry('0'));
    assert.equal(sandbox.state().length, 1, 'memberships hold at once');
    clock.advance(39 * minute);
    assert.deepEqual(await report(), []);
    clock.advance(2 * minute);
    const [only] = await report();
    assert.deepEqual(
      [only.processed_hour, only.num_valid_adds, only.num_invalid_users],
      ['2026-01-05 11:00:00', 1, 1],
    );
    assert.match(only.segment_log_lines, /Valid additions .*: \(1, 10001, 43200\)$/);
  });

  it('lose none of many unprocessed posts when the delay changes', async () => {
    const { clock, sandbox, send, report } = await started({ processingDelayMs: 60 * minute });
    for (let posts = 0; posts < 90; posts += 1) {
      await send(entry(String(posts + 1)));
      clock.advance(minute);
      if (posts === 60) sandbox.setProcessingDelay(0);
    }
    clock.advance(120 * minute);
    const { num_valid_adds, num_valid_users } = await report('?agg=true');
    assert.deepEqual([num_valid_adds, num_valid_users], [90, 90]);
  });

  it('have a delay that an admin route shows and changes, within its range', async () => {
    const { url, clock, send, report } = await started();
    const put = async (body: unknown) => (await call(url, 'PUT /sandbox/processing', { body })).status;
    assert.deepEqual((await call(url, 'GET /sandbox/processing')).json, { delaySeconds: 0 });
    assert.equal(await put({ delaySeconds: 90 }), 200);
    assert.deepEqual((await call(url, 'GET /sandbox/processing')).json, { delaySeconds: 90 });
    for (const wrong of [{}, { delaySeconds: -1 }, { delaySeconds: 86_401 }, { delaySeconds: '5' }, 'x']) {
      assert.equal(await put(wrong), 400);
    }
    await send(entry('1'));
    assert.deepEqual(await report(), []);
    clock.advance(92_000);
    assert.equal((await report()).length, 1);
  });
});

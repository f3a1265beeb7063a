// Reads from the sandbox (segments, usage statistics, admin routes), and its start and stop.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { startSandbox } from '../../src/sandbox/sandbox';
import { call, entry, FakeClock, login, post, sandboxes, until } from './helpers';

describe('GET /segment', () => {
  const start = sandboxes();
  const segments = Array.from({ length: 250 }, (_, index) => ({
    id: index + 1,
    code: `Code_${index + 1}`,
    short_name: index % 2 ? 'odd one' : 'Even one',
    state: index < 240 ? ('active' as const) : ('inactive' as const),
    member_id: 1,
    expire_minutes: 60,
    last_modified: '2026-01-01 00:00:00',
  }));

  async function started(options = {}) {
    const { url } = await start(options);
    const token = await login(url);
    return async (query: string) => (await call(url, `GET /segment${query}`, { token })).json.response;
  }

  it('lists samples with readable names, among them those of the quick starts', async () => {
    const list = await started();
    const { count, segments: samples } = await list('');
    assert.equal(count, 15);
    assert.deepEqual(
      samples.slice(0, 2).map(({ id, code }: any) => [id, code]),
      [
        [10001, 'kitchen_viewers'],
        [10002, 'buyers'],
      ],
    );
    assert.equal((await list('?state=active')).count, 14);
  });

  it('silently limits pages to 100, and lists each segment exactly once', async () => {
    const list = await started({ segments });
    const ids: number[] = [];
    for (let from = 0; ; from += 100) {
      const page = await list(`?start_element=${from}&num_elements=500`);
      assert.equal(page.count, 250);
      if (page.segments.length === 0) break;
      ids.push(...page.segments.map(({ id }: any) => id));
    }
    assert.deepEqual(
      ids,
      segments.map(({ id }) => id),
    );
    const small = await list('?start_element=5&num_elements=2');
    assert.deepEqual(
      small.segments.map(({ id }: any) => id),
      [6, 7],
    );
  });

  it('filters by id, code, search and state', async () => {
    const list = await started({ segments, acceptUnlistedSegments: false });
    const ids = async (query: string) => (await list(query)).segments.map(({ id }: any) => id);
    assert.deepEqual(await ids('?id=3,1,999'), [1, 3]);
    assert.deepEqual(await ids('?code=CODE_7,code_8'), [7, 8]);
    assert.deepEqual(await ids('?search=code_24&state=active'), [24, 240]);
    assert.equal((await list('?search=ODD')).count, 125);
    assert.deepEqual(await ids('?id=999'), []);
  });

  it('finds every segment that posts may change by id or code, and lists none of the unlisted ones otherwise', async () => {
    const list = await started({});
    const reply = await list('?id=10001,777,10997');
    assert.deepEqual(
      reply.segments.map(({ id, code, state }: any) => [id, code, state]),
      [
        [10001, 'kitchen_viewers', 'active'],
        [777, 'segment_777', 'active'],
      ],
    );
    const [one, other] = [await list('?code=own'), await list('?code=OWN')];
    assert.deepEqual([one.count, one.segment.code, one.segment.member_id], [1, 'own', 1]);
    assert.equal(one.segment.id, other.segment.id);
    assert.equal((await list('?code=buyers')).segment.id, 10002);
    assert.equal((await list('?search=777')).count, 0);
  });

  it('returns a single hit under `segment`', async () => {
    const list = await started({ segments });
    const reply = await list('?id=4');
    assert.deepEqual([reply.count, reply.segment.id, reply.segments], [1, 4, undefined]);
  });

  it('refuses pages that are not numbers', async () => {
    const list = await started();
    assert.equal((await list('?start_element=-1')).error_id, 'SYNTAX');
    assert.equal((await list('?num_elements=all')).error_id, 'SYNTAX');
  });
});

describe('GET /rt-segment-processed', () => {
  const start = sandboxes();
  const hour = 3_600_000;

  async function started(options = {}) {
    const clock = new FakeClock();
    const { url } = await start({ clock, ...options });
    const send = async (...entries: unknown[]) => post(url, await login(url), ...entries);
    const report = async (query = '') => {
      const { json } = await call(url, `GET /rt-segment-processed${query}`, { token: await login(url) });
      return json.response.report ?? json.response.error_id;
    };
    return { clock, send, report };
  }

  it("counts adds, removals, each user once per request, and ids that are nobody's", async () => {
    const { send, report } = await started();
    await send(
      entry('1', [{ seg_id: 10001, expiration: 60 }, { seg_id: 5 }]),
      entry('1', [{ seg_id: 6 }]),
      entry('0'),
    );
    await send(
      entry('1', [{ seg_code: 'c', member_id: 9, expiration: -1 }]),
      entry('2', [{ seg_code: 'x' }]),
    );
    assert.deepEqual(await report('?member_id=123'), [
      {
        processed_hour: '2026-01-05 10:00:00',
        member_id: 123,
        match_rate: 75,
        num_valid_users: 3,
        num_valid_adds: 3,
        num_valid_removes: 1,
        num_invalid_users: 1,
        num_unauth_segments: 0,
        num_inactive_segments: 0,
        num_invalid_segments: 0,
        num_other_errors: 2,
        error_log_lines: 'Inactive users: 0',
        segment_log_lines:
          'Valid users: 1, 2\n' +
          "Valid segments (id, code, segment owner member id): (10001, 'kitchen_viewers', 1), (5, 'segment_5', 1), " +
          "(6, 'segment_6', 1), (0, 'c', 9)\n" +
          'Valid additions (user id, segment id, expiration): (1, 10001, 60), (1, 5, 43200), (1, 6, 43200)\n' +
          'Valid removals (user id, segment id, expiration): (1, 9:c, -1)',
      },
    ]);
  });

  it('counts segments that posts cannot change by their reason', async () => {
    const { send, report } = await started({ acceptUnlistedSegments: false });
    const { json } = await send(
      entry('1', [{ seg_id: 10999 }, { seg_id: 5 }, { seg_code: 'none', member_id: 1 }]),
      entry('2', [{ seg_code: 'theirs', member_id: 9 }, { seg_id: 10001 }]),
    );
    assert.deepEqual(json.response.warnings, [], 'the post itself does not warn');
    const [only] = await report();
    const { num_inactive_segments, num_invalid_segments, num_unauth_segments, num_valid_adds } = only;
    assert.deepEqual(
      [num_inactive_segments, num_invalid_segments, num_unauth_segments, num_valid_adds],
      [1, 2, 1, 1],
    );
    assert.match(only.error_log_lines, /Unauthorized segments \(id, .*\): \(0, 'theirs', 9\)/);
  });

  it('reports the hours of a range, or their sum', async () => {
    const { clock, send, report } = await started();
    for (let done = 0; done < 3; done += 1) {
      await send(entry(String(done + 1)));
      clock.advance(hour);
    }
    const hours = async (query: string) =>
      (await report(query)).map((one: any) => one.processed_hour.slice(11, 13));
    assert.deepEqual(await hours(''), ['10', '11', '12']);
    assert.deepEqual(await hours('?start=2026-01-05+11:00:00&end=2026-01-05+12:00:00'), ['11', '12']);
    assert.deepEqual(await hours('?start=2026-01-05%2B12:30:00'), ['12']);
    assert.deepEqual(await hours('?end=2026-01-05+10:59:59'), ['10']);
    const sum = await report('?agg=true');
    assert.deepEqual([sum.num_valid_adds, sum.processed_hour], [3, '2026-01-05 12:00:00']);
    assert.deepEqual([sum.error_log_lines, sum.segment_log_lines], [null, null]);
    assert.equal(await report('?start=yesterday'), 'SYNTAX');
  });

  it('reports two weeks without a range, with samples of 200', async () => {
    const { clock, send, report } = await started();
    await send(...Array.from({ length: 300 }, (_, index) => entry(String(index + 1))));
    const [first] = await report();
    assert.equal(first.segment_log_lines.split('\n')[0].split(', ').length, 200);
    assert.equal(first.num_valid_users, 300);
    clock.advance(14 * 24 * hour + hour);
    assert.deepEqual(await report(), []);
  });
});

describe('the admin routes of the sandbox', () => {
  const start = sandboxes();

  it('show members by segment and by user', async () => {
    const { url } = await start({ clock: new FakeClock() });
    await post(url, await login(url), entry('1', [{ seg_id: 10001, value: 4, expiration: 30 }]), entry('2'));
    await post(url, await login(url), entry('2', [{ seg_code: 'abcd', member_id: 1661, expiration: 0 }]));
    const names = { segment: '10001', code: 'kitchen_viewers', name: 'Kitchen: viewed a product', count: 2 };
    const code = { segment: '1661:abcd', code: null, name: null, count: 1 };
    const show = async (query: string) => (await call(url, `GET /sandbox/members${query}`)).json.segments;
    assert.deepEqual(await show(''), [names, code]);
    const one = {
      segment: '10001',
      user_id: '1',
      domain: null,
      value: 4,
      expires: '2026-01-05T11:00:00.000Z',
    };
    assert.deepEqual(await show('?segment=10001&limit=1'), [{ ...names, members: [one] }]);
    assert.deepEqual(await show('?segment=kitchen_viewers&user=1'), [{ ...names, members: [one] }]);
    assert.deepEqual(
      (await show('?user=2')).map(({ segment }: any) => segment),
      ['10001', '1661:abcd'],
    );
    assert.deepEqual(await show('?segment=1661:ABCD&user=1'), []);
  });

  it('return the whole state, also if it is large', async () => {
    const sandbox = await start({ limits: { usersPerSecond: Infinity } });
    assert.deepEqual((await call(sandbox.url, 'GET /sandbox/state')).json, []);
    const token = await login(sandbox.url);
    for (let from = 0; from < 5000; from += 1000) {
      const users = Array.from({ length: 1000 }, (_, index) => entry(`user-${from + index}`));
      assert.equal((await post(sandbox.url, token, ...users)).status, 200);
    }
    const { json } = await call(sandbox.url, 'GET /sandbox/state');
    assert.equal(json.length, 5000);
    assert.deepEqual(json, sandbox.state());
  });

  it('reset the state, and keep tokens and faults', async () => {
    const sandbox = await start();
    const token = await login(sandbox.url);
    sandbox.faults.add({ kind: 'latency', beforeMs: 0 });
    await post(sandbox.url, token, entry('1'));
    assert.equal((await call(sandbox.url, 'DELETE /sandbox/state')).status, 200);
    assert.deepEqual([sandbox.state(), sandbox.operations(), sandbox.peaks().totals.posts], [[], [], 0]);
    assert.equal(sandbox.faults.list().length, 1);
    assert.equal((await post(sandbox.url, token, entry('1'))).status, 200);
    assert.deepEqual((await call(sandbox.url, 'GET /sandbox/peaks')).json, sandbox.peaks());
    assert.equal(sandbox.operations()[0]!.seq, 1);
  });

  it("mark every reply as a sandbox's, and describe the sandbox", async () => {
    const { url } = await start();
    const about = await call(url, 'GET /');
    assert.match(about.text, /sandbox/);
    assert.deepEqual(about.headers['content-type'], ['text/plain; charset=utf-8']);
    for (const route of ['GET /', 'GET /nothing', 'POST /rt-segment', 'PUT /auth', 'GET /sandbox/nothing']) {
      const answer = await call(url, route);
      assert.deepEqual(answer.headers['x-instant-audience-sandbox'], ['1'], route);
    }
    assert.equal((await call(url, 'GET /nothing')).status, 404);
    assert.equal((await call(url, 'PUT /auth')).status, 404, 'not 405, which would mean a rate limit');
  });
});

describe('a sandbox', () => {
  const start = sandboxes();

  it('names a port in use and the remedy', async () => {
    const { port } = await start();
    await assert.rejects(
      startSandbox({ port }),
      new Error(
        `Port ${port} of 127.0.0.1 is in use by another program; choose another port, or 0 for a free one`,
      ),
    );
  });

  it('closes despite a delayed call and an idle connection, and keeps its state', async () => {
    const clock = new FakeClock();
    const sandbox = await start({ clock });
    const token = await login(sandbox.url);
    await post(sandbox.url, token, entry('1'));
    sandbox.faults.set([{ kind: 'latency', beforeMs: 60_000 }]);
    const waiting = assert.rejects(post(sandbox.url, token, entry('2')), { code: 'ECONNRESET' });
    // A connection that never sends its body.
    const silent = request(sandbox.url, { method: 'POST', agent: false, headers: { 'content-length': 5 } });
    silent.on('error', () => undefined).flushHeaders();
    await until(() => clock.waiting === 1);
    await sandbox.close();
    await waiting;
    clock.advance(60_000);
    assert.deepEqual(
      sandbox.state().map(({ user_id }) => user_id),
      ['1'],
      'the delayed call is cancelled',
    );
    await assert.rejects(call(sandbox.url, 'GET /'), { code: 'ECONNREFUSED' });
    await sandbox.close();
  });
});

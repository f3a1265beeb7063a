// An independent client for this platform (anx-api, from npm) works with the sandbox.
import assert from 'node:assert/strict';
import { AnxApi } from 'anx-api';
import { caseFile, FakeClock, sandboxes } from './helpers';

describe('the anx-api client, with the sandbox', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const sandbox = await start({ users: { me: 'secret' }, warmUpMinutes: 0, ...options });
    const api = new AnxApi({ target: sandbox.url, environment: 'node', rateLimiting: true });
    return { sandbox, api };
  }

  it('logs in, and gets an error for a wrong password', async () => {
    const { api } = await started();
    await assert.rejects(api.login('me', 'wrong'), { message: /No match found for user\/pass/ });
    assert.match(await api.login('me', 'secret'), /^hbapi:/);
  });

  it('lists all segments over several pages', async () => {
    const segments = Array.from({ length: 250 }, (_, index) => ({
      id: index + 1,
      code: null,
      short_name: `Segment ${index + 1}`,
      state: 'active' as const,
      member_id: 1,
      expire_minutes: null,
      last_modified: '2025-01-15 09:00:00',
    }));
    const { api } = await started({ segments });
    await api.login('me', 'secret');
    const { body } = await api.getAll({ uri: '/segment' }, {});
    assert.equal(body.response.count, 250);
    assert.deepEqual(body.response.segments, segments);
  });

  it('makes a segment, adds and removes a user, and reads the statistics', async () => {
    const { sandbox, api } = await started();
    await api.login('me', 'secret');
    const made = await api.post('/segment', { segment: { code: 'mine', short_name: 'Mine' } });
    const { id } = made.body.response.segment;
    const one = await api.get({ uri: '/segment', params: { code: 'mine' } });
    assert.equal(one.body.response.segment.id, id);
    const change = (expiration: number) =>
      api.post('/rt-segment', {
        rt_segment: [{ user_id: '12345678900987654321', seg_block: [{ seg_id: id, expiration }] }],
      });
    const added = await change(1440);
    assert.deepEqual(added.body.response, {
      status: 'OK',
      message: { users_in_request: 1, segments_in_request: 1 },
      warnings: [],
    });
    assert.deepEqual(
      sandbox.state().map(({ segment, user_id }) => [segment, user_id]),
      [[String(id), '12345678900987654321']],
    );
    await change(-1);
    assert.deepEqual(sandbox.state(), []);
    const { body } = await api.get({ uri: '/rt-segment-processed', params: { member_id: 1, agg: true } });
    const { num_valid_adds, num_valid_removes } = body.response.report;
    assert.deepEqual([num_valid_adds, num_valid_removes], [1, 1]);
  });

  it('gets the documented warnings, and recognises a rate limit', async () => {
    const { api } = await started({ clock: new FakeClock(), limits: { postsPerSecond: 1 } });
    await api.login('me', 'secret');
    const { request, reply } = caseFile('05-no-segment-identity');
    assert.deepEqual((await api.post('/rt-segment', request)).body, reply);
    const unlimited = new AnxApi({ ...api._config, environment: 'node', rateLimiting: false });
    await assert.rejects(unlimited.post('/rt-segment', request), { name: 'RateLimitExceededError' });
  });
});

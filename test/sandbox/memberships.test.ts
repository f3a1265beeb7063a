// Memberships after posts.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Memberships } from '../../src/sandbox/memberships';
import { entry, FakeClock, login, post, sandboxes, type BlockLike } from './helpers';

const minutes = 60_000;

describe('memberships', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const clock = new FakeClock();
    const sandbox = await start({ clock, ...options });
    const token = await login(sandbox.url);
    const send = async (...entries: unknown[]) => {
      const answer = await post(sandbox.url, token, ...entries);
      assert.equal(answer.status, 200, answer.text);
      return answer;
    };
    return { clock, sandbox, send };
  }

  it('have the value, domain and expiration of the post', async () => {
    const { sandbox, send } = await started();
    await send(entry('7', [{ seg_id: 10001, value: 5, expiration: 30 }]));
    await send(entry('AB', [{ seg_code: 'Own', member_id: 1661, expiration: 0 }], 'crm'));
    assert.deepEqual(sandbox.state(), [
      { segment: '10001', user_id: '7', domain: null, value: 5, expires: '2026-01-05T11:00:00.000Z' },
      { segment: '1661:own', user_id: 'AB', domain: 'crm', value: null, expires: null },
    ]);
  });

  it('expire exactly after their minutes', async () => {
    const { clock, sandbox, send } = await started({ defaultExpirationMinutes: 10 });
    await send(entry('short', [{ seg_id: 1, expiration: 5 }]), entry('default', [{ seg_id: 1 }]));
    await send(entry('never', [{ seg_id: 1, expiration: 0 }]));
    const users = () => sandbox.state().map(({ user_id }) => user_id);
    clock.advance(5 * minutes - 1);
    assert.deepEqual(users(), ['default', 'never', 'short']);
    clock.advance(1);
    assert.deepEqual(users(), ['default', 'never']);
    assert.equal(sandbox.members()[0]!.count, 2);
    clock.advance(5 * minutes);
    assert.deepEqual(users(), ['never']);
    clock.advance(10_000_000 * minutes);
    assert.deepEqual(users(), ['never']);
  });

  it('follow the last write: a removal removes, an add prolongs or shortens', async () => {
    const { sandbox, send } = await started();
    const write = (block: BlockLike) => send(entry('7', [{ seg_id: 10001, ...block }]));
    await write({ expiration: 60, value: 1 });
    await write({ expiration: 0, value: 2 });
    assert.deepEqual(
      sandbox.state().map(({ value, expires }) => [value, expires]),
      [[2, null]],
    );
    await write({ expiration: 1, value: 3 });
    assert.equal(sandbox.state()[0]!.expires, '2026-01-05T10:31:00.000Z');
    await write({ expiration: -1 });
    await write({ expiration: -1 });
    assert.deepEqual(sandbox.state(), []);
  });

  it('are the same for a listed segment by id and by code, and for a device id in either case', async () => {
    const { sandbox, send } = await started();
    const idfa = '1BA98A6C-D1A5-49EF-AD1C-2D9230EBCD13';
    await send(entry(idfa, [{ seg_id: 10002 }], 'idfa'));
    await send(entry(idfa.toLowerCase(), [{ seg_code: 'BUYERS', member_id: 1, value: 9 }], 'idfa'));
    await send(
      entry('a'.repeat(40), [{ seg_id: 3 }], 'sh1udid'),
      entry('A'.repeat(40), [{ seg_id: 3 }], 'sha1udid'),
    );
    assert.deepEqual(
      sandbox.state().map(({ segment, value }) => [segment, value]),
      [
        ['3', null],
        ['10002', 9],
      ],
    );
    assert.equal(sandbox.members({ user: idfa }).length, 1);
  });

  it('differ by domain, and by the exact spelling of ids other than device ids', async () => {
    const { sandbox, send } = await started();
    await send(entry('ab'), entry('AB'), entry('ab', [{ seg_id: 10001 }], 'crm'));
    assert.equal(sandbox.state().length, 3);
  });

  it("are not made for ids that are nobody's, without a warning", async () => {
    const { sandbox, send } = await started();
    const { json } = await send(
      entry('0'),
      entry('00000000-0000-0000-0000-000000000000', [{ seg_id: 1 }], 'idfa'),
      entry('001122334455', [{ seg_id: 1 }], 'sha1mac'),
    );
    assert.deepEqual(json.response.warnings, []);
    assert.deepEqual(sandbox.state(), []);
  });

  it('continue in a new sandbox with the state of an old one', async () => {
    const { clock, sandbox, send } = await started();
    await send(
      entry('7', [{ seg_id: 10001, value: 1, expiration: 30 }]),
      entry('8', [{ seg_id: 2, expiration: 1 }]),
    );
    await send(entry('9', [{ seg_code: '77', member_id: 5, expiration: 0 }], 'crm'));
    await sandbox.close();
    const before = sandbox.state();
    clock.advance(minutes);
    const next = await start({ clock, memberships: before });
    assert.deepEqual(
      next.state(),
      before.filter(({ user_id }) => user_id !== '8'),
    );
    await post(
      next.url,
      await login(next.url),
      entry('9', [{ seg_code: '77', member_id: 5, expiration: -1 }], 'crm'),
    );
    assert.deepEqual(
      next.state().map(({ user_id }) => user_id),
      ['7'],
    );
  });

  it('are logged in the order in which they took effect, the oldest dropped at the limit', async () => {
    const { sandbox, send } = await started({ operationLimit: 3 });
    await send(
      entry('1', [
        { seg_id: 5, value: 4, expiration: 60 },
        { seg_id: 6, expiration: -1 },
      ]),
    );
    await send(entry('2', [{ seg_id: 5 }], 'crm'), entry('1', [{ seg_id: 5, expiration: -1 }]));
    const shown = sandbox.operations().map(({ seq, post, segment, user_id, domain, value, expiration }) => {
      return [seq, post, segment, user_id, domain, value, expiration];
    });
    assert.deepEqual(shown, [
      [2, 1, '6', '1', null, null, -1],
      [3, 2, '5', '2', 'crm', null, null],
      [4, 2, '5', '1', null, null, -1],
    ]);
  });

  it('equal a simple model after any writes, also when restored from a saved state', () => {
    const write = fc.record({
      segment: fc.constantFrom<number | string>(1, 20, 3, '9:a', '10:b'),
      domain: fc.constantFrom('', 'crm', 'x'),
      user: fc.constantFrom('a', 'b', '__proto__', 'c'),
      minutes: fc.constantFrom(-1, 0, 1, 5),
      waitMs: fc.nat(2 * minutes),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 60 }), (writes) => {
        const memberships = new Memberships();
        const model = new Map<string, number>();
        let now = 1_000_000;
        for (const { segment, domain, user, minutes: length, waitMs } of writes) {
          now += waitMs;
          memberships.sweepNowAndThen(now);
          const expires = length === 0 ? Infinity : now + length * minutes;
          if (length === -1) memberships.remove(segment, domain, user);
          else memberships.put(segment, domain, user, null, expires);
          model.delete(`${segment}|${domain}|${user}`);
          if (length !== -1) model.set(`${segment}|${domain}|${user}`, expires);
        }
        const expected = [...model].filter(([, expires]) => expires > now).map(([key]) => key);
        const rows = [...memberships.all(now)];
        const keys = rows.map(({ segment, domain, user_id }) => `${segment}|${domain ?? ''}|${user_id}`);
        assert.deepEqual([...keys].sort(), expected.sort());
        assert.equal(
          memberships.counts(now).reduce((sum, { count }) => sum + count, 0),
          rows.length,
        );
        const restored = new Memberships();
        restored.restore(rows, now);
        assert.deepEqual([...restored.all(now)], rows);
      }),
    );
  });
});

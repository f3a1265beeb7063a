// LoginCount with several stores: unreadable at first, no longer used, or slow while the clock is set.
import { strict as assert } from 'node:assert';

import { LoginCount } from '../../src/service/login/login-count';
import { LoginTimes } from '../../src/service/login/login-times';

const wallMs = 1_700_000_000_000;
const key = 'logins of jo';

function disk(text: string | null) {
  const meta = {
    text,
    works: true,
    getMeta: () => (meta.works ? Promise.resolve(meta.text) : Promise.reject(new Error('not open'))),
    setMeta: (name: string, value: string) => {
      assert.equal(name, key);
      if (!meta.works) return Promise.reject(new Error('not open'));
      meta.text = value;
      return Promise.resolve();
    },
  };
  return meta;
}

describe('logins of one user name, stored in two queues', () => {
  it('count although a store could not be read before the first login', async () => {
    let monoMs = 0;
    const clock = { monoMs: () => monoMs, wallMs: () => wallMs + monoMs };
    const ten = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`login ${n}`, wallMs - 1000]));
    const [a, b] = [disk(null), disk(JSON.stringify(ten))];
    const [storeA, storeB] = [new LoginTimes(a, clock.wallMs), new LoginTimes(b, clock.wallMs)];
    const count = new LoginCount('jo', clock, () => [storeA, storeB]);
    const token = () => Promise.resolve({ kind: 'token', token: 't' } as const);
    b.works = false;
    // The other queue's file is still being opened, and opens before the service answers.
    const meanwhileOpened = () => {
      b.works = true;
      return token();
    };
    assert.equal((await count.login(meanwhileOpened, storeA)).kind, 'token');
    monoMs = 2000;
    let more = 0;
    for (let n = 0; n < 10; n += 1) if ((await count.login(token, storeB)).kind === 'token') more += 1;
    assert.equal(more, 0, 'earlier processes made ten in five minutes');
  });

  it('still count after the queue moves away from the database in which other processes stored them', async () => {
    let monoMs = 0;
    const clock = { monoMs: () => monoMs, wallMs: () => wallMs + monoMs };
    const six = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`login ${n}`, wallMs - 1000]));
    const [a, b] = [disk(JSON.stringify(six)), disk(null)];
    const replaceMeta = async (name: string, before: string | null, value: string): Promise<boolean> => {
      if (a.text !== before) return false;
      await a.setMeta(name, value);
      return true;
    };
    const [database, file] = [
      new LoginTimes({ ...a, replaceMeta }, clock.wallMs),
      new LoginTimes(b, clock.wallMs),
    ];
    let home = database;
    const count = new LoginCount('jo', clock, () => [home]);
    const tokens = async (): Promise<number> => {
      let made = 0;
      for (let n = 0; n < 12; n += 1) {
        const outcome = await count.login(() => Promise.resolve({ kind: 'token', token: 't' }), home);
        if (outcome.kind === 'token') made += 1;
        else if (made > 0) break;
      }
      return made;
    };
    assert.equal(
      (await count.login(() => Promise.resolve({ kind: 'token', token: 't' }), home)).kind,
      'token',
    );
    home = file;
    monoMs = 60_000;
    assert.equal(await tokens(), 3);
    // Logins of other processes expire like its own.
    monoMs = 329_500;
    assert.equal(await tokens(), 6);
    const stored = Object.keys(JSON.parse(b.text!) as object);
    assert.equal(stored.length, 10, 'the queue in use has every login that counts');
  });

  it('all wait as long as the service asked one of them to wait', async () => {
    let monoMs = 0;
    const clock = { monoMs: () => monoMs, wallMs: () => wallMs + monoMs };
    const store = new LoginTimes(disk(null), clock.wallMs);
    const count = new LoginCount('jo', clock, () => [store]);
    let calls = 0;
    const limited = () => {
      calls += 1;
      return Promise.resolve({ kind: 'rateLimited', retryAfterMs: 60_000, message: 'Slower.' } as const);
    };
    assert.equal((await count.login(limited, store)).kind, 'rateLimited');
    monoMs = 59_000;
    assert.deepEqual(await count.login(limited, store), {
      kind: 'wait',
      retryAfterMs: 1_000,
      code: 'rate_limited',
      message: 'Slower.',
    });
    assert.equal(calls, 1);
    monoMs = 60_000;
    assert.equal((await count.login(limited, store)).kind, 'rateLimited');
  });

  it('are saved once after the clock was set, however many tokens are requested meanwhile', async () => {
    let aheadMs = 0;
    const clock = { monoMs: () => 0, wallMs: () => wallMs + aheadMs };
    const a = disk(null);
    let updates = 0;
    let answer = (): void => undefined;
    const store = new LoginTimes(a, clock.wallMs);
    const counted = {
      shared: false,
      update: async (user: string, change: Parameters<typeof store.update>[1]) => {
        updates += 1;
        if (updates === 4) await new Promise<void>((resolve) => (answer = resolve));
        await store.update(user, change);
      },
    };
    const count = new LoginCount('jo', clock, () => [counted]);
    const token = () => Promise.resolve({ kind: 'token', token: 't' } as const);
    assert.equal((await count.login(token, null)).kind, 'token');
    await new Promise(setImmediate);
    const before = updates;
    assert.equal(before, 3);
    // The clock is set while a login waits for a database that does not answer.
    const login = count.login(token, null);
    await new Promise(setImmediate);
    aheadMs = 60_000;
    for (let n = 0; n < 1000; n += 1) count.noticeClockJump();
    answer();
    await login;
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    assert.ok(updates - before < 10, `${updates - before} writes`);
  });
});

// Login count: it is shared by all holders of a user name, also when the form's holder outlives the entry in
// the cache.
import { strict as assert } from 'node:assert';
import { Registry } from '../../src/delivery/registry';
import { FakeClock } from './support/fake-clock';

describe('the login count of a user name', () => {
  it('is the same for every holder, however many other names are typed', async () => {
    const clock = new FakeClock();
    const engines = new Registry(clock, () => 0.5);
    const held = engines.loginCount('https://auth.test', 'jo');
    for (let n = 0; n < 150; n += 1) engines.loginCount('https://auth.test', `name ${n}`);
    const token = () => Promise.resolve({ kind: 'token', token: 't' } as const);
    let made = 0;
    for (let n = 0; n < 10; n += 1) {
      if ((await held.login(token, null)).kind === 'token') made += 1;
      if ((await engines.loginCount('https://auth.test', 'jo').login(token, null)).kind === 'token')
        made += 1;
    }
    assert.equal(made, 10);
  });
});

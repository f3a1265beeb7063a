// Logins: one token for all posts of an account; neither an account nor a user that always fails delays others.
import { strict as assert } from 'node:assert';
import { userName } from '../simulation/model/names';
import { device, World, type Message } from './support/world';

function addMany(world: World, count: number, from = 0, account = 'a'): Message[] {
  return Array.from({ length: count }, (_, i) => world.add(device(from + i), [{ seg_id: 1 }], { account }));
}

const ended = (messages: readonly Message[]): number => messages.filter(({ end }) => end !== null).length;

describe('two accounts of one member', () => {
  it('continue independently also when the entries of the refused account fill the memory', async () => {
    const world = new World({ seed: 1, accounts: ['a', 'b'], memoryMark: 5, pageRows: 5 });
    world.service.refusedLogins.add('b');
    const [ofB, ofA] = [addMany(world, 30, 100, 'b'), addMany(world, 30, 0, 'a')];
    await world.clock.advance(60_000);
    assert.deepEqual([ended(ofA), ended(ofB)], [30, 0]);
    world.service.refusedLogins.delete('b');
    world.keepers.get('b')!.replaceLogin({ method: 'password', username: 'b', password: 'another' });
    world.attach('b');
    await world.rest(60_000);
    assert.equal(ended(ofB), 30);
    assert.deepEqual(world.violations(), []);
  });

  it('take turns', async () => {
    const world = new World({ seed: 1, accounts: ['a', 'b'], delayMs: () => 5 });
    const entries = (from: number): { user: string; blocks: { seg_id: number }[] }[] =>
      Array.from({ length: 4_000 }, (_, i) => ({ user: device(from + i), blocks: [{ seg_id: 1 }] }));
    world.submit(entries(0), { account: 'a' });
    world.submit(entries(10_000), { account: 'b' });
    await world.clock.advance(4_500);
    const ofB = world.service.requests.filter(({ account }) => account === 'b').length;
    assert.ok(Math.abs(ofB / world.service.requests.length - 0.5) < 0.1);
  });

  it('continue when settings block one of them, which is tried again slowly', async () => {
    let sick = true;
    const world = new World({
      seed: 1,
      accounts: ['a', 'b'],
      fateOf: (_, account) => (sick && account === 'b' ? 'forbidden' : null),
    });
    const [ofA, ofB] = [addMany(world, 20, 0, 'a'), addMany(world, 20, 100, 'b')];
    await world.clock.advance(300_000);
    assert.equal(ended(ofA), 20);
    assert.equal(ended(ofB), 0);
    const tries = world.service.requests.filter(({ account }) => account === 'b').length;
    assert.ok(tries >= 4 && tries <= 12, `${tries} tries in five minutes`);
    sick = false;
    await world.rest(120_000);
    assert.deepEqual(world.violations(), []);
  });

  it('send entries of a removed account with the other’s login', async () => {
    const world = new World({ seed: 1, accounts: ['a', 'b'] });
    world.engine.logins.setState('b', { kind: 'away' });
    const ofB = addMany(world, 20, 100, 'b');
    await world.clock.advance(5_000);
    assert.equal(ended(ofB), 0, 'a suspended account comes back');
    world.engine.detach('b');
    await world.rest(5_000);
    assert.equal(ended(ofB), 20);
    assert.deepEqual(world.violations(), []);
  });
});

describe('entries of an account that no longer exists', () => {
  it('are sent with the login that exists when they are read', async () => {
    const world = new World({ seed: 1, accounts: ['b'] });
    const messages = addMany(world, 20, 0, 'gone');
    await world.rest(5_000);
    assert.equal(ended(messages), 20);
    assert.deepEqual(world.violations(), []);
  });

  it('are sent with a login that is added later', async () => {
    const world = new World({ seed: 1, accounts: ['a'] });
    world.engine.pause();
    const messages = addMany(world, 20, 0, 'a');
    await world.clock.advance(2_000);
    world.engine.detach('a');
    world.engine.resume();
    await world.clock.advance(5_000);
    assert.equal(ended(messages), 0);
    world.attach('b');
    await world.rest(5_000);
    assert.equal(ended(messages), 20);
    assert.deepEqual(world.violations(), []);
  });
});

describe('no other user is delayed', function () {
  this.timeout(0);

  for (const fate of ['serverError', 'reset', 'dropped'] as const) {
    it(`by a user whose posts always end in ${fate}`, async () => {
      let sick = true;
      const victim = `idfa:${device(7)}`;
      const world: World = new World({
        seed: 3,
        delayMs: () => 10,
        fateOf: (entries) =>
          sick && entries.some((entry) => userName(entry.user_id, entry.domain ?? null) === victim)
            ? fate
            : null,
      });
      await world.clock.advance(1_100);
      const lone = world.add(device(7), [{ seg_id: 1 }]);
      const others: Message[] = [];
      for (let round = 0; round < 600; round += 1) {
        others.push(...addMany(world, 2, 100 + 2 * round));
        await world.clock.advance(100);
      }
      // Users that shared a request with the victim wait for a time-out or a backoff, no longer.
      const slow = others.filter(
        ({ atMs, endMs }) => Math.min(endMs, world.clock.monoMs()) - atMs > 15_000,
      ).length;
      assert.ok(slow <= 10, `${slow} of ${others.length} waited for more than 15 s`);
      assert.ok(ended(others) > 1_100, `${ended(others)} of ${others.length} ended`);
      assert.equal(lone.end, null);
      sick = false;
      await world.rest(120_000);
      assert.deepEqual(world.violations(), []);
    });
  }
});

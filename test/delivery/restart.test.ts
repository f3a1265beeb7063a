// Promises 2 to 4 across kill -9: before and after every disk call of a script, and for requests in flight when
// the process died.
import { strict as assert } from 'node:assert';
import { device, World, type KillPoint, type WorldOptions } from './support/world';

/**
 * Adds, removals, coalesced entries, an ambiguous request, a page on disk, a rejection and a deploy, in turn.
 */
async function script(world: World): Promise<void> {
  const [one, two, three] = [device(1), device(2), device(3)];
  world.add(one, [{ seg_id: 1 }], { completeOn: 'queued' });
  world.add(two, [{ seg_id: 1, expiration: 60 }]);
  await world.clock.advance(1_200);
  world.add(one, [{ seg_id: 1, expiration: -1 }, { seg_id: 2 }], { completeOn: 'queued' });
  world.add(one, [{ seg_id: 2, value: 7 }]);
  world.add(three, [{ seg_code: 'code_10001', member_id: 1 }, { seg_id: 9 }]);
  await world.clock.advance(15);
  world.submit([
    { user: two, blocks: [{ seg_id: 1, expiration: -1 }] },
    { user: two, blocks: [{ seg_id: 3 }] },
    { user: three, blocks: [{ seg_id: 10001, expiration: -1 }] },
  ]);
  await world.clock.advance(300);
  void world.engine.park(200);
  await world.clock.advance(100);
  world.add(one, [{ seg_id: 4 }], { completeOn: 'queued' });
  world.engine.unpark();
  await world.clock.advance(11_000);
  world.add(two, [{ seg_id: 3, expiration: -1 }]);
  await world.clock.advance(30_000);
}

function scripted(options: Partial<WorldOptions>): World {
  let posts = 0;
  return new World({
    seed: 7,
    delayMs: () => 20,
    // The second request of every run is ambiguous and runs late.
    fateOf: () => ((posts += 1) === 2 ? 'late' : null),
    ...options,
  });
}

describe('a process that is killed', function () {
  this.timeout(0);

  for (const [name, options] of [
    ['with everything in memory', {}],
    ['with nearly everything on disk only', { memoryMark: 1, pageRows: 1 }],
  ] as const) {
    it(`loses nothing and undoes nothing at any disk call of a script, ${name}`, async () => {
      const whole = scripted(options);
      await script(whole);
      const calls = whole.diskCalls;
      assert.ok(calls > 15, `only ${calls} calls`);
      const wrong: string[] = [];
      for (let call = 1; call <= calls; call += 1) {
        for (const when of ['before', 'after'] as const) {
          const killAt: KillPoint = { call, when };
          const world = scripted({ ...options, killAt });
          await script(world);
          assert.equal(world.life, 2, `${when} call ${call}: nothing was killed`);
          await world.rest(60_000);
          const found = world.violations();
          wrong.push(...found.map((text) => `${when} call ${call}: ${text}`));
        }
      }
      assert.deepEqual(wrong, []);
    });
  }

  it('delivers entries that were reported as queued, and reports each entry once', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 7 });
    const messages = Array.from({ length: 200 }, (_, i) =>
      world.add(device(i), [{ seg_id: 1 }], { completeOn: 'queued' }),
    );
    await world.clock.settle();
    assert.ok(messages.every(({ end }) => end?.kind === 'queued'));
    world.kill();
    await world.rest(10_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.recovered.length, 200);
    assert.equal(new Set(world.recovered.map(({ entry }) => entry.userKey)).size, 200);
    assert.ok(world.recovered.every(({ end, node }) => end === 'accepted' && node === 'n'));
  });

  it('has reported each end only after it was durable, also for replaced entries when others of the user are sent', async () => {
    const world = new World({ seed: 1, memoryMark: 1, pageRows: 5, delayMs: () => 40 });
    const [other, user] = [device(1), device(2)];
    world.add(device(3), [{ seg_id: 1 }]);
    await world.clock.advance(2_000);
    world.add(other, [{ seg_id: 1 }]);
    // These two are only on disk until the other entry is sent.
    const covered = world.add(user, [{ seg_id: 1 }]);
    world.add(user, [{ seg_id: 2 }]);
    await world.clock.advance(60);
    world.add(user, [{ seg_id: 1, expiration: -1 }]);
    await world.clock.advance(100);
    assert.equal(covered.end?.kind, 'settled');
    world.kill();
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  });

  it('sends nothing in the first second of the next process', async () => {
    const world = new World({ seed: 1, delayMs: () => 10 });
    await world.clock.advance(1_100);
    for (let i = 0; i < 300; i += 1) world.add(device(i), [{ seg_id: 1 }], { completeOn: 'queued' });
    await world.clock.advance(100);
    world.kill();
    const issuedMs = world.clock.monoMs();
    await world.rest(10_000);
    const first = world.service.requests.find(({ sentMs }) => sentMs >= issuedMs);
    assert.ok(first === undefined || first.sentMs >= issuedMs + 1000, String(first?.sentMs));
    assert.deepEqual(world.violations(), []);
  });
});

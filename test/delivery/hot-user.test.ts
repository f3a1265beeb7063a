// One user with a long history. (The simulation measures the cost of each entry: test/simulation/growth.ts.)
import { strict as assert } from 'node:assert';
import type { ProcessTime } from '../simulation/world/process-time';
import { FakeClock } from './support/fake-clock';
import { retainedBy } from './support/retained';
import { device, World, type Message } from './support/world';
import type { Fate } from './support/fake-service';

describe('a user with a long history', function () {
  this.timeout(300_000);
  it('delays no other user when an entry that cannot be sent precedes all others', async () => {
    const world = new World({ seed: 1, memoryMark: 10, pageRows: 10, accounts: ['a', 'b'] });
    await world.clock.advance(2_000);
    world.service.refusedLogins.add('b');
    world.add(device(1), [{ seg_id: 9 }], { account: 'b' });
    for (let value = 0; value < 200; value += 1) {
      world.add(device(1), [{ seg_id: 1, value }]);
      await world.clock.advance(200);
    }
    const other = world.add(device(2), [{ seg_id: 1 }]);
    await world.clock.advance(5_000);
    assert.equal(other.end?.kind, 'settled');
    assert.equal(world.engine.counters.waiting, 1);
    assert.ok(retainedBy(world.engine, [world.logStore, world.clock]).entries < 30);
    world.service.refusedLogins.clear();
    world.keepers.delete('b');
    world.attach('b');
    await world.rest(10_000);
    assert.deepEqual(world.violations(), []);
  });

  it('may have 200,000 entries that share one end', async () => {
    const count = 200_000;
    const world = new World({ seed: 1, memoryMark: count });
    const entries = Array.from({ length: count }, (_, value) => ({
      user: device(1),
      blocks: [{ seg_id: 1, value }],
    }));
    world.submit(entries);
    await world.rest(10_000);
    assert.equal(world.service.members.get(`idfa:${device(1)} 1`)?.value, count - 1);
    const { accepted, superseded } = world.engine.counters;
    assert.deepEqual({ accepted, superseded }, { accepted: 1, superseded: count - 1 });
  });
});

describe('many entries that end at once', () => {
  /** Counts the entries reported in one turn of the event loop. */
  class CountingClock extends FakeClock {
    most = 0;
    messages: readonly Message[] = [];
    /** Called once, after the first part was reported. */
    meanwhile: (() => void) | null = null;

    override process(): ProcessTime {
      const time = super.process();
      const endOfTurn = time.endOfTurn.bind(time);
      time.endOfTurn = (call) => endOfTurn(() => this.turn(call));
      return time;
    }

    private turn(call: () => void): void {
      const before = this.told;
      call();
      this.most = Math.max(this.most, this.told - before);
      const { meanwhile } = this;
      if (meanwhile === null || this.told === 0) return;
      this.meanwhile = null;
      meanwhile();
    }

    get told(): number {
      return this.messages.filter(({ end }) => end !== null).length;
    }
  }

  const count = 1_800;
  const most = 500;

  /** Entries of one user, up to the turn in which all of them end. */
  async function ending(): Promise<{ clock: CountingClock; world: World }> {
    const clock = new CountingClock();
    let fails = true;
    const fateOf = (): Fate | null => (fails ? 'serverError' : null);
    const world = new World({ seed: 1, clock, delayMs: () => 50, fateOf });
    await clock.advance(2_000);
    const messages = Array.from({ length: count }, (_, value) =>
      world.add(device(1), [{ seg_id: 1, value }]),
    );
    await clock.advance(1_000);
    clock.messages = messages;
    fails = false;
    return { clock, world };
  }

  it('are reported in parts, so that other work can run', async () => {
    const { clock, world } = await ending();
    await world.rest(30_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(clock.told, count);
    assert.equal(clock.most, most);
  });

  for (const [what, act] of [
    ['the node closes', (world: World) => world.engine.release('n')],
    ['the engine closes', (world: World) => void world.engine.close()],
  ] as const) {
    it(`are all reported before ${what}`, async () => {
      const { clock, world } = await ending();
      clock.meanwhile = () => {
        assert.ok(clock.told < count);
        act(world);
        assert.equal(clock.told, count);
      };
      await clock.advance(20_000);
      assert.equal(clock.meanwhile, null);
      assert.ok(clock.messages.every(({ end }) => end?.kind === 'settled'));
    });
  }
});

// One user with a long history: what an entry costs does not depend on how many came before, whatever they are, and
// each of them has one end.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { forms } from './support/hot-user';
import type { ProcessTime } from '../simulation/world/process-time';
import { FakeClock } from './support/fake-clock';
import type { Played } from './support/hot-user-worker';
import { retainedBy } from './support/retained';
import { device, World, type Message } from './support/world';
import type { Fate } from './support/fake-service';

const counts = [400, 1_600];
/** A history that is looked through for each entry costs four times as much an entry. */
const mostGrowth = 1.5;

const places = [
  { where: 'in memory', options: {} },
  { where: 'most of it on disk', options: { memoryMark: 40, pageRows: 40 } },
];

describe('a user with a long history', function () {
  this.timeout(300_000);
  for (const { where, options } of places) {
    describe(where, () => {
      const played = new Map<string, Played>();

      before(async () => {
        const worker = new Worker(path.join(__dirname, 'support', 'hot-user-worker.ts'), {
          execArgv: ['--require', require.resolve('tsx/cjs')],
          workerData: { counts, options },
        });
        worker.on('message', (one: Played) => played.set(one.form, one));
        await once(worker, 'exit');
      });

      for (const { name } of forms) {
        it(`costs no more an entry than a short one: ${name}`, () => {
          const { stepsEach, most, wrong } = played.get(name)!;
          const [few, many] = stepsEach as [number, number];
          assert.deepEqual(wrong, []);
          assert.ok(many <= mostGrowth * few, `${few.toFixed(0)} steps, then ${many.toFixed(0)}: ${most}`);
        });
      }
    });
  }

  it('keeps nobody else waiting, with an entry that cannot be sent before all the others', async () => {
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
    assert.ok(retainedBy(world.engine, [world.store, world.clock]).items < 30);
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
    assert.deepEqual(world.violations(), []);
    const { accepted, superseded } = world.engine.counters;
    assert.deepEqual({ accepted, superseded }, { accepted: 1, superseded: count - 1 });
  });
});

describe('many entries that end at once', () => {
  /** Counts what is told in one turn of the event loop. */
  class CountingClock extends FakeClock {
    most = 0;
    messages: readonly Message[] = [];
    /** Called once, when a part of them has been told. */
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

  it('are told in portions, so that others have their turns', async () => {
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
    it(`are all told before ${what}`, async () => {
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

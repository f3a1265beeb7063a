// Promise 7: live entries go before bulk ones, which get what is left of the quota and at least a tenth.
import { strict as assert } from 'node:assert';
import type { CheckedEntry } from '../../src/entry/entry';
import type { MessageEnd } from '../../src/delivery/pending-messages';
import type { Applied } from './support/fake-service';
import { device, entryOf, World, type Stated } from './support/world';

/** Users from this number on are those of the audience. */
const firstOfAudience = 1_000_000;
const segment = 7;
const mostPending = 10_000;
const chunkEntries = 2_000;

function live(count: number, from: number, expiration: number): Stated[] {
  return Array.from({ length: count }, (_, i) => ({
    user: device(from + i),
    blocks: [{ seg_id: 1, expiration }],
  }));
}

function submitAll(world: World, entries: readonly Stated[], account = 'a'): void {
  for (let from = 0; from < entries.length; from += 1000)
    world.submit(entries.slice(from, from + 1000), { completeOn: 'queued', account });
}

function isBulk({ segment: name }: Applied): boolean {
  return name === String(segment);
}

/** An audience of which so many entries are pending at a time at most, as the sync appends them. */
class Audience {
  appended = 0;
  readonly refusals: MessageEnd[] = [];

  constructor(
    private readonly world: World,
    private readonly users: number,
    private readonly account = 'a',
  ) {}

  get pending(): number {
    return this.appended - this.world.service.log.filter(isBulk).length;
  }

  /** Lets time pass, and appends chunks meanwhile. */
  async advance(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      while (this.appended < this.users && this.pending <= mostPending - chunkEntries) this.append();
      await this.world.clock.advance(100);
    }
  }

  private append(): void {
    const entries = Array.from({ length: Math.min(chunkEntries, this.users - this.appended) }, (_, i) =>
      this.entry(this.appended + i),
    );
    this.appended += entries.length;
    this.world.engine.submit({
      source: { node: 'n', account: this.account },
      entries,
      indexes: null,
      completeOn: 'queued',
      onEnd: (end) => {
        if (end.kind === 'failed') this.refusals.push(end);
      },
      bulk: { segment: `i${segment}`, state: null, readSince: 0 },
    });
  }

  private entry(number: number): CheckedEntry {
    return entryOf(device(firstOfAudience + number), [{ seg_id: segment, expiration: 60 }]);
  }
}

describe('bulk entries', function () {
  this.timeout(0);

  for (const [where, options] of [
    ['in memory', { memoryMark: 50_000 }],
    ['on disk', { memoryMark: 2_000, pageRows: 500, commitMs: 4 }],
  ] as const) {
    it(`of 1,000,000 users ${where} let a live add and a live removal leave within 2 s`, async () => {
      const world = new World({ seed: 1, ...options, delayMs: () => 2 });
      const audience = new Audience(world, 1_000_000);
      await audience.advance(4_000);
      for (const [number, expiration] of [
        [1, 60],
        [1, -1],
        // A user whose bulk entry waits, perhaps only on disk.
        [firstOfAudience + audience.appended - 1, -1],
        [firstOfAudience + audience.appended - 2, 60],
      ] as const) {
        const user = device(number);
        const from = world.service.log.length;
        world.add(user, [{ seg_id: 1, expiration }]);
        await audience.advance(2_000);
        const applied = world.service.log
          .slice(from)
          .find((one) => one.user === `idfa:${user}` && one.segment === '1');
        assert.ok(applied !== undefined, `${number} with ${expiration} took more than 2 s`);
      }
      assert.ok(audience.appended < 50_000 && audience.pending >= 5_000);
      assert.deepEqual(audience.refusals, []);
    });

    it(`get a tenth of the quota under a flood of live entries ${where}, and these their own shares`, async () => {
      const world = new World({ seed: 1, ...options, delayMs: () => 5 });
      const audience = new Audience(world, 1_000_000);
      submitAll(world, live(9_000, 0, 60));
      submitAll(world, live(9_000, 20_000, -1));
      await audience.advance(9_000);
      const { log } = world.service;
      const bulk = log.filter(isBulk).length / log.length;
      const adds = log.filter((one) => !isBulk(one) && !one.removed).length / log.length;
      assert.ok(log.length > 6_500, String(log.length));
      assert.ok(bulk >= 0.095 && bulk <= 0.11, `bulk entries got ${bulk}`);
      assert.ok(adds >= 0.19 && adds <= 0.21, `the adds got ${adds}`);
    });
  }

  it('get a tenth also behind adds alone', async () => {
    const world = new World({ seed: 1, memoryMark: 50_000, delayMs: () => 5 });
    const audience = new Audience(world, 1_000_000);
    submitAll(world, live(12_000, 0, 60));
    await audience.advance(9_000);
    const { log } = world.service;
    const share = log.filter(isBulk).length / log.length;
    assert.ok(share >= 0.095 && share <= 0.11, `bulk entries got ${share}`);
  });

  it('get the whole quota when nothing else waits', async () => {
    const world = new World({ seed: 1, delayMs: () => 5 });
    const audience = new Audience(world, 1_000_000);
    await audience.advance(6_000);
    assert.ok(world.service.log.length >= 4_800, String(world.service.log.length));
  });

  it('of one account leave another account its live entries', async () => {
    const world = new World({ seed: 1, accounts: ['a', 'b'], memoryMark: 50_000, delayMs: () => 5 });
    const audience = new Audience(world, 1_000_000, 'b');
    submitAll(world, live(9_000, 0, 60), 'a');
    await audience.advance(8_000);
    const { log } = world.service;
    const share = log.filter(isBulk).length / log.length;
    assert.ok(log.length > 5_500, String(log.length));
    assert.ok(share >= 0.095 && share <= 0.12, `bulk entries got ${share}`);
  });

  it('count neither as late nor for the latency', async () => {
    const world = new World({ seed: 1, limits: { postsPerSecond: 1, usersPerSecond: 1, maxConcurrent: 1 } });
    const audience = new Audience(world, 300);
    await audience.advance(200_000);
    assert.ok(audience.pending > 50);
    assert.equal(world.engine.stats().oldestMs, 0);
    assert.equal(world.engine.monitor.latency.percentile(0.5), null);
    world.engine.pause();
    world.add(device(1), [{ seg_id: 1 }]);
    await world.clock.advance(30_000);
    assert.equal(world.engine.stats().oldestMs, 30_000);
  });
});

// Several processes with one log: whatever happens to any of them, nothing is lost, the last one wins, and the quota
// holds, counted across all.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { runs } from './support/runs';
import { SharedWorld, type SharedWorldOptions } from './support/shared-world';
import { device } from './support/world';

const machines = 2;

type Step =
  | {
      readonly kind: 'add';
      readonly machine: number;
      readonly user: number;
      readonly segment: number;
      readonly remove: boolean;
      readonly queued: boolean;
    }
  | { readonly kind: 'flood'; readonly machine: number; readonly users: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'kill'; readonly machine: number; readonly downMs: number }
  | { readonly kind: 'sleep' | 'suspend'; readonly machine: number; readonly ms: number }
  | { readonly kind: 'cut'; readonly machine: number; readonly how: 'all' | 'replies' }
  | { readonly kind: 'join'; readonly machine: number }
  | { readonly kind: 'deploy'; readonly machine: number; readonly ms: number };

const machine = fc.nat({ max: machines - 1 });
const add: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('add' as const),
  machine,
  user: fc.nat({ max: 3 }),
  segment: fc.integer({ min: 1, max: 2 }),
  remove: fc.boolean(),
  queued: fc.boolean(),
});
const wait: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('wait' as const),
  ms: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 2_000 }), fc.nat({ max: 15_000 })),
});
const flood: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('flood' as const),
  machine,
  users: fc.integer({ min: 1, max: 60 }),
});
const kill: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('kill' as const),
  machine,
  downMs: fc.nat({ max: 8_000 }),
});
const sleepOf = (kind: 'sleep' | 'suspend'): fc.Arbitrary<Step> =>
  fc.record({
    kind: fc.constant(kind),
    machine,
    ms: fc.oneof(fc.nat({ max: 2_000 }), fc.nat({ max: 12_000 }), fc.nat({ max: 60_000 })),
  });
const sleep = sleepOf('sleep');
const suspend = sleepOf('suspend');
const cut: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('cut' as const),
  machine,
  how: fc.constantFrom('all' as const, 'replies' as const),
});
const join: fc.Arbitrary<Step> = fc.record({ kind: fc.constant('join' as const), machine });
const deploy: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('deploy' as const),
  machine,
  ms: fc.nat({ max: 4_000 }),
});

function script(...faults: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: add },
      { weight: 4, arbitrary: wait },
      { weight: 1, arbitrary: flood },
      ...faults.map((arbitrary) => ({ weight: 1, arbitrary })),
    ),
    { minLength: 3, maxLength: 40 },
  );
}

async function play(world: SharedWorld, steps: readonly Step[]): Promise<void> {
  let value = 0;
  let stranger = 100;
  for (const step of steps) {
    switch (step.kind) {
      case 'add': {
        value += 1;
        const block = { seg_id: step.segment, ...(step.remove ? { expiration: -1 } : { value }) };
        world.add(step.machine, device(step.user), [block], step.queued ? 'queued' : 'accepted');
        break;
      }
      case 'flood':
        for (let i = 0; i < step.users; i += 1)
          world.add(step.machine, device((stranger += 1)), [{ seg_id: 9, value: 1 }]);
        break;
      case 'wait':
        await world.clock.advance(step.ms);
        break;
      case 'kill':
        world.kill(step.machine, step.downMs);
        break;
      case 'sleep':
        world.sleep(step.machine, step.ms);
        break;
      case 'suspend':
        world.suspend(step.machine, step.ms);
        break;
      case 'cut':
        world.cut(step.machine, step.how);
        break;
      case 'join':
        world.join(step.machine);
        break;
      case 'deploy':
        world.deploy(step.machine, step.ms);
        break;
    }
  }
  await world.rest();
}

function senderOf(world: SharedWorld): number {
  return world.machines.findIndex(({ queue }) => queue.stats().shared!.isSender);
}

const badService: Partial<SharedWorldOptions> = {
  fates: { late: 0.05, replyLost: 0.05, reset: 0.05, rateLimited: 0.03, serverError: 0.05, dropped: 0.05 },
};

const seldomSlow = (random: () => number): number => (random() < 0.3 ? random() * 5_000 : 0);

describe('a shared queue that is full of what the service refuses', () => {
  const poison = (_user: string, { seg_id }: { seg_id?: number }): boolean => seg_id === 13;

  it('takes one more message of the sender after each refusal, and the first good one frees it', async () => {
    const world = new SharedWorld({ seed: 1, machines: 1, databaseMs: 5, queueMaxEntries: 2, poison });
    await world.clock.advance(1_500);
    const bad = [1, 2].map((user) => world.add(0, device(user), [{ seg_id: 13 }])!);
    await world.clock.advance(60_000);
    assert.deepEqual(
      bad.map(({ end }) => end),
      [null, null],
    );
    const more = [3, 4, 5].map((user) => world.add(0, device(user), [{ seg_id: 13 }])!);
    await world.clock.advance(50);
    assert.deepEqual(
      more.map(({ end }) => end?.kind),
      [undefined, 'failed', 'failed'],
    );
    await world.clock.advance(60_000);
    const good = world.add(0, device(6), [{ seg_id: 1 }])!;
    await world.rest(120_000);
    assert.equal(good.end?.kind, 'settled');
    for (const { end } of [...bad, more[0]!])
      assert.ok(end?.kind === 'settled' && end.rejections.length === 1);
  });

  it('takes what the sender’s machine keeps', async () => {
    const world = new SharedWorld({ seed: 1, machines: 1, databaseMs: 5, queueMaxEntries: 2, poison });
    await world.clock.advance(1_500);
    for (const user of [1, 2]) world.add(0, device(user), [{ seg_id: 13 }]);
    await world.clock.advance(5_000);
    world.cut(0, 'all');
    world.add(0, device(3), [{ seg_id: 1 }]);
    await world.clock.advance(5_000);
    const { queue } = world.machines[0]!;
    assert.equal(queue.stats().shared?.kept, 1);
    await world.rest(120_000);
    assert.equal(queue.stats().shared?.kept, 0);
    assert.equal(world.store.rows.totals.waiting, 0);
  });
});

describe('processes that share a log', function () {
  this.timeout(0);

  it('deliver what each of them takes, one of them sending', async () => {
    const world = new SharedWorld({ seed: 1, machines: 3, databaseMs: 5 });
    await world.clock.advance(2_000);
    for (let i = 0; i < 60; i += 1) world.add(i % 3, device(i), [{ seg_id: 1, value: i }]);
    await world.clock.advance(3_000);
    assert.ok(world.messages.every(({ end }) => end?.kind === 'settled'));
    const senders = world.machines.filter(({ queue }) => queue.stats().shared!.isSender);
    assert.equal(senders.length, 1);
    const [sender] = senders;
    for (const { queue } of world.machines) {
      const { state, shared } = queue.stats();
      assert.equal(shared!.sender, sender!.name);
      assert.equal(state.kind, queue === sender!.queue ? 'idle' : 'standby');
      assert.deepEqual([...shared!.instances].sort(), ['machine 0', 'machine 1', 'machine 2']);
    }
    await world.rest(30_000);
    assert.deepEqual(world.violations(), []);
  });

  it('apply what was taken in turn in its order', async () => {
    const world = new SharedWorld({ seed: 1, machines: 2, databaseMs: 3 });
    for (let i = 0; i < 40; i += 1) {
      world.add(
        i % 2,
        device(1),
        [{ seg_id: 1, ...(i % 3 === 0 ? { expiration: -1 } : { value: i }) }],
        'queued',
      );
      await world.clock.advance(20);
    }
    await world.rest(30_000);
    assert.deepEqual(world.violations(), []);
  });

  it('tell where it sends what became of the entries of a process that is gone', async () => {
    const world = new SharedWorld({ seed: 1, machines: 2 });
    await world.clock.advance(2_000);
    const sender = senderOf(world);
    const other = 1 - sender;
    for (let i = 0; i < 5; i += 1) world.add(other, device(i), [{ seg_id: 1, value: i }]);
    // Taken into the log, and not sent yet.
    await world.clock.advance(1);
    assert.equal(world.store.rows.totals.waiting, 5);
    world.kill(other, 1_000_000);
    await world.clock.advance(120_000);
    assert.deepEqual(
      world.recovered.map(({ machine, end }) => ({ machine, end })),
      Array.from({ length: 5 }, () => ({ machine: sender, end: 'accepted' })),
    );
  });

  for (const [who, asleep] of [
    ['they', 'sleep'],
    ['their machine', 'suspend'],
  ] as const)
    it(`post nothing that was made ready before ${who} slept longer than their lease`, () =>
      sleepReady(asleep));

  async function sleepReady(asleep: 'sleep' | 'suspend'): Promise<void> {
    const world = new SharedWorld({ seed: 1, machines: 2 });
    await world.clock.advance(2_000);
    const sender = senderOf(world);
    world.machines[sender]!.handle.delayMs = () => 50;
    const ready: number[] = [];
    const { rows } = world.store;
    const commit = rows.commit.bind(rows);
    rows.commit = (parts) => {
      for (const { post } of parts.depart ?? []) ready.push(post);
      return commit(parts);
    };
    world.add(sender, device(1), [{ seg_id: 1, value: 1 }]);
    while (ready.length === 0) await world.clock.advance(1);
    assert.equal(world.posts.length, 0);
    world[asleep](sender, 10_000);
    await world.clock.advance(20_000);
    assert.equal(senderOf(world), 1 - sender);
    assert.deepEqual(
      world.posts.filter(({ machine }) => machine === sender),
      [],
    );
    await world.rest(60_000);
    assert.deepEqual(world.violations(), []);
  }

  it('close what they had of the log when another sends', async () => {
    const world = new SharedWorld({ seed: 1, machines: 2 });
    await world.clock.advance(2_000);
    for (let turn = 0; turn < 4; turn += 1) {
      const sender = senderOf(world);
      world.sleep(sender, 10_000);
      await world.clock.advance(15_000);
      assert.equal(senderOf(world), 1 - sender);
      assert.equal(world.store.openOutboxes.size, 1);
    }
  });

  it('stay paused when that is asked for while a new sender looks whether they are', async () => {
    const world = new SharedWorld({ seed: 1, machines: 1 });
    const { handle, queue } = world.machines[0]!;
    handle.delayMs = () => 50;
    const { getMeta } = handle.meta;
    handle.meta.getMeta = (key) => {
      const found = getMeta(key);
      if (key === 'paused') queue.pause();
      return found;
    };
    await world.clock.advance(5_000);
    assert.equal(queue.stats().state.kind, 'paused');
  });

  for (const [name, faults, options] of [
    ['under a service that fails', [], badService],
    ['while any is killed', [kill], badService],
    ['while any sleeps for longer than its lease', [sleep], badService],
    ['while any machine sleeps, with its clock', [suspend], badService],
    ['while any is cut off from the database', [cut, join], badService],
    ['while any is deployed', [deploy], badService],
    ['whatever happens', [kill, sleep, suspend, cut, join, join, deploy], badService],
    [
      'whatever happens, with little in memory and slow databases',
      [kill, sleep, suspend, cut, join, join, deploy],
      { ...badService, memoryMark: 2, pageRows: 2, databaseMs: 80, skewMs: [90_000, -45_000] },
    ],
    [
      'whatever happens, with connections that take seconds',
      [kill, sleep, suspend, cut, join, join, deploy],
      { ...badService, databaseMs: 20, connectMs: seldomSlow },
    ],
    [
      'whatever happens, with a quota of next to nothing',
      [kill, sleep, suspend, cut, join, join, deploy],
      { ...badService, limits: { postsPerSecond: 2, usersPerSecond: 5, maxConcurrent: 2 } },
    ],
  ] as const) {
    it(`keep every promise ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer(), script(...faults), async (seed, steps) => {
          const world = new SharedWorld({ seed, machines, ...options });
          await play(world, steps);
          assert.deepEqual(world.violations(), [], world.logged.slice(-40).join('\n'));
        }),
        runs(40),
      );
    });
  }
});

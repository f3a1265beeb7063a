// Several processes with one log, one of which sends.
import { strict as assert } from 'node:assert';
import { SharedWorld } from './support/shared-world';
import { device } from './support/world';

function senderOf(world: SharedWorld): number {
  return world.machines.findIndex(({ queue }) => queue.stats().shared!.isSender);
}

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
    world.cut(0);
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
    ['they', 'frozen'],
    ['their machine', 'suspended'],
  ] as const)
    it(`post nothing that was made ready before ${who} slept longer than their lease`, () =>
      sleepReady(asleep));

  async function sleepReady(asleep: 'frozen' | 'suspended'): Promise<void> {
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
    world.sleep(sender, asleep, 10_000);
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
      world.sleep(sender, 'frozen', 10_000);
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
});

// Promises 4 and 5: at its limit the queue refuses new input and keeps its entries; a failing disk is a clear
// state, never an empty queue; memory stays within its limits.
import { strict as assert } from 'node:assert';
import { QueueError, type Lane, type Row } from '../../src/queue/store';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { device, entryOf, World, type Message } from './support/world';

function addMany(world: World, count: number, from = 0): Message[] {
  return Array.from({ length: count }, (_, i) => world.add(device(from + i), [{ seg_id: 1 }]));
}

function refusedWith(messages: readonly Message[], code: string): number {
  return messages.filter(({ end }) => end?.kind === 'failed' && end.code === code).length;
}

const isOpen = ({ end }: Message): boolean => end === null;

describe('a full queue', () => {
  it('refuses new input, all of a message or nothing, and delivers its entries', async () => {
    const world = new World({ seed: 1, queueMaxEntries: 50 });
    const first = addMany(world, 48);
    const tooMuch = world.submit([0, 1, 2].map((i) => ({ user: device(100 + i), blocks: [{ seg_id: 1 }] })));
    const fitting = world.submit([3, 4].map((i) => ({ user: device(100 + i), blocks: [{ seg_id: 1 }] })));
    await world.clock.settle();
    assert.ok(tooMuch.end?.kind === 'failed' && tooMuch.end.code === 'queue_full');
    assert.deepEqual(tooMuch.end.params, { waiting: 48, most: 50, mb: 1000 });
    const last = addMany(world, 5, 200);
    await world.clock.settle();
    assert.equal(refusedWith(last, 'queue_full'), 5);
    assert.equal(refusedWith([...first, fitting], 'queue_full'), 0);
    await world.clock.advance(5_000);
    const later = addMany(world, 5, 300);
    await world.rest(5_000);
    assert.equal(refusedWith(later, 'queue_full'), 0);
    assert.deepEqual(world.violations(), []);
  });

  it('is measured in bytes too', async () => {
    const world = new World({ seed: 1, queueMaxBytes: 2_000 });
    const messages = addMany(world, 60);
    await world.clock.settle();
    const refused = refusedWith(messages, 'queue_full');
    assert.ok(refused > 20 && refused < 50, String(refused));
    await world.rest(5_000);
    assert.equal(refusedWith(addMany(world, 1, 900), 'queue_full'), 0);
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
  });

  it('counts bytes back down to zero, however the entries end', async () => {
    const world = new World({
      seed: 1,
      memoryMark: 40,
      pageRows: 7,
      commitMs: 5,
      poison: (_, block) => block.seg_id === 13,
      fates: { serverError: 0.2, reset: 0.1 },
    });
    for (let round = 0; round < 40; round += 1) {
      for (let i = 0; i < 30; i += 1) {
        const user = i % 12;
        const expiration = [-1, 1, 60][i % 3]!;
        world.add(device(user), [{ seg_id: user === 5 ? 13 : 1 + (i % 4), expiration }], {
          agoMs: (i % 2) * 90_000,
        });
      }
      world.diskFails = round % 10 === 9;
      await world.clock.advance(400);
      world.diskFails = false;
      await world.clock.advance(4_000);
    }
    await world.rest(400_000);
    assert.equal(
      world.sender.parts.pendingUsers.queuedChars,
      0,
      'bytes of entries that had ended were still counted',
    );
    assert.deepEqual(world.violations(), []);
  });
});

describe('a queue full of entries that the service refuses', () => {
  const isBad = (_user: string, { seg_id }: { seg_id?: number }): boolean => seg_id === 13;
  const addBad = (world: World, count: number, from = 0): Message[] =>
    Array.from({ length: count }, (_, i) => world.add(device(from + i), [{ seg_id: 13 }]));
  const rejected = (messages: readonly Message[]): number =>
    messages.filter(({ end }) => end?.kind === 'settled' && end.rejections.length === 1).length;

  for (const [what, caps] of [
    ['entries', { queueMaxEntries: 3 }],
    ['bytes', { queueMaxBytes: 250 }],
    ['open messages', { maxOpenMessages: 3, durable: false }],
  ] as const)
    it(`admits one more message after each refusal, over its limit of ${what}, and the first good one frees it`, async () => {
      const world = new World({ seed: 1, ...caps, poison: isBad, delayMs: () => 10 });
      const bad = addBad(world, 12);
      await world.clock.settle();
      const taken = bad.filter(isOpen);
      assert.ok(taken.length >= 3 && taken.length < 12, String(taken.length));
      // Nothing was ever accepted, so the service may be at fault.
      await world.clock.advance(60_000);
      assert.deepEqual(taken.filter(isOpen), taken);
      // This entry proves nothing either.
      const more = addBad(world, 5, 100);
      await world.clock.settle();
      assert.equal(more.filter(isOpen).length, 1);
      await world.clock.advance(60_000);
      const good = world.add(device(200), [{ seg_id: 1 }]);
      await world.clock.advance(60_000);
      assert.equal(good.end?.kind, 'settled');
      await world.rest(120_000);
      assert.equal(rejected([...taken, ...more]), taken.length + 1);
      assert.deepEqual(world.violations(), []);
    });

  it('admits none while a bisection is in progress, and none that would not fit into an empty queue', async () => {
    const world = new World({ seed: 1, queueMaxEntries: 40, poison: isBad, delayMs: () => 300 });
    addBad(world, 40);
    await world.clock.advance(3_000);
    addMany(world, 1, 100);
    await world.clock.settle();
    assert.equal(refusedWith(world.messages, 'queue_full'), 1);
    await world.clock.advance(60_000);
    // Each entry alone was refused.
    assert.equal(world.engine.stats().state.kind, 'refusing');
    const large = world.submit(
      Array.from({ length: 41 }, (_, i) => ({ user: device(200 + i), blocks: [{ seg_id: 1 }] })),
    );
    const one = world.add(device(300), [{ seg_id: 1 }]);
    await world.rest(400_000);
    assert.deepEqual([large.end?.kind, one.end?.kind], ['failed', 'settled']);
    assert.deepEqual(world.violations(), []);
  });
});

describe('more open messages than allowed', () => {
  it('end as queued when that is durable, and their outcomes are reported later', async () => {
    const world = new World({ seed: 1, maxOpenMessages: 10 });
    const messages = addMany(world, 30);
    await world.clock.advance(500);
    const queued = messages.filter(({ end }) => end?.kind === 'queued' && end.reason === 'tooManyOpen');
    assert.equal(queued.length, 20);
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(messages.filter(({ end }) => end?.kind === 'settled').length, 10);
    assert.equal(world.recovered.length, 20);
  });

  it('are refused when the queue is in memory', async () => {
    const world = new World({ seed: 1, maxOpenMessages: 10, durable: false });
    const messages = addMany(world, 30);
    await world.clock.advance(500);
    assert.equal(refusedWith(messages, 'too_many_open_messages'), 20);
    await world.rest(5_000);
    assert.equal(refusedWith(addMany(world, 10, 100), 'too_many_open_messages'), 0);
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
  });
});

describe('a message', () => {
  it('with completeOn queued ends when it is durably queued, not before', async () => {
    const world = new World({ seed: 1, commitMs: 50 });
    await world.clock.advance(1_000);
    const message = world.add(device(1), [{ seg_id: 1 }], { completeOn: 'queued' });
    await world.clock.settle();
    assert.ok(isOpen(message));
    await world.clock.advance(100);
    assert.ok(message.end?.kind === 'queued' && message.end.reason === 'asked');
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.recovered.length, 1);
  });

  it('with completeOn queued waits for the outcome when the queue is in memory', async () => {
    const world = new World({ seed: 1, durable: false });
    const message = world.add(device(1), [{ seg_id: 1 }], { completeOn: 'queued' });
    await world.rest(5_000);
    assert.equal(message.end?.kind, 'settled');
  });

  it('receives the end of each of its entries, and each entry ends once', async () => {
    const world = new World({ seed: 1, poison: (_, block) => block.seg_id === 13 });
    const [one, two] = [device(1), device(2)];
    const message = world.submit([
      { user: one, blocks: [{ seg_id: 1 }] },
      { user: one, blocks: [{ seg_id: 1, value: 2 }, { seg_id: 2 }] },
      { user: two, blocks: [{ seg_id: 1, expiration: 1 }], agoMs: 90_000 },
      { user: two, blocks: [{ seg_id: 13 }] },
    ]);
    world.add(device(3), [{ seg_id: 1 }]);
    await world.rest(60_000);
    assert.ok(message.end?.kind === 'settled');
    assert.deepEqual(
      message.end.rejections.map(({ index }) => index),
      [3],
    );
    const { entries, users, associations, accepted, superseded, expired } = message.end.summary;
    assert.deepEqual(
      { entries, users, associations, accepted, superseded, expired },
      { entries: 4, users: 2, associations: 5, accepted: 1, superseded: 1, expired: 1 },
    );
    assert.deepEqual(world.violations(), []);
  });

  it('reports positions of the input when some entries were left out before', async () => {
    const world = new World({ seed: 1, poison: (_, block) => block.seg_id === 13 });
    const ends: unknown[] = [];
    world.engine.submit({
      source: { node: 'n', account: 'a' },
      entries: [entryOf(device(1), [{ seg_id: 1 }]), entryOf(device(2), [{ seg_id: 13 }])],
      indexes: [4, 7],
      completeOn: 'accepted',
      onEnd: (end) => ends.push(end.kind === 'settled' ? end.rejections.map(({ index }) => index) : end),
    });
    await world.rest(60_000);
    assert.deepEqual(ends, [[7]]);
  });
});

describe('a failing disk', () => {
  it('that takes long to open lets a limited number of messages wait', async () => {
    const logStore = new SqliteStore(':memory:');
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const openStore = logStore.open.bind(logStore);
    logStore.open = () => opened.then(openStore);
    const world = new World({ seed: 1, store: logStore });
    const messages = addMany(world, 50_002);
    await world.clock.advance(1_000);
    assert.equal(refusedWith(messages, 'outbox'), 2);
    assert.ok(messages.slice(0, -2).every(isOpen));
    open();
    await world.clock.settle();
    assert.equal(world.engine.counters.taken, 50_000);
  });

  it('at the start of the engine refuses input with the reason, and is tried again', async () => {
    const world = new World({ seed: 1, lockedAtFirst: true });
    const refused = addMany(world, 3);
    await world.clock.advance(100);
    refused.push(...addMany(world, 3, 10));
    await world.clock.advance(20_000);
    assert.equal(refusedWith(refused, 'outbox'), 6);
    const state = world.engine.stats().state;
    assert.ok(state.kind === 'outbox' && state.code === 'failed');
    world.diskFails = false;
    await world.clock.advance(10_000);
    addMany(world, 3, 20);
    await world.rest(5_000);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.engine.counters.accepted, 3);
  });

  it('just after the queue was opened makes the engine open it once more', async () => {
    const logStore = new SqliteStore(':memory:');
    const getMeta = logStore.getMeta.bind(logStore);
    let fails = true;
    logStore.getMeta = (key) =>
      fails ? Promise.reject(new QueueError('failed', 'the disk fails')) : getMeta(key);
    const world = new World({ seed: 1, store: logStore });
    await world.clock.advance(100);
    fails = false;
    await world.clock.advance(10_000);
    const message = world.add(device(1), [{ seg_id: 1 }]);
    await world.rest(5_000);
    assert.equal(message.end?.kind, 'settled');
  });

  it('during operation refuses input with the reason, sends nothing, and continues when it works', async () => {
    const world = new World({ seed: 1 });
    const before = addMany(world, 5);
    await world.clock.advance(1_500);
    world.engine.pause();
    const kept = addMany(world, 5, 100);
    await world.clock.advance(100);
    world.diskFails = true;
    world.engine.resume();
    const refused = addMany(world, 5, 200);
    await world.clock.advance(10_000);
    assert.equal(refusedWith(refused, 'outbox'), 5);
    const state = world.engine.stats().state;
    assert.ok(state.kind === 'outbox' && state.code === 'failed');
    const posts = world.service.requests.length;
    await world.clock.advance(10_000);
    assert.equal(world.service.requests.length, posts);
    world.diskFails = false;
    await world.rest(10_000);
    assert.equal(refusedWith([...before, ...kept], 'outbox'), 0);
    assert.deepEqual(world.violations(), []);
    assert.equal(world.engine.stats().state.kind, 'idle');
  });

  it('during reads leaves the backlog where it is', async () => {
    const world = new World({
      seed: 1,
      memoryMark: 10,
      pageRows: 10,
      limits: { postsPerSecond: 10, usersPerSecond: 10, maxConcurrent: 5 },
    });
    const messages = addMany(world, 200);
    await world.clock.advance(5_000);
    world.diskFails = true;
    await world.clock.advance(20_000);
    world.diskFails = false;
    await world.rest(60_000);
    assert.ok(messages.every(({ end }) => end?.kind === 'settled'));
    assert.deepEqual(world.violations(), []);
  });
});

/** Returns rows as a file with a flipped bit would. */
class DamagedStore extends SqliteStore {
  isDamaged = (seq: number): boolean => seq === 15;

  override async read(lane: Lane, after: number, through: number, limit: number): Promise<readonly Row[]> {
    const rows = await super.read(lane, after, through, limit);
    return rows.map((row) => (this.isDamaged(row.seq) ? { ...row, body: row.body.slice(2) } : row));
  }
}

describe('a row that cannot be read', () => {
  it('is counted as rejected, with a line in the log, and delays no other row', async () => {
    const store = new DamagedStore(':memory:');
    const world = new World({ seed: 1, store, durable: false, memoryMark: 10, pageRows: 4 });
    const messages = addMany(world, 30);
    await world.rest(10_000);
    assert.equal(messages.filter(({ end }) => end?.kind === 'settled').length, 29);
    const { taken, accepted, rejected, waiting } = world.engine.counters;
    assert.deepEqual(
      { taken, accepted, rejected, waiting },
      { taken: 30, accepted: 29, rejected: 1, waiting: 0 },
    );
    assert.deepEqual(
      world.logged.filter((line) => /^error: 1 entries .* The first is number 15: /.test(line)).length,
      1,
    );
  });

  it('is logged together with the others, with their number', async () => {
    const store = new DamagedStore(':memory:');
    store.isDamaged = (seq) => seq > 10;
    const world = new World({ seed: 1, store, durable: false, memoryMark: 10, pageRows: 4 });
    addMany(world, 500);
    await world.rest(10_000);
    assert.equal(world.engine.counters.rejected, 490);
    assert.ok(world.logged.length <= 2, world.logged.join('\n'));
    const told = world.logged.map((line) => Number(/^error: (\d+) entries/.exec(line)?.[1]));
    assert.equal(
      told.reduce((sum, count) => sum + count, 0),
      490,
    );
  });
});

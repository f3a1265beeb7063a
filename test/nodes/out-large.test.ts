// A message of 100,000 entries at a real out node: no part of the work holds the event loop for long.
import assert from 'node:assert/strict';
import { engines } from '../../nodes/account/process-wide';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  entry,
  Flow,
  load,
  login,
  sleep,
  unload,
  until,
  usedQueue,
  useNodeRed,
} from './out-flow';

const entries = 100_000;
const bad = { user_id: '0', seg_block: [{ seg_id: 1 }] };
const many = (isBad: (at: number) => boolean): unknown[] =>
  Array.from({ length: entries }, (_, at) => (isBad(at) ? bad : entry(at + 1)));
const none = (): boolean => false;
const half = (at: number): boolean => at % 2 === 1;

/** What this thread has computed, in ms: others that use the machine do not count. */
function computedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** The largest part of the work between two turns of others. */
async function largestPart(work: () => Promise<void>): Promise<number> {
  const startMs = computedMs();
  let lastMs = startMs;
  let mostMs = 0;
  const turn = (): void => {
    const nowMs = computedMs();
    mostMs = Math.max(mostMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const turns = setInterval(turn, 1);
  await work().finally(() => clearInterval(turns));
  turn();
  return mostMs / (lastMs - startMs);
}

describe(`a message of ${entries.toLocaleString('en')} entries`, function () {
  this.timeout(120_000);
  let sandbox: Sandbox;
  let out: Flow;

  useNodeRed();
  beforeEach(async () => {
    // Another address: a queue of its own.
    sandbox = await startSandbox({ users: { me: 's3cr3t' }, member: 7 });
    out = new Flow();
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox.close();
  });

  /** `taken`: entries that come into the queue, where they stay. */
  async function check(
    queue: 'disk' | 'memory',
    node: object,
    payload: unknown[],
    taken: number,
  ): Promise<void> {
    await load([customAccount(sandbox.url, { queue }), ...out.nodes(node)], login('s3cr3t'), out);
    // What is measured is not the first of its kind.
    await out.send({ payload: Array.from({ length: 3_000 }, () => entry(1)) });
    out.forget();
    const { engine } = usedQueue();
    engine.pause();
    const before = engine.counters.taken;
    const part = await largestPart(async () => {
      out.give({ payload });
      await until(() => engine.counters.taken === before + taken, 'it is taken', 60_000);
      if (queue === 'memory' && taken > 0) await sleep(500);
      else await until(() => out.ends === 1, 'its end', 60_000);
    });
    assert.ok(part < 1 / 3, `${Math.round(100 * part)} % of the work in one turn`);
    // Helper nodes get what was sent a moment later.
    await sleep(10);
  }

  it('is taken into a queue on disk', () => check('disk', { completeOn: 'queued' }, many(none), entries));

  it('is taken into a queue in memory', () => check('memory', {}, many(none), entries));

  it('is shown as a dry run', async () => {
    await check('memory', { dryRun: true }, many(none), 0);
    const { requests } = out.accepted[0].audience;
    assert.equal(requests.length, entries / 1_000);
  });

  it('with half of its entries rejected leaves on both outputs, which share no object', async () => {
    const payload = many(half).map((its) => ({ ...(its as object) }));
    await check('disk', { completeOn: 'queued' }, payload, entries / 2);
    // On a busy machine the 3,000 entries before may leave meanwhile.
    const [accepted, rejected] = [out.accepted, out.rejected].map((messages) =>
      messages.find(({ audience }: any) => audience.recovered !== true),
    );
    assert.deepEqual([accepted.payload.length, rejected.payload.length], [entries, entries]);
    assert.equal(rejected.audience.rejected.length, entries / 2);
    assert.deepEqual(rejected.payload[0], accepted.payload[0]);
    const shared = new Set<unknown>(accepted.payload);
    const { rejected: rejections } = rejected.audience;
    assert.ok(rejected.payload.every((its: unknown) => !shared.has(its)));
    assert.ok(rejections.every(({ entry: its }: { entry: unknown }) => !shared.has(its)));
  });
});

// One request at a time on an idle process: raw undici, an engine in memory, an engine on disk, and a bare commit,
// in turns, so that whatever else the machine does hits all of them alike.
import { subscribe } from 'node:diagnostics_channel';
import { Pool } from 'undici';
import type { Engine as EngineType } from '../../src/delivery/engine';
import type { QueueStore } from '../../src/queue/store';
import { nowMs } from '../support/now';
import { entryOf } from './entries';
import { checkEntry, Engine, ServiceClient, SqliteStore, systemClock } from './package';
import { serve } from './serve';

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };
const source = { node: 'bench', account: 'bench' };

/** When undici was last about to write a request. */
let writtenMs = NaN;
subscribe('undici:client:sendHeaders', () => {
  writtenMs = nowMs();
});

export interface Sample {
  readonly inputMs: number;
  /** Given to the socket. */
  readonly writtenMs: number;
}

export interface IdleSamples {
  /** One each a cycle, in this order at the service. */
  readonly raw: Sample[];
  readonly memory: Sample[];
  readonly disk: Sample[];
  /** How long a commit of one entry and one departure takes. */
  readonly commitMs: number[];
}

async function startEngine(url: string, store: QueueStore): Promise<EngineType> {
  const client = new ServiceClient({ authUrl: url, serviceUrl: url, maxConcurrent: limits.maxConcurrent });
  const engine = new Engine({
    store,
    clock: systemClock,
    random: Math.random,
    limits,
    queueMaxEntries: 5_000_000,
    queueMaxBytes: 2_048_000_000,
  });
  engine.attach({
    account: 'bench',
    token: () => Promise.resolve({ kind: 'token', token: 'bench' }),
    refused: () => undefined,
    post: (body, token, mayLeave) => client.post(body, token, mayLeave),
    networkFloorMs: () => 0,
  });
  engine.start();
  while (engine.stats().state.kind === 'starting') await sleep(1);
  return engine;
}

async function throughEngine(engine: EngineType, number: number): Promise<Sample> {
  const input = entryOf(number);
  const inputMs = nowMs();
  const result = checkEntry(input);
  if (!result.ok) throw new Error('An entry of the bench is refused.');
  const entries = [result.entry];
  await new Promise<void>((resolve) =>
    engine.submit({ source, entries, indexes: null, completeOn: 'accepted', onEnd: () => resolve() }),
  );
  return { inputMs, writtenMs };
}

async function throughPool(pool: Pool, number: number): Promise<Sample> {
  const input = entryOf(number);
  const inputMs = nowMs();
  const { body } = await pool.request({
    method: 'POST',
    path: '/rt-segment',
    headers: { authorization: 'bench', 'content-type': 'application/json' },
    body: JSON.stringify({ rt_segment: [input] }),
  });
  await body.json();
  return { inputMs, writtenMs };
}

async function commitOnce(store: QueueStore, number: number): Promise<number> {
  const row = {
    seq: number,
    lane: 'add',
    userHash: number,
    source,
    eventWallMs: 1,
    eventMonoMs: 1,
    takenWallMs: 1,
    body: JSON.stringify(entryOf(number)),
  } as const;
  const startedMs = nowMs();
  await store.commit({ append: [row], begin: [{ post: number, userHashes: [number] }] });
  const tookMs = nowMs() - startedMs;
  await store.commit({ remove: [number], settle: [number] });
  return tookMs;
}

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

export const operations = {
  async run(url: string, folder: string, cycles: number, gapMs: number): Promise<IdleSamples> {
    const pool = new Pool(url, { connections: 15, pipelining: 1 });
    const memory = await startEngine(url, new SqliteStore(':memory:'));
    const disk = await startEngine(url, new SqliteStore(`${folder}/idle.sqlite`));
    const bare = new SqliteStore(`${folder}/bare.sqlite`);
    await bare.open();
    await sleep(1200);
    const samples: IdleSamples = { raw: [], memory: [], disk: [], commitMs: [] };
    for (let cycle = 1; cycle <= cycles; cycle += 1) {
      await sleep(gapMs);
      samples.raw.push(await throughPool(pool, cycle));
      await sleep(gapMs);
      samples.memory.push(await throughEngine(memory, cycle));
      await sleep(gapMs);
      samples.disk.push(await throughEngine(disk, cycle));
      await sleep(gapMs);
      samples.commitMs.push(await commitOnce(bare, cycle));
    }
    return samples;
  },
};
serve(operations);

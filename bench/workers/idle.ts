// One request at a time on an idle process: raw undici, an engine in memory, an engine on disk, and a bare commit,
// in turns, so that whatever else the machine does hits all of them alike.
import { subscribe } from 'node:diagnostics_channel';
import { Pool } from 'undici';
import type { Engine } from '../../src/delivery/engine';
import type { QueueStore } from '../../src/queue/store';
import { nowMs, sleep } from '../support/process';
import { entryOf, rowOf, source } from './entries';
import { checked, openEngine, SqliteStore } from './package';
import { serve } from './serve';

const limits = { postsPerSecond: 100, usersPerSecond: 1000, maxConcurrent: 15 };

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

async function throughEngine(engine: Engine, number: number): Promise<Sample> {
  const input = entryOf(number);
  const inputMs = nowMs();
  const entries = [checked(input)];
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
  const row = { ...rowOf(number), seq: number, eventMonoMs: 1 };
  const startedMs = nowMs();
  await store.commit({ append: [row], begin: [{ post: number, userHashes: [row.userHash] }] });
  const tookMs = nowMs() - startedMs;
  await store.commit({ remove: [number], settle: [number] });
  return tookMs;
}

export const operations = {
  async run(url: string, folder: string, cycles: number, gapMs: number): Promise<IdleSamples> {
    const pool = new Pool(url, { connections: 15, pipelining: 1 });
    const memory = await openEngine(url, new SqliteStore(':memory:'), limits);
    const disk = await openEngine(url, new SqliteStore(`${folder}/idle.sqlite`), limits);
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

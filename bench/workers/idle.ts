// One request at a time on an idle process: raw undici, an engine in memory, an engine on disk, and a bare commit,
// in turns, so that whatever else the machine does hits all of them alike.
import { Pool } from 'undici';
import type { Engine } from '../../src/delivery/engine';
import type { Limits } from '../../src/delivery/schedule/rate-limiter';
import type { QueueStore } from '../../src/queue/store';
import { nowMs, sleep } from '../support/process';
import { entryOf, rowOf, source } from './entries';
import { checked, openEngine, SqliteStore } from './package';
import { serve } from './serve';

export interface IdleInputs {
  /** When the input of each post was there: raw, memory, disk, again and again. */
  readonly posts: number[];
  /** How long a commit of one entry and one departure takes. */
  readonly commitMs: number[];
}

async function throughEngine(engine: Engine, number: number): Promise<number> {
  const input = entryOf(number);
  const inputMs = nowMs();
  const entries = [checked(input)];
  await new Promise<void>((resolve) =>
    engine.submit({ source, entries, indexes: null, completeOn: 'accepted', onEnd: () => resolve() }),
  );
  return inputMs;
}

async function throughPool(pool: Pool, number: number): Promise<number> {
  const input = entryOf(number);
  const inputMs = nowMs();
  const { body } = await pool.request({
    method: 'POST',
    path: '/rt-segment',
    headers: { authorization: 'bench', 'content-type': 'application/json' },
    body: JSON.stringify({ rt_segment: [input] }),
  });
  await body.json();
  return inputMs;
}

async function commitOnce(store: QueueStore, number: number): Promise<number> {
  const row = { ...rowOf(number), seq: number, eventMonoMs: 1 };
  const startedMs = nowMs();
  await store.commit({ append: [row], begin: [{ post: number, userHashes: [row.userHash] }] });
  const tookMs = nowMs() - startedMs;
  await store.commit({ remove: [number], settle: [number] });
  return tookMs;
}

let pool: Pool;
let memory: Engine;
let disk: Engine;
let bare: QueueStore;
let last = 0;

export const operations = {
  async open(url: string, folder: string, limits: Limits): Promise<void> {
    pool = new Pool(url, { connections: 15, pipelining: 1 });
    memory = await openEngine(url, new SqliteStore(':memory:'), limits);
    disk = await openEngine(url, new SqliteStore(`${folder}/idle.sqlite`), limits);
    bare = new SqliteStore(`${folder}/bare.sqlite`);
    await bare.open();
  },
  async run(cycles: number, gapMs: number): Promise<IdleInputs> {
    const inputs: IdleInputs = { posts: [], commitMs: [] };
    const gap = async (): Promise<void> => (gapMs > 0 ? sleep(gapMs) : undefined);
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      last += 1;
      await gap();
      inputs.posts.push(await throughPool(pool, last));
      await gap();
      inputs.posts.push(await throughEngine(memory, last));
      await gap();
      inputs.posts.push(await throughEngine(disk, last));
      await gap();
      inputs.commitMs.push(await commitOnce(bare, last));
    }
    return inputs;
  },
};
serve(operations);

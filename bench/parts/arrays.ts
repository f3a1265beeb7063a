// CPU per user with arrays of 1,000 and the quota lifted: the engine against a raw undici loop, and the flows in Node-RED.
import { median } from '../support/figures';
import { coreFlow, ourFlow } from '../support/flows';
import { startNodeRed } from '../support/node-red';
import { sleep } from '../support/process';
import { us, type Row } from '../support/report';
import { fastCore, lifted, newFile, sendAll, startEngine, startService, type Part } from '../support/setting';
import { startWorker } from '../support/worker';
import type { operations as leastOperations } from '../workers/least';
import type { operations } from '../workers/raw';

const users = 200_000;
const perMessage = 1000;
const rounds = 4;
const outstanding = 30;

export const arrays: Part = async (bench) => {
  const { workspace } = bench;
  const { service, url } = await startService(bench);
  const raw = startWorker<typeof operations>(workspace, 'raw');
  const bare = startWorker<typeof leastOperations>(workspace, 'least');
  await bare.call('open', newFile(bench), 'bare');
  const queue = startWorker<typeof leastOperations>(workspace, 'least');
  await queue.call('open', newFile(bench), 'package');
  const engine = startEngine(bench);
  await engine.call('open', { url, file: newFile(bench), limits: lifted });
  const memory = startEngine(bench);
  await memory.call('open', { url, file: null, limits: lifted });
  const core = await startNodeRed(workspace, 'node-red-core', coreFlow(fastCore(url), 'array'));
  const out = await startNodeRed(
    workspace,
    'node-red-disk',
    ourFlow({ url, queue: 'disk', from: 'function' }, 'array'),
  );
  const throughFlow = async (flow: typeof core, first: number): Promise<number> => {
    const before = await flow.call('cpuUs');
    await sendAll(flow, service, first, users, perMessage);
    await sleep(200);
    return (await flow.call('cpuUs')) - before;
  };
  await sleep(1200);
  const names = ['raw', 'bare', 'queue', 'engine', 'memory', 'core', 'out'] as const;
  const costs = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    (typeof names)[number],
    number[]
  >;
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    const feed = { first: 1 + round * users, users, rounds: 1, perMessage };
    const options = { ...feed, completeOn: 'accepted', outstanding, prepared: true } as const;
    const cost = {
      raw: await raw.call('post', url, feed, lifted.maxConcurrent),
      bare: await bare.call('post', url, feed, lifted.maxConcurrent),
      queue: await queue.call('post', url, feed, lifted.maxConcurrent),
      engine: (await engine.call('feed', options)).cpuUs,
      memory: (await memory.call('feed', options)).cpuUs,
      core: await throughFlow(core, feed.first),
      out: await throughFlow(out, feed.first),
    };
    if (round === 0) continue;
    for (const name of names) costs[name].push(cost[name] / users);
  }
  const of = (name: keyof typeof costs): number => median(costs[name]);
  const againstRaw = (what: string, name: keyof typeof costs): Row => ({
    what,
    figure: us(of(name)),
    against: `raw undici ${us(of('raw'))}`,
    ratio: of(name) / of('raw'),
  });
  return {
    title: 'CPU per user, arrays of 1,000, quota lifted, queue on disk',
    rows: [
      { ...againstRaw('engine alone', 'engine'), goal: '≤ 5 ×', reached: of('engine') <= 5 * of('raw') },
      againstRaw('the same, queue in memory', 'memory'),
      againstRaw('no engine: check, store in a bare table, post, remove', 'bare'),
      againstRaw('no engine: check, store in the queue of this package, post, remove', 'queue'),
      {
        what: 'out node, with Node-RED and the function that makes the entries',
        figure: us(of('out')),
        against: `core nodes ${us(of('core'))}`,
        ratio: of('out') / of('core'),
        goal: '≤ 7 µs',
        reached: of('out') <= 7,
      },
    ],
    more: `Median of ${rounds} rounds of ${users} users, taking turns. Engine and raw undici get the same arrays of objects, made before. Raw is JSON.stringify, one request, the reply parsed, 15 at a time; ours checks, queues, merges, packs, sends and reports. Without an engine there are no limits, no order of a user's entries, no retries and no outcomes. Core nodes: function, split (1,000 in a part), function, delay, http request.`,
  };
};

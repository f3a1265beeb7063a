// CPU per user with arrays of 1,000 and the quota lifted: the engine against a raw undici loop, and the flows in Node-RED.
import { median } from '../support/figures';
import { coreFlow, ourFlow } from '../support/flows';
import { startNodeRed } from '../support/node-red';
import { sleep } from '../support/process';
import { us } from '../support/report';
import { fastCore, lifted, newFile, sendAll, startEngine, startService, type Part } from '../support/setting';
import { startWorker } from '../support/worker';
import type { operations } from '../workers/raw';

const users = 200_000;
const perMessage = 1000;
const rounds = 4;
const outstanding = 30;

export const arrays: Part = async (bench) => {
  const { workspace } = bench;
  const { service, url } = await startService(bench);
  const raw = startWorker<typeof operations>(workspace, 'raw');
  const engine = startEngine(bench);
  await engine.call('open', { url, file: newFile(bench), limits: lifted });
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
  const costs = { raw: [] as number[], engine: [] as number[], core: [] as number[], out: [] as number[] };
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    const feed = { first: 1 + round * users, users, rounds: 1, perMessage };
    const options = { ...feed, completeOn: 'accepted', outstanding, prepared: true } as const;
    const cost = {
      raw: await raw.call('post', url, feed, lifted.maxConcurrent),
      engine: (await engine.call('feed', options)).cpuUs,
      core: await throughFlow(core, feed.first),
      out: await throughFlow(out, feed.first),
    };
    if (round === 0) continue;
    for (const name of ['raw', 'engine', 'core', 'out'] as const) costs[name].push(cost[name] / users);
  }
  const of = (name: keyof typeof costs): number => median(costs[name]);
  return {
    title: 'CPU per user, arrays of 1,000, quota lifted, queue on disk',
    rows: [
      {
        what: 'engine alone',
        figure: us(of('engine')),
        against: `raw undici ${us(of('raw'))}`,
        ratio: of('engine') / of('raw'),
        goal: '≤ 5 ×',
        reached: of('engine') <= 5 * of('raw'),
      },
      {
        what: 'out node, with Node-RED and the function that makes the entries',
        figure: us(of('out')),
        against: `core nodes ${us(of('core'))}`,
        ratio: of('out') / of('core'),
        goal: '≤ 7 µs',
        reached: of('out') <= 7,
      },
    ],
    more: `Median of ${rounds} rounds of ${users} users, taking turns. Engine and raw undici get the same arrays of objects, made before. Raw is JSON.stringify, one request, the reply parsed, 15 at a time; ours checks, queues, merges, packs, sends and reports. Core nodes: function, split (1,000 in a part), function, delay, http request.`,
  };
};

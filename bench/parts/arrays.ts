// CPU per user with arrays of 1,000 and the quota lifted: a raw undici loop, the engine in memory, and on disk.
import { median } from '../support/figures';
import { sleep } from '../support/process';
import { us, type Row } from '../support/report';
import { lifted, newFile, startEngine, startService, type Part } from '../support/setting';
import { startWorker } from '../support/worker';
import type { operations } from '../workers/raw';

const users = 200_000;
const perMessage = 1000;
const rounds = 4;
const outstanding = 30;

export const arrays: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const raw = startWorker<typeof operations>(bench.workspace, 'raw');
  const memory = startEngine(bench);
  const disk = startEngine(bench);
  await memory.call('open', { url, file: null, limits: lifted });
  await disk.call('open', { url, file: newFile(bench), limits: lifted });
  await sleep(1200);
  const costs = { raw: [] as number[], memory: [] as number[], disk: [] as number[] };
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    await service.call('set', {});
    const feed = { first: 1 + round * users, users, rounds: 1, perMessage };
    const options = { ...feed, completeOn: 'accepted', outstanding, prepared: true } as const;
    const cost = {
      raw: await raw.call('post', url, feed, lifted.maxConcurrent),
      memory: (await memory.call('feed', options)).cpuUs,
      disk: (await disk.call('feed', options)).cpuUs,
    };
    if (round === 0) continue;
    for (const name of ['raw', 'memory', 'disk'] as const) costs[name].push(cost[name] / users);
  }
  const rawUs = median(costs.raw);
  const row = (name: 'memory' | 'disk', most: number): Row => ({
    what: `CPU per user, ${name === 'disk' ? 'on disk' : 'in memory'}`,
    figure: us(median(costs[name])),
    against: `raw undici ${us(rawUs)}`,
    ratio: median(costs[name]) / rawUs,
    goal: `≤ ${most} ×`,
    reached: median(costs[name]) <= most * rawUs,
  });
  return {
    title: 'CPU per user, arrays of 1,000, quota lifted',
    rows: [row('memory', 4), row('disk', 6)],
    more: `Median of ${rounds} rounds of ${users} users, taking turns. All get the same arrays of objects, made before. Raw is JSON.stringify, one request, the reply parsed, 15 at a time. Ours checks, queues, merges, packs, sends and reports.`,
  };
};

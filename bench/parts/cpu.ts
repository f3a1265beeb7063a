// CPU per user with one message each and the quota lifted, in a real Node-RED: our nodes and core nodes.
import { median } from '../support/figures';
import { bareFlow, coreFlow, ourFlow } from '../support/flows';
import { startNodeRed, type NodeRed } from '../support/node-red';
import { sleep } from '../support/process';
import { us, type Row } from '../support/report';
import { fastCore, sendAll, startService, type Part, type Service } from '../support/setting';

const users = 40_000;
const rounds = 4;
/** The compiler optimises until then. */
const warmUpRounds = 2;
/** Until the last messages have ended. */
const settleMs = 500;

export const cpu: Part = async (bench) => {
  const { workspace } = bench;
  const { service, url } = await startService(bench);
  const start = (name: string, flow: ReturnType<typeof coreFlow>): Promise<NodeRed> =>
    startNodeRed(workspace, `node-red-${name}`, flow);
  const flows = {
    source: await start('source', bareFlow()),
    entry: await start('entry', bareFlow(true)),
    core: await start('core', coreFlow(fastCore(url))),
    builder: await start('builder', ourFlow({ url, queue: 'disk', from: 'builder' })),
    disk: await start('disk', ourFlow({ url, queue: 'disk', from: 'source' })),
    memory: await start('memory', ourFlow({ url, queue: 'memory', from: 'source' })),
    encrypted: await start('encrypted', ourFlow({ url, queue: 'disk', from: 'source', encryptIds: true })),
  };
  const names = Object.keys(flows) as (keyof typeof flows)[];
  const costs = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<string, number[]>;
  const usersPerPost: number[] = [];
  await sleep(1500);
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    for (const name of names) {
      const isBare = name === 'source' || name === 'entry';
      const cost = await costOf(flows[name], isBare ? null : service, 1 + round * users);
      if (round < warmUpRounds) continue;
      costs[name]!.push(cost);
      if (name !== 'builder') continue;
      const counts = await service.call('counts');
      usersPerPost.push(counts.users / counts.posts);
    }
  }
  const whole = (name: keyof typeof flows): number => median(costs[name]!);
  const without = (bare: 'source' | 'entry', name: keyof typeof flows): number => whole(name) - whole(bare);
  const core = without('source', 'core');
  const builder = without('source', 'builder');
  const out = (name: 'disk' | 'memory', mostUs: number): Row => ({
    what: `out node alone, queue ${name === 'disk' ? 'on disk' : 'in memory'}`,
    figure: us(without('entry', name)),
    against: `with Node-RED ${us(whole(name))}`,
    goal: `≤ ${mostUs} µs`,
    reached: without('entry', name) <= mostUs,
  });
  return {
    title: 'CPU per user, one message each, quota lifted, in Node-RED 5',
    rows: [
      {
        what: 'segment builder and out node, queue on disk',
        figure: us(builder),
        against: `core nodes ${us(core)}`,
        ratio: builder / core,
        goal: '≤ 0.75 ×',
        reached: builder <= 0.75 * core,
        note: `It sent ${Math.round(median(usersPerPost))} users a request, the core nodes 1,000: it does not wait while the quota is free (promise 6).`,
      },
      {
        what: 'the same, with Node-RED',
        figure: us(whole('builder')),
        against: `core nodes ${us(whole('core'))}`,
        ratio: whole('builder') / whole('core'),
      },
      out('disk', 14.5),
      out('memory', 12),
      {
        what: 'out node alone, queue on disk with encryptIds',
        figure: us(without('entry', 'encrypted')),
        against: `without ${us(without('entry', 'disk'))}`,
        ratio: without('entry', 'encrypted') / without('entry', 'disk'),
      },
      { what: 'Node-RED itself: the source', figure: us(whole('source')), against: '' },
      {
        what: 'the same, where the source makes the entry',
        figure: us(whole('entry')),
        against: '',
      },
    ],
    more: `Median of ${rounds} rounds of ${users} users, the flows taking turns. Core nodes: function, join, function, delay, http request; 1,000 users a post, the most that the service takes and the cheapest. Where a row does not say “with Node-RED”, the cost of Node-RED itself is subtracted: the source, and a _junction_ that only calls done(). For the out node alone the source makes the entry. A function node costs about as much as both of our nodes, so no row subtracts one. The out node's outputs are not wired. It completes every message on its own, which the core nodes cannot.`,
  };
};

/** Microseconds a user, of the whole process with all its threads. Without a service the flow ends within a moment. */
async function costOf(flow: NodeRed, service: Service | null, first: number): Promise<number> {
  const before = await flow.call('cpuUs');
  if (service === null) await flow.call('send', first, users, 500);
  else await sendAll(flow, service, first, users);
  await sleep(settleMs);
  return ((await flow.call('cpuUs')) - before) / users;
}

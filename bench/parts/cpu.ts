// CPU per user with one message each and the quota lifted, in a real Node-RED: our out node and core nodes.
import { median } from '../support/figures';
import { bareFlow, coreFlow, ourFlow } from '../support/flows';
import { startNodeRed, type NodeRed } from '../support/node-red';
import { sleep } from '../support/process';
import { us, type Row } from '../support/report';
import { answered, startService, type Part, type Service } from '../support/setting';

const users = 40_000;
const rounds = 4;
const perTurn = 500;

export const cpu: Part = async (bench) => {
  const { workspace } = bench;
  const { service, url } = await startService(bench);
  const core = (usersPerPost: number): ReturnType<typeof coreFlow> =>
    coreFlow({ url, usersPerPost, joinSeconds: 1, postsPerSecond: 10_000 });
  const flows = {
    bare: await startNodeRed(workspace, 'node-red', bareFlow()),
    core10: await startNodeRed(workspace, 'node-red-core', core(10)),
    core100: await startNodeRed(workspace, 'node-red-core', core(100)),
    core1000: await startNodeRed(workspace, 'node-red-core', core(1000)),
    memory: await startNodeRed(workspace, 'node-red-memory', ourFlow(url, 'memory')),
    disk: await startNodeRed(workspace, 'node-red-disk', ourFlow(url, 'disk')),
    encrypted: await startNodeRed(workspace, 'node-red-encrypted', ourFlow(url, 'disk', true)),
  };
  const names = Object.keys(flows) as (keyof typeof flows)[];
  const costs = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<string, number[]>;
  await sleep(1500);
  // The first round warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const cost = await costOf(flows[name], service, 1 + round * users, name === 'bare');
      if (round > 0) costs[name]!.push(cost);
    }
  }
  const of = (name: keyof typeof flows): number => median(costs[name]!);
  const against = (name: 'core10' | 'core100' | 'core1000'): Pick<Row, 'against' | 'ratio'> => ({
    against: `core nodes, ${name.replace('core', '')} a post: ${us(of(name))}`,
    ratio: of('disk') / of(name),
  });
  const rows: Row[] = [
    ...(['memory', 'disk'] as const).map((name) => ({
      what: `CPU per user, out node, queue ${name === 'disk' ? 'on disk' : 'in memory'}`,
      figure: us(of(name)),
      ...against('core1000'),
      ratio: of(name) / of('core1000'),
      goal: '≤ 0.8 ×',
      reached: of(name) <= 0.8 * of('core1000'),
    })),
    { what: 'the same, on disk', figure: us(of('disk')), ...against('core100') },
    { what: 'the same, on disk', figure: us(of('disk')), ...against('core10') },
    {
      what: 'the same, on disk with encryptIds',
      figure: us(of('encrypted')),
      against: `on disk: ${us(of('disk'))}`,
      ratio: of('encrypted') / of('disk'),
    },
    {
      what: 'of all of them Node-RED itself (source, and the function that makes the entry)',
      figure: us(of('bare')),
      against: '',
    },
  ];
  return {
    title: 'CPU per user, one message each, quota lifted, in Node-RED 5',
    rows,
    more: `Median of ${rounds} rounds of ${users} users, the flows taking turns. Core nodes: function, join, function, delay, http request. The flow decides how many users go into a post. 10 fill the documented quota; 1,000 are the maximum and the cheapest, so the goal is compared with these. The out node's outputs are not wired; it completes every message on its own, which the core nodes cannot.`,
  };
};

/** Microseconds a user, of the whole process with all its threads. */
async function costOf(flow: NodeRed, service: Service, first: number, bare: boolean): Promise<number> {
  await service.call('set', {});
  const before = await flow.call('cpuUs');
  const counted = await flow.call('counted');
  await flow.call('send', first, users, perTurn);
  if (bare) {
    while ((await flow.call('counted')) < counted + users) await sleep(20);
  } else if (!(await answered(service, users, 30_000))) {
    throw new Error(`Not all ${users} users came through:\n${flow.output}`);
  }
  await sleep(200);
  return ((await flow.call('cpuUs')) - before) / users;
}

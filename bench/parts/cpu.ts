// CPU per user with one message each and the quota lifted, in a real Node-RED: our out node and core nodes.
import { median } from '../support/figures';
import { bareFlow, coreFlow, ourFlow } from '../support/flows';
import { startNodeRed, type NodeRed } from '../support/node-red';
import { us, type Row } from '../support/report';
import { answered, sleep, startService, type Part, type Service } from '../support/setting';

const users = 40_000;
const rounds = 4;
const perTurn = 500;

export const cpu: Part = async (bench) => {
  const { workspace } = bench;
  const { service, url } = await startService(bench);
  const core = coreFlow({ url, usersPerPost: 1000, joinSeconds: 1, postsPerSecond: 1000 });
  const flows = {
    bare: await startNodeRed(workspace, 'node-red', bareFlow()),
    core: await startNodeRed(workspace, 'node-red-core', core),
    memory: await startNodeRed(workspace, 'node-red-memory', ourFlow(url, 'memory')),
    disk: await startNodeRed(workspace, 'node-red-disk', ourFlow(url, 'disk')),
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
  const row = (name: 'memory' | 'disk'): Row => ({
    what: `CPU per user, out node, queue in ${name === 'disk' ? 'a file' : 'memory'}`,
    figure: us(of(name)),
    against: `core nodes ${us(of('core'))}`,
    ratio: of(name) / of('core'),
    goal: '≤ 0.8 ×',
    reached: of(name) <= 0.8 * of('core'),
  });
  const bare: Row = {
    what: 'of it Node-RED itself (source and the function that makes the entry)',
    figure: us(of('bare')),
    against: `core nodes ${us(of('core'))}`,
  };
  return {
    title: 'CPU per user, one message each, quota lifted, in Node-RED 5',
    rows: [row('memory'), row('disk'), bare],
    more: `Median of ${rounds} rounds of ${users} users, the flows taking turns. Core nodes: function, join (1000 a post, the most the service takes, so the cheapest for them), function, delay, http request. The out node's outputs are not wired; it completes every message on its own, which the core nodes cannot.`,
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

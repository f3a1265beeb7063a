// What a soak does to Node-RED and to the service, one trouble at a time, chosen by seeded dice.
import type { Fault } from '../../src/sandbox/sandbox';
import { audienceFlow, nodeIds, type AudienceSite } from '../support/audience-site';
import type { EventLoad } from '../support/event-load';
import type { FlowNode } from '../support/node-red';
import type { Relay } from '../support/relay';
import type { StandAloneSandbox } from '../support/stand-alone-sandbox';

export interface Scene {
  readonly sandbox: StandAloneSandbox;
  readonly relay: Relay;
  readonly site: AudienceSite;
  readonly load: EventLoad;
  /** Those that are always there, which a trouble's own come behind. */
  readonly faults: readonly Fault[];
  readonly random: () => number;
  readonly flow: { nodes: readonly FlowNode[]; deploys: number };
}

export interface Trouble {
  readonly name: string;
  /** Shortest and longest, in ms. */
  readonly lastsMs: readonly [number, number];
  /** Ends the process, so that the next life begins. */
  readonly kills?: boolean;
  /** Awaited, when there is something to await. */
  begin(scene: Scene): unknown;
  end?(scene: Scene): unknown;
}

/** The service misbehaves in these ways for a while. */
function service(name: string, lastsMs: readonly [number, number], ...faults: Fault[]): Trouble {
  return {
    name,
    lastsMs,
    begin: ({ sandbox, faults: always }) => sandbox.setFaults([...always, ...faults]),
    end: ({ sandbox, faults: always }) => sandbox.setFaults(always),
  };
}

/** What each deploy changes, so that those nodes really restart: everything, the out node, the account, the flow. */
const changes = [
  { type: 'full', id: nodeIds.tab, property: 'info' },
  { type: 'nodes', id: nodeIds.out, property: 'name' },
  { type: 'nodes', id: nodeIds.account, property: 'name' },
  { type: 'flows', id: nodeIds.input, property: 'name' },
] as const;

async function deploy({ site, flow }: Scene): Promise<void> {
  const { type, id, property } = changes[flow.deploys % changes.length]!;
  flow.deploys += 1;
  flow.nodes = flow.nodes.map((node) =>
    node.id === id ? { ...node, [property]: `deploy ${flow.deploys}` } : node,
  );
  await site.running.deploy(flow.nodes, type);
}

async function restart({ site, load }: Scene, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const { signal: died, code } = await site.stop(signal);
  if (signal === 'SIGKILL' ? died !== 'SIGKILL' : code !== 0)
    throw new Error(`Node-RED ended with ${died ?? code} of ${signal}:\n${site.log}`);
  await site.start();
  load.sendTo(site.eventsUrl);
}

/** Those that end the process come first in a soak; then one process lives on, to be measured. */
export const troubles: readonly Trouble[] = [
  {
    name: 'service gone',
    lastsMs: [2_000, 60_000],
    begin: ({ relay }) => relay.close(),
    end: ({ relay }) => relay.reopen(),
  },
  {
    name: 'connections reset',
    lastsMs: [0, 0],
    begin: async ({ relay }) => {
      await relay.close();
      await relay.reopen();
    },
  },
  {
    name: 'service hangs',
    // What it carries out when it wakes is not later than the margin after which a lost request counts as gone: 10 s
    // until the client gives up, and 20 s more. A service that wakes later may see more than its quota.
    lastsMs: [3_000, 25_000],
    begin: ({ sandbox }) => sandbox.hang(),
    end: ({ sandbox }) => sandbox.goOn(),
  },
  service('429', [3_000, 15_000], { kind: 'rateLimit', as: '429', probability: 0.5 }),
  service('LIMIT in a 200', [3_000, 15_000], { kind: 'rateLimit', as: 'LIMIT', probability: 0.5 }),
  service('503', [3_000, 30_000], { kind: 'status', status: 503, probability: 0.7 }),
  service(
    '502 and 504, some of them carried out',
    [3_000, 20_000],
    { kind: 'status', status: 504, applied: true, probability: 0.2 },
    { kind: 'status', status: 502, probability: 0.3 },
  ),
  service(
    'replies lost and garbled',
    [5_000, 30_000],
    { kind: 'drop', probability: 0.2 },
    { kind: 'lostReply', probability: 0.2 },
    { kind: 'garbage', probability: 0.1 },
  ),
  service('requests that run late', [5_000, 30_000], { kind: 'lateApply', afterMs: 8_000, probability: 0.1 }),
  service('slow service', [5_000, 30_000], { kind: 'latency', beforeMs: [0, 2_000], afterMs: [0, 2_000] }),
  service('token dies', [2_000, 5_000], { kind: 'deadToken' }),
  service(
    'login fails',
    [3_000, 10_000],
    { kind: 'deadToken' },
    { kind: 'status', status: 503, on: 'auth', probability: 0.7 },
  ),
  {
    ...service('account disabled', [3_000, 15_000], { kind: 'error', errorId: 'NOAUTH_DISABLED' }),
    end: async ({ sandbox, faults, site, relay }) => {
      await sandbox.setFaults(faults);
      // A refusal that is final until somebody acts: here somebody does, by the button of the sidebar.
      const { status } = await site.running.post('instant-audience/tab/retry', { queue: `${relay.url} 1` });
      if (status !== 200) throw new Error(`The button was answered with ${status}.`);
    },
  },
  service('service fails', [3_000, 15_000], { kind: 'error', errorId: 'SYSTEM', probability: 0.6 }),
  { name: 'deploy', lastsMs: [0, 0], begin: deploy },
  {
    name: 'three deploys',
    lastsMs: [0, 0],
    begin: async (scene) => {
      for (let times = 0; times < 3; times += 1) await deploy(scene);
    },
  },
  {
    name: 'frozen under load',
    // Shorter than a client waits, or it would send again what is already in the socket of a process that sleeps.
    lastsMs: [500, 8_000],
    begin: ({ site }) => site.signal('SIGSTOP'),
    end: ({ site }) => site.signal('SIGCONT'),
  },
  {
    name: 'asleep',
    lastsMs: [15_000, 90_000],
    begin: async ({ site, load }) => {
      await load.stop();
      site.signal('SIGSTOP');
    },
    end: ({ site, load }) => {
      site.signal('SIGCONT');
      load.start(site.eventsUrl);
    },
  },
  { name: 'kill -9', lastsMs: [0, 0], kills: true, begin: (scene) => restart(scene, 'SIGKILL') },
  { name: 'stop and start', lastsMs: [0, 0], kills: true, begin: (scene) => restart(scene, 'SIGTERM') },
];

export function flowOf(serviceUrl: string, limits: Parameters<typeof audienceFlow>[0]['limits']): FlowNode[] {
  return audienceFlow({ serviceUrl, ...(limits !== undefined && { limits }) });
}

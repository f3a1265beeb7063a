// Two accounts of one member in a real Node-RED, each with a flow of its own; partial deploys that close one of them.
import { strict as assert } from 'node:assert';
import { cleanUps } from '../support/clean-up';
import { NodeRed, nodeRedVersion, until, type FlowNode } from '../support/node-red';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';

type Flow = readonly FlowNode[];
const sides = ['left', 'right'] as const;
type Side = (typeof sides)[number];

/** One side: a tab with `POST SIDE`, which answers once the entries are delivered, and an account. */
function sideOf(side: Side, serviceUrl: string): FlowNode[] {
  const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
    z: side,
    x: 100,
    y: 100,
    ...node,
    wires,
  });
  const answer = { type: 'http response', statusCode: '' };
  return [
    { id: side, type: 'tab', label: side, disabled: false, info: '' },
    {
      id: `${side} account`,
      type: 'xandr-account',
      name: side,
      environment: 'custom',
      authUrl: serviceUrl,
      serviceUrl,
      member: '1',
    },
    inTab({ id: `${side} in`, type: 'http in', method: 'post', url: `/${side}` }, [`${side} out`]),
    inTab(
      { id: `${side} out`, type: 'xandr-instant-audience-out', account: `${side} account` },
      [`${side} answer`],
      [`${side} answer`],
    ),
    inTab({ id: `${side} answer`, ...answer }),
  ];
}

const login = (side: Side): Record<string, string> => ({ username: side, password: 'secret' });

const change = (flow: Flow, id: string, properties: object): FlowNode[] =>
  flow.map((node): FlowNode => (node.id === id ? { ...node, ...properties } : node));

/** What a deploy changes of the left side, of which nothing is left that delivers then. */
const deploys: readonly [name: string, change: (flow: Flow) => FlowNode[]][] = [
  ['its only out node is deleted', (flow) => flow.filter(({ id }) => id !== 'left out')],
  ['its tab is disabled', (flow) => change(flow, 'left', { disabled: true })],
  ['its settings become invalid', (flow) => change(flow, 'left account', { member: 'none' })],
  ['its account is disabled', (flow) => change(flow, 'left account', { d: true })],
  ['its account is deleted', (flow) => flow.filter(({ id }) => id !== 'left account')],
];

describe(`a Node-RED ${nodeRedVersion} with two accounts of one member`, function () {
  this.timeout(120_000);
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let nodeRed: NodeRed;
  let flow: Flow;
  let users = 0;

  before(async () => {
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    flow = sides.flatMap((side) => sideOf(side, sandbox.url));
    const credentials = Object.fromEntries(sides.map((side) => [`${side} account`, login(side)]));
    nodeRed = await NodeRed.start({ flows: flow, credentials });
    ends(() => nodeRed.stop());
  });

  /** Posts an event; resolves with its user once the service has it. */
  async function delivers(side: Side): Promise<void> {
    users += 1;
    const user = String(users);
    const posted = nodeRed.post(side, { user_id: user, seg_block: [{ seg_id: 10_001, expiration: 60 }] });
    await reaches(user, side);
    assert.equal((await posted).status, 200);
  }

  async function reaches(user: string, what: string): Promise<void> {
    await until(
      async () => (await sandbox.segmentsOf(user)).includes('10001'),
      5_000,
      () => `the user ${user} (${what}) at the service; log:\n${nodeRed.output}`,
    );
  }

  async function act(action: string): Promise<void> {
    const reply = await nodeRed.post(`instant-audience/tab/${action}`, { queue: `${sandbox.url} 1` });
    assert.equal(reply.status, 200, JSON.stringify(reply));
  }

  for (const [name, remove] of deploys) {
    for (const type of ['nodes', 'flows'] as const) {
      it(`delivers for the other account when ${name} (deploy of ${type}), and for both after the next`, async () => {
        await delivers('left');
        await delivers('right');
        await nodeRed.deploy(remove(flow), type);
        await delivers('right');
        await act('pause');
        users += 1;
        const held = String(users);
        const entry = { user_id: held, seg_block: [{ seg_id: 10_001, expiration: 60 }] };
        const posted = nodeRed.post('right', entry);
        await act('resume');
        await act('flush');
        await act('retry');
        await reaches(held, 'resumed');
        assert.equal((await posted).status, 200);
        // Node-RED forgets the login of an account that is deleted, and starts no node for one that is added.
        const restored = change(flow, 'left account', { credentials: login('left') });
        await nodeRed.deploy(change(restored, 'left out', { name: `${name} no more` }), type);
        await delivers('left');
        await delivers('right');
      });
    }
  }
});

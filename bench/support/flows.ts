// The flows that are compared: the same source and the same function that makes an entry, then either core nodes
// or our out node.

export interface FlowNode {
  readonly id: string;
  readonly type: string;
  readonly [property: string]: unknown;
}

export interface CoreFlow {
  readonly url: string;
  /** Users a post, or less when `joinSeconds` have passed. */
  readonly usersPerPost: number;
  readonly joinSeconds: number;
  readonly postsPerSecond: number;
}

const tab: FlowNode = { id: 'bench-tab', type: 'tab', label: 'bench' };

function functionNode(id: string, func: string, to: readonly string[], initialize = ''): FlowNode {
  return { id, type: 'function', z: 'bench-tab', name: '', func, outputs: 1, initialize, wires: [to] };
}

/** Sends `{payload: {user}}` when the bench says so; the last message of each lot carries the lot's size. */
const source = functionNode(
  'bench-source',
  'return null;',
  ['bench-entry'],
  `global.get('bench').onSource((first, count) => {
    for (let i = first; i < first + count; i += 1) {
      const payload = { user: '1' + String(i).padStart(18, '0') };
      node.send(i === first + count - 1 ? { payload, lot: count } : { payload }, false);
    }
  });`,
);

const makeEntry = `msg.payload = { user_id: msg.payload.user, domain: null,
      seg_block: [{ seg_id: 10001, value: 1, expiration: 1440 }] };`;

function entryNode(to: string): FlowNode {
  return functionNode('bench-entry', `${makeEntry} return msg;`, [to]);
}

/** Node-RED alone: what the source and the function that makes the entry cost. */
export function bareFlow(): FlowNode[] {
  const counting = `${makeEntry} if (msg.lot !== undefined) global.get('bench').count(msg.lot); return msg;`;
  return [tab, source, functionNode('bench-entry', counting, [])];
}

/** What people build today: function, join, delay with a rate limit, http request. */
export function coreFlow({ url, usersPerPost, joinSeconds, postsPerSecond }: CoreFlow): FlowNode[] {
  return [
    tab,
    source,
    entryNode('bench-join'),
    {
      id: 'bench-join',
      type: 'join',
      z: 'bench-tab',
      mode: 'custom',
      build: 'array',
      timeout: String(joinSeconds),
      count: String(usersPerPost),
      wires: [['bench-body']],
    },
    functionNode(
      'bench-body',
      `msg.payload = { rt_segment: msg.payload };
      msg.headers = { authorization: 'bench', 'content-type': 'application/json' };
      return msg;`,
      ['bench-delay'],
    ),
    {
      id: 'bench-delay',
      type: 'delay',
      z: 'bench-tab',
      pauseType: 'rate',
      rate: String(postsPerSecond),
      nbRateUnits: '1',
      rateUnits: 'second',
      drop: false,
      allowrate: false,
      outputs: 1,
      wires: [['bench-post']],
    },
    {
      id: 'bench-post',
      type: 'http request',
      z: 'bench-tab',
      method: 'POST',
      ret: 'obj',
      paytoqs: 'ignore',
      url: `${url}/rt-segment`,
      persist: true,
      authType: '',
      senderr: false,
      headers: [],
      wires: [['bench-reply']],
    },
    functionNode(
      'bench-reply',
      `if (msg.payload?.response?.status !== 'OK') node.error('refused', msg);`,
      [],
    ),
  ];
}

/** Our out node, with the quota lifted; `encryptIds` with the queue on disk only. */
export function ourFlow(url: string, queue: 'disk' | 'memory', encryptIds = false): FlowNode[] {
  return [
    tab,
    {
      id: 'bench-account',
      type: 'xandr-account',
      name: 'bench',
      environment: 'custom',
      authUrl: url,
      serviceUrl: url,
      member: '958',
      authMethod: 'password',
      postsPerSecond: '10000',
      usersPerSecond: '1000000',
      maxConcurrent: '15',
      queue,
      encryptIds,
    },
    source,
    entryNode('bench-out'),
    {
      id: 'bench-out',
      type: 'xandr-instant-audience-out',
      z: 'bench-tab',
      account: 'bench-account',
      input: 'payload',
      inputType: 'msg',
      completeOn: 'accepted',
      outputs: 2,
      wires: [[], []],
    },
  ];
}

export const credentials = { 'bench-account': { username: 'bench', password: 'bench' } };

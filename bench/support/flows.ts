// The flows that are compared: the same source, then either core nodes or our nodes.

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

/** How the source sends users: one a message, or all of a lot in one. */
type Input = 'single' | 'array';

const userText = `{"user":"' + id + '"}`;
const entryText = `{"user_id":"' + id + '","domain":null,"seg_block":[{"seg_id":10001,"value":1,"expiration":1440}]}`;

/**
 * Makes and sends `{payload: {user}}`, or an array of users as payload, when the bench says so. `ready`: entries instead of
 * users. They are parsed, as those that an HTTP or MQTT node sends: V8 may allocate a literal of the source as if it were old.
 */
function source(input: Input, to = 'bench-entry', ready = false): FlowNode {
  const messages = input === 'single' ? 'users.map((payload) => ({ payload }))' : '[{ payload: users }]';
  return functionNode(
    'bench-source',
    'return null;',
    [to],
    `const make = (first, count) => {
      const idOf = (at) => '1' + String(first + at).padStart(18, '0');
      const parsed = (id) => JSON.parse('${ready ? entryText : userText}');
      const users = Array.from({ length: count }, (_, at) => parsed(idOf(at)));
      return ${messages};
    };
    global.get('bench').onSource(make, (msg) => node.send(msg, false));`,
  );
}

const entryOf = (event: string): string => `{ user_id: ${event}.user, domain: null,
      seg_block: [{ seg_id: 10001, value: 1, expiration: 1440 }] }`;
const makeEntries = {
  single: `msg.payload = ${entryOf('msg.payload')};`,
  array: `msg.payload = msg.payload.map((event) => (${entryOf('event')}));`,
};

function entryNode(input: Input, to: string): FlowNode {
  return functionNode('bench-entry', `${makeEntries[input]} return msg;`, [to]);
}

/** Node-RED itself: the source, and a core node that only calls `done()`. */
export function bareFlow(ready = false): FlowNode[] {
  const junction = { id: 'bench-entry', type: 'junction', z: 'bench-tab', wires: [[]] };
  return [tab, source('single', junction.id, ready), junction];
}

/** What people build today: function, join (of arrays: split), delay with a rate limit, http request. */
export function coreFlow(core: CoreFlow, input: Input = 'single'): FlowNode[] {
  return [
    tab,
    source(input),
    entryNode(input, 'bench-posts'),
    input === 'single' ? joinNode(core) : splitNode(core),
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
      rate: String(core.postsPerSecond),
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
      url: `${core.url}/rt-segment`,
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

function joinNode({ usersPerPost, joinSeconds }: CoreFlow): FlowNode {
  return {
    id: 'bench-posts',
    type: 'join',
    z: 'bench-tab',
    mode: 'custom',
    build: 'array',
    timeout: String(joinSeconds),
    count: String(usersPerPost),
    wires: [['bench-body']],
  };
}

function splitNode({ usersPerPost }: CoreFlow): FlowNode {
  return {
    id: 'bench-posts',
    type: 'split',
    z: 'bench-tab',
    arraySplt: usersPerPost,
    arraySpltType: 'len',
    property: 'payload',
    wires: [['bench-body']],
  };
}

export interface OurFlow {
  readonly url: string;
  readonly queue: 'disk' | 'memory';
  /** What makes the entries: our segment builder, a function node, or already the source. */
  readonly from: 'builder' | 'function' | 'source';
  /** With the queue on disk only. */
  readonly encryptIds?: boolean;
}

/** Our nodes, with the quota lifted. */
export function ourFlow(
  { url, queue, from, encryptIds = false }: OurFlow,
  input: Input = 'single',
): FlowNode[] {
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
    ...entriesOf(from, input),
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

function entriesOf(from: OurFlow['from'], input: Input): FlowNode[] {
  if (from === 'source') return [source(input, 'bench-out', true)];
  return [source(input), from === 'builder' ? builderNode(input) : entryNode(input, 'bench-out')];
}

function builderNode(input: Input): FlowNode {
  const users =
    input === 'single'
      ? { source: 'message', userId: 'payload.user', userIdType: 'msg' }
      : { source: 'items', items: 'payload', itemsType: 'msg', userId: 'user', userIdType: 'item' };
  const segment = {
    by: 'id',
    segment: '10001',
    segmentType: 'num',
    member: '',
    memberType: 'num',
    value: '1',
    valueType: 'num',
    expiration: '1',
    expirationType: 'num',
    expirationUnit: 'days',
  };
  return {
    id: 'bench-entry',
    type: 'xandr-segment-builder',
    z: 'bench-tab',
    ...users,
    action: 'add',
    segments: [segment],
    output: 'payload',
    outputType: 'msg',
    outputs: 2,
    wires: [['bench-out'], []],
  };
}

/** An audience sync, and an out node for live events, of one account at the documented quota. */
export function syncFlow(url: string, segment: number): FlowNode[] {
  const sender = (name: string, to: string): FlowNode =>
    functionNode(
      `bench-${name}`,
      'return null;',
      [to],
      `global.get('bench').onSender('${name}', (msg) => node.send(msg, false));`,
    );
  const whenCompleted = (name: string, of: string): FlowNode[] => [
    {
      id: `bench-complete-${name}`,
      type: 'complete',
      z: 'bench-tab',
      scope: [of],
      wires: [[`bench-completed-${name}`]],
    },
    functionNode(`bench-completed-${name}`, `global.get('bench').completed('${name}');`, []),
  ];
  return [
    tab,
    {
      ...{ id: 'bench-account', type: 'xandr-account', name: 'bench', environment: 'custom' },
      ...{ authUrl: url, serviceUrl: url, member: '958', authMethod: 'password', queue: 'disk' },
    },
    sender('rows', 'bench-sync'),
    sender('live', 'bench-out'),
    sender('nowhere', 'bench-end'),
    functionNode('bench-end', 'return null;', []),
    {
      ...{ id: 'bench-sync', type: 'xandr-audience-sync', z: 'bench-tab', account: 'bench-account' },
      ...{ segment: String(segment), wires: [[], []] },
    },
    {
      ...{ id: 'bench-out', type: 'xandr-instant-audience-out', z: 'bench-tab', account: 'bench-account' },
      ...{ input: 'payload', inputType: 'msg', completeOn: 'queued', outputs: 2, wires: [[], []] },
    },
    ...whenCompleted('rows', 'bench-sync'),
    ...whenCompleted('live', 'bench-out'),
    ...whenCompleted('nowhere', 'bench-end'),
  ];
}

export const credentials = { 'bench-account': { username: 'bench', password: 'bench' } };

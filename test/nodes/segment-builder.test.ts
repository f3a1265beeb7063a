// The segment builder in Node-RED: its outputs, and the single end of every message.
import assert from 'node:assert/strict';
import { savedRow as row } from '../support/segment-row';
import path from 'node:path';
import { i18n } from '@node-red/util';
import helper from 'node-red-node-test-helper';
import segmentBuilder from '../../nodes/segment-builder/segment-builder';

const namespace = '@instant-audience/node-red-xandr/xandr-segment-builder';

/** As Node-RED loads it, with its own words. */
function withWords(RED: any): void {
  const look = (key: string, params: object): string => i18n._(`${namespace}:${key}`, params as never);
  (segmentBuilder as unknown as (red: unknown) => void)(Object.create(RED, { _: { value: look } }));
}

const saved = {
  id: 'builder',
  z: 'flow',
  type: 'xandr-segment-builder',
  source: 'message',
  items: 'payload',
  itemsType: 'msg',
  userId: 'payload.user',
  userIdType: 'msg',
  domain: '',
  domainType: 'str',
  allowCustomDomain: false,
  action: 'add',
  actionProperty: '',
  actionType: 'msg',
  segments: [row],
  eventTime: '',
  eventTimeType: 'msg',
  output: 'payload',
  outputType: 'msg',
  wires: [['built'], ['invalid']],
};

/** What came out where, and how the messages ended. */
interface Seen {
  readonly built: any[];
  readonly invalid: any[];
  readonly caught: any[];
  readonly completed: any[];
  node: any;
}

async function start(changes: object = {}): Promise<Seen> {
  const seen: Seen = { built: [], invalid: [], caught: [], completed: [], node: undefined };
  const flow = [
    { id: 'flow', type: 'tab', label: 'test' },
    { ...saved, ...changes },
    { id: 'built', z: 'flow', type: 'helper', wires: [] },
    { id: 'invalid', z: 'flow', type: 'helper', wires: [] },
    { id: 'catch', z: 'flow', type: 'catch', scope: ['builder'], wires: [['caught']] },
    { id: 'caught', z: 'flow', type: 'helper', wires: [] },
    { id: 'complete', z: 'flow', type: 'complete', scope: ['builder'], wires: [['completed']] },
    { id: 'completed', z: 'flow', type: 'helper', wires: [] },
  ];
  // Without a place in the workspace a node counts as configuration.
  const placed = flow.map((node) => (node.type === 'tab' ? node : { ...node, x: 0, y: 0 }));
  await helper.load(withWords as never, placed);
  for (const output of ['built', 'invalid', 'caught', 'completed'] as const) {
    helper.getNode(output).on('input', (message: any) => seen[output].push(message));
  }
  seen.node = helper.getNode('builder');
  return seen;
}

/** Sends messages and waits until each has ended. */
async function send(seen: Seen, ...messages: object[]): Promise<void> {
  const before = seen.caught.length + seen.completed.length;
  for (const message of messages) seen.node.receive(message);
  for (let turn = 0; turn < 400; turn++) {
    if (seen.caught.length + seen.completed.length >= before + messages.length) break;
    await new Promise((resolve) => setTimeout(resolve, turn < 50 ? 5 : 50));
  }
  // Whatever would end a message twice has had its chance by now.
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(
    seen.caught.length + seen.completed.length,
    before + messages.length,
    'each message ends once',
  );
}

const idfa = '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13';

describe('xandr-segment-builder', () => {
  before(async () => {
    (i18n as any).init({ lang: 'en-US' });
    const locales = path.join(__dirname, '..', '..', 'nodes', 'segment-builder', 'locales');
    await i18n.registerMessageCatalog(namespace, locales, 'segment-builder.json');
    await new Promise<void>((done) => helper.startServer(done));
  });
  afterEach(() => helper.unload());
  after((done) => {
    helper.stopServer(done);
  });

  it('passes the message on with the entry in its payload', async () => {
    const seen = await start();
    const message = { payload: { user: '7' }, topic: 'kept', req: { headers: {} } };
    await send(seen, message);
    assert.equal(seen.built.length, 1);
    assert.equal(seen.built[0], message);
    assert.equal(seen.built[0].topic, 'kept');
    assert.deepEqual(seen.built[0].payload, {
      user_id: '7',
      seg_block: [{ seg_id: 10001, expiration: 43200 }],
    });
    assert.equal(seen.invalid.length, 0);
    assert.equal(seen.completed.length, 1);
  });

  it('puts the entry into the chosen property, even deep inside the message', async () => {
    const seen = await start({ output: 'audience.entry' });
    await send(seen, { payload: { user: '7' } }, { payload: { user: '8' }, audience: 5 });
    assert.equal(seen.built[0].audience.entry.user_id, '7');
    assert.deepEqual(seen.built[0].payload, { user: '7' });
    assert.equal(seen.built.length, 1);
    assert.match(seen.caught[0].error.message, /^Put into: a part of it is no object/);
  });

  it('keeps msg.audience only if it is an object with properties', async () => {
    const seen = await start({ domain: 'idfa' });
    for (const audience of [Buffer.from('abc'), new String('abc'), ['abc'], 'abc'])
      await send(seen, { payload: { user: 'abc' }, audience });
    for (const message of seen.invalid) assert.deepEqual(Object.keys(message.audience), ['rejected']);
    assert.equal(seen.invalid.length, 4);
  });

  it('sends an invalid message out of the second output with the reason per field', async () => {
    const seen = await start({ domain: 'idfa' });
    await send(seen, { payload: { user: 'abc' }, audience: { status: 'older' } });
    assert.equal(seen.built.length, 0);
    const [message] = seen.invalid;
    assert.deepEqual(message.payload, { user: 'abc' });
    assert.equal(message.audience.status, 'older');
    const [rejected] = message.audience.rejected;
    assert.equal(rejected.index, 0);
    assert.equal(rejected.entry.user_id, 'abc');
    assert.equal(rejected.code, 'user_id_not_uuid');
    assert.equal(rejected.message, 'User id: "abc" is no id for idfa; pass a UUID');
    assert.deepEqual(rejected.issues, [
      { code: 'user_id_not_uuid', path: 'user_id', message: rejected.message },
    ]);
    assert.equal(seen.completed.length, 1);
  });

  it('ends an invalid message with an error if nothing is wired to the second output', async () => {
    const seen = await start({ wires: [['built'], []] });
    await send(seen, { payload: { user: '0' } });
    assert.equal(seen.built.length, 0);
    assert.equal(seen.completed.length, 0);
    assert.equal(seen.caught[0].error.message, 'User id: 0 stands for an opted-out user; leave it out');
    assert.equal(seen.caught[0].audience.rejected[0].code, 'user_id_zero', 'the details');
  });

  it('makes an array of a thousand items, and reports the bad one', async () => {
    const seen = await start({ source: 'items', userId: 'user', userIdType: 'item' });
    const payload = Array.from({ length: 1000 }, (_, index) => ({
      user: index === 417 ? '' : String(index + 1),
    }));
    await send(seen, { payload });
    assert.equal(seen.built[0].payload.length, 999);
    assert.equal(seen.built[0].payload[417].user_id, '419');
    assert.equal(seen.invalid.length, 1);
    assert.notEqual(seen.invalid[0], seen.built[0]);
    assert.equal(seen.invalid[0].payload.length, 1000);
    assert.equal(seen.invalid[0]._msgid, seen.built[0]._msgid);
    const [rejected, ...others] = seen.invalid[0].audience.rejected;
    assert.equal(others.length, 0);
    assert.equal(rejected.index, 417);
    assert.deepEqual(rejected.entry, { user: '' });
    assert.equal(rejected.code, 'user_id_missing');
    assert.equal(seen.built[0].audience, undefined);
  });

  it('sends the good items on and ends with an error when the bad ones have no wire', async () => {
    const seen = await start({ source: 'items', userId: '', userIdType: 'item', wires: [['built'], []] });
    await send(seen, { payload: ['1', '0', '3'] });
    assert.deepEqual(
      seen.built[0].payload.map((entry: any) => entry.user_id),
      ['1', '3'],
    );
    assert.equal(
      seen.caught[0].error.message,
      'User id, item 1: 0 stands for an opted-out user; leave it out',
    );
    assert.equal(seen.completed.length, 0);
  });

  it('sends nothing for an empty array, and completes', async () => {
    const seen = await start({ source: 'items', userId: '', userIdType: 'item' });
    await send(seen, { payload: [] });
    assert.equal(seen.built.length + seen.invalid.length, 0);
    assert.equal(seen.completed.length, 1);
  });

  for (const payload of [undefined, null, 'text', 5, Buffer.from('x'), { a: 1 }]) {
    it(`says that items are no array: ${JSON.stringify(payload)}`, async () => {
      const seen = await start({ source: 'items', userId: '', userIdType: 'item' });
      await send(seen, { payload });
      assert.equal(seen.invalid[0].audience.rejected[0].code, 'items_not_array');
      assert.match(
        seen.invalid[0].audience.rejected[0].message,
        /^Items in: msg\.payload is .*; pass an array$/,
      );
    });
  }

  for (const payload of [undefined, null, 'text', 5, Buffer.from('x'), []]) {
    it(`says that the user id is missing in a payload that has none: ${JSON.stringify(payload)}`, async () => {
      const seen = await start();
      await send(seen, { payload });
      assert.equal(seen.built.length, 0);
      assert.match(
        seen.invalid[0].audience.rejected[0].message,
        /^User id: msg\.payload\.user gives nothing/,
      );
    });
  }

  const badUsers: (readonly [string, object, unknown, string])[] = [
    ['a number beyond 2^53', {}, Number('12345678900987654321'), 'user_id_digits_lost'],
    ['sha1mac', { domain: 'payload.kind', domainType: 'msg' }, 'a'.repeat(40), 'domain_retired'],
    ['an all-zero IDFA', { domain: 'idfa' }, '00000000-0000-0000-0000-000000000000', 'user_id_all_zero'],
    ['a lone surrogate', {}, 'a\ud83d', 'text_broken'],
    ['three megabytes', {}, 'x'.repeat(3_000_000), 'text_too_long'],
  ];
  for (const [what, changes, user, code] of badUsers) {
    it(`sends out of the second output: ${what}`, async () => {
      const seen = await start(changes);
      await send(seen, { payload: { user, kind: 'sha1mac' } });
      assert.equal(seen.built.length, 0);
      assert.equal(seen.invalid[0].audience.rejected[0].code, code);
    });
  }

  for (const expiration of [-5, 1.5, 'soon']) {
    it(`sends out of the second output: an expiration of ${expiration}`, async () => {
      const rows = [{ ...row, expiration: 'payload.time', expirationType: 'msg', expirationUnit: 'minutes' }];
      const seen = await start({ segments: rows });
      await send(seen, { payload: { user: '7', time: expiration } });
      const [issue] = seen.invalid[0].audience.rejected[0].issues;
      assert.equal(issue.path, 'seg_block[0].expiration');
      assert.match(issue.message, /whole minutes/);
    });
  }

  it('reports a missing array as one problem, without a count', async () => {
    const seen = await start({ source: 'items', userId: '', userIdType: 'item', wires: [['built'], []] });
    await send(seen, { payload: 'text' });
    assert.equal(seen.caught[0].error.message, 'Items in: msg.payload is "text"; pass an array');
  });

  it('counts in its status a message that holds nothing to build from, whatever it is', async () => {
    const unreadable = Object.defineProperty({}, 'user', {
      get: () => {
        throw new Error('not now');
      },
    });
    for (const source of ['message', 'items']) {
      const seen = await start({ source });
      const all = [undefined, null, 'text', 5, true, Buffer.from('x'), unreadable];
      await send(seen, ...all.map((payload) => ({ payload })));
      await new Promise((resolve) => setTimeout(resolve, 1050));
      assert.equal(seen.node.status.lastCall.args[0].text, '7 invalid');
      await helper.unload();
    }
  });

  it('counts invalid items in its status', async () => {
    const seen = await start({ source: 'items', userId: '', userIdType: 'item' });
    await send(seen, { payload: ['1', '0', '', '4'] });
    assert.deepEqual(seen.node.status.lastCall.args, [{ fill: 'yellow', shape: 'ring', text: '2 invalid' }]);
    await send(seen, { payload: ['0'] });
    await new Promise((resolve) => setTimeout(resolve, 1050));
    assert.equal(seen.node.status.lastCall.args[0].text, '3 invalid');
  });

  it('shares no object between its outputs, whatever the items are and wherever they are put', async () => {
    const seen = await start({ source: 'items', userId: 'user', userIdType: 'item', output: 'entries' });
    for (const count of [3, 1_500]) {
      const payload = Array.from({ length: count }, (_, at) => ({ user: at === 1 ? '0' : '7', tags: ['a'] }));
      await send(seen, { payload, req: { headers: {} } });
      const [built, invalid] = [seen.built.at(-1), seen.invalid.at(-1)];
      assert.equal(invalid.audience.rejected[0].entry, invalid.payload[1], 'within a message they may');
      assert.equal(invalid.payload.length, count);
      assert.equal(invalid.req, built.req, 'a request is one');
      for (const item of built.payload) item.tags.push('changed behind output 1');
      built.payload[1].user = 'changed';
      assert.deepEqual(invalid.audience.rejected[0].entry, { user: '0', tags: ['a'] });
      assert.ok(invalid.payload.every((item: any) => item.tags.length === 1));
    }
  });

  it('lets other work go on while it builds a long list, and keeps the order of messages', async () => {
    for (const [userIdType, count] of [
      ['item', 90_000],
      ['jsonata', 9_000],
    ] as const) {
      const userId = userIdType === 'item' ? 'user' : 'item.user';
      const seen = await start({ source: 'items', userId, userIdType });
      const payload = Array.from({ length: count }, (_, at) => ({ user: at % 3 === 0 ? '0' : String(at) }));
      let turns = 0;
      const turn = setInterval(() => (turns += 1), 0);
      await send(seen, { payload, n: 1 }, { payload: [{ user: '8' }], n: 2 }, { payload: 5, n: 3 });
      clearInterval(turn);
      assert.ok(turns >= 5, `${turns} turns for others`);
      assert.deepEqual(
        seen.completed.map(({ n }) => n),
        [1, 2, 3],
      );
      assert.equal(seen.built[0].payload.length, (2 * count) / 3);
      assert.equal(seen.invalid[0].audience.rejected.length, count / 3);
      await helper.unload();
    }
  });

  it('makes a block for each segment of an array, 250 of them too', async () => {
    const seen = await start({ segments: [{ ...row, segment: 'payload.list', segmentType: 'msg' }] });
    await send(seen, { payload: { user: '7', list: Array.from({ length: 250 }, (_, index) => index + 1) } });
    assert.equal(seen.built[0].payload.seg_block.length, 250);
  });

  it('evaluates expressions, with the item and the message in reach', async () => {
    const seen = await start({
      source: 'items',
      userId: '$string(item.n + offset)',
      userIdType: 'jsonata',
      action: 'property',
      actionProperty: 'item.event != "bought"',
      actionType: 'jsonata',
    });
    await send(seen, {
      offset: 10,
      payload: [
        { n: 1, event: 'viewed' },
        { n: 2, event: 'bought' },
      ],
    });
    assert.deepEqual(seen.built[0].payload, [
      { user_id: '11', seg_block: [{ seg_id: 10001, expiration: 43200 }] },
      { user_id: '12', seg_block: [{ seg_id: 10001, expiration: -1 }] },
    ]);
  });

  it('reports a failing expression, and continues with the next message', async () => {
    const seen = await start({ userId: '$uppercase(payload.user)', userIdType: 'jsonata' });
    await send(seen, { payload: { user: 5 } }, { payload: { user: 'a' } });
    assert.match(
      seen.invalid[0].audience.rejected[0].message,
      /^User id: \$uppercase\(payload\.user\) fails/,
    );
    assert.equal(seen.built[0].payload.user_id, 'A');
  });

  it('keeps messages in order when an earlier one takes longer', async () => {
    const seen = await start({ source: 'items', userId: 'item', userIdType: 'jsonata' });
    const long = Array.from({ length: 200 }, (_, index) => String(index + 1));
    await send(
      seen,
      { payload: long, n: 1 },
      { payload: ['1'], n: 2 },
      { payload: 5, n: 3 },
      { payload: ['1'], n: 4 },
    );
    assert.deepEqual(
      seen.built.map((message) => message.n),
      [1, 2, 4],
    );
    assert.deepEqual(
      seen.completed.map((message) => message.n),
      [1, 2, 3, 4],
    );
  });

  it('reads flow and global context, by path', async () => {
    const seen = await start({
      domain: 'kinds.phone',
      domainType: 'flow',
      segments: [{ ...row, segment: 'ids["the kitchen"][1]', segmentType: 'global' }],
    });
    seen.node.context().flow.set('kinds', { phone: 'idfa' });
    seen.node.context().global.set('ids', { 'the kitchen': [1, 2] });
    await send(seen, { payload: { user: idfa } });
    assert.deepEqual(seen.built[0].payload, {
      user_id: idfa,
      domain: 'idfa',
      seg_block: [{ seg_id: 2, expiration: 43200 }],
    });
  });

  it('reads context with a key from the message, and reports missing values', async () => {
    const seen = await start({ segments: [{ ...row, segment: 'ids[msg.topic]', segmentType: 'flow' }] });
    seen.node.context().flow.set('ids', { a: 5 });
    await send(seen, { payload: { user: '7' }, topic: 'a' }, { payload: { user: '7' }, topic: 'b' });
    assert.equal(seen.built[0].payload.seg_block[0].seg_id, 5);
    assert.match(seen.invalid[0].audience.rejected[0].message, /flow\.ids\[msg\.topic\] gives nothing/);
  });

  it('reads environment variables when it starts', async () => {
    process.env.SEGMENT_BUILDER_TEST = '4711';
    const seen = await start({
      segments: [{ ...row, segment: 'SEGMENT_BUILDER_TEST', segmentType: 'env' }],
      domain: 'SEGMENT_BUILDER_TEST_MISSING',
      domainType: 'env',
    });
    delete process.env.SEGMENT_BUILDER_TEST;
    await send(seen, { payload: { user: '7' } });
    assert.match(seen.invalid[0].audience.rejected[0].message, /SEGMENT_BUILDER_TEST_MISS.* gives nothing/);
    await helper.unload();
    process.env.SEGMENT_BUILDER_TEST = '4711';
    const again = await start({
      segments: [{ ...row, segment: 'SEGMENT_BUILDER_TEST', segmentType: 'env' }],
    });
    delete process.env.SEGMENT_BUILDER_TEST;
    await send(again, { payload: { user: '7' } });
    assert.equal(again.built[0].payload.seg_block[0].seg_id, 4711);
  });

  it('lets a custom domain pass when it is allowed, and marks it', async () => {
    const seen = await start({ domain: 'crm', allowCustomDomain: true });
    await send(seen, { payload: { user: 'abc' } });
    assert.equal(seen.built[0].payload.domain, 'crm');
    assert.equal(seen.built[0].payload.custom_domain, true);
  });

  it('survives a message whose property cannot be read', async () => {
    const seen = await start();
    const payload = Object.defineProperty({}, 'user', {
      get: () => {
        throw new Error('gone');
      },
    });
    await send(seen, { payload }, { payload: { user: '7' } });
    assert.match(seen.invalid[0].audience.rejected[0].message, /^User id: msg\.payload\.user fails \(gone\)/);
    assert.equal(seen.built.length, 1);
  });

  const misconfigured: (readonly [string, object, RegExp])[] = [
    ['no user id', { userId: '' }, /not set up: User id: enter a property/],
    ['no segments', { segments: [] }, /Segments: add at least one row/],
    ['a path that is none', { userId: 'payload..user' }, /User id: Invalid property expression/],
    ['an expression that is none', { userId: '$(', userIdType: 'jsonata' }, /User id: /],
    ['an output that is none', { output: '' }, /Put into: enter a property/],
    ['an output outside the message', { outputType: 'flow' }, /Put into: .* is not known/],
  ];
  for (const [what, changes, words] of misconfigured) {
    it(`shows a red ring and refuses messages when it has ${what}`, async () => {
      const seen = await start(changes);
      assert.deepEqual(seen.node.status.lastCall.args, [{ fill: 'red', shape: 'ring', text: 'not set up' }]);
      await send(seen, { payload: { user: '7' } });
      assert.match(seen.caught[0].error.message, words);
      assert.equal(seen.built.length + seen.invalid.length, 0);
    });
  }
});

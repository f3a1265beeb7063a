// Admin routes for the builder's open form: the last message, and typed inputs that only the runtime can evaluate.
import assert from 'node:assert/strict';
import helper from 'node-red-node-test-helper';
import { evaluate } from '../../nodes/segment-builder/admin';
import { forgetLastMessagesOf, LastMessage, messageJson } from '../../nodes/segment-builder/builder-node';
import segmentBuilder from '../../nodes/segment-builder/segment-builder';

const flow = [
  { id: 'flow', type: 'tab', label: 'test', env: [{ name: 'SEGMENT', value: '4711', type: 'str' }] },
  {
    id: 'builder',
    z: 'flow',
    x: 0,
    y: 0,
    type: 'xandr-segment-builder',
    userId: 'payload.user',
    segments: [{ segment: '10001' }],
    wires: [['built'], []],
  },
  { id: 'built', z: 'flow', x: 0, y: 0, type: 'helper', wires: [] },
];

describe('the last message of a builder', () => {
  const message = (text: unknown): Record<string, unknown> => ({ _msgid: 'a', payload: text });

  it('is kept as it was when it passed', () => {
    let nowMs = 0;
    const last = new LastMessage(
      () => nowMs,
      () => 1000 + nowMs,
    );
    assert.equal(last.kept, null);
    const payload = { user: '7' };
    last.see(message(payload));
    payload.user = 'changed later';
    assert.deepEqual(last.kept, { text: '{"_msgid":"a","payload":{"user":"7"}}', atMs: 1000 });
    nowMs = 1;
    last.see(message('next'));
    assert.deepEqual(last.kept, { text: '{"_msgid":"a","payload":"next"}', atMs: 1001 });
  });

  it('is not looked for at each of many messages: the longer one is, the longer the rest after it', () => {
    let nowMs = 0;
    const last = new LastMessage(() => nowMs);
    last.see(message('x'.repeat(100_000)));
    nowMs = 49;
    last.see(message('too soon'));
    assert.ok(!last.kept?.text?.includes('too soon'));
    nowMs = 51;
    last.see(message('in time'));
    assert.ok(last.kept?.text?.includes('in time'));
  });

  it('is named too large when it is, and is bounded', () => {
    const last = new LastMessage(() => 0);
    last.see(message('x'.repeat(300_000)));
    assert.equal(last.kept?.text, null);
  });

  it('is forgotten when it is meant, and not otherwise', () => {
    const last = new LastMessage(() => 0);
    last.see(message('seven'));
    last.forget((text) => text.includes('eight'));
    assert.notEqual(last.kept, null);
    last.forget((text) => text.includes('seven'));
    assert.equal(last.kept, null);
  });
});

/** What cannot be JSON: test/entry/wide-input.test.ts. */
describe('a message as bounded JSON', () => {
  const json = (payload: unknown, most = 10_000): unknown => {
    const text = messageJson({ payload }, most);
    return text === null ? null : JSON.parse(text).payload;
  };

  it('leaves out requests, functions and circular references', () => {
    const self: Record<string, unknown> = { a: 1 };
    self.self = self;
    assert.deepEqual(json(self), { a: 1 });
    assert.equal(
      messageJson({ payload: 1, req: { socket: {} }, res: {}, f: () => 1 }, 1000),
      '{"payload":1}',
    );
    const twice = { n: 1 };
    assert.deepEqual(json([twice, twice]), [{ n: 1 }, { n: 1 }], 'the same object twice is no circle');
  });

  it('leaves out messages that are too large', () => {
    assert.equal(json('x'.repeat(50), 40), null);
    assert.equal(json(Buffer.alloc(1_000_000)), null);
    assert.equal(json(new Array(20_000).fill(0)), null);
  });
});

describe('the routes of a builder', () => {
  const RED = (): any => (helper as any)._RED;
  const http = (): any => (helper as any).request();

  before((done) => {
    helper.startServer(done);
  });
  beforeEach(async () => {
    await helper.load(segmentBuilder, flow);
    helper.getNode('builder').context().flow.set('list', [1, 2]);
    helper.getNode('builder').context().global.set('kind', 'idfa');
  });
  afterEach(() => helper.unload());
  after((done) => {
    helper.stopServer(done);
  });

  const take = async (id: string): Promise<any> =>
    (await http().post(`/instant-audience/builder/${id}/last-message`).expect(200)).body;
  const pass = async (id: string, message: object): Promise<void> => {
    const built = new Promise((resolve) => helper.getNode('built').once('input', resolve));
    helper.getNode(id).receive(message);
    await built;
  };

  it('say without an error of HTTP, which browsers report, that a node is not deployed', async () => {
    assert.deepEqual(await take('other'), { code: 'notDeployed' });
  });

  it('give the last message that passed before the form asked', async () => {
    assert.deepEqual(await take('builder'), { code: 'none' });
    await pass('builder', { payload: { user: '7' } });
    assert.deepEqual(JSON.parse((await take('builder')).message).payload, { user: '7' });
    await pass('builder', { payload: { user: '8' } });
    assert.deepEqual(JSON.parse((await take('builder')).message).payload, { user: '8' });
  });

  it('give nothing of a user who has been erased', async () => {
    await pass('builder', { payload: { user: 'user-77' } });
    forgetLastMessagesOf('user-7');
    assert.ok((await take('builder')).message.includes('user-77'));
    forgetLastMessagesOf('user-77');
    assert.deepEqual(await take('builder'), { code: 'none' });
  });

  it('keep the last message of a node that is not set up', async () => {
    await helper.unload();
    await helper.load(segmentBuilder, [flow[0], { ...flow[1], userId: '' }, flow[2]] as never);
    helper.getNode('builder').receive({ payload: { user: '9' } });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(JSON.parse((await take('builder')).message).payload, { user: '9' });
  });

  it('find the nodes of a subflow by the id that its form has, and read its environment', async () => {
    await helper.unload();
    const inner = [flow[1], flow[2]].map((node) => ({ ...node, z: 'sub' }));
    const start = { id: 'start', z: 'flow', x: 0, y: 0, type: 'helper', wires: [['instance']] };
    await helper.load(segmentBuilder, [
      { id: 'flow', type: 'tab', label: 'test' },
      { id: 'sub', type: 'subflow', name: 's', in: [{ wires: [{ id: 'builder' }] }], out: [] },
      ...inner,
      start,
      {
        id: 'instance',
        z: 'flow',
        x: 0,
        y: 0,
        type: 'subflow:sub',
        env: [{ name: 'SEGMENT', value: '5', type: 'str' }],
        wires: [],
      },
    ] as never);
    assert.deepEqual(await take('builder'), { code: 'none' });
    helper.getNode('start').send({ payload: { user: 'in the subflow' } });
    for (let turn = 0; turn < 100 && (await take('builder')).code === 'none'; turn++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(JSON.parse((await take('builder')).message).payload, { user: 'in the subflow' });
    const { body } = await ask('builder', { type: 'env', value: 'SEGMENT' });
    assert.deepEqual(JSON.parse(JSON.stringify(body.replies)), [{ value: '5' }]);
  });

  const ask = async (id: string, ...inputs: object[]): Promise<any> => {
    const message = { payload: { user: 'a' } };
    return evaluate(RED(), id, { message, inputs });
  };

  it('evaluate inputs that need the runtime, in order', async () => {
    const { status, body } = await ask(
      'builder',
      { type: 'flow', value: 'list[1]' },
      { type: 'global', value: 'kind' },
      { type: 'env', value: 'SEGMENT' },
      { type: 'jsonata', value: 'payload.user & item.n', item: { n: 5 } },
      { type: 'jsonata', value: '$flowContext("list")' },
      { type: 'flow', value: 'nothing' },
    );
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(JSON.stringify(body.replies)), [
      { value: 2 },
      { value: 'idfa' },
      { value: '4711' },
      { value: 'a5' },
      { value: [1, 2] },
      {},
    ]);
  });

  it('answer as far as JSON allows, and with nothing too large', async () => {
    const { flow: context } = helper.getNode('builder').context();
    const self: Record<string, unknown> = { n: 12345678901234567890n };
    self.self = self;
    context.set('self', self);
    context.set('bytes', Buffer.alloc(64_000_000));
    context.set('keys', Object.fromEntries(Array.from({ length: 30_000 }, (_, at) => [`key${at}`, at])));
    const { body } = await ask(
      'builder',
      ...['self', 'bytes', 'keys'].map((value) => ({ type: 'flow', value })),
    );
    const tooLarge = { code: 'tooLarge' };
    assert.deepEqual(JSON.parse(JSON.stringify(body.replies)), [
      { value: { n: '12345678901234567890' } },
      tooLarge,
      tooLarge,
    ]);
  });

  it('report failed inputs, with the reason', async () => {
    const { body } = await ask(
      'builder',
      { type: 'jsonata', value: '$uppercase(5)' },
      { type: 'jsonata', value: '$(' },
      { type: 'msg', value: 'payload' },
      { type: 'jsonata', value: '$join([1..60000].$string($))' },
    );
    assert.match(body.replies[0].error, /uppercase/);
    assert.ok(body.replies[1].error);
    assert.match(body.replies[2].error, /evaluated in the form/);
    assert.deepEqual(body.replies[3], { code: 'tooLarge' });
  });

  it('evaluate an expression for a node that is not deployed, but not its context', async () => {
    const { body } = await ask(
      'new',
      { type: 'jsonata', value: 'payload.user' },
      { type: 'flow', value: 'list' },
      { type: 'env', value: 'SEGMENT' },
      { type: 'jsonata', value: '$flowContext("list")' },
    );
    assert.deepEqual(body.replies, [
      { value: 'a' },
      { code: 'notDeployed' },
      { code: 'notDeployed' },
      { code: 'notDeployed' },
    ]);
  });

  it('refuse an invalid request', async () => {
    const bad = [null, 'x', {}, { message: {}, inputs: 'x' }, { message: {}, inputs: [{ type: 'env' }] }];
    for (const body of bad) {
      assert.equal((await evaluate(RED(), 'builder', body)).status, 400, JSON.stringify(body));
    }
    const many = { message: {}, inputs: new Array(1001).fill({ type: 'env', value: 'X' }) };
    assert.equal((await evaluate(RED(), 'builder', many)).status, 400);
  });
});

// What the builder's open form asks of the runtime: the last message that passed, and values that only it knows.
import assert from 'node:assert/strict';
import helper from 'node-red-node-test-helper';
import { evaluate, lastMessage } from '../../nodes/segment-builder/admin';
import { FormWatch, messageJson, type MessageWatch } from '../../nodes/segment-builder/last-message';
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

describe('the watch of a builder', () => {
  const message = (text: unknown): Record<string, unknown> => ({ _msgid: 'a', payload: text });

  it('keeps nothing before the form asks', () => {
    const watch = new FormWatch(() => 0);
    watch.see(message('early'));
    assert.equal(watch.ask(), null);
    watch.close();
  });

  it('gives the last message that passed since then, as it was when it passed', () => {
    let nowMs = 1000;
    const watch = new FormWatch(() => nowMs);
    watch.ask();
    const payload = { user: '7' };
    watch.see(message(payload));
    payload.user = 'changed later';
    assert.deepEqual(watch.ask(), { text: '{"_msgid":"a","payload":{"user":"7"}}', atMs: 1000 });
    nowMs = 1050;
    watch.see(message('too soon after the other'));
    nowMs = 1200;
    watch.see(message('next'));
    assert.deepEqual(watch.ask(), { text: '{"_msgid":"a","payload":"next"}', atMs: 1200 });
    watch.close();
  });

  it('drops it when the form has stopped asking', async () => {
    const watch = new FormWatch(Date.now, 20);
    watch.ask();
    watch.see(message('seen'));
    await new Promise((resolve) => setTimeout(resolve, 60));
    watch.see(message('not looked at'));
    assert.equal(watch.ask(), null);
    watch.close();
  });

  it('says of a message that is too large that it is, and stops looking at it early', () => {
    const watch = new FormWatch(() => 0);
    watch.ask();
    watch.see(message('x'.repeat(300_000)));
    assert.equal(watch.ask(), 'too large');
    watch.close();
  });
});

describe('a message as bounded JSON', () => {
  const json = (payload: unknown, most = 10_000): unknown => {
    const text = messageJson({ payload }, most);
    return text === null ? null : JSON.parse(text).payload;
  };

  it('is what JSON.stringify gives for plain data', () => {
    const data = { a: [1, 'x', null, true, { b: 1.5 }], d: new Date(0), u: undefined };
    assert.equal(messageJson({ data }, 10_000), JSON.stringify({ data }));
    assert.deepEqual(json(Buffer.from('ab')), { type: 'Buffer', data: [97, 98] });
  });

  it('leaves out requests, functions and what refers to itself', () => {
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

  it('writes big integers as text', () => assert.equal(json(12345678900987654321n), '12345678900987654321'));

  it('gives up on what is too large, too deep, or throws', () => {
    assert.equal(json('x'.repeat(50), 40), null);
    assert.equal(json(Buffer.alloc(1_000_000)), null);
    assert.equal(json(new Array(20_000).fill(0)), null);
    let deep: unknown = 1;
    for (let level = 0; level < 50_000; level++) deep = [deep];
    assert.equal(messageJson({ deep }, 1_000_000), null);
    const bad = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('gone');
      },
    });
    assert.equal(json(bad), null);
  });
});

describe('the routes of a builder', () => {
  const watches = (): Map<string, MessageWatch> => new Map([['builder', new FormWatch()]]);
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

  it('answer 404 for a node that is not deployed', () => {
    assert.deepEqual(lastMessage(watches(), 'gone'), { status: 404, body: { code: 'notDeployed' } });
  });

  it('give the last message over HTTP, to a form that asks twice', async () => {
    const ask = () => http().post('/instant-audience/builder/builder/last-message');
    await ask().expect(200, { message: null });
    const built = new Promise((resolve) => helper.getNode('built').on('input', resolve));
    helper.getNode('builder').receive({ payload: { user: '7' } });
    await built;
    const { body } = await ask().expect(200);
    assert.deepEqual(JSON.parse(body.message).payload, { user: '7' });
    await http().post('/instant-audience/builder/other/last-message').expect(404);
  });

  const ask = async (id: string, ...inputs: object[]): Promise<any> => {
    const message = { payload: { user: 'a' } };
    return evaluate(RED(), watches(), id, { message, inputs });
  };

  it('evaluate what only the runtime knows, in order', async () => {
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

  it('answer with what JSON cannot hold as far as it can, and with nothing that is too large', async () => {
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

  it('say what cannot be evaluated, and why', async () => {
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

  it('refuse what is no question', async () => {
    const bad = [null, 'x', {}, { message: {}, inputs: 'x' }, { message: {}, inputs: [{ type: 'env' }] }];
    for (const body of bad) {
      assert.equal((await evaluate(RED(), watches(), 'builder', body)).status, 400, JSON.stringify(body));
    }
    const many = { message: {}, inputs: new Array(1001).fill({ type: 'env', value: 'X' }) };
    assert.equal((await evaluate(RED(), watches(), 'builder', many)).status, 400);
  });
});

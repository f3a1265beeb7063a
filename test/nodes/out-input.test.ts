// Bad input to an out node: its errors name the cause, each message ends once, and later messages work.
import assert from 'node:assert/strict';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { customAccount, entry, Flow, idfa, load, login, unload, usedQueue, useNodeRed } from './out-flow';

const block = { seg_id: 1 };
const optedOut = { user_id: '0', seg_block: [block] };

/** What is no entry at all, and what the flow author reads in the error. */
const noEntries: readonly [name: string, message: object, told: RegExp][] = [
  ['nothing', {}, /^msg\.payload does not exist; expected an entry/],
  ['null', { payload: null }, /^msg\.payload is null; expected/],
  ['a string', { payload: 'hello' }, /^msg\.payload is the text "hello"; expected/],
  ['JSON text', { payload: '{"user_id":"1"}' }, /^msg\.payload is JSON text.*put a JSON node before/],
  ['a number', { payload: 42 }, /^msg\.payload is the number 42/],
  ['true', { payload: true }, /^msg\.payload is true/],
  ['a Buffer', { payload: Buffer.from('abc') }, /^msg\.payload is a Buffer of 3 bytes/],
  ['an empty array', { payload: [] }, /^msg\.payload is an empty array; there is nothing to send/],
  ['an empty envelope', { payload: { rt_segment: [] } }, /^msg\.payload\.rt_segment is an empty array/],
  ['a mixed envelope', { payload: { rt_segment: [entry(1)], user_id: '1' } }, /both rt_segment and user_id/],
  ['an unknown control', { control: 'stop', payload: entry(1) }, /^msg\.control is "stop"; it can be flush/],
  ['a control that is no text', { control: Object.create(null) }, /^msg\.control is object; it can be/],
];

/** Some that are wrong: the stable code, and what the flow author reads. All others: test/entry/bad-input.test.ts. */
const wrongEntries: readonly [name: string, entry: unknown, code: string, told: RegExp][] = [
  ['what is no object', 5, 'not_an_entry', /^This is 5; expected an object/],
  [
    'a key that would forge a line of the log',
    { user_id: '7', 'x\n28 Nov 01:00:00 - [error] \u202edegrof': 1, seg_block: [block] },
    'unknown_key',
    /^x\\n28 Nov 01:00:00 - \[error\] \\u202edegrof is not a field of this version/,
  ],
  [
    '3 MB in one block',
    { user_id: '7', seg_block: [{ seg_code: 'x'.repeat(3_000_000), member_id: 1 }] },
    'text_too_long',
    /^seg_block\[0\]\.seg_code has 3000000 characters; at most 256 are allowed/,
  ],
];

const indexes = (message: any): number[] => message.audience.rejected.map((each: any) => each.index);
const segmentsOf = (sandbox: Sandbox, user: string): number =>
  sandbox.state().filter(({ user_id }) => user_id === user).length;

describe('the out node, given bad input', () => {
  useNodeRed();
  let sandbox: Sandbox;
  // One engine for all, whose first second goes by once.
  const main = new Flow();
  const unwired = new Flow('unwired');
  const elsewhere = new Flow('elsewhere');
  const expression = new Flow('expression');
  const failing = new Flow('failing');
  const nameless = new Flow('nameless');
  const misspelt = new Flow('misspelt');

  before(async () => {
    sandbox = await startSandbox({ faults: [{ kind: 'poison', userIds: [idfa(1_000_002)] }] });
    const nodes = [
      customAccount(sandbox.url),
      ...main.nodes(),
      ...unwired.nodes({ wires: [['unwired accepted'], []] }),
      ...elsewhere.nodes({ input: 'data.entries' }),
      ...expression.nodes({ input: 'payload.list', inputType: 'jsonata' }),
      ...failing.nodes({ input: '$error("no luck")', inputType: 'jsonata' }),
      ...nameless.nodes({ input: '' }),
      ...misspelt.nodes({ input: 'a..b' }),
    ];
    await load(nodes, login(), main, unwired, elsewhere, expression, failing, nameless, misspelt);
  });
  after(async () => {
    await unload();
    await sandbox.close();
  });
  beforeEach(() => main.forget());

  for (const [name, message, told] of noEntries) {
    it(`ends ${name} with an error that says what was expected`, async () => {
      await main.send(message);
      assert.match(main.error, told);
      assert.deepEqual([main.errors.length, main.completed.length], [1, 0]);
      assert.equal(main.accepted.length + main.rejected.length, 0);
    });
  }

  for (const [name, wrong, code, told] of wrongEntries) {
    it(`rejects ${name}, and says why`, async () => {
      const message: any = { payload: wrong === 5 ? [wrong] : wrong, topic: 'kept' };
      await main.send(message);
      const [refused] = main.rejected;
      assert.equal(refused, message);
      assert.equal(refused.audience.status, 'rejected');
      const [first] = refused.audience.rejected;
      assert.deepEqual([first.index, first.code], [0, code]);
      assert.equal(first.entry, wrong);
      assert.match(first.message, told);
      assert.deepEqual([main.completed.length, main.errors.length, main.accepted.length], [1, 0, 0]);
      assert.equal(sandbox.operations().length, 0);
    });
  }

  it('does not wait for a promise in a message, nor fall over one that fails', async () => {
    const broken = Promise.reject(new Error('never seen'));
    broken.catch(() => undefined);
    await main.send({ payload: broken });
    assert.match(main.rejected[0].audience.rejected[0].message, /user_id is missing/);
  });

  it('sends the other 999 of a thousand, and reports the bad one by its index, in a message of its own', async () => {
    const payload: unknown[] = Array.from({ length: 1000 }, (_, at) => entry(at));
    payload[417] = { user_id: '', seg_block: [block] };
    const message: any = { payload, topic: 'kept' };
    await main.send(message);
    const [accepted] = main.accepted;
    assert.equal(accepted, message);
    const counts = { entries: 999, users: 999, associations: 999, accepted: 999, superseded: 0, expired: 0 };
    assert.deepEqual(accepted.audience, { status: 'accepted', ...counts, warnings: [] });
    const [refused] = main.rejected;
    assert.equal(refused.topic, 'kept');
    assert.deepEqual(indexes(refused), [417]);
    assert.deepEqual(refused.audience.rejected[0].entry, payload[417]);
    // No object is in both messages.
    assert.notEqual(refused.payload, payload);
    assert.notEqual(refused.audience.rejected[0].entry, payload[417]);
    assert.equal(sandbox.state().length, 999);
    assert.deepEqual([main.completed.length, main.errors.length], [1, 0]);
  });

  it('rejects 64 MB of bytes in an array as one entry, and keeps none of them', async () => {
    await main.send({ payload: [Buffer.alloc(64_000_000), entry(1)] });
    const [{ code, message, issues }] = main.rejected[0].audience.rejected;
    assert.deepEqual([code, issues.length], ['not_an_entry', 1]);
    assert.match(message, /^This is Buffer\[64000000\]; expected/);
    assert.equal(main.accepted[0].audience.entries, 1);
  });

  it('reports all issues of the first hundred rejected entries, and the first issue of the others', async () => {
    await main.send({ payload: Array.from({ length: 200 }, () => ({ a: 1, b: 1 })) });
    const { rejected } = main.rejected[0].audience;
    assert.deepEqual([rejected.length, rejected[99].issues.length, rejected[100].issues.length], [200, 4, 1]);
  });

  it('takes a hole in an array for a mistake, not for nothing', async () => {
    const payload = [entry(1)];
    payload[2] = entry(3);
    await main.send({ payload });
    assert.equal(main.accepted[0].audience.entries, 2);
    assert.deepEqual(indexes(main.rejected[0]), [1]);
  });

  it('spreads 1.5 MB, and 250 segments, of one user over as many calls as they need', async () => {
    const code = (at: number): string => `${at}-${'y'.repeat(250)}`;
    const large = Array.from({ length: 5_000 }, (_, at) => ({ seg_code: code(at), member_id: 1 }));
    const many = Array.from({ length: 250 }, (_, at) => ({ seg_id: at + 1 }));
    const payload = [
      { user_id: '7', seg_block: large },
      { user_id: '8', seg_block: many },
    ];
    await main.send({ payload });
    assert.equal(main.accepted[0].audience.associations, 5_250);
    assert.deepEqual([segmentsOf(sandbox, '7'), segmentsOf(sandbox, '8')], [5_000, 250]);
  });

  it('makes rejections errors when the second output is not wired', async () => {
    await unwired.send({ payload: optedOut });
    assert.match(unwired.error, /^user_id is 0/);
    await unwired.send({ payload: [entry(1), optedOut, entry(2)] });
    assert.match(unwired.error, /^1 of 3 entries were rejected\. First: entry 1: user_id is 0/);
    assert.equal(unwired.accepted[0].audience.entries, 2);
    assert.equal(unwired.completed.length, 0);
  });

  it('reports entries that the service refused, by index', async () => {
    await main.send({ payload: [optedOut, entry(1), entry(1_000_002), entry(3)] });
    const [refused] = main.rejected;
    assert.deepEqual(indexes(refused), [0, 2]);
    assert.match(refused.audience.rejected[1].message, /^The service refused/);
    assert.deepEqual(refused.audience.rejected[1].entry, entry(1_000_002));
    assert.equal(main.accepted[0].audience.entries, 3);
  });

  it('checks the messages of a burst when their turn comes, in their order, and ends each as ever', async () => {
    const { engine } = usedQueue();
    const before = engine.counters.taken;
    const [users, count] = [7, 3_000];
    const takenBefore: number[] = [];
    const messages = Array.from({ length: count }, (_, at) => {
      if (at % 100 === 99) return { payload: optedOut };
      const payload = entry(2_000_000 + (at % users), at < count - 2 * users ? 60 : -1);
      const { seg_block } = payload;
      const read = (): unknown => {
        if (at === count - 2) takenBefore.push(engine.counters.taken - before);
        return seg_block;
      };
      return { payload: Object.defineProperty(payload, 'seg_block', { get: read, enumerable: true }) };
    });
    await main.send(...messages);
    assert.ok(Math.min(...takenBefore) >= 1_000, `checked when ${takenBefore.join()} entries were taken`);
    assert.deepEqual([main.accepted.length, main.rejected.length, main.errors.length], [2_970, 30, 0]);
    for (const { audience } of main.accepted)
      assert.equal(Number(audience.accepted) + Number(audience.superseded), 1);
    for (const { payload, audience } of main.rejected) {
      assert.deepEqual([payload, audience.rejected.length], [optedOut, 1]);
      assert.deepEqual([audience.rejected[0].code, audience.rejected[0].index], ['user_id_zero', 0]);
    }
    assert.equal(engine.counters.taken - before, 2_970);
    for (let user = 0; user < users; user += 1)
      assert.equal(segmentsOf(sandbox, idfa(2_000_000 + user)), 0, 'removed by its last message');
  });

  it('speaks of the property that it reads', async () => {
    await elsewhere.send({ data: {} });
    assert.match(elsewhere.error, /^msg\.data\.entries does not exist/);
    await elsewhere.send({ data: { entries: [entry(1)] }, payload: 'kept' });
    assert.equal(elsewhere.accepted[0].payload, 'kept');
  });

  it('reports a property without a name at once, and for every message', async () => {
    for (const [flow, told, status] of [
      [nameless, /^This node is not set up\. Property: name the property/, 'not set up'],
      [misspelt, /^Property: this is not the name of a property/, 'input not valid'],
    ] as const) {
      await flow.send({ payload: entry(1) }, { payload: entry(2) });
      assert.match(flow.error, told);
      assert.equal(flow.errors.length, 2);
      assert.deepEqual(
        flow.shown.map(({ text, fill, shape }) => `${fill} ${shape} ${text}`),
        [`red ring ${status}`],
      );
    }
  });

  it('reads entries from an expression, and ends each message if the expression fails', async () => {
    await expression.send({ payload: { list: [entry(1), entry(2)] } });
    assert.equal(expression.accepted[0].audience.accepted, 2);
    await failing.send({ payload: 1 }, { payload: 2 });
    assert.equal(failing.errors.length, 2);
    assert.match(failing.error, /could not be read \(.*no luck.*\)/);
  });
});

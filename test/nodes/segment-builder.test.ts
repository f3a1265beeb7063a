// The segment builder in Node-RED: its outputs, and the single end of every message.
import assert from 'node:assert/strict';
import { savedRow as row } from '../support/segment-row';
import { tcString } from '../support/tc-strings';
import { Flow, load, unload, until, useNodeRed } from './out-flow';

async function start(changes: object = {}): Promise<Flow> {
  const flow = new Flow('builder');
  const subject = { type: 'xandr-segment-builder', userId: 'payload.user', segments: [row] };
  await load(flow.nodes({ ...subject, ...changes }), {}, flow);
  return flow;
}

const idfa = '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13';
/** Nothing is wired to the second output. */
const oneOutput = { wires: [['builder accepted'], []] };

describe('xandr-segment-builder', () => {
  useNodeRed();
  afterEach(unload);

  it('passes the message on with the entry in its payload', async () => {
    const flow = await start();
    const message = { payload: { user: '7' }, topic: 'kept', req: { headers: {} } };
    await flow.send(message);
    assert.equal(flow.accepted.length, 1);
    assert.equal(flow.accepted[0], message);
    assert.equal(flow.accepted[0].topic, 'kept');
    assert.deepEqual(flow.accepted[0].payload, {
      user_id: '7',
      seg_block: [{ seg_id: 10001, expiration: 43200 }],
    });
    assert.equal(flow.rejected.length, 0);
    assert.equal(flow.completed.length, 1);
  });

  it('puts the entry into the chosen property, even deep inside the message', async () => {
    const flow = await start({ output: 'audience.entry' });
    await flow.send({ payload: { user: '7' } }, { payload: { user: '8' }, audience: 5 });
    assert.equal(flow.accepted[0].audience.entry.user_id, '7');
    assert.deepEqual(flow.accepted[0].payload, { user: '7' });
    assert.equal(flow.accepted.length, 1);
    assert.match(flow.error, /^Output: part of this path is not an object/);
  });

  it('keeps msg.audience only if it is an object with properties', async () => {
    const flow = await start({ domain: 'idfa' });
    for (const audience of [Buffer.from('abc'), new String('abc'), ['abc'], 'abc'])
      await flow.send({ payload: { user: 'abc' }, audience });
    for (const message of flow.rejected) assert.deepEqual(Object.keys(message.audience), ['rejected']);
    assert.equal(flow.rejected.length, 4);
  });

  it('sends an invalid message out of the second output with the reason per field', async () => {
    const flow = await start({ domain: 'idfa' });
    await flow.send({ payload: { user: 'abc' }, audience: { status: 'older' } });
    assert.equal(flow.accepted.length, 0);
    const [message] = flow.rejected;
    assert.deepEqual(message.payload, { user: 'abc' });
    assert.equal(message.audience.status, 'older');
    const [rejected] = message.audience.rejected;
    assert.equal(rejected.index, 0);
    assert.equal(rejected.entry.user_id, 'abc');
    assert.equal(rejected.code, 'user_id_not_uuid');
    assert.equal(rejected.message, 'User ID: "abc" is not an ID for idfa; pass a UUID');
    assert.deepEqual(rejected.issues, [
      { code: 'user_id_not_uuid', path: 'user_id', message: rejected.message },
    ]);
    assert.equal(flow.completed.length, 1);
  });

  it('ends an invalid message with an error if nothing is wired to the second output', async () => {
    const flow = await start(oneOutput);
    const message: any = { payload: { user: '0' } };
    await flow.send(message);
    assert.equal(flow.accepted.length, 0);
    assert.equal(flow.completed.length, 0);
    assert.equal(flow.errors[0], 'User ID: 0 stands for an opted-out user; leave it out');
    assert.equal(message.audience.rejected[0].code, 'user_id_zero', 'the details');
  });

  it('makes an array of a thousand items, and reports the bad one', async () => {
    const flow = await start({ source: 'items', userId: 'user', userIdType: 'item' });
    const payload = Array.from({ length: 1000 }, (_, index) => ({
      user: index === 417 ? '' : String(index + 1),
    }));
    await flow.send({ payload });
    assert.equal(flow.accepted[0].payload.length, 999);
    assert.equal(flow.accepted[0].payload[417].user_id, '419');
    assert.equal(flow.rejected.length, 1);
    assert.notEqual(flow.rejected[0], flow.accepted[0]);
    assert.equal(flow.rejected[0].payload.length, 1000);
    assert.equal(flow.rejected[0]._msgid, flow.accepted[0]._msgid);
    const [rejected, ...others] = flow.rejected[0].audience.rejected;
    assert.equal(others.length, 0);
    assert.equal(rejected.index, 417);
    assert.deepEqual(rejected.entry, { user: '' });
    assert.equal(rejected.code, 'user_id_missing');
    assert.equal(flow.accepted[0].audience, undefined);
  });

  it('sends the good items on and ends with an error when the bad ones have no wire', async () => {
    const flow = await start({ source: 'items', userId: '', userIdType: 'item', ...oneOutput });
    await flow.send({ payload: ['1', '0', '3'] });
    assert.deepEqual(
      flow.accepted[0].payload.map((entry: any) => entry.user_id),
      ['1', '3'],
    );
    assert.equal(flow.errors[0], 'User ID, item 1: 0 stands for an opted-out user; leave it out');
    assert.equal(flow.completed.length, 0);
  });

  it('sends nothing for an empty array, and completes', async () => {
    const flow = await start({ source: 'items', userId: '', userIdType: 'item' });
    await flow.send({ payload: [] });
    assert.equal(flow.accepted.length + flow.rejected.length, 0);
    assert.equal(flow.completed.length, 1);
  });

  it('says that items are no array, or that a payload has no user id, whatever it is', async () => {
    for (const [changes, told] of [
      [{ source: 'items', userId: '', userIdType: 'item' }, /^Array: msg\.payload is .*; pass an array$/],
      [{}, /^User ID: msg\.payload\.user has no value/],
    ] as const) {
      const flow = await start(changes);
      const all = [undefined, null, 'text', 5, Buffer.from('x'), { a: 1 }].map((payload) => ({ payload }));
      await flow.send(...all);
      assert.deepEqual([flow.accepted.length, flow.rejected.length], [0, all.length]);
      for (const { audience, payload } of flow.rejected) {
        const isInsideText = payload === 'text' && !('source' in changes);
        const sentence = isInsideText
          ? 'User ID: msg.payload is text, not an object; parse it with a json node'
          : told;
        assert.match(audience.rejected[0].message, new RegExp(sentence));
      }
      await unload();
    }
  });

  it('reports a missing array as one problem, without a count', async () => {
    const flow = await start({ source: 'items', userId: '', userIdType: 'item', ...oneOutput });
    await flow.send({ payload: 'text' });
    assert.equal(flow.errors[0], 'Array: msg.payload is "text"; pass an array');
  });

  it('counts in its status a message that holds nothing to build from, whatever it is', async () => {
    const unreadable = Object.defineProperty({}, 'user', {
      get: () => {
        throw new Error('not now');
      },
    });
    for (const source of ['message', 'items']) {
      const flow = await start({ source });
      const all = [undefined, null, 'text', 5, true, Buffer.from('x'), unreadable];
      await flow.send(...all.map((payload) => ({ payload })));
      await until(() => flow.status === '7 invalid', 'the status');
      await unload();
    }
  });

  it('counts invalid items in its status', async () => {
    const flow = await start({ source: 'items', userId: '', userIdType: 'item' });
    await flow.send({ payload: ['1', '0', '', '4'] });
    await until(() => flow.status === '2 invalid', 'the status');
    assert.deepEqual([flow.shown.at(-1)!.fill, flow.shown.at(-1)!.shape], ['yellow', 'ring']);
    await flow.send({ payload: ['0'] });
    await until(() => flow.status === '3 invalid', 'one more');
  });

  it('shares no object between its outputs, whatever the items are and wherever they are put', async () => {
    const flow = await start({ source: 'items', userId: 'user', userIdType: 'item', output: 'entries' });
    for (const count of [3, 1_500]) {
      const payload = Array.from({ length: count }, (_, at) => ({ user: at === 1 ? '0' : '7', tags: ['a'] }));
      await flow.send({ payload, req: { headers: {} } });
      const [built, invalid] = [flow.accepted.at(-1), flow.rejected.at(-1)];
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
      const flow = await start({ source: 'items', userId, userIdType });
      const payload = Array.from({ length: count }, (_, at) => ({ user: at % 3 === 0 ? '0' : String(at) }));
      let turns = 0;
      const turn = setInterval(() => (turns += 1), 0);
      await flow.send({ payload, n: 1 }, { payload: [{ user: '8' }], n: 2 }, { payload: 5, n: 3 });
      clearInterval(turn);
      assert.ok(turns >= 5, `${turns} turns for others`);
      assert.deepEqual(
        flow.completed.map(({ n }) => n),
        [1, 2, 3],
      );
      assert.equal(flow.accepted[0].payload.length, (2 * count) / 3);
      assert.equal(flow.rejected[0].audience.rejected.length, count / 3);
      await unload();
    }
  });

  it('evaluates expressions, with the item and the message in reach', async () => {
    const flow = await start({
      source: 'items',
      userId: '$string(item.n + offset)',
      userIdType: 'jsonata',
      action: 'property',
      actionProperty: 'item.event != "bought"',
      actionType: 'jsonata',
    });
    await flow.send({
      offset: 10,
      payload: [
        { n: 1, event: 'viewed' },
        { n: 2, event: 'bought' },
      ],
    });
    assert.deepEqual(flow.accepted[0].payload, [
      { user_id: '11', seg_block: [{ seg_id: 10001, expiration: 43200 }] },
      { user_id: '12', seg_block: [{ seg_id: 10001, expiration: -1 }] },
    ]);
  });

  it('reports a failing expression, and continues with the next message', async () => {
    const flow = await start({ userId: '$uppercase(payload.user)', userIdType: 'jsonata' });
    await flow.send({ payload: { user: 5 } }, { payload: { user: 'a' } });
    assert.match(
      flow.rejected[0].audience.rejected[0].message,
      /^User ID: \$uppercase\(payload\.user\) fails/,
    );
    assert.equal(flow.accepted[0].payload.user_id, 'A');
  });

  it('keeps messages in order when an earlier one takes longer', async () => {
    const flow = await start({ source: 'items', userId: 'item', userIdType: 'jsonata' });
    const long = Array.from({ length: 200 }, (_, index) => String(index + 1));
    await flow.send(
      { payload: long, n: 1 },
      { payload: ['1'], n: 2 },
      { payload: 5, n: 3 },
      { payload: ['1'], n: 4 },
    );
    assert.deepEqual(
      flow.accepted.map((message) => message.n),
      [1, 2, 4],
    );
    assert.deepEqual(
      flow.completed.map((message) => message.n),
      [1, 2, 3, 4],
    );
  });

  it('reads flow and global context, by path', async () => {
    const flow = await start({
      domain: 'kinds.phone',
      domainType: 'flow',
      segments: [{ ...row, segment: 'ids["the kitchen"][1]', segmentType: 'global' }],
    });
    flow.node.context().flow.set('kinds', { phone: 'idfa' });
    flow.node.context().global.set('ids', { 'the kitchen': [1, 2] });
    await flow.send({ payload: { user: idfa } });
    assert.deepEqual(flow.accepted[0].payload, {
      user_id: idfa,
      domain: 'idfa',
      seg_block: [{ seg_id: 2, expiration: 43200 }],
    });
  });

  it('reads context with a key from the message, and reports missing values', async () => {
    const flow = await start({ segments: [{ ...row, segment: 'ids[msg.topic]', segmentType: 'flow' }] });
    flow.node.context().flow.set('ids', { a: 5 });
    await flow.send({ payload: { user: '7' }, topic: 'a' }, { payload: { user: '7' }, topic: 'b' });
    assert.equal(flow.accepted[0].payload.seg_block[0].seg_id, 5);
    assert.match(flow.rejected[0].audience.rejected[0].message, /flow\.ids\[msg\.topic\] has no value/);
  });

  it('reads environment variables when it starts', async () => {
    process.env.SEGMENT_BUILDER_TEST = '4711';
    const flow = await start({
      segments: [{ ...row, segment: 'SEGMENT_BUILDER_TEST', segmentType: 'env' }],
      domain: 'SEGMENT_BUILDER_TEST_MISSING',
      domainType: 'env',
    });
    delete process.env.SEGMENT_BUILDER_TEST;
    await flow.send({ payload: { user: '7' } });
    assert.match(flow.rejected[0].audience.rejected[0].message, /SEGMENT_BUILDER_TEST_MISS.* has no value/);
    await unload();
    process.env.SEGMENT_BUILDER_TEST = '4711';
    const again = await start({
      segments: [{ ...row, segment: 'SEGMENT_BUILDER_TEST', segmentType: 'env' }],
    });
    delete process.env.SEGMENT_BUILDER_TEST;
    await again.send({ payload: { user: '7' } });
    assert.equal(again.accepted[0].payload.seg_block[0].seg_id, 4711);
  });

  it('survives a message whose property cannot be read', async () => {
    const flow = await start();
    const payload = Object.defineProperty({}, 'user', {
      get: () => {
        throw new Error('gone');
      },
    });
    await flow.send({ payload }, { payload: { user: '7' } });
    assert.match(
      flow.rejected[0].audience.rejected[0].message,
      /^User ID: msg\.payload\.user fails \(gone\)/,
    );
    assert.equal(flow.accepted.length, 1);
  });

  it('shows a red ring and refuses messages when it is not set up', async () => {
    for (const [changes, words] of [
      [{ segments: [] }, /^The segment builder is not set up: Segments: add at least one row/],
      [{ userId: '$(', userIdType: 'jsonata' }, /^The segment builder is not set up: User ID: /],
    ] as const) {
      const flow = await start(changes);
      await until(() => flow.status === 'not set up', 'the status');
      assert.deepEqual([flow.shown.at(-1)!.fill, flow.shown.at(-1)!.shape], ['red', 'ring']);
      await flow.send({ payload: { user: '7' } });
      assert.match(flow.error, words);
      assert.equal(flow.accepted.length + flow.rejected.length, 0);
      await unload();
    }
  });
});

describe('xandr-segment-builder with consent', () => {
  useNodeRed();
  afterEach(unload);

  const tc = tcString({ vendors: [32], purposes: [1, 3] });
  const asked = { consent: 'payload.tc', consentType: 'msg', consentPurposes: [1, 3] };
  const items = {
    ...asked,
    source: 'items',
    userId: 'user',
    userIdType: 'item',
    consent: 'tc',
    consentType: 'item',
  };

  it('sends users who have consented, and names the others on the second output, without an error', async () => {
    const flow = await start(asked);
    const other = tcString({ vendors: [33], purposes: [1, 3] });
    await flow.send(
      { payload: { user: '7', tc } },
      { payload: { user: '8', tc: other } },
      { payload: { user: '9' } },
    );
    assert.deepEqual(
      flow.accepted.map(({ payload }) => payload.user_id),
      ['7'],
    );
    for (const [index, user] of ['8', '9'].entries()) {
      const [rejected] = flow.rejected[index].audience.rejected;
      assert.deepEqual([rejected.code, rejected.entry.user_id], ['no_consent', user]);
      assert.equal(rejected.message, 'Consent: msg.payload.tc gives none; no entry was made');
    }
    assert.deepEqual(flow.errors, []);
    assert.equal(flow.completed.length, 3);
    await until(() => flow.status === '2 without consent', `its status, not ${flow.status}`);
  });

  it('completes a message without consent, and leaves it as it is, if nothing is wired to the second output', async () => {
    const flow = await start({ ...asked, ...oneOutput });
    const message: any = { payload: { user: '8' } };
    await flow.send(message);
    assert.deepEqual([flow.errors.length, flow.completed.length, flow.accepted.length], [0, 1, 0]);
    assert.equal(message.audience, undefined);
  });

  it('counts items apart: only invalid ones are an error', async () => {
    const flow = await start({ ...items, ...oneOutput });
    await flow.send({
      payload: [{ user: '7', tc }, { user: '8' }, { user: '9', tc: 'maybe' }, { user: '10', tc: false }],
    });
    assert.deepEqual(
      flow.accepted[0].payload.map((entry: any) => entry.user_id),
      ['7'],
    );
    assert.match(flow.error, /^Consent, item 2: item\.tc is "maybe"; pass yes, no or a TC string$/);
    await until(() => flow.status === '1 invalid, 2 without consent', `its status, not ${flow.status}`);
  });

  it('removes users without consent, if that is wanted', async () => {
    const flow = await start({ ...items, withoutConsent: 'remove' });
    await flow.send({ payload: [{ user: '7', tc }, { user: '8' }] });
    assert.deepEqual(
      flow.accepted[0].payload.map((entry: any) => [entry.user_id, entry.seg_block[0].expiration]),
      [
        ['7', 43200],
        ['8', -1],
      ],
    );
    assert.equal(flow.rejected.length, 0);
  });
});

// The copy of a message in steps: equal, and sharing only what Node-RED's own copies share.
import { util as nodeRedUtil } from '@node-red/util';
import assert from 'node:assert/strict';
import { createContext, runInContext } from 'node:vm';
import { inSlices, oneSlice } from '../../src/entry/slices';
import { copyOf } from '../../nodes/shared/message-copy';

const RED = { util: nodeRedUtil } as any;
const copy = (message: object): any => inSlices(copyOf(RED, message as any), oneSlice);

class Own {
  readonly inner = { a: 1 };
}

describe('the copy of a message', () => {
  it('is equal, whatever is in it, and shares nothing with it', () => {
    const message: any = {
      _msgid: '1',
      payload: [{ user: 1, more: [1, [2]] }, null, undefined, 'text', 10n, () => 1],
      bytes: Buffer.from('abc'),
      at: new Date(0),
      map: new Map([['a', { b: 1 }]]),
      own: new Own(),
      bare: Object.assign(Object.create(null), { a: { b: 1 } }),
      holes: [, 1], // oxlint-disable-line no-sparse-arrays
      hostile: JSON.parse('{"__proto__": {"a": 1}}'),
    };
    const made = copy(message);
    for (const key of Object.keys(message)) assert.deepEqual(made[key], message[key], key);
    assert.notEqual(made.payload[0].more[1], message.payload[0].more[1]);
    assert.notEqual(made.own.inner, message.own.inner);
    assert.notEqual(made.map.get('a'), message.map.get('a'));
    assert.notEqual(made.bytes, message.bytes);
  });

  it('also copies objects of function nodes in steps', () => {
    const payload = runInContext(
      'Array.from({ length: 100 }, (_, a) => ({ a }))',
      createContext({}),
    ) as object[];
    const steps = [...copyOf(RED, { payload } as any)];
    assert.ok(steps.length > 100);
    const made = copy({ payload });
    assert.equal(JSON.stringify(made.payload), JSON.stringify(payload));
    assert.notEqual(made.payload[0], payload[0]);
  });

  it('keeps shared references, and shares the request of an HTTP node', () => {
    const entry: any = { user: 1 };
    entry.list = [entry];
    const message = { payload: entry, again: entry, req: { socket: {} }, res: {} };
    const made = copy(message);
    assert.equal(made.payload.list[0], made.payload);
    assert.equal(made.again, made.payload);
    assert.notEqual(made.payload, entry);
    assert.equal(made.req, message.req);
    assert.equal(made.res, message.res);
  });
});

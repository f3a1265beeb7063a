// compilePath: reads properties by a split path.
import assert from 'node:assert/strict';
import { compilePath } from '../../src/entry/mapping/property-path';

describe('compilePath', () => {
  const message = { topic: 'b', payload: { a: [{ id: 5 }], b: { id: 6 } } };

  it('reads along keys and indexes', () => {
    assert.equal(compilePath(['payload', 'a', 0, 'id'])(message, message), 5);
    assert.equal(compilePath([])(message, message), message);
  });

  it('returns undefined, without an error, where a part does not exist', () => {
    assert.equal(compilePath(['nothing', 'a', 'b'])(message, message), undefined);
    assert.equal(compilePath(['a'])(null, message), undefined);
  });

  it('reads a nested path from the message, even with an item as root', () => {
    const read = compilePath([['msg', 'topic'], 'id']);
    assert.equal(read({ b: { id: 7 } }, message), 7);
    assert.equal(compilePath(['payload', ['msg', 'topic'], 'id'])(message, message), 6);
    assert.equal(compilePath(['payload', ['msg', 'missing'], 'id'])(message, message), undefined);
  });
});

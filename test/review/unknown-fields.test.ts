// With "unknown fields" allowed, what they hold is looked at before it is written out.
import { strict as assert } from 'node:assert';

import { checkEntry } from '../../src/audience/check';

describe('an unknown field that is allowed', () => {
  const timed = (extra: object): number => {
    const startMs = performance.now();
    const result = checkEntry(
      { user_id: '1', seg_block: [{ seg_id: 1 }], ...extra },
      { allowUnknownFields: true },
    );
    assert.equal(result.ok, false);
    return performance.now() - startMs;
  };

  it('may be large', () => {
    const ms = timed({ photo: Buffer.alloc(16 * 1024 * 1024) });
    assert.ok(ms < 200, `${ms} ms`);
  });

  it('may be one of many', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000_000 }, (_, n) => [`k${n}`, n]));
    const ms = timed(many);
    assert.ok(ms < 200, `${ms} ms`);
  });
});

// Allowed unknown fields are read only up to their maximum length.
import { strict as assert } from 'node:assert';

import { checkEntry } from '../../src/entry/check';

/** A proxy that counts reads of properties. */
function counted<T extends object>(target: T): { readonly proxy: T; readonly reads: () => number } {
  let reads = 0;
  const proxy = new Proxy(target, {
    get(from, key, receiver): unknown {
      reads += 1;
      return Reflect.get(from, key, receiver);
    },
  });
  return { proxy, reads: () => reads };
}

const codesOf = (entry: object): string[] => {
  const result = checkEntry(entry, { allowUnknownFields: true });
  return result.ok ? [] : result.issues.map(({ code, path }) => `${path} ${code}`);
};

describe('unknown fields that are allowed', () => {
  for (const where of ['', 'seg_block[0]']) {
    const entryWith = (fields: object): object =>
      where === ''
        ? { ...fields, user_id: '1', seg_block: [{ seg_id: 1 }] }
        : { user_id: '1', seg_block: [Object.assign(fields, { seg_id: 1 })] };

    it(`are not read to the end when one is large (${where || 'an entry'})`, () => {
      const { proxy, reads } = counted(new Array<number>(1_000_000).fill(1));
      assert.deepEqual(codesOf(entryWith({ extra: proxy })), [`${where} unknown_too_long`]);
      assert.ok(reads() < 100, `${reads()} reads`);
      assert.deepEqual(codesOf(entryWith({ photo: Buffer.alloc(64 * 1024 * 1024) })), [
        `${where} unknown_too_long`,
      ]);
    });

    it(`are not read to the end when they are many (${where || 'an entry'})`, () => {
      const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`k${n}`, n]));
      const { proxy, reads } = counted(
        where === '' ? { ...many, user_id: '1', seg_block: [{ seg_id: 1 }] } : { ...many, seg_id: 1 },
      );
      const entry = where === '' ? proxy : { user_id: '1', seg_block: [proxy] };
      assert.deepEqual(codesOf(entry), [`${where} unknown_too_long`]);
      assert.ok(reads() < 1_000, `${reads()} reads`);
    });
  }
});

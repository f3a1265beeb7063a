// Random valid entries for property tests.
import fc from 'fast-check';
import type { Entry, SegBlock } from '../../src/entry/entry';

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...'0123456789abcdefABCDEF'.split('')), {
      minLength: length - 1,
      maxLength: length - 1,
    })
    .map((digits) => `7${digits.join('')}`);

const uuid = fc.uuid().filter((id) => /[1-9a-f]/.test(id));

const text = fc
  .string({ minLength: 1, maxLength: 30, unit: 'grapheme' })
  .filter((one) => one.trim() === one && !/\p{Surrogate}/u.test(one) && !/^0+$/.test(one));

const user: fc.Arbitrary<Pick<Entry, 'user_id' | 'domain' | 'custom_domain'>> = fc.oneof(
  fc.record({ user_id: fc.oneof(text, hex(32), hex(40), uuid), domain: fc.constant(null) }),
  fc.record({ user_id: uuid, domain: fc.constantFrom('idfa', 'aaid') }),
  fc.record({ user_id: hex(40), domain: fc.constantFrom('sh1udid', 'sha1udid', 'openudid') }),
  fc.record({ user_id: hex(32), domain: fc.constant('md5udid') }),
  fc.record({ user_id: text, domain: text.map((name) => `my ${name}`), custom_domain: fc.constant(true) }),
);

const int = fc.integer({ min: 0, max: 2_147_483_647 });
const id = fc.integer({ min: 1, max: 2_147_483_647 });
const value = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });
const common = { value, expiration: fc.oneof(fc.constantFrom(-1, 0, 1440), int) };

export const block: fc.Arbitrary<SegBlock> = fc.oneof(
  fc.record({ seg_id: id, ...common }, { requiredKeys: ['seg_id'] }),
  fc.record(
    { seg_code: text, member_id: fc.integer({ min: 1, max: 99_999 }), ...common },
    { requiredKeys: ['seg_code', 'member_id'] },
  ),
);

export const entry: fc.Arbitrary<Entry> = fc
  .tuple(user, fc.array(block, { minLength: 1, maxLength: 12 }))
  .map(([ids, seg_block]) => ({ ...ids, seg_block }));

// Bad entries, with the sentence that a flow author reads for each.
import assert from 'node:assert/strict';
import { checkEntry } from '../../src/entry/check';
import { sentence } from '../../src/entry/issues';

const block = { seg_id: 10001, expiration: 1440 };
const idfa = '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13';
const withUser = (user: object): unknown => ({ ...user, seg_block: [block] });
const withBlock = (bad: unknown): unknown => ({ user_id: '7', seg_block: [block, bad] });

/** Description, input, code of the issue, and a pattern of its sentence. */
const cases: (readonly [string, unknown, string, RegExp])[] = [
  ['a string', 'abc', 'not_an_entry', /This is "abc"; expected an object/],
  ['null', null, 'not_an_entry', /This is null/],
  ['an array', [[1]], 'not_an_entry', /This is array\[1\]/],
  ['no user_id', withUser({}), 'user_id_missing', /user_id is missing/],
  ['an empty user_id', withUser({ user_id: '' }), 'user_id_missing', /user_id is missing or empty/],
  ['an object as user_id', withUser({ user_id: { id: 1 } }), 'user_id_type', /user_id is object/],
  [
    'a number beyond 2^53',
    withUser({ user_id: Number('12345678900987654321') }),
    'user_id_digits_lost',
    /12345678900987654000.*already wrong.*string/,
  ],
  ['a fraction as user_id', withUser({ user_id: 1.5 }), 'user_id_not_whole', /1\.5/],
  ['a negative number as user_id', withUser({ user_id: -5 }), 'user_id_not_whole', /-5/],
  ['the platform id 0', withUser({ user_id: '0' }), 'user_id_zero', /opted-out/],
  ['the number 0', withUser({ user_id: 0 }), 'user_id_zero', /opted-out/],
  [
    'an all-zero IDFA',
    withUser({ user_id: '00000000-0000-0000-0000-000000000000', domain: 'idfa' }),
    'user_id_all_zero',
    /tracking is limited/,
  ],
  [
    'an all-zero UUID without a domain',
    withUser({ user_id: '00000000-0000-0000-0000-000000000000' }),
    'user_id_all_zero',
    /tracking is limited/,
  ],
  [
    'an all-zero hash',
    withUser({ user_id: '0'.repeat(40), domain: 'openudid' }),
    'user_id_all_zero',
    /all zeros/,
  ],
  [
    'an IDFA that is not a UUID',
    withUser({ user_id: 'abc', domain: 'idfa' }),
    'user_id_not_uuid',
    /idfa needs a UUID/,
  ],
  [
    'an AAID without hyphens',
    withUser({ user_id: 'a'.repeat(32), domain: 'aaid' }),
    'user_id_not_uuid',
    /aaid/,
  ],
  [
    'an MD5 of 40 digits',
    withUser({ user_id: 'a'.repeat(40), domain: 'md5udid' }),
    'user_id_not_hex',
    /exactly 32/,
  ],
  [
    'a SHA-1 of 32 digits',
    withUser({ user_id: 'a'.repeat(32), domain: 'sh1udid' }),
    'user_id_not_hex',
    /exactly 40/,
  ],
  [
    'an OpenUDID with a g',
    withUser({ user_id: 'g'.repeat(40), domain: 'openudid' }),
    'user_id_not_hex',
    /openudid/,
  ],
  [
    'white space around a user_id',
    withUser({ user_id: ' 7\n' }),
    'text_white_space',
    /user_id " 7\\n" starts or ends/,
  ],
  ['a lone surrogate in a user_id', withUser({ user_id: 'a\ud83d' }), 'text_broken', /damaged character/],
  ['sha1mac', withUser({ user_id: 'a'.repeat(40), domain: 'sha1mac' }), 'domain_retired', /retired/],
  [
    'sha1mac as custom domain',
    withUser({ user_id: 'a', domain: 'SHA1MAC', custom_domain: true }),
    'domain_retired',
    /retired/,
  ],
  ['an unknown domain', withUser({ user_id: 'a', domain: 'gaid' }), 'domain_unknown', /"gaid".*aaid/],
  ['a domain in capitals', withUser({ user_id: idfa, domain: 'IDFA' }), 'domain_case', /write it as "idfa"/],
  [
    'a known domain in capitals as custom domain',
    withUser({ user_id: idfa, domain: 'IDFA', custom_domain: true }),
    'domain_case',
    /write it as "idfa"/,
  ],
  [
    'a custom domain of 257 characters',
    withUser({ user_id: 'a', domain: 'd'.repeat(257), custom_domain: true }),
    'text_too_long',
    /^domain has 257 characters/,
  ],
  [
    'a bigint of a thousand digits as user_id',
    withUser({ user_id: 10n ** 1000n }),
    'user_id_type',
    /user_id is bigint/,
  ],
  ['a Buffer', Buffer.from('abc'), 'not_an_entry', /^This is Buffer\[3\]/],
  ['a boxed text', new String('abc'), 'not_an_entry', /^This is string/],
  ['a Buffer as a block', withBlock(Buffer.from('abc')), 'block_type', /^seg_block\[1\] is Buffer\[3\]/],
  ['an empty domain', withUser({ user_id: 'a', domain: '' }), 'domain_empty', /pass null/],
  ['a number as domain', withUser({ user_id: 'a', domain: 1 }), 'domain_type', /domain is 1/],
  ['custom_domain as text', withUser({ user_id: 'a', custom_domain: 'yes' }), 'custom_domain_type', /"yes"/],
  ['a word as event_time', withUser({ user_id: 'a', event_time: 'soon' }), 'event_time_invalid', /"soon"/],
  [
    '30 February',
    withUser({ user_id: 'a', event_time: '2026-02-30T00:00:00Z' }),
    'event_time_invalid',
    /02-30/,
  ],
  [
    'a time without zone',
    withUser({ user_id: 'a', event_time: '2026-01-31T12:00:00' }),
    'event_time_no_zone',
    /Z/,
  ],
  [
    'seconds as event_time',
    withUser({ user_id: 'a', event_time: 1_769_860_800 }),
    'event_time_unit',
    /13 digits/,
  ],
  [
    'microseconds',
    withUser({ user_id: 'a', event_time: 1_769_860_800_000_000 }),
    'event_time_unit',
    /13 digits/,
  ],
  ['an invalid Date', withUser({ user_id: 'a', event_time: new Date('x') }), 'event_time_invalid', /NaN/],
  ['an object as event_time', withUser({ user_id: 'a', event_time: {} }), 'event_time_type', /object/],
  ['no seg_block', { user_id: '7' }, 'seg_block_missing', /seg_block is missing/],
  ['an object as seg_block', { user_id: '7', seg_block: block }, 'seg_block_type', /seg_block is object/],
  ['an empty seg_block', { user_id: '7', seg_block: [] }, 'seg_block_empty', /empty/],
  [
    'a seg_block of 10,001',
    { user_id: '7', seg_block: Array.from({ length: 10_001 }, () => block) },
    'seg_block_too_long',
    /10001 segments; at most 10000/,
  ],
  ['a number as block', withBlock(5), 'block_type', /seg_block\[1\] is 5/],
  ['a hole in seg_block', withBlock(undefined), 'block_type', /seg_block\[1\] is undefined/],
  ['no segment', withBlock({ value: 1 }), 'segment_missing', /seg_block\[1\] names no segment/],
  ['seg_id with seg_code', withBlock({ seg_id: 1, seg_code: 'a', member_id: 1 }), 'segment_twice', /both/],
  ['seg_code without member_id', withBlock({ seg_code: 'a' }), 'member_id_missing', /without member_id/],
  ['member_id alone', withBlock({ member_id: 1 }), 'seg_code_missing', /without seg_code/],
  ['an empty seg_code', withBlock({ seg_code: '', member_id: 1 }), 'text_empty', /seg_block\[1\]\.seg_code/],
  [
    'a number as seg_code',
    withBlock({ seg_code: 5, member_id: 1 }),
    'text_type',
    /seg_code is 5; pass a string/,
  ],
  [
    'a lone surrogate in seg_code',
    withBlock({ seg_code: '\udc00', member_id: 1 }),
    'text_broken',
    /seg_code/,
  ],
  ['seg_id 0', withBlock({ seg_id: 0 }), 'number_range', /seg_block\[1\]\.seg_id is 0; allowed are whole/],
  [
    'seg_id as text',
    withBlock({ seg_id: '10001' }),
    'number_as_text',
    /seg_id is the text "10001"; pass a number/,
  ],
  [
    'seg_id 2^31',
    withBlock({ seg_id: 2 ** 31 }),
    'number_range',
    /seg_id is 2147483648; allowed .* to 2147483647/,
  ],
  ['seg_id NaN', withBlock({ seg_id: NaN }), 'number_type', /NaN/],
  [
    'a value of 2^31',
    withBlock({ seg_id: 1, value: 2 ** 31 }),
    'number_range',
    /from -2147483648 to 2147483647/,
  ],
  [
    'a value below -2^31',
    withBlock({ seg_id: 1, value: -(2 ** 31) - 1 }),
    'number_range',
    /value is -2147483649/,
  ],
  [
    'expiration -5',
    withBlock({ seg_id: 1, expiration: -5 }),
    'expiration_range',
    /expiration is -5.*-1 \(removes/,
  ],
  ['expiration 1.5', withBlock({ seg_id: 1, expiration: 1.5 }), 'expiration_range', /1\.5.*whole minutes/],
  [
    'expiration soon',
    withBlock({ seg_id: 1, expiration: 'soon' }),
    'expiration_range',
    /"soon".*whole minutes/,
  ],
  ['expiration as text', withBlock({ seg_id: 1, expiration: '60' }), 'number_as_text', /pass a number/],
  [
    'a misspelt expirations',
    withBlock({ seg_id: 1, expirations: 60 }),
    'misspelt_key',
    /did you mean expiration\?/,
  ],
  ['userId', withUser({ userId: '7' }), 'misspelt_key', /userId is not a key.*did you mean user_id\?/],
  [
    'an unknown key',
    withUser({ user_id: '7', colour: 1 }),
    'unknown_key',
    /colour is not a field.*fields: user_id/,
  ],
  [
    '__proto__ as a key',
    JSON.parse('{"user_id":"7","seg_block":[{"seg_id":1}],"__proto__":{"a":1}}'),
    'unknown_key',
    /^__proto__ is not a field/,
  ],
  [
    'constructor as a key',
    withBlock({ seg_id: 1, constructor: 1 }),
    'unknown_key',
    /seg_block\[1\]\.constructor/,
  ],
  [
    'a user id of 3 MB',
    withUser({ user_id: 'x'.repeat(3_000_000) }),
    'text_too_long',
    /^user_id has 3000000 characters; at most 256 are allowed$/,
  ],
  [
    'a code of 3 MB',
    withBlock({ seg_code: 'é'.repeat(1_500_000), member_id: 1 }),
    'text_too_long',
    /^seg_block\[1\]\.seg_code has 1500000 characters/,
  ],
  [
    'a getter that throws',
    Object.defineProperty({}, 'user_id', {
      enumerable: true,
      get: () => {
        throw new Error('failed');
      },
    }),
    'unreadable',
    /could not be read: "failed"/,
  ],
];

describe('a bad entry', () => {
  for (const [what, input, code, words] of cases) {
    it(`has a sentence: ${what}`, () => {
      const result = checkEntry(input);
      assert.ok(!result.ok, 'it was accepted');
      const issue = result.issues.find((each) => each.code === code);
      assert.ok(issue, JSON.stringify(result.issues));
      const text = sentence(issue);
      assert.match(text, words);
      assert.ok(text.length < 400, 'the sentence is too long to read');
      assert.doesNotMatch(text.replace('__proto__', ''), /__\w+__/, 'a placeholder is left');
    });
  }

  it('changes no prototype', () => {
    checkEntry(JSON.parse('{"__proto__":{"polluted":1},"seg_block":[{"__proto__":{"polluted":1}}]}'));
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
});

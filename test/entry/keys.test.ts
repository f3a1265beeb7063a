// User keys and their hash.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkEntry } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import { hashUserKey, userKeyOf } from '../../src/entry/keys';

const uuid = '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13';
const sha1 = '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12';

function checked(user_id: string, domain: string | null): CheckedEntry {
  const result = checkEntry({ user_id, domain, seg_block: [{ seg_id: 1 }] });
  assert.ok(result.ok);
  return result.entry;
}

describe('userKeyOf', () => {
  it('is the same for a device id in capitals, and so is its spelling', () => {
    assert.deepEqual(userKeyOf('idfa', uuid.toUpperCase()), userKeyOf('idfa', uuid));
    assert.equal(userKeyOf('idfa', uuid).spelling, '');
  });

  it('is the same for sh1udid and sha1udid, which are sent as given', () => {
    const [one, two] = [checked(sha1, 'sh1udid'), checked(sha1.toUpperCase(), 'sha1udid')];
    assert.equal(one.userKey, two.userKey);
    assert.equal(one.spelling, two.spelling);
    assert.match(one.body, /"domain":"sh1udid"/);
    assert.match(two.body, /"domain":"sha1udid"/);
    assert.ok(two.body.includes(sha1.toUpperCase()));
  });

  it('is the same for mapped ids that look like device ids and differ in case, but the spelling is not', () => {
    for (const id of [uuid, sha1, 'a'.repeat(32)]) {
      const [lower, upper] = [userKeyOf(null, id), userKeyOf(null, id.toUpperCase())];
      assert.equal(lower.userKey, upper.userKey);
      assert.notEqual(lower.spelling, upper.spelling);
    }
  });

  it('differs for other mapped ids that differ in case', () => {
    assert.notEqual(userKeyOf(null, 'Anna').userKey, userKeyOf(null, 'anna').userKey);
    assert.notEqual(userKeyOf('mine', 'Anna').userKey, userKeyOf('mine', 'anna').userKey);
  });

  it('differs for users of different domains', () => {
    const domain = fc.oneof(fc.constantFrom(null, 'idfa', 'aaid', 'md5udid'), fc.string({ minLength: 1 }));
    fc.assert(
      fc.property(domain, fc.string(), domain, fc.string(), (domainA, a, domainB, b) => {
        fc.pre(domainA !== domainB);
        assert.notEqual(userKeyOf(domainA, a).userKey, userKeyOf(domainB, b).userKey);
      }),
    );
  });
});

describe('hashUserKey', () => {
  it('is a whole number of 53 bits, the same each time', () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        const hash = hashUserKey(key);
        assert.ok(Number.isSafeInteger(hash) && hash >= 0);
        assert.equal(hashUserKey(key), hash);
      }),
    );
  });

  it('differs for 100,000 consecutive ids', () => {
    const hashes = new Set(
      Array.from({ length: 100_000 }, (_, index) => hashUserKey(`:${10_000_000 + index}`)),
    );
    assert.equal(hashes.size, 100_000);
  });
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkEntry, knownDomains } from '../../src/entry/index';
import { memberKeyOf, memberKeyOfEntry, userOfMember } from '../../src/entry/member-key';

const text = fc.string({ unit: 'grapheme', minLength: 1 });
const domain = fc.oneof(fc.constant(null), fc.constantFrom(...knownDomains), text);

describe('member key', () => {
  it('gives domain and id back, device ids in lower case', () => {
    fc.assert(
      fc.property(domain, text, (itsDomain, id) => {
        const isDevice = itsDomain !== null && knownDomains.includes(itsDomain);
        assert.deepEqual(userOfMember(memberKeyOf(itsDomain, id)), {
          domain: itsDomain === 'sh1udid' ? 'sha1udid' : itsDomain,
          id: isDevice ? id.toLowerCase() : id,
        });
      }),
    );
  });

  it('differs for different users, also of strange domains', () => {
    const canonical = (its: string | null, id: string): string => {
      const isDevice = its !== null && knownDomains.includes(its);
      return JSON.stringify([its === 'sh1udid' ? 'sha1udid' : its, isDevice ? id.toLowerCase() : id]);
    };
    fc.assert(
      fc.property(domain, text, domain, text, (one, id, other, otherId) => {
        const isSame = memberKeyOf(one, id) === memberKeyOf(other, otherId);
        assert.equal(isSame, canonical(one, id) === canonical(other, otherId));
      }),
    );
  });

  it('is read from a checked entry', () => {
    const keyOf = (entry: object): string => {
      const checked = checkEntry({ ...entry, seg_block: [{ seg_id: 1 }] }, { allowCustomDomain: true });
      assert.ok(checked.ok);
      return memberKeyOfEntry(checked.entry);
    };
    assert.equal(keyOf({ user_id: '12345' }), ':12345');
    assert.equal(
      keyOf({ user_id: '1BA98A6C-D1A5-49EF-AD1C-2D9230EBCD13', domain: 'idfa' }),
      'idfa:1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13',
    );
    assert.equal(keyOf({ user_id: 'Ab', domain: 'my:own "one"' }), '"my:own \\"one\\"":Ab');
  });
});

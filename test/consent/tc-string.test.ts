// TC strings, made by the library's encoder and compared with its decoder; broken and malicious ones.
import assert from 'node:assert/strict';
import { RestrictionType, TCString } from '@iabtcf/core';
import fc from 'fast-check';
import { tcStringReader } from '../../src/consent/tc-string';
import { tcString, type Choice } from '../support/tc-strings';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const vendor = 32;
const needed = { vendor, purposes: [1, 3] };
const says = (choice: Choice): boolean | null => tcStringReader(needed)(tcString(choice));
const { NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_LI } = RestrictionType;
const given: Choice = { vendors: [vendor], purposes: [1, 3] };

describe('a TC string', () => {
  it('needs the consent of the vendor and of each purpose', () => {
    assert.equal(says(given), true);
    assert.equal(says({ vendors: [31, 33], purposes: [1, 3] }), false);
    assert.equal(says({ vendors: [vendor], purposes: [1] }), false);
    assert.equal(says({ vendors: [], purposes: [] }), false);
    assert.equal(tcStringReader({ vendor, purposes: [] })(tcString({ vendors: [vendor] })), true);
  });

  it('reads vendors as bits and as ranges', () => {
    const far = Array.from({ length: 1_000 }, (_, index) => index + 1);
    assert.equal(says({ vendors: far, purposes: [1, 3] }), true, 'one range');
    assert.equal(says({ vendors: far.filter((id) => id !== vendor), purposes: [1, 3] }), false, 'two ranges');
    assert.equal(says({ vendors: far.filter((id) => id % 2 === 0), purposes: [1, 3] }), true, 'bits');
  });

  it('does not count a legitimate interest', () => {
    assert.equal(says({ interests: [vendor], purposes: [1, 3] }), false);
  });

  it('follows the restrictions of the publisher', () => {
    assert.equal(says({ ...given, restrictions: [[3, NOT_ALLOWED, vendor]] }), false);
    assert.equal(says({ ...given, restrictions: [[3, REQUIRE_LI, vendor]] }), false);
    assert.equal(says({ ...given, restrictions: [[3, REQUIRE_CONSENT, vendor]] }), true);
    assert.equal(says({ ...given, restrictions: [[5, NOT_ALLOWED, vendor]] }), true, 'another purpose');
    assert.equal(says({ ...given, restrictions: [[3, NOT_ALLOWED, 33]] }), true, 'another vendor');
    assert.equal(says({ ...given, everywhere: [[1, NOT_ALLOWED]] }), false, 'all vendors');
  });

  it('gives no consent for purpose 1 by purpose one treatment', () => {
    const undisclosed: Choice = { vendors: [vendor], purposes: [3], purposeOneTreatment: true };
    assert.equal(says(undisclosed), false);
    assert.equal(
      tcStringReader({ vendor, purposes: [3] })(tcString(undisclosed)),
      true,
      'purpose 1 is not required',
    );
    assert.equal(says({ ...given, purposeOneTreatment: true }), true, 'the bit of purpose 1 counts');
  });

  it('says the same as the library, whatever the choice', () => {
    const ids = fc.uniqueArray(
      fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 1_400 })),
      {
        maxLength: 60,
      },
    );
    const purpose = fc.integer({ min: 1, max: 11 });
    const type = fc.constantFrom(NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_LI);
    const choices = fc.record({
      vendors: fc.oneof(
        ids,
        ids.map((some) => [...some, vendor]),
      ),
      purposes: fc.uniqueArray(purpose),
      interests: ids,
      restrictions: fc.array(fc.tuple(purpose, type, fc.integer({ min: 28, max: 36 })), { maxLength: 6 }),
    });
    let agreed = 0;
    fc.assert(
      fc.property(choices, fc.uniqueArray(purpose, { maxLength: 3 }), (choice, purposes) => {
        const text = tcString(choice);
        const model = TCString.decode(text);
        const restricted = (one: number): boolean => {
          const by = model.publisherRestrictions.getRestrictions(vendor);
          return by.some(
            ({ purposeId, restrictionType }) => purposeId === one && restrictionType !== REQUIRE_CONSENT,
          );
        };
        const expected =
          model.vendorConsents.has(vendor) &&
          purposes.every((one) => model.purposeConsents.has(one) && !restricted(one));
        assert.equal(tcStringReader({ vendor, purposes })(text), expected, text);
        agreed += Number(expected);
      }),
      // The library's decoder is slow.
      { numRuns: 50 },
    );
    assert.ok(agreed > 0, `${agreed} with consent`);
  });

  it('cannot be read if it is cut off anywhere before the end of the vendors, or no TC string at all', () => {
    const read = tcStringReader(needed);
    const [core] = tcString({ ...given, restrictions: [[3, REQUIRE_CONSENT, vendor]] }).split('.');
    // The encoder fills the last bytes with zeros.
    const end = core!.replace(/A+$/, '').length - 1;
    for (let length = 1; length < end; length++)
      assert.equal(read(core!.slice(0, length)), null, `${length}`);
    assert.equal(read(core!), true);
    for (const text of [
      'C',
      'Chicago',
      'C!',
      `${core}.`,
      `.${core}`,
      `${core}..Y`,
      `B${core!.slice(1)}`,
      `D${core!.slice(1)}`,
    ])
      assert.equal(read(text), null, text);
  });

  it('is read or refused, never an exception, whatever the text', () => {
    const read = tcStringReader(needed);
    const [whole] = tcString(given).split('.');
    const characters = fc.constantFrom(...`${alphabet}.`.split(''));
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 400 }), fc.nat({ max: 60 }), (tail, keep) => {
        const found = read(whole!.slice(0, keep) + tail.join(''));
        assert.ok(found === null || typeof found === 'boolean');
      }),
      { numRuns: 1_000 },
    );
  });

  it('is read in time that grows with its length: ranges are not written out', function () {
    this.timeout(5_000);
    const [header] = tcString({}).split('.');
    const bits = (value: number, count: number): string => value.toString(2).padStart(count, '0');
    // Each restriction names all 65,535 vendors, which the library would insert one by one, in a tree without balance.
    const restriction = bits(2, 6) + bits(1, 2) + bits(1, 12) + '1' + bits(1, 16) + bits(65_535, 16);
    const vendorsOn = bits(0, 16) + '0' + bits(0, 16) + '0' + bits(1_000, 12) + restriction.repeat(1_000);
    // The first 35 characters and the first three bits of the next one are the header.
    const head = header!
      .slice(0, 36)
      .split('')
      .map((character) => bits(alphabet.indexOf(character), 6))
      .join('')
      .slice(0, 213);
    const all = (head + vendorsOn).match(/.{1,6}/g)!;
    const text = all.map((six) => alphabet[Number.parseInt(six.padEnd(6, '0'), 2)]).join('');
    assert.equal(tcStringReader({ vendor, purposes: [] })(text), false);
  });
});

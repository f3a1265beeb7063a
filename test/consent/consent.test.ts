// What values say about consent.
import assert from 'node:assert/strict';
import { consentOf, UnclearConsent } from '../../src/entry/mapping/consent';

const refusing = (): never => assert.fail('no TC string');
const code = (value: unknown): string => {
  const found = consentOf(value, () => null);
  return found instanceof UnclearConsent ? found.code : 'clear';
};

describe('a value for consent', () => {
  it('says yes as flows and databases write it', () => {
    for (const value of [true, 1, 'true', 'TRUE', ' yes ', 'Y', 't', 'on', '1'])
      assert.equal(consentOf(value, refusing), true, String(value));
  });

  it('says no likewise, and where there is none', () => {
    for (const value of [false, 0, 'false', 'No', 'n', 'f', 'off', '0', '', '  ', null, undefined])
      assert.equal(consentOf(value, refusing), false, String(value));
  });

  it('is unclear for everything else', () => {
    for (const value of ['maybe', 2, -1, Number.NaN, {}, [], [true], 1n, 'BOtherVersion'])
      assert.equal(code(value), 'consent_unknown');
    assert.equal(code('Chicago'), 'consent_broken');
  });

  it('is refused unread if it is longer than a TC string', () => {
    assert.equal(code('C'.repeat(16_384)), 'consent_broken');
    const found = consentOf('C'.repeat(1_000_000), refusing);
    assert.deepEqual(found, new UnclearConsent('consent_too_long', { got: 1_000_000, max: 16_384 }));
  });
});

// The schema of a builder's saved properties: refused values, and values from flow files.
import assert from 'node:assert/strict';
import { builderSchema } from '../../nodes/segment-builder/schema';
import { savedRow } from '../support/segment-row';
import { readSaved } from '../../nodes/shared/saved';

const row = { segment: '10001' };
const complete = { userId: 'payload.user', segments: [row] };
const read = (changes: object) => {
  const saved = { ...complete, ...changes };
  return readSaved(builderSchema(saved), saved);
};
const problems = (changes: object): string => {
  const reading = read(changes);
  return reading.ok ? '' : reading.problems.map(({ path, code }) => `${path} ${code}`).join(', ');
};
const withRow = (changes: object): object => ({ segments: [{ ...row, ...changes }] });

describe("the schema of a builder's properties", () => {
  it('uses defaults for missing properties', () => {
    const reading = read({});
    assert.deepEqual(reading.ok ? reading.settings : reading, {
      account: '',
      source: 'message',
      items: '',
      itemsType: 'msg',
      userId: 'payload.user',
      userIdType: 'msg',
      domain: '',
      domainType: 'str',
      allowCustomDomain: false,
      action: 'add',
      actionProperty: '',
      actionType: 'msg',
      segments: [savedRow],
      eventTime: '',
      eventTimeType: 'msg',
      consent: '',
      consentType: 'msg',
      consentVendor: 32,
      consentPurposes: [],
      withoutConsent: 'skip',
      output: 'payload',
      outputType: 'msg',
    });
  });

  it('reads vendor and purposes only with a consent, purposes also as the text of a variable', () => {
    const wrong = { consentVendor: 'x', consentPurposes: [12], withoutConsent: 'ask' };
    assert.equal(problems(wrong), '');
    assert.equal(problems({ ...wrong, consent: 'tc', action: 'remove' }), '');
    const all = 'consentVendor vendor, consentPurposes purpose, withoutConsent choice';
    assert.equal(problems({ ...wrong, consent: 'tc' }), all);
    assert.equal(problems({ ...wrong, source: 'items', consentType: 'item' }), all);
    for (const consentPurposes of ['1, 3', [1, '3', 3]]) {
      const reading = read({ consent: 'tc', consentVendor: '755', consentPurposes });
      assert.ok(reading.ok, JSON.stringify(reading));
      const { consentVendor: vendor, consentPurposes: purposes } = reading.settings;
      assert.deepEqual([vendor, purposes], [755, [1, 3]]);
    }
  });

  it('accepts a node without properties: the message names user and segment', () => {
    const reading = readSaved(builderSchema({}), {});
    assert.ok(reading.ok, JSON.stringify(reading));
    assert.deepEqual(reading.settings.segments, [
      {
        ...savedRow,
        segment: 'payload.segment',
        segmentType: 'msg',
        expiration: '',
        expirationUnit: 'default',
      },
    ]);
  });

  it('leaves out blanks around choices, paths and numbers, and keeps those of a text', () => {
    const segments = [
      { by: 'code ', segment: ' a b ', member: ' 7 ', expiration: 30, expirationUnit: ' days' },
    ];
    const reading = read({
      source: 'items ',
      action: 'property ',
      actionProperty: ' what ',
      segments,
      allowCustomDomain: ' TRUE',
      domain: ' d ',
      domainType: 'msg',
    });
    assert.ok(reading.ok, JSON.stringify(reading));
    const { settings } = reading;
    assert.deepEqual(
      [settings.source, settings.action, settings.actionProperty],
      ['items', 'property', 'what'],
    );
    assert.equal(settings.allowCustomDomain, true);
    assert.partialDeepStrictEqual(settings.segments, [
      {
        by: 'code',
        segment: ' a b ',
        segmentType: 'str',
        member: '7',
        expiration: '30',
        expirationUnit: 'days',
      },
    ]);
  });

  const wrong: (readonly [string, object, string])[] = [
    ['an unknown source', { source: 'both' }, 'source choice'],
    ['no user id', { userId: '' }, 'userId required'],
    ['an unknown type', { userIdType: 'date' }, 'userIdType choice'],
    ['an object as user id', { userId: {} }, 'userId text'],
    ['a field of an item without items', { userIdType: 'item' }, 'userId item'],
    ['a list that is a field of an item', { source: 'items', itemsType: 'item' }, 'items item'],
    ['sha1mac', { domain: 'sha1mac' }, 'domain retired'],
    ['a domain in capitals', { domain: 'IDFA', allowCustomDomain: true }, 'domain domainCase'],
    ['a custom domain that is not allowed', { domain: 'mine' }, 'domain domain'],
    ['a flag that says neither', { allowCustomDomain: 'maybe' }, 'allowCustomDomain flag'],
    ['an unknown action', { action: 'delete' }, 'action choice'],
    ['an action without its property', { action: 'property' }, 'actionProperty required'],
    ['no rows', { segments: [] }, 'segments noSegments'],
    ['rows that are no list', { segments: 'a' }, 'segments noSegments'],
    ['a row that is no object', { segments: [row, 1] }, 'segments[1] row'],
    ['a row without segment', withRow({ segment: '' }), 'segments[0].segment segment'],
    [
      'an id that is no number',
      withRow({ segment: 'abc', segmentType: 'str' }),
      'segments[0].segment segmentId',
    ],
    ['an id beyond the service', withRow({ segment: '2147483648' }), 'segments[0].segment segmentId'],
    ['a code without member', withRow({ by: 'code' }), 'segments[0].member member'],
    ['a value that is no whole number', withRow({ value: '-1.5' }), 'segments[0].value value'],
    ['a value beyond the service', withRow({ value: '-2147483649' }), 'segments[0].value value'],
    ['a time that is a word', withRow({ expiration: 'soon' }), 'segments[0].expiration expiration'],
    ['a time below -1', withRow({ expiration: '-5' }), 'segments[0].expiration expiration'],
    [
      'half a minute',
      withRow({ expiration: '0.5', expirationUnit: 'minutes' }),
      'segments[0].expiration expirationMinutes',
    ],
    ['an eternity', withRow({ expiration: '9999999' }), 'segments[0].expiration expirationLong'],
    ['an unknown unit', withRow({ expirationUnit: 'weeks' }), 'segments[0].expirationUnit choice'],
    [
      'a code of a variable without a value',
      withRow({ by: 'code', segment: '${NOPE}', member: '7' }),
      'segments[0].segment variable_unset',
    ],
    [
      'a value of a variable without a value',
      withRow({ value: '$(NOPE)' }),
      'segments[0].value variable_unset',
    ],
    ['a kind of id of a variable without a value', { domain: '${NOPE}' }, 'domain variable_unset'],
    ['an event time of a variable without a value', { eventTime: '${NOPE}' }, 'eventTime variable_unset'],
    ['an output outside the message', { outputType: 'flow' }, 'outputType choice'],
  ];
  for (const [what, changes, told] of wrong)
    it(`refuses ${what}`, () => assert.equal(problems(changes), told));

  it('takes a negative value, as the service does', () =>
    assert.equal(problems(withRow({ value: '-5' })), ''));

  it('ignores properties without effect, given the others', () => {
    assert.equal(problems({ items: '', itemsType: '${NOPE}', actionProperty: {}, actionType: 'x' }), '');
    assert.equal(problems({ ...withRow({ member: 'x', memberType: '${NOPE}' }) }), '');
    assert.equal(
      problems({ action: 'remove', ...withRow({ value: '${NOPE}', expiration: 'x', expirationUnit: 'y' }) }),
      '',
    );
    assert.equal(problems(withRow({ expirationUnit: 'never', expiration: '${NOPE}' })), '');
  });

  it('reports a configuration that is none', () => {
    assert.equal(readSaved(builderSchema({}), null).ok, false);
  });
});

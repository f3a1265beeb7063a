// The audience sync in the editor: saved properties, refused values, labels.
import assert from 'node:assert/strict';
import { defaults, readSync } from '../../nodes/audience-sync/schema';
import { load } from './bundle';

const accounts = { one: { id: 'one', type: 'xandr-account' } };
const { type, definition, nodeWith, errorsOf } = load('audience-sync', accounts);
const complete = { account: 'one', segment: '10001' };
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the audience sync in the editor', () => {
  it('saves every property of the design with its default, which the runtime has too', () => {
    assert.equal(type, 'xandr-audience-sync');
    const saved = Object.entries(definition.defaults).map(([name, { value }]) => [name, value]);
    assert.deepEqual(plain(Object.fromEntries(saved)), { name: '', segmentName: '', ...defaults });
  });

  it('asks for an account and a segment as it is dragged in, and for nothing else', () => {
    const errors = errorsOf();
    assert.equal(errors.length, 2, errors.join('\n'));
    assert.match(errors[0]!, /^Account: choose one/);
    assert.match(errors[1]!, /^Segment: enter the segment/);
    assert.deepEqual(errorsOf(complete), []);
  });

  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ['a segment that is no ID', { segment: 'kitchen' }, /^Segment: an ID must be a whole number/],
    ['a code without a member', { segmentBy: 'code', segment: 'kitchen' }, /^Member: a code needs/],
    ['a user ID that is emptied', { userId: '', userIdType: 'msg' }, /^User ID: enter a field/],
    ['a path that is none', { userId: 'id..x' }, /^User ID: not a path/],
    ['rows from a row', { rowsType: 'item' }, /^Rows: only the fields of a row/],
    ['a domain outside the list', { domain: 'crm' }, /^ID type: "crm" is not in/],
    ['a value that is no number', { value: '1.5' }, /^Value: it must be a whole number/],
    ['a time that is no number', { expiration: 'x' }, /^Expires after: the time must be a number/],
    ['a time that is not in minutes', { expiration: '0.5', expirationUnit: 'minutes' }, /whole minutes/],
    [
      'the default of the member, which nothing could renew',
      { expirationUnit: 'default' },
      /^Unit: "default"/,
    ],
    ['more than all removals', { maxRemovals: 101 }, /^Most removals: enter a whole number from 0 to 100/],
    ['a renewal at 100 %', { refresh: 100 }, /^Renew at: enter a whole number from 0 to 99/],
    ['a purpose that is none', { consent: 'tc', consentPurposes: [12] }, /^Purposes: "12" is not a purpose/],
    [
      'removals without consent in a mode that removes nobody',
      { mode: 'add', consent: 'tc', withoutConsent: 'remove' },
      /^Without consent: removing works in the mode “mirror” only/,
    ],
    ['no timeout', { runTimeoutMinutes: 0 }, /^Timeout: enter a whole number from 1/],
    [
      'a box that is neither ticked nor not',
      { emptyIsError: 'maybe' },
      /^Empty audience: "maybe" is neither/,
    ],
  ];
  for (const [what, properties, sentence] of wrong) {
    it(`refuses ${what} with one sentence, as the runtime does`, () => {
      const errors = errorsOf({ ...complete, ...properties });
      assert.equal(errors.length, 1, errors.join('\n'));
      assert.match(errors[0]!, sentence);
      if (!what.includes('path')) assert.equal(readSync({ ...complete, ...properties }).ok, false);
    });
  }

  it('takes variables, users without a limit in per cent, and “never”', () => {
    const properties = [
      { segment: '${SEGMENT}', maxRemovals: '${MOST}', preview: '${PREVIEW}' },
      { maxRemovals: 5000, maxRemovalsUnit: 'users' },
      { expirationUnit: 'never', expiration: '' },
      { segmentBy: 'code', segment: 'kitchen', segmentMember: '1661' },
      { userId: '', userIdType: 'item' },
    ];
    for (const each of properties) assert.deepEqual(errorsOf({ ...complete, ...each }), []);
  });

  it('is called by its name, else by its segment', () => {
    const labelOf = (properties: object): string => definition.label.call(nodeWith(properties));
    assert.equal(labelOf({}), 'audience sync');
    assert.equal(labelOf({ segment: '${SEGMENT}' }), 'audience sync');
    assert.equal(labelOf(complete), '10001');
    assert.equal(labelOf({ ...complete, segmentName: 'Kitchen buyers' }), 'Kitchen buyers');
    assert.equal(labelOf({ ...complete, name: 'nightly' }), 'nightly');
  });
});

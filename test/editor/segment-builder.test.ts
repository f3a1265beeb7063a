// The segment builder in the editor: saved properties, refused values, labels, and flow files.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { exampleMessage } from '../../nodes/segment-builder/editor/example-message';
import { builderSchema } from '../../nodes/segment-builder/schema';
import { savedRow } from '../support/segment-row';
import { readSaved } from '../../nodes/shared/saved';
import type { BuilderConfig } from '../../src/entry/mapping/builder-config';
import { load } from './bundle';

const accounts = { one: { id: 'one', type: 'xandr-account' } };
const { type, definition, nodeWith, errorsOf, listeners } = load('segment-builder', accounts);

const row = savedRow;
const complete = { userId: 'payload.user', segments: [row] };
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the segment builder in the editor', () => {
  it('saves every property of the design with its default', () => {
    assert.equal(type, 'xandr-segment-builder');
    const defaults = Object.entries(definition.defaults).map(([name, { value }]) => [name, value]);
    assert.deepEqual(plain(Object.fromEntries(defaults)), {
      name: '',
      account: '',
      source: 'message',
      items: 'payload',
      itemsType: 'msg',
      userId: 'payload.user',
      userIdType: 'msg',
      domain: '',
      domainType: 'str',
      allowCustomDomain: false,
      action: 'add',
      actionProperty: '',
      actionType: 'msg',
      segments: [{ ...row, segment: 'payload.segment', segmentType: 'msg', expirationUnit: 'default' }],
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

  it('is valid as it is dragged in, and asks for a user id and a segment that are emptied', () => {
    assert.deepEqual(errorsOf(), []);
    const errors = errorsOf({ userId: '', segments: [{ ...row, segment: '' }] });
    assert.equal(errors.length, 2, errors.join('\n'));
    assert.match(errors[0]!, /^User ID: enter a property/);
    assert.match(errors[1]!, /^Segment 1: enter the segment/);
  });

  /** One of each kind of sentence; which values are refused: test/nodes/builder-schema.test.ts. */
  const wrong: (readonly [string, object, RegExp])[] = [
    ['a path that is none', { userId: 'payload..user' }, /^User ID: not a path/],
    ['an item without items', { userId: 'user', userIdType: 'item' }, /^User ID: a field of the item exists/],
    ['a domain outside the list', { domain: 'crm' }, /^ID type: "crm" is not in/],
    ['no rows', { segments: [] }, /^Segments: add at least one row/],
    [
      'a code without a member',
      { segments: [row, { ...row, by: 'code', segment: 'abc', segmentType: 'str' }] },
      /^Segment 2: a code needs/,
    ],
    [
      'half a minute',
      { segments: [{ ...row, expiration: '0.5', expirationUnit: 'minutes' }] },
      /^Segment 1: the time must be whole minutes/,
    ],
    [
      'a unit that is none',
      { segments: [{ ...row, expirationUnit: 'weeks' }] },
      /^Segment 1, Unit: "weeks" is not known/,
    ],
  ];
  for (const [what, properties, sentence] of wrong) {
    it(`says a sentence about ${what}`, () => {
      const errors = errorsOf({ ...complete, ...properties });
      assert.equal(errors.length, 1, errors.join('\n'));
      assert.match(errors[0]!, sentence);
    });
  }

  it('does not check values that need the runtime', () => {
    const variable = '${SOMETHING}';
    const rows = [
      { ...row, segment: variable, expiration: variable, value: variable, expirationUnit: variable },
    ];
    const all = { source: variable, userId: variable, domain: variable, action: variable, output: variable };
    assert.deepEqual(errorsOf({ ...complete, ...all, segments: rows }), []);
    assert.deepEqual(errorsOf({ ...complete, userIdType: variable }), []);
  });

  it('does not ask for value and time where users are removed', () => {
    const rows = [{ ...row, value: 'x', expiration: '' }];
    assert.deepEqual(errorsOf({ ...complete, action: 'remove', segments: rows }), []);
  });

  it('accepts silently nothing that the runtime refuses', () => {
    const texts = fc.constantFrom(
      '',
      'payload.user',
      'a b',
      '10001',
      '-1',
      '1.5',
      'abc',
      'IDFA',
      'sha1mac',
      'idfa',
    );
    const types = fc.constantFrom('msg', 'flow', 'str', 'num', 'env', 'jsonata', 'item', 'bin', '');
    const loose = <T>(known: T[]): fc.Arbitrary<T | string | number | null> =>
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...known) }, fc.constantFrom('other', 7, null));
    const rows = fc.record({
      by: loose(['id', 'code']),
      segment: texts,
      segmentType: types,
      name: fc.constant(''),
      member: texts,
      memberType: types,
      value: texts,
      valueType: types,
      expiration: texts,
      expirationType: types,
      expirationUnit: loose(['minutes', 'hours', 'days', 'never', 'default']),
    });
    const configs = fc.record({
      source: loose(['message', 'items']),
      items: texts,
      itemsType: types,
      userId: texts,
      userIdType: types,
      domain: texts,
      domainType: types,
      allowCustomDomain: loose([true, false]),
      action: loose(['add', 'remove', 'property']),
      actionProperty: texts,
      actionType: types,
      segments: fc.oneof(
        { weight: 9, arbitrary: fc.array(rows, { maxLength: 3 }) },
        fc.constantFrom(null, 'x'),
      ),
      eventTime: texts,
      eventTimeType: types,
      consent: texts,
      consentType: types,
      consentVendor: loose([32, '32', '0', 'x']),
      consentPurposes: fc.constantFrom([], [1, 3], ['1'], [0], 'x', '1, 3', null),
      withoutConsent: loose(['skip', 'remove']),
    });
    let refused = 0;
    fc.assert(
      fc.property(configs, (config) => {
        if (readSaved(builderSchema(config), config).ok) return;
        refused += 1;
        assert.ok(errorsOf(config).length > 0);
      }),
      { numRuns: 500 },
    );
    assert.ok(refused > 100, `${refused} of 500`);
  });

  it('describes the node on the canvas', () => {
    const label = (properties: object): string => definition.label.call(nodeWith(properties));
    const rows = (...changes: object[]): object[] => changes.map((change) => ({ ...row, ...change }));
    assert.equal(label({ segments: rows({ segment: '' }) }), definition.paletteLabel);
    assert.equal(label({ segments: rows({}) }), '10001 · 30 d');
    assert.equal(label({ segments: rows({ name: 'kitchen viewers' }) }), 'kitchen viewers · 30 d');
    assert.equal(label({ segments: rows({ name: 'buyers' }), action: 'remove' }), 'remove: buyers');
    assert.equal(label({ segments: rows({}), action: 'property' }), 'add or remove: 10001');
    assert.equal(label({ segments: rows({ expirationUnit: 'never' }) }), '10001 · forever');
    assert.equal(label({ segments: rows({ expirationUnit: 'default' }) }), '10001');
    assert.equal(label({ segments: rows({}, {}, {}) }), '10001 · 30 d +2');
    const byMessage = { segment: 'payload.list', segmentType: 'msg' };
    assert.equal(label({ segments: rows({}, byMessage) }), 'segment builder');
    assert.equal(label({ segments: rows({ name: 'x'.repeat(80) }) }).length, 36 + ' · 30 d'.length);
    assert.equal(label({ segments: rows({}), name: 'mine' }), 'mine');
    assert.equal(label({ segments: 'nonsense' }), 'segment builder');
  });

  it('names its two outputs', () => {
    assert.deepEqual(
      [0, 1].map((index) => definition.outputLabels!.call(nodeWith(), index)),
      ['built', 'invalid'],
    );
  });

  it('uses the only account when it is dragged in, and leaves imported nodes alone', () => {
    const dragged: Record<string, unknown> = { ...nodeWith(), id: 'new' };
    definition.onadd!.call(dragged);
    assert.equal(dragged.account, 'one');
    const imported: Record<string, unknown> = { ...nodeWith(), id: 'one' };
    definition.onadd!.call(imported);
    assert.equal(imported.account, '');
  });

  it('completes a node of a flow file as it is loaded, and leaves other nodes alone', () => {
    const added = listeners.get('nodes:add')!;
    const old = { type, id: 'n', userId: 'payload.user', segments: [{ segment: 10001 }] };
    added(old);
    assert.deepEqual(plain(old), {
      ...(plain({ ...nodeWith(), _: undefined }) as object),
      type,
      id: 'n',
      userId: 'payload.user',
      segments: [{ segment: 10001 }],
    });
    assert.deepEqual(errorsOf(old), []);
    assert.equal(definition.label.call(nodeWith(old)), '10001 · 30 d');
    const other = { type: 'inject', id: 'i' };
    added(other);
    assert.deepEqual(other, { type: 'inject', id: 'i' });
  });
});

describe('the example message of the preview', () => {
  const set = (message: any, path: string, value: unknown): void => {
    const parts = path.split('.');
    const last = parts.pop()!;
    let at = message;
    for (const part of parts) at = at[part] ??= {};
    at[last] = value;
  };
  const example = (changes: object): unknown =>
    exampleMessage(
      { ...nodeWith(complete), ...changes } as unknown as BuilderConfig,
      '2026-01-31T12:00:00Z',
      set,
    );

  it('has the properties that the form reads, of the right type', () => {
    assert.deepEqual(example({}), { payload: { user: '12345678900987654321' } });
    assert.deepEqual(example({ domain: 'idfa', eventTime: 'payload.at' }), {
      payload: { user: '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13', at: '2026-01-31T12:00:00Z' },
    });
    const decided = {
      action: 'property',
      actionProperty: 'payload.event',
      domain: 'payload.kind',
      domainType: 'msg',
    };
    assert.deepEqual(example(decided), {
      payload: { user: '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13', event: 'add', kind: 'idfa' },
    });
  });

  it('is a list of one where the node makes an entry of each item', () => {
    const items = { source: 'items', items: 'payload.rows', userId: 'id', userIdType: 'item' };
    assert.deepEqual(example(items), { payload: { rows: [{ id: '12345678900987654321' }] } });
    const itself = { source: 'items', items: 'payload', userId: '', userIdType: 'item' };
    assert.deepEqual(example(itself), { payload: ['12345678900987654321'] });
  });
});

// Core of the segment builder without Node-RED: entries from messages and items, and issues.
import assert from 'node:assert/strict';
import { savedRow as row } from '../support/segment-row';
import fc from 'fast-check';
import { compileBuilder, type Builder, type BuildResult } from '../../src/entry/mapping/build';
import type { BuilderConfig, SegmentRow } from '../../src/entry/mapping/builder-config';
import { checkEntry } from '../../src/entry/check';
import { sentence } from '../../src/entry/issues';
import { compilePath } from '../../src/entry/mapping/property-path';
import { Later, type ResolveProperty } from '../../src/entry/mapping/typed-inputs';

/** Replaces Node-RED's evaluation: dotted paths, constants, and `jsonata` as an asynchronous path. */
const resolve: ResolveProperty = (value, type) => {
  if (value === 'bad[') throw new Error('unterminated path');
  const read = compilePath(value === '' ? [] : value.split('.'));
  if (type === 'msg') return ({ message }) => read(message, message);
  if (type === 'item') return ({ item }) => read(item, item);
  if (type === 'jsonata') {
    return ({ message, item }) =>
      new Later(
        new Promise((done, fail) => {
          setImmediate(() => {
            if (value === 'fails') fail(new Error('no such function'));
            else done(read({ ...message, item }, message));
          });
        }),
      );
  }
  return () => (type === 'num' ? Number(value) : value);
};

/** One with consent is `Cyes`. */
const readTcString = (text: string): boolean | null => (text === 'Cbroken' ? null : text === 'Cyes');

const config: BuilderConfig = {
  source: 'message',
  items: 'payload',
  itemsType: 'msg',
  userId: 'user',
  userIdType: 'msg',
  domain: '',
  domainType: 'str',
  allowCustomDomain: false,
  action: 'add',
  actionProperty: 'event',
  actionType: 'msg',
  segments: [row],
  eventTime: '',
  eventTimeType: 'msg',
  consent: '',
  consentType: 'msg',
  consentVendor: 32,
  consentPurposes: [],
  withoutConsent: 'skip',
};

function builder(changes: Partial<BuilderConfig> = {}): Builder {
  const result = compileBuilder({ ...config, ...changes }, resolve, readTcString);
  assert.ok(result.ok, JSON.stringify(result));
  return result.builder;
}

function built(changes: Partial<BuilderConfig>, message: Record<string, unknown>): unknown {
  return entriesOf(builder(changes).build(message) as BuildResult)[0];
}

function entriesOf(result: BuildResult): unknown[] {
  assert.ok(result.kind === 'items', JSON.stringify(result));
  return result.items.map((item) => (item.ok ? item.entry : item.issues.map(sentence).join('; ')));
}

const withRow = (changes: Partial<SegmentRow>): Partial<BuilderConfig> => ({
  segments: [{ ...row, ...changes }],
});

describe('the builder', () => {
  it('makes an entry from a message', () => {
    assert.deepEqual(built({}, { user: '7' }), {
      user_id: '7',
      seg_block: [{ seg_id: 10001, expiration: 43200 }],
    });
  });

  it('makes a block for each row, by id and by code', () => {
    const rows: SegmentRow[] = [
      { ...row, value: '5', expirationUnit: 'never' },
      {
        ...row,
        by: 'code',
        segment: 'kitchen',
        segmentType: 'str',
        member: '1661',
        expirationUnit: 'default',
      },
    ];
    assert.deepEqual(
      built({ segments: rows, domain: 'idfa' }, { user: '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13' }),
      {
        user_id: '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13',
        domain: 'idfa',
        seg_block: [
          { seg_id: 10001, value: 5, expiration: 0 },
          { seg_code: 'kitchen', member_id: 1661 },
        ],
      },
    );
  });

  it('converts hours and days to whole minutes, also from fractions', () => {
    const minutes = (expiration: string, expirationUnit: SegmentRow['expirationUnit']): unknown =>
      (built(withRow({ expiration, expirationUnit }), { user: '7' }) as any).seg_block[0].expiration;
    assert.equal(minutes('90', 'minutes'), 90);
    assert.equal(minutes('1.5', 'hours'), 90);
    assert.equal(minutes('1.1', 'hours'), 66);
    assert.equal(minutes('2', 'days'), 2880);
    assert.equal(minutes('-1', 'days'), -1);
    assert.equal(minutes('0', 'days'), 0);
  });

  it('refuses an expiration that is not a whole number of minutes', () => {
    assert.match(
      built(withRow({ expiration: '0.001', expirationUnit: 'hours' }), { user: '7' }) as string,
      /0\.06/,
    );
  });

  it('makes a block for each element when the segment is an array', () => {
    const changes = withRow({ segment: 'list', segmentType: 'msg', value: '2' });
    assert.deepEqual((built(changes, { user: '7', list: [1, '2'] }) as any).seg_block, [
      { seg_id: 1, value: 2, expiration: 43200 },
      { seg_id: 2, value: 2, expiration: 43200 },
    ]);
  });

  it('accepts numbers as text, which databases and MQTT supply', () => {
    const changes = withRow({
      segment: 's',
      segmentType: 'msg',
      value: 'v',
      valueType: 'msg',
      expiration: 'e',
      expirationType: 'msg',
      expirationUnit: 'minutes',
    });
    assert.deepEqual((built(changes, { user: '7', s: '5', v: '6', e: ' 7 ' }) as any).seg_block, [
      { seg_id: 5, value: 6, expiration: 7 },
    ]);
    const byCode = withRow({ by: 'code', segment: 's', segmentType: 'msg', member: 'm', memberType: 'msg' });
    assert.deepEqual((built(byCode, { user: '7', s: 12, m: '1661' }) as any).seg_block, [
      { seg_code: '12', member_id: 1661, expiration: 43200 },
    ]);
  });

  it('removes from all rows, ignoring their values and expirations', () => {
    const rows = [
      { ...row, value: 'missing', valueType: 'msg' },
      { ...row, segment: '2' },
    ];
    assert.deepEqual((built({ action: 'remove', segments: rows }, { user: '7' }) as any).seg_block, [
      { seg_id: 10001, expiration: -1 },
      { seg_id: 2, expiration: -1 },
    ]);
  });

  it('adds or removes by a property', () => {
    const expiration = (event: unknown): unknown =>
      (built({ action: 'property' }, { user: '7', event }) as any).seg_block[0].expiration;
    for (const add of ['add', ' ADD ', true, 'true', 'True', 1, 2, '1'])
      assert.equal(expiration(add), 43200, String(add));
    for (const remove of ['remove', 'REMOVE', false, 'false', 0, '0'])
      assert.equal(expiration(remove), -1, String(remove));
  });

  it('neither adds nor removes for any other value of the property', () => {
    for (const event of [undefined, null, '', 'removed', 'yes', {}, NaN]) {
      assert.match(
        built({ action: 'property' }, { user: '7', event }) as string,
        /^actionProperty: msg\.event/,
      );
    }
  });

  it('reports a missing property instead of leaving the key out', () => {
    const text = built(
      { domain: 'payload.kind', domainType: 'msg', ...withRow({ value: 'v', valueType: 'msg' }) },
      { user: '7' },
    );
    assert.match(text as string, /domain: msg\.payload\.kind has no value/);
    assert.match(text as string, /segments\[0\]\.value: msg\.v has no value/);
    assert.match(built({}, {}) as string, /userId: msg\.user has no value/);
  });

  it('tells a missing property from a payload that nothing has parsed', () => {
    const inside = { userId: 'payload.user', userIdType: 'msg' };
    const domain = { domain: 'payload.kind', domainType: 'msg' };
    const told = built({ ...inside, ...domain }, { payload: '{"user":"7"}' }) as string;
    assert.deepEqual(told.match(/msg\.payload is text/g)?.length, 1, told);
    assert.doesNotMatch(told, /userId: user_id/);
    assert.match(built(inside, { payload: {} }) as string, /^userId: msg\.payload\.user has no value/);
  });

  it('leaves out a key whose property is null', () => {
    const changes = {
      domain: 'kind',
      domainType: 'msg',
      eventTime: 'at',
      ...withRow({ value: 'v', valueType: 'msg', expiration: 'e', expirationType: 'msg' }),
    };
    assert.deepEqual(built(changes, { user: '7', kind: null, at: null, v: null, e: null }), {
      user_id: '7',
      seg_block: [{ seg_id: 10001 }],
    });
  });

  it('sets the event time of the entry, in milliseconds', () => {
    const at = Date.UTC(2026, 0, 31);
    for (const value of [at, String(at), '2026-01-31T00:00:00Z', new Date(at)]) {
      assert.equal((built({ eventTime: 'at' }, { user: '7', at: value }) as any).event_time, at);
    }
    assert.match(
      built({ eventTime: 'at' }, { user: '7', at: 'noon' }) as string,
      /event_time "noon" is not a valid time/,
    );
  });

  it('marks an allowed custom domain, and refuses any other', () => {
    const changes = { domain: 'kind', domainType: 'msg' };
    const message = { user: 'abc', kind: 'mine' };
    assert.match(built(changes, message) as string, /domain "mine" is not one of/);
    const entry = built({ ...changes, allowCustomDomain: true }, message) as any;
    assert.equal(entry.custom_domain, true);
    assert.ok(checkEntry(entry).ok);
    const listed = built(
      { ...changes, allowCustomDomain: true },
      { user: 'a'.repeat(40), kind: 'openudid' },
    ) as any;
    assert.ok(!('custom_domain' in listed));
  });

  it('makes an entry from each item, in order, and continues after a bad one', () => {
    const changes: Partial<BuilderConfig> = { source: 'items', userId: 'id', userIdType: 'item' };
    const result = builder(changes).build({ payload: [{ id: '1' }, { id: 0 }, { id: 3 }] }) as BuildResult;
    const [first, second, third] = entriesOf(result) as any[];
    assert.equal(first.user_id, '1');
    assert.match(second, /user_id is 0/);
    assert.equal(third.user_id, '3');
  });

  it('accepts an element itself as user id', () => {
    const changes: Partial<BuilderConfig> = { source: 'items', userId: '', userIdType: 'item' };
    const result = builder(changes).build({ payload: ['1', '2'] }) as BuildResult;
    assert.deepEqual(
      entriesOf(result).map((entry: any) => entry.user_id),
      ['1', '2'],
    );
  });

  it('refuses a message whose items are not an array', () => {
    const result = builder({ source: 'items' }).build({ payload: { rows: [] } }) as BuildResult;
    assert.ok(result.kind === 'refused');
    assert.match(sentence(result.issue), /msg\.payload is object; expected an array of items/);
  });

  it('waits for asynchronous inputs, and builds items in order', async () => {
    const changes: Partial<BuilderConfig> = { source: 'items', userId: 'item.id', userIdType: 'jsonata' };
    const result = builder(changes).build({ payload: [{ id: '1' }, { id: '2' }] });
    assert.ok(result instanceof Promise);
    assert.deepEqual(
      entriesOf(await result).map((entry: any) => entry.user_id),
      ['1', '2'],
    );
  });

  it('names the input that failed', async () => {
    const result = await builder({ userId: 'fails', userIdType: 'jsonata' }).build({});
    assert.match(entriesOf(result)[0] as string, /userId: fails could not be evaluated: no such function/);
  });

  it('builds no entry that the out node would refuse', () => {
    const make = builder({
      domain: 'domain',
      domainType: 'msg',
      eventTime: 'at',
      ...withRow({
        segment: 's',
        segmentType: 'msg',
        value: 'v',
        valueType: 'msg',
        expiration: 'e',
        expirationType: 'msg',
      }),
    });
    const value = fc.oneof(
      fc.anything(),
      fc.integer(),
      fc.string(),
      fc.constantFrom(null, '5', 'idfa', '', -1),
    );
    fc.assert(
      fc.property(
        fc.record({ user: value, domain: value, at: value, s: value, v: value, e: value }),
        (message) => {
          const result = make.build(message) as BuildResult;
          assert.ok(result.kind === 'items');
          for (const item of result.items) {
            if (item.ok) assert.ok(checkEntry(item.entry).ok);
            else assert.ok(item.issues.length > 0);
          }
        },
      ),
    );
  });
});

describe('compileBuilder', () => {
  it('names the path that cannot be compiled', () => {
    const result = compileBuilder({ ...config, userId: 'bad[' }, resolve, readTcString);
    assert.ok(!result.ok);
    assert.deepEqual(result.issues.map(sentence), ['userId cannot be used: unterminated path']);
  });
});

describe('consent in a builder', () => {
  const add = withRow({ segment: '1' });
  const removal = { ...row, segment: '2', expiration: '-1' };
  const asked = { ...add, consent: 'consent', consentType: 'msg' } as const;
  const code = (changes: Partial<BuilderConfig>, message: Record<string, unknown>): string => {
    const result = builder({ ...asked, ...changes }).build({ user: '7', ...message });
    assert.ok(!(result instanceof Promise) && result.kind === 'items');
    const [item] = result.items;
    return item!.ok ? 'built' : item!.issues.map((issue) => issue.code).join(' ');
  };

  it('is not asked for without the setting', () => {
    assert.equal(code({ consent: '' }, {}), 'built');
  });

  it('lets an add through, and makes no entry without it', () => {
    for (const consent of [true, 'yes', 'Cyes']) assert.equal(code({}, { consent }), 'built');
    for (const consent of [false, 'no', null, undefined, 'Cno'])
      assert.equal(code({}, { consent }), 'no_consent');
  });

  it('removes instead of an add without it, if that is wanted', () => {
    const changes = { ...asked, ...withRow({ segment: '1', value: '5' }), withoutConsent: 'remove' } as const;
    assert.deepEqual(built(changes, { user: '7' }), {
      user_id: '7',
      seg_block: [{ seg_id: 1, expiration: -1 }],
    });
    assert.deepEqual(built(changes, { user: '7', consent: true }), {
      user_id: '7',
      seg_block: [{ seg_id: 1, value: 5, expiration: 43200 }],
    });
    // A value that only an add needs is not asked for.
    assert.equal(
      code({ ...withRow({ value: 'level', valueType: 'msg' }), withoutConsent: 'remove' }, {}),
      'built',
    );
  });

  it('is not needed by removals, and nothing is wrong with theirs', () => {
    for (const consent of [undefined, false, 'maybe', 'Cbroken']) {
      assert.equal(code({ action: 'remove' }, { consent }), 'built');
      assert.equal(code({ action: 'property' }, { consent, event: 'remove' }), 'built');
      assert.equal(code({ segments: [removal] }, { consent }), 'built');
    }
    assert.deepEqual(built({ ...asked, segments: [row, removal] }, { user: '7' }), {
      user_id: '7',
      seg_block: [{ seg_id: 2, expiration: -1 }],
    });
  });

  it('makes an add invalid if it is unclear, whatever happens without consent', () => {
    for (const withoutConsent of ['skip', 'remove'] as const) {
      assert.equal(code({ withoutConsent }, { consent: 'maybe' }), 'consent_unknown');
      assert.equal(code({ withoutConsent }, { consent: 'Cbroken' }), 'consent_broken');
      assert.equal(code({ withoutConsent }, { consent: 'C'.repeat(1_000_000) }), 'consent_too_long');
    }
  });

  it('tells a payload that is text, instead of no consent', () => {
    assert.equal(code({ consent: 'payload.consent' }, { payload: '{"consent":true}' }), 'payload_is_text');
  });

  it('is of each item, also when it comes late', async () => {
    const items = [
      { id: '1', tc: 'Cyes' },
      { id: '2', tc: 'Cno' },
      { id: '3', tc: 'Cbroken' },
    ];
    const changes = { ...asked, source: 'items', userId: 'id', userIdType: 'item' } as const;
    for (const from of [
      { consent: 'tc', consentType: 'item' },
      { consent: 'item.tc', consentType: 'jsonata' },
    ]) {
      const result = await builder({ ...changes, ...from }).build({ payload: items });
      assert.ok(result.kind === 'items');
      assert.deepEqual(
        result.items.map((item) => (item.ok ? item.entry.user_id : item.issues[0]!.code)),
        ['1', 'no_consent', 'consent_broken'],
      );
    }
  });

  it('waits for a TC string that is read elsewhere', async () => {
    const later = (text: string): Later => new Later(Promise.resolve(readTcString(text)));
    const compiled = compileBuilder({ ...config, ...asked }, resolve, later);
    assert.ok(compiled.ok);
    for (const [consent, expected] of [
      ['Cyes', true],
      ['Cno', false],
    ] as const) {
      const result = await compiled.builder.build({ user: '7', consent });
      assert.equal(result.kind === 'items' && result.items[0]!.ok, expected);
    }
  });
});

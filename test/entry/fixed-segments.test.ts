// fixedSegments: the constant segments of a builder.
import assert from 'node:assert/strict';
import { fixedSegments } from '../../src/entry/mapping/fixed-segments';

const row = (changes: object): object => ({
  by: 'id',
  segment: '12',
  segmentType: 'num',
  member: '',
  memberType: 'num',
  ...changes,
});

describe('the fixed segments of a builder', () => {
  it('are the constants in its rows, with the keys of their blocks', () => {
    const segments = [
      row({}),
      row({ segment: 13 }),
      row({ by: 'code', segment: 'Own', segmentType: 'str', member: '7' }),
    ];
    assert.deepEqual(fixedSegments({ action: 'property', segments }), [
      { by: 'id', id: 12, key: 'i12', adds: true },
      { by: 'id', id: 13, key: 'i13', adds: true },
      { by: 'code', code: 'Own', member: 7, key: 'c7:own', adds: true },
    ]);
    assert.deepEqual(fixedSegments({ action: 'remove', segments: [row({})] }), [
      { by: 'id', id: 12, key: 'i12', adds: false },
    ]);
  });

  it('exclude values of messages, contexts and the environment, and invalid segments', () => {
    const segments = [
      row({ segmentType: 'msg' }),
      row({ segmentType: 'jsonata' }),
      row({ segmentType: 'env' }),
      row({ segment: '${SEGMENT}' }),
      row({ segment: '' }),
      row({ segment: 'twelve' }),
      row({ segment: '0' }),
      row({ by: 'code', segment: 'x', segmentType: 'str', member: 'payload.member', memberType: 'msg' }),
      row({ by: 'code', segment: 'x', segmentType: 'str' }),
      row({ by: 'name' }),
      null,
      'row',
    ];
    assert.deepEqual(fixedSegments({ segments }), []);
    for (const config of [undefined, null, {}, { segments: 'none' }])
      assert.deepEqual(fixedSegments(config), []);
  });
});

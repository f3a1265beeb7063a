// readEntries: the accepted forms of a payload, and a sentence for each other form.
import assert from 'node:assert/strict';
import { sentence } from '../../src/entry/issues';
import { readEntries } from '../../src/entry/read-input';

const entry = { user_id: '7', seg_block: [{ seg_id: 1 }] };

describe('readEntries', () => {
  it('reads one entry, an array, and the service’s own form', () => {
    for (const payload of [
      entry,
      [entry],
      { rt_segment: [entry] },
      { rt_segment: [entry], domain: 'domain' },
    ]) {
      assert.deepEqual(readEntries(payload), { ok: true, entries: [entry] });
    }
  });

  it('returns bad elements unchecked', () => {
    assert.deepEqual(readEntries([entry, 5]), { ok: true, entries: [entry, 5] });
  });

  const bad: (readonly [string, unknown, string, RegExp])[] = [
    ['undefined', undefined, 'input_missing', /msg\.payload does not exist/],
    ['null', null, 'input_null', /msg\.payload is null/],
    ['JSON text', ' {"user_id":"7"}\n', 'input_json_text', /JSON node/],
    ['JSON text of an array', '[1]', 'input_json_text', /JSON node/],
    ['another text', 'hello', 'input_text', /the text "hello"/],
    ['a number', 5, 'input_number', /the number 5/],
    ['a boolean', true, 'input_boolean', /is true/],
    ['a Buffer', Buffer.from('{}'), 'input_buffer', /Buffer of 2 bytes/],
    ['a function', () => 1, 'input_other', /is function/],
    ['an empty array', [], 'input_empty', /empty array/],
    [
      'rt_segment without an array',
      { rt_segment: entry },
      'rt_segment_type',
      /msg\.payload\.rt_segment is object/,
    ],
    ['an empty rt_segment', { rt_segment: [] }, 'rt_segment_empty', /rt_segment is an empty array/],
    [
      'rt_segment beside an entry',
      { rt_segment: [entry], ...entry },
      'rt_segment_mixed',
      /both rt_segment and user_id/,
    ],
  ];
  for (const [what, payload, code, words] of bad) {
    it(`has its own sentence for ${what}`, () => {
      const result = readEntries(payload);
      assert.ok(!result.ok);
      assert.equal(result.issue.code, code);
      assert.match(sentence(result.issue), words);
    });
  }
});

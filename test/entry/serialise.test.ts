// Entries as text in the queue.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { blockText, bodyChars, entryBody, queuedBody } from '../../src/entry/serialise';
import { checkEntry } from '../../src/entry/check';
import { isBodyOf, parseBody } from '../../src/entry/read-body';
import { entry } from './arbitraries';

describe('parseBody', () => {
  it('reads back a body of queuedBody, except for the event time', () => {
    fc.assert(
      fc.property(
        entry,
        fc.option(fc.integer({ min: 1e12, max: 2e12 })),
        fc.boolean(),
        fc.constantFrom({}, { newer: { field: ['ü'] } }),
        (input, event_time, ages, unknown) => {
          const seg_block = input.seg_block.map((block) => ({ ...block, ...unknown }));
          const options = { ages, allowUnknownFields: true };
          const result = checkEntry({ ...input, ...unknown, event_time, seg_block }, options);
          assert.ok(result.ok);
          const body = queuedBody(result.entry);
          assert.deepEqual(parseBody(body), { ...result.entry, eventTimeMs: null });
          assert.equal(bodyChars(result.entry), body.length);
          assert.deepEqual(
            Object.keys(JSON.parse(entryBody(result.entry))).includes('newer'),
            'newer' in unknown,
          );
        },
      ),
    );
  });

  it('throws a sentence for a damaged body', () => {
    assert.throws(() => parseBody('{"user_id":"7","seg_'), /damaged: it is not JSON/);
    assert.throws(() => parseBody('{"user_id":"7"}'), /damaged: seg_block is missing/);
    assert.throws(() => parseBody('null'), /damaged: This is null/);
  });
});

describe('isBodyOf', () => {
  it('recognises a body by its user key, and assigns a damaged body to no user', () => {
    const body = '{"user_id":"7","seg_block":[{"seg_id":5}]}';
    const key = parseBody(body).userKey;
    assert.equal(isBodyOf(['another', key], body), true);
    assert.equal(isBodyOf(['another'], body), false);
    assert.equal(isBodyOf([key, ''], body.slice(1)), false);
  });
});

describe('blockText', () => {
  it('writes a block with another expiration, or none', () => {
    const result = checkEntry({ user_id: '7', seg_block: [{ seg_id: 5, value: 2, expiration: 60 }] });
    assert.ok(result.ok);
    const [block] = result.entry.blocks;
    assert.equal(block!.text, '{"seg_id":5,"value":2,"expiration":60}');
    assert.equal(blockText(block!.head, 59), '{"seg_id":5,"value":2,"expiration":59}');
    assert.equal(blockText(block!.head, null), '{"seg_id":5,"value":2}');
  });
});

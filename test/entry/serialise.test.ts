// Entries as text in the queue.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { blockText, bodyChars, queuedBody } from '../../src/entry/serialise';
import type { CheckedEntry } from '../../src/entry/entry';
import { checkEntry } from '../../src/entry/check';
import { isBodyOf, parseBody, readBody } from '../../src/entry/read-body';
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
          assert.deepEqual({ ...parseBody(body) }, { ...result.entry, eventTimeMs: null });
          assert.equal(bodyChars(result.entry), body.length);
          assert.deepEqual(Object.keys(JSON.parse(result.entry.body)).includes('newer'), 'newer' in unknown);
        },
      ),
    );
  });

  it('reads any damaged body as a full check does, although it checks known blocks only once', () => {
    const checked = (body: string): CheckedEntry | null => {
      try {
        const result = checkEntry(JSON.parse(body), { allowCustomDomain: true, allowUnknownFields: true });
        return result.ok ? result.entry : null;
      } catch {
        return null;
      }
    };
    const block = '{"seg_id":5,"value":1,"expiration":60}';
    const code = '{"seg_code":"a},{\\"b","member_id":7}';
    const bodies = [
      `{"user_id":"77","seg_block":[${block}]}`,
      `{"user_id":"77","domain":"my-ids","seg_block":[${block},{"seg_id":6}]}`,
      `{"user_id":"ü","seg_block":[${code},${block}]}`,
      `{"user_id":"1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13","domain":"idfa","seg_block":[${code}]}`,
    ];
    for (const body of bodies) assert.deepEqual(readBody(body), checked(body));
    const damages = [
      '',
      '"',
      '\\',
      '\\n',
      '0',
      '-',
      '},{"',
      ',',
      '{',
      '}',
      ']}',
      'ü',
      ' ',
      ',"value":2',
      block,
    ];
    for (const body of bodies)
      for (let at = 0; at <= body.length; at++)
        for (const damage of damages)
          for (const length of [0, 1]) {
            const damaged = body.slice(0, at) + damage + body.slice(at + length);
            assert.deepEqual(readBody(damaged), checked(damaged), damaged);
          }
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

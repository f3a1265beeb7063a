// normaliseReply: one spelling for replies with the same meaning.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { normaliseReply } from '../../src/service/normalise';

describe('normalising a reply', () => {
  it('turns the three documented shapes into one', () => {
    const counts = { users_in_request: 1, segments_in_request: 2 };
    const shapes = [
      { response: { status: 'OK', message: counts, warnings: [] } },
      { status: 'OK', message: counts, warnings: [] },
      { response: { status: 'OK', ...counts } },
      { response: { status: 'OK', ...counts, warnings: null } },
    ];
    for (const shape of shapes)
      assert.deepEqual(normaliseReply(shape), { status: 'OK', ...counts, warnings: [] });
  });

  it('drops null keys and null domains at any depth, and the domain beside rt_segment only', () => {
    const entity = (domain: string | null) => ({
      rt_segment: [{ user_id: '1', domain: 'idfa', seg_block: [{ seg_id: 1, seg_code: null }] }],
      domain,
    });
    const reply = (domain: string | null) => ({
      status: 'OK',
      warnings: [{ message: 'x', entity: entity(domain) }],
    });
    const clean = {
      status: 'OK',
      warnings: [
        {
          message: 'x',
          entity: { rt_segment: [{ user_id: '1', domain: 'idfa', seg_block: [{ seg_id: 1 }] }] },
        },
      ],
    };
    assert.deepEqual(normaliseReply(reply('domain')), clean);
    assert.deepEqual(normaliseReply(reply(null)), clean);
  });

  it('adds no warnings to a refusal, and leaves a message that is text alone', () => {
    assert.deepEqual(normaliseReply({ response: { error_id: 'NOAUTH', error: 'x' } }), {
      error_id: 'NOAUTH',
      error: 'x',
    });
    assert.deepEqual(normaliseReply({ status: 'OK', message: 'hello' }), {
      status: 'OK',
      message: 'hello',
      warnings: [],
    });
  });

  it('is idempotent, and sets no prototype', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        const once = normaliseReply({ status: 'OK', entity: json });
        assert.deepEqual(normaliseReply(once), once);
      }),
    );
    const evil = JSON.parse('{"status":"OK","__proto__":{"polluted":1}}');
    assert.equal((normaliseReply(evil) as { polluted?: number }).polluted, undefined);
    assert.equal(normaliseReply('text'), 'text');
  });
});

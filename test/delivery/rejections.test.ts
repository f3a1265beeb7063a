// Rejections for an operator: the last rejected entries, and none of a user who was erased.
import { strict as assert } from 'node:assert';
import { checkEntry } from '../../src/entry/check';
import { sentence } from '../../src/entry/issues';
import { mentions, Rejections } from '../../src/delivery/respond/rejections';
import { safeWords } from '../../src/service/reply/quote';

describe('rejected entries', () => {
  it('are forgotten with their user, however the id is written in them', () => {
    for (const id of ['7', 'a"b\\c', 'a\u202eb', 'x\ny', `${'long-'.repeat(30)}9`, 'a.b+c']) {
      const rejections = new Rejections();
      const entry = { user_id: id, domain: 'idfa', seg_block: [{ seg_id: 1 }] };
      const checked = checkEntry(entry);
      const message = checked.ok ? '' : checked.issues.map(sentence).join('; ');
      const said = safeWords(`No valid segments for user_id: ${id}.`);
      rejections.addInvalid(0, 'node', [
        { code: 'unknown', message, entry: 5 },
        { code: 'unknown', message: 'no reason', entry },
        { code: 'unknown', message: said, entry: 5 },
        { code: 'unknown', message: 'about somebody else', entry: { ...entry, user_id: `${id}8` } },
      ]);
      rejections.forget([], id);
      assert.deepEqual(
        rejections.last().map((one) => one.message),
        ['about somebody else'],
        id,
      );
    }
  });

  it('of another user whose id contains this one stay', () => {
    const named = mentions('12');
    assert.deepEqual(['user 12.', '"12"', 'user 123', '0-12-7'].map(named), [true, true, false, false]);
    assert.ok(!mentions('\u0001')('about somebody else'));
  });

  it('are kept up to a thousand, the newest ones', () => {
    const rejections = new Rejections();
    for (let from = 0; from < 3; from += 1) {
      const entries = Array.from({ length: 700 }, (_, at) => ({
        code: 'x',
        message: '',
        entry: from * 700 + at,
      }));
      rejections.addInvalid(0, 'node', entries);
    }
    const kept = rejections.last().map(({ entry }) => entry);
    assert.deepEqual([kept.length, kept[0], kept.at(-1)], [1_000, 1_100, 2_099]);
    assert.deepEqual([rejections.size, rejections.byCode().x], [1_000, 2_100]);
  });
});

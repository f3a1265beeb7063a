// verdicts: warnings of an accepted post, assigned to entries and blocks.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { SegBlock } from '../../src/entry/entry';
import type { EntryVerdict, Warning } from '../../src/service/reply/outcome';
import { verdicts, type SentEntry } from '../../src/service/reply/verdicts';

const good = (seg_id: number): SegBlock => ({ seg_id, value: 1, expiration: 60 });
const bad = (seg_code = 'abc'): SegBlock => ({ seg_code, value: 1, expiration: 60 });
const user = (user_id: string, ...seg_block: SegBlock[]): SentEntry => ({ user_id, seg_block });

const blockWarning = (entity: object): Warning => ({
  message: "'seg_id' or 'seg_code' and 'member_id' are required",
  entity,
});
const noSegments = (entity: SentEntry | Record<string, unknown>): Warning => ({
  message: `No valid segments for user_id: ${String(entity.user_id)}.`,
  entity,
});
const tooMany = (entity: unknown): Warning => ({ message: 'Too many user_ids in request.', entity });
const kinds = (list: readonly EntryVerdict[]) => list.map(({ kind }) => kind).join(' ');
const badBlocks = (verdict: EntryVerdict | undefined) =>
  verdict?.kind === 'partly' ? [...verdict.blocks.keys()] : null;

describe('verdicts', () => {
  it('are all accepted without warnings', () => {
    assert.equal(kinds(verdicts([user('1', good(1)), user('2', good(1))], [])), 'accepted accepted');
  });

  it('name the refused block of an entry whose other blocks were applied', () => {
    const sent = [user('1', good(1)), user('2', good(1), bad(), good(2))];
    const list = verdicts(sent, [blockWarning(bad())]);
    assert.equal(kinds(list), 'accepted partly');
    assert.deepEqual(list[1], {
      kind: 'partly',
      blocks: new Map([
        [1, { code: 'segment_required', message: "'seg_id' or 'seg_code' and 'member_id' are required" }],
      ]),
    });
  });

  it('match a block with null keys, without them, and with numbers as text', () => {
    const sent = [user('1', good(1), { seg_code: '77', value: 1, expiration: 60 })];
    for (const entity of [
      { seg_id: null, seg_code: '77', value: 1, expiration: 60, member_id: null },
      { expiration: 60, value: 1, seg_code: '77' },
      { seg_code: 77, value: '1', expiration: '60' },
      { seg_code: '77' },
    ]) {
      assert.deepEqual(badBlocks(verdicts(sent, [blockWarning(entity)])[0]), [1]);
    }
  });

  it('assign warnings about equal blocks to a rejected entry first', () => {
    const sent = [user('1', bad(), good(1)), user('2', bad()), user('3', bad(), good(1))];
    const one = verdicts(sent, [blockWarning(bad()), noSegments(sent[1]!)]);
    assert.equal(kinds(one), 'accepted rejected accepted');
    const all = [blockWarning(bad()), blockWarning(bad()), noSegments(sent[1]!), blockWarning(bad())];
    assert.equal(kinds(verdicts(sent, all)), 'partly rejected partly');
  });

  it('reject an entry with the reasons of its blocks, also when the warnings name only the blocks', () => {
    const sent = [user('1', bad('a'), bad('b')), user('2', good(1))];
    const blocks = [blockWarning(bad('a')), blockWarning(bad('b'))];
    const named = verdicts(sent, [...blocks, noSegments(sent[0]!)]);
    assert.deepEqual(named[0], {
      kind: 'rejected',
      code: 'no_valid_segments',
      message:
        "No valid segments for user_id: 1. seg_block[0], seg_block[1]: 'seg_id' or 'seg_code' and 'member_id' are required",
    });
    assert.equal(named[1]?.kind, 'accepted');
    const unnamed = verdicts(sent, blocks);
    assert.ok(unnamed[0]?.kind === 'rejected');
    assert.equal(unnamed[0].code, 'segment_required');
  });

  it('distinguish entries with the same id and different domains', () => {
    const sent: SentEntry[] = [
      { user_id: 'x', domain: 'idfa', seg_block: [bad('a')] },
      { user_id: 'x', domain: null, seg_block: [bad('a')] },
      { user_id: 'x', domain: 'aaid', seg_block: [bad('b')] },
    ];
    const of = (entity: Record<string, unknown>) => kinds(verdicts(sent, [noSegments(entity)]));
    const blocks = [bad('a')];
    assert.equal(of({ user_id: 'x', domain: 'idfa', seg_block: blocks }), 'rejected accepted accepted');
    assert.equal(of({ user_id: 'x', domain: null, seg_block: blocks }), 'accepted rejected accepted');
    assert.equal(of({ user_id: 'x', seg_block: [bad('b')] }), 'accepted accepted rejected');
    assert.equal(of({ user_id: 'x', domain: 'aaid' }), 'accepted accepted rejected');
    const both = [
      noSegments({ user_id: 'x', seg_block: blocks }),
      noSegments({ user_id: 'x', seg_block: blocks }),
    ];
    assert.equal(kinds(verdicts(sent, both)), 'rejected rejected accepted');
  });

  it('find a user by an id that is a number, in another case, or only in the message', () => {
    const sent = [user('12345678900987654321', good(1)), user('1BA9-AB', good(1)), user('42', good(1))];
    const found = (warning: Warning) => kinds(verdicts(sent, [warning]));
    assert.equal(
      found(noSegments(JSON.parse('{"user_id":12345678900987654321}'))),
      'rejected accepted accepted',
    );
    assert.equal(found(noSegments({ user_id: '1ba9-ab' })), 'accepted rejected accepted');
    assert.equal(found(noSegments({ user_id: 42 })), 'accepted accepted rejected');
    const bare = { message: 'No valid segments for user_id: 42.', entity: null };
    assert.equal(found(bare), 'accepted accepted rejected');
  });

  it('send entries beyond the limit again: the named ones, else the last', () => {
    const sent = ['1', '2', '3', '4'].map((id) => user(id, good(1)));
    assert.equal(kinds(verdicts(sent, [tooMany(user('2', good(1)))])), 'accepted again accepted accepted');
    assert.equal(kinds(verdicts(sent, [tooMany({}), tooMany(null)])), 'accepted accepted again again');
  });

  it('reject an entry without blocks or without a user', () => {
    const sent = [{ user_id: 'a' } as unknown as SentEntry, user('', good(1)), user('b', good(1))];
    const warnings = [
      { message: "'seg_block' is required", entity: { user_id: 'a' } },
      {
        message: "'user_id' is required and cannot be empty",
        entity: { seg_block: [{ ...good(1), seg_code: null }] },
      },
    ];
    const list = verdicts(sent, warnings);
    assert.equal(kinds(list), 'rejected rejected accepted');
    assert.deepEqual(
      list.map((one) => (one.kind === 'rejected' ? one.code : '')),
      ['seg_block_required', 'user_id_required', ''],
    );
  });

  it('reject everything when nothing in the request was valid', () => {
    const sent = [user('1', bad()), user('2', good(1))];
    const warnings = [
      noSegments(sent[0]!),
      { message: 'No valid rt_segment in request.', entity: { rt_segment: sent } },
    ];
    assert.equal(kinds(verdicts(sent, warnings)), 'rejected rejected');
  });

  it('accept entries with unknown warnings, attached to their entry, the block’s entry, or else to all', () => {
    const sent = [user('1', good(1)), user('2', good(2))];
    const own = verdicts(sent, [
      { message: 'Odd.', entity: sent[1] },
      { message: 'Odder.', entity: sent[1] },
      { message: 'Odd.', entity: sent[1] },
    ]);
    assert.deepEqual(own, [
      { kind: 'accepted', warnings: [] },
      { kind: 'accepted', warnings: ['Odd.', 'Odder.', 'Odd.'] },
    ]);
    const block = verdicts(sent, [{ message: 'Odd block.', entity: good(2) }]);
    assert.deepEqual(block[1], { kind: 'accepted', warnings: ['Odd block.'] });
    for (const entity of [undefined, null, 7, { rt_segment: [] }, { user_id: 'nobody' }]) {
      const general = verdicts(sent, [{ message: 'All odd.', entity }]);
      assert.deepEqual(general, [
        { kind: 'accepted', warnings: ['All odd.'] },
        { kind: 'accepted', warnings: ['All odd.'] },
      ]);
    }
  });

  it('agree with a service that applies valid blocks only, with or without nulls and domains in its warnings', () => {
    const block = fc.oneof(
      fc.integer({ min: 1, max: 4 }).map((id) => good(id)),
      fc.constantFrom('p', 'q').map((code) => bad(code)),
    );
    const entries = fc.uniqueArray(
      fc.record({
        user_id: fc.constantFrom('1', '2', '3', '4', 'a', 'b'),
        domain: fc.constantFrom(null, 'idfa', 'aaid'),
        seg_block: fc.array(block, { minLength: 1, maxLength: 4 }),
      }),
      { selector: ({ user_id, domain }) => `${user_id} ${domain}`, maxLength: 12 },
    );
    fc.assert(
      fc.property(entries, fc.boolean(), (sent, nulls) => {
        const list = verdicts(sent, warningsFor(sent, nulls));
        sent.forEach((entry, index) => {
          const refused = entry.seg_block.flatMap((one, at) => (one.seg_id === undefined ? [at] : []));
          const verdict = list[index];
          if (refused.length === 0) assert.equal(verdict?.kind, 'accepted');
          else if (refused.length === entry.seg_block.length) assert.equal(verdict?.kind, 'rejected');
          else assert.deepEqual(badBlocks(verdict)?.sort(), refused);
        });
      }),
    );
  });

  it('take the same number of steps for each warning, however many and however similar', () => {
    const perEntry = (count: number): number => {
      const sent = Array.from({ length: count }, (_, n) => ({
        user_id: 'same',
        domain: `d${n}`,
        seg_block: [bad()],
      }));
      const warnings = sent.flatMap(() => [
        blockWarning(bad()),
        noSegments({ user_id: 'same', seg_block: [bad()] }),
      ]);
      let steps = 0;
      const has = Object.getOwnPropertyDescriptor(Set.prototype, 'has')!;
      Set.prototype.has = function (value: unknown): boolean {
        steps += 1;
        return (has.value as (value: unknown) => boolean).call(this, value);
      };
      try {
        assert.ok(verdicts(sent, warnings).every(({ kind }) => kind === 'rejected'));
      } finally {
        Object.defineProperty(Set.prototype, 'has', has);
      }
      return Math.ceil(steps / count);
    };
    assert.equal(perEntry(2000), perEntry(20));
  });
});

/** The documented warnings for such a request. */
function warningsFor(sent: readonly SentEntry[], nulls: boolean): Warning[] {
  const echo = (one: SegBlock) => (nulls ? { seg_id: null, seg_code: null, member_id: null, ...one } : one);
  return sent.flatMap((entry) => {
    const refused = entry.seg_block.filter((one) => one.seg_id === undefined);
    const warnings = refused.map((one) => blockWarning(echo(one)));
    if (refused.length < entry.seg_block.length) return warnings;
    const entity = { user_id: entry.user_id, seg_block: entry.seg_block.map(echo) };
    return [...warnings, noSegments(nulls ? { ...entity, domain: entry.domain } : entity)];
  });
}

// Order of the blocks of one entry, and the number of requests that they need.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkEntry } from '../../src/entry/check';
import type { SegBlock } from '../../src/entry/entry';
import { dryRun } from '../../src/delivery/dry-run';
import { groupedBlocks } from '../../src/delivery/pending/grouped-blocks';
import { block } from '../entry/arbitraries';

function checked(...blocks: SegBlock[]) {
  const result = checkEntry({ user_id: '7', seg_block: blocks });
  assert.ok(result.ok, JSON.stringify(result));
  return result.entry;
}

const keys = (...blocks: SegBlock[]): string[] =>
  groupedBlocks(checked(...blocks).blocks).map(({ key }) => key);
const add = (segment: number | string): SegBlock =>
  typeof segment === 'number' ? { seg_id: segment } : { seg_code: segment, member_id: 7 };
const remove = (segment: number | string): SegBlock => ({ ...add(segment), expiration: -1 });
const inTurn = (count: number, make: (segment: number | string) => SegBlock): SegBlock[] =>
  Array.from({ length: count }, (_, at) => make(at % 2 === 0 ? at + 1 : `code ${at}`));

describe('the blocks of one entry', () => {
  it('by id and by code in turn need no more requests than grouped ones', () => {
    for (const make of [add, remove]) {
      const bodies = dryRun([checked(...inTurn(250, make))], 0) as { rt_segment: any[] }[];
      const sizes = bodies.map(({ rt_segment: [only] }) => only.seg_block.length);
      assert.deepEqual(sizes, [100, 25, 100, 25]);
    }
  });

  it('keep their order if one adds and one removes, by different kinds of name', () => {
    assert.deepEqual(keys(add(1), remove('x'), add(2)), ['i1', 'c7:x', 'i2']);
    assert.deepEqual(keys(remove('x'), add(1), remove('y')), ['c7:x', 'i1', 'c7:y']);
  });

  it('are grouped between an add and a removal, starting with the previous kind', () => {
    assert.deepEqual(keys(add(1), add('a'), add(2), remove(3), remove('b'), remove(4), add('c'), add(5)), [
      'i1',
      'i2',
      'c7:a',
      'c7:b',
      'i3',
      'i4',
      'i5',
      'c7:c',
    ]);
  });

  it('of different entries are not grouped', () => {
    const bodies = dryRun([checked(add(1)), checked(add('a')), checked(add(2))], 0);
    assert.equal(bodies.length, 3);
  });

  it('are complete, and blocks of one kind, or an add and a removal, keep their order', () => {
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 30 }), (blocks) => {
        const came = checked(...blocks).blocks;
        const grouped = groupedBlocks(came);
        assert.deepEqual(new Set(grouped), new Set(came));
        assert.equal(grouped.length, came.length);
        assert.deepEqual(groupedBlocks(grouped), grouped);
        if (new Set(came).size < came.length) return;
        for (const [at, one] of grouped.entries()) {
          for (const later of grouped.slice(at + 1)) {
            const mayMove = one.kind !== later.kind && (one.expiration === -1) === (later.expiration === -1);
            assert.ok(mayMove || came.indexOf(one) < came.indexOf(later), `${one.key} before ${later.key}`);
          }
        }
      }),
    );
  });
});

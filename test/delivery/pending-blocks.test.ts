// Pending blocks of one user: in order whatever is added and removed, compared with a plain list.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import {
  inOrder,
  PendingEntry,
  type PendingBlock,
  type SegmentBlocks,
} from '../../src/delivery/pending/pending-entry';
import { PendingBlocks } from '../../src/delivery/pending/pending-blocks';
import { runs } from './support/runs';
import { device, entryOf } from './support/world';

const sort = { account: 'a', removes: false, refused: false };

/** As many blocks as `kinds`, in runs of one kind. */
function blocksOf(kinds: readonly string[]): readonly PendingBlock[] {
  const entry = entryOf(device(1), [{ seg_id: 1 }]);
  return kinds.map((kind, at) => {
    const [block] = new PendingEntry(
      { seq: at + 1, source: { node: 'n', account: 'a' }, eventMonoMs: 0, appendedWallMs: 0 },
      entry,
      'waiting',
    ).blocks;
    const segment: SegmentBlocks = { key: kind, kind, newest: null, latest: null };
    block!.segment = segment;
    return block!;
  });
}

function assertHolds(queue: PendingBlocks, waiting: readonly PendingBlock[]): void {
  const inPlace = [...waiting].sort(inOrder);
  const [first = null] = inPlace;
  const other = inPlace.find(({ segment }) => segment!.kind !== first!.segment!.kind) ?? null;
  assert.equal(queue.first, first);
  assert.equal(queue.last, inPlace.at(-1) ?? null);
  assert.equal(queue.firstOfAnotherKind, other);
  assert.deepEqual([...queue.before(null)], inPlace);
  assert.deepEqual(
    [...queue.before(other)],
    other === null ? inPlace : inPlace.slice(0, inPlace.indexOf(other)),
  );
}

describe('the pending blocks of a user', () => {
  it('are in order, whichever of them leave and return', () => {
    const step = fc.tuple(fc.nat({ max: 199 }), fc.boolean());
    const kinds = fc.array(fc.constantFrom('id', 'id', 'id', 'code'), { minLength: 200, maxLength: 200 });
    fc.assert(
      fc.property(kinds, fc.array(step, { maxLength: 400 }), (kindOf, steps) => {
        const blocks = blocksOf(kindOf);
        const queue = new PendingBlocks(sort);
        const waiting = new Set<PendingBlock>();
        for (const [at, looked] of steps) {
          const block = blocks[at]!;
          if (waiting.delete(block)) {
            block.state = 'inFlight';
            queue.left();
          } else {
            block.state = 'waiting';
            queue.add(block);
            waiting.add(block);
          }
          if (looked) assertHolds(queue, [...waiting]);
        }
        assertHolds(queue, [...waiting]);
      }),
      runs(100),
    );
  });

  it('do not count in a list once they wait in another', () => {
    const [one, two] = blocksOf(['id', 'id']);
    const [fresh, refused] = [new PendingBlocks(sort), new PendingBlocks({ ...sort, refused: true })];
    for (const block of [one!, two!]) fresh.add(block);
    one!.state = 'inFlight';
    fresh.left();
    one!.state = 'waiting';
    refused.add(one!);
    assertHolds(fresh, [two!]);
    assertHolds(refused, [one!]);
  });
});

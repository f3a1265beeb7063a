// Ambiguous requests: whether one may undo a newer accepted block, answered without a search through all of
// them.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { AmbiguousRequests } from '../../src/delivery/pending/ambiguous';
import {
  coalescingKey,
  PendingEntry,
  orderKind,
  type PendingBlock,
} from '../../src/delivery/pending/pending-entry';
import { runs } from './support/runs';
import { entryOf } from './support/world';

const id = 'ab'.repeat(16);

/** Blocks of two spellings of one user, for three segments by id and by code. */
const blocks: readonly PendingBlock[] = [id, id.toUpperCase()].flatMap((user, spelling) =>
  [0, 1].flatMap((twice) => {
    const blocks = [{ seg_id: 1 }, { seg_id: 2, expiration: -1 }, { seg_code: 'x', member_id: 7 }];
    const entry = entryOf(user, blocks, { domain: null });
    const seq = 2 * spelling + twice + 1;
    return new PendingEntry(
      { seq, source: { node: 'n', account: 'a' }, eventMonoMs: 0, appendedWallMs: 0 },
      entry,
      'waiting',
    ).blocks;
  }),
);

interface Lost {
  readonly block: PendingBlock;
  readonly sentExpired: boolean;
  untilMs: number;
}

function mayUndo(lost: readonly Lost[], block: PendingBlock, sentMs: number): boolean {
  return lost.some((each) => {
    if (sentMs >= each.untilMs) return false;
    if (coalescingKey(each.block) !== coalescingKey(block)) return orderKind(each.block) !== orderKind(block);
    return each.block !== block || each.sentExpired !== block.sentExpired;
  });
}

describe('ambiguous requests', () => {
  it('may undo a block of another kind, or another state of the same segment, until the last one can no longer run', () => {
    const block = fc.tuple(fc.constantFrom(...blocks), fc.boolean());
    const request = fc.record({
      held: fc.uniqueArray(block, { selector: ([one]) => one, maxLength: 4 }),
      waitMs: fc.nat({ max: 10 }),
      sleptMs: fc.constantFrom(0, 0, 5),
    });
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 8 }),
        block,
        fc.nat({ max: 170 }),
        (requests, asked, sentMs) => {
          const ambiguous = new AmbiguousRequests();
          const lost: Lost[] = [];
          let untilMs = 50;
          for (const { held, waitMs, sleptMs } of requests) {
            untilMs += waitMs;
            for (const [one, expired] of held) {
              one.sentExpired = expired;
              lost.push({ block: one, sentExpired: expired, untilMs });
            }
            ambiguous.add(
              held.map(([one]) => one),
              untilMs,
            );
            // The clock counts the sleep, so ambiguous requests may run that much later.
            ambiguous.slept(sleptMs);
            for (const each of lost) each.untilMs += sleptMs;
            untilMs += sleptMs;
          }
          const [one, expired] = asked;
          one.sentExpired = expired;
          assert.equal(ambiguous.mayUndo(one, sentMs), mayUndo(lost, one, sentMs));
        },
      ),
      runs(2_000),
    );
  });

  it('may undo every block when only the user of a request is known', () => {
    const ambiguous = new AmbiguousRequests();
    ambiguous.addUnknown(1_000);
    assert.equal(ambiguous.mayUndo(blocks[0]!, 999), true);
    assert.equal(ambiguous.mayUndo(blocks[0]!, 1_000), false);
    assert.equal(ambiguous.untilMs, 1_000);
  });
});

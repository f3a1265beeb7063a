// What the next commit says, and what it says again after one that failed.
import { strict as assert } from 'node:assert';
import { Journal } from '../../src/delivery/journal';
import type { NewRow } from '../../src/outbox/outbox';

const row = {
  seq: 9,
  lane: 'add',
  userHash: 1,
  source: { node: 'n', account: 'a' },
  body: '{}',
} as unknown as NewRow;

describe('the journal', () => {
  it('has nothing to say at first, and nothing twice', () => {
    const journal = new Journal();
    assert.equal(journal.take(), null);
    journal.mark(1, 'remove');
    assert.deepEqual(journal.take(), { remove: [1] });
    assert.equal(journal.take(), null);
  });

  it('says everything of one turn in one commit', () => {
    const journal = new Journal();
    journal.appended(row);
    journal.mark(1, 'remove');
    journal.mark(2, 'shield');
    journal.mark(3, 'repeat');
    journal.depart({ post: 5, userHashes: [7] });
    journal.arrive(4);
    journal.lose(3, 1234);
    journal.dropShieldsThrough(6);
    journal.dropShieldsThrough(2);
    assert.deepEqual(journal.take(), {
      append: [row],
      remove: [1],
      shield: [2],
      repeat: [3],
      depart: [{ post: 5, userHashes: [7] }],
      arrive: [4],
      lost: [{ post: 3, untilWallMs: 1234 }],
      dropShieldsThrough: 6,
    });
  });

  it('lets the last word about a row count', () => {
    const journal = new Journal();
    journal.mark(1, 'repeat');
    journal.mark(1, 'shield');
    journal.mark(1, 'remove');
    assert.deepEqual(journal.take(), { remove: [1] });
  });

  it('repeats after a failed commit what has ended and arrived, not what came in or was to leave', () => {
    const journal = new Journal();
    journal.appended(row);
    journal.mark(1, 'shield');
    journal.mark(2, 'repeat');
    journal.depart({ post: 5, userHashes: [7] });
    journal.arrive(4);
    journal.lose(3, 1234);
    journal.dropShieldsThrough(6);
    const failed = journal.take()!;
    journal.mark(1, 'remove');
    journal.arrive(8);
    journal.putBack(failed);
    assert.deepEqual(journal.take(), {
      remove: [1],
      repeat: [2],
      arrive: [4, 8],
      lost: [{ post: 3, untilWallMs: 1234 }],
      dropShieldsThrough: 6,
    });
  });
});

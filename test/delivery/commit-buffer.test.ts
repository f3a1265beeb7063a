// Commit buffer: the content of the next commit, and what is repeated after a failed one.
import { strict as assert } from 'node:assert';
import { CommitBuffer } from '../../src/delivery/commit-buffer';
import type { NewRow } from '../../src/queue/store';

const row = {
  seq: 9,
  lane: 'add',
  userHash: 1,
  source: { node: 'n', account: 'a' },
  body: '{}',
} as unknown as NewRow;

describe('the commit buffer', () => {
  it('is empty at first, and repeats nothing', () => {
    const commitBuffer = new CommitBuffer(true);
    assert.equal(commitBuffer.take(), null);
    commitBuffer.mark(1, 'remove');
    assert.deepEqual(commitBuffer.take(), { remove: [1] });
    assert.equal(commitBuffer.take(), null);
  });

  it('combines everything of one turn in one commit', () => {
    const commitBuffer = new CommitBuffer(true);
    commitBuffer.appended(row);
    commitBuffer.mark(1, 'remove');
    commitBuffer.mark(3, 'repeat');
    commitBuffer.begin({ post: 5, userHashes: [7] });
    commitBuffer.settle(4);
    commitBuffer.unknown(3, 1234);
    assert.deepEqual(commitBuffer.take(), {
      append: [row],
      remove: [1],
      repeat: [3],
      begin: [{ post: 5, userHashes: [7] }],
      settle: [4],
      unknown: [{ post: 3, untilWallMs: 1234 }],
    });
  });

  it('lets the last state of a row count', () => {
    const commitBuffer = new CommitBuffer(true);
    commitBuffer.mark(1, 'repeat');
    commitBuffer.mark(1, 'remove');
    assert.deepEqual(commitBuffer.take(), { remove: [1] });
  });

  it('repeats ended rows and settled requests after a failed commit, but not new rows and new requests', () => {
    const commitBuffer = new CommitBuffer(true);
    commitBuffer.appended(row);
    commitBuffer.mark(1, 'repeat');
    commitBuffer.mark(2, 'repeat');
    commitBuffer.begin({ post: 5, userHashes: [7] });
    commitBuffer.settle(4);
    commitBuffer.unknown(3, 1234);
    const failed = commitBuffer.take()!;
    commitBuffer.mark(1, 'remove');
    commitBuffer.settle(8);
    commitBuffer.putBack(failed);
    assert.deepEqual(commitBuffer.take(), {
      remove: [1],
      repeat: [2],
      settle: [4, 8],
      unknown: [{ post: 3, untilWallMs: 1234 }],
    });
  });

  describe('of a queue in memory', () => {
    it('has nothing to say of entries that are in memory', () => {
      const commitBuffer = new CommitBuffer(false);
      commitBuffer.appended(row);
      commitBuffer.begin({ post: 5, userHashes: [7] });
      commitBuffer.unknown(5, 1234);
      commitBuffer.settle(5);
      commitBuffer.mark(row.seq, 'remove');
      assert.equal(commitBuffer.take(), null);
    });

    it('appends a cold row, and removes it and every older one', () => {
      const commitBuffer = new CommitBuffer(false);
      const cold = { ...row, cold: true };
      commitBuffer.appended(cold);
      assert.deepEqual(commitBuffer.take(), { append: [cold] });
      for (const seq of [row.seq - 1, row.seq, row.seq + 1]) commitBuffer.mark(seq, 'remove');
      assert.deepEqual(commitBuffer.take(), { remove: [row.seq - 1, row.seq] });
    });

    it('probes its store', () => {
      const commitBuffer = new CommitBuffer(false);
      commitBuffer.probe();
      assert.deepEqual(commitBuffer.take(), { settle: [0] });
    });
  });
});

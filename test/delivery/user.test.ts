// User: which blocks coalesce, which may share a request, and which must be remembered.
import { strict as assert } from 'node:assert';
import { PendingEntry, type PendingBlock } from '../../src/delivery/pending/pending-entry';
import { User } from '../../src/delivery/pending/user';
import type { Block } from './support/fake-service';
import { device, entryOf } from './support/world';

const key = device(1);

function entry(
  seq: number,
  blocks: readonly Block[],
  account = 'a',
  user = key,
  domain: string | null = 'idfa',
): PendingEntry {
  return new PendingEntry(
    { seq, source: { node: 'n', account }, eventMonoMs: 0, appendedWallMs: 0 },
    entryOf(user, blocks, { domain }),
    'waiting',
  );
}

function userOf(...entries: PendingEntry[]): User {
  const user = new User(key, 1);
  for (const each of entries) user.add(each);
  return user;
}

const own = (account: string): string => account;
const seqs = (blocks: readonly PendingBlock[]): number[] => blocks.map((block) => block.entry.seq);

/** Acts as the engine does when a request is sent and accepted. */
function send(user: User, limit = 100): readonly PendingBlock[] {
  const { blocks } = user.select(limit, own, 0)!;
  for (const block of blocks) block.state = 'inFlight';
  user.flight = blocks;
  return blocks;
}

function accept(user: User, blocks: readonly PendingBlock[]): void {
  user.flight = null;
  for (const block of blocks) {
    block.state = 'ended';
    block.again = true;
  }
}

describe('one user', () => {
  it('sends only the newest block of each segment; older ones end with it', () => {
    const user = userOf(
      entry(1, [{ seg_id: 1 }, { seg_id: 2 }]),
      entry(2, [{ seg_id: 1, expiration: -1 }]),
      entry(3, [{ seg_id: 1 }]),
    );
    assert.deepEqual(user.merge(), []);
    const { blocks } = user.select(100, own, 0)!;
    assert.deepEqual(seqs(blocks), [1, 3]);
    assert.deepEqual(seqs(blocks[1]!.absorbed!), [1, 2]);
  });

  it('does not absorb a block in flight', () => {
    const user = userOf(entry(1, [{ seg_id: 1 }]));
    const first = send(user);
    user.add(entry(2, [{ seg_id: 1, expiration: -1 }]));
    user.merge();
    assert.equal(first[0]!.state, 'inFlight');
    assert.deepEqual(seqs(user.select(100, own, 0)!.blocks), [2]);
  });

  it('ends an older block that is read after a newer one has ended', () => {
    const newer = entry(5, [{ seg_id: 1, expiration: -1 }]);
    const user = userOf(newer);
    accept(user, send(user));
    user.add(entry(2, [{ seg_id: 1 }]));
    assert.deepEqual(seqs(user.merge()), [2]);
    assert.equal(user.waits, false);
  });

  it('keeps entries in the order of their numbers, in whatever order they are added', () => {
    const user = userOf(entry(3, [{ seg_id: 3 }]), entry(1, [{ seg_id: 1 }]), entry(2, [{ seg_id: 2 }]));
    assert.deepEqual(
      user.entries.map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.ok(user.has(2) && !user.has(4));
  });

  it('sends blocks by id and by code in successive requests', () => {
    const user = userOf(
      entry(1, [{ seg_code: 'x', member_id: 7 }, { seg_id: 1 }]),
      entry(2, [{ seg_id: 2 }]),
    );
    user.merge();
    const first = send(user);
    assert.deepEqual(
      first.map((block) => block.segBlock.kind),
      ['code'],
    );
    accept(user, first);
    user.merge();
    assert.deepEqual(seqs(send(user)), [1, 2]);
  });

  it('sends two spellings of one id in successive requests', () => {
    const id = 'ab'.repeat(16);
    const user = userOf(
      entry(1, [{ seg_id: 1 }], 'a', id, null),
      entry(2, [{ seg_id: 1, expiration: -1 }], 'a', id.toUpperCase(), null),
    );
    user.merge();
    const first = send(user);
    assert.deepEqual(seqs(first), [1]);
    accept(user, first);
    user.merge();
    assert.deepEqual(seqs(user.select(100, own, 0)!.blocks), [2]);
  });

  it('resends a block that an older block of the other kind may undo', () => {
    const removal = entry(5, [{ seg_id: 1, expiration: -1 }]);
    const user = userOf(removal);
    accept(user, send(user));
    user.add(entry(2, [{ seg_code: 'x', member_id: 7 }]));
    user.merge();
    assert.equal(removal.blocks[0]!.state, 'waiting');
    assert.deepEqual(seqs(user.select(100, own, 0)!.blocks), [2]);
  });

  it('also resends it when a newer block that was to replace it is rejected', () => {
    const ended = entry(5, [{ seg_id: 1, expiration: -1 }]);
    const user = userOf(ended);
    accept(user, send(user));
    const older = entry(2, [{ seg_code: 'x', member_id: 7 }]);
    const newest = entry(6, [{ seg_id: 1 }]);
    user.add(older);
    user.add(newest);
    user.merge();
    accept(user, send(user));
    assert.equal(older.done, true);
    const { blocks } = user.select(100, own, 0)!;
    assert.deepEqual(seqs(blocks), [6]);
    assert.deepEqual(seqs(blocks[0]!.absorbed ?? []), [5]);
  });

  it('puts removals first when not every block fits', () => {
    const user = userOf(
      entry(1, [{ seg_id: 1 }, { seg_id: 2 }, { seg_id: 3, expiration: -1 }, { seg_id: 4, expiration: 1 }]),
    );
    user.merge();
    const keys = (limit: number, nowMs: number): string[] =>
      user.select(limit, own, nowMs)!.blocks.map(({ segBlock }) => segBlock.key);
    assert.deepEqual(keys(2, 0), ['i3', 'i1']);
    // An expired add is a removal too.
    assert.deepEqual(keys(2, 60_000), ['i3', 'i4']);
    user.troubled().blockLimit = 1;
    assert.deepEqual(keys(2, 0), ['i3']);
  });

  it('sends entries of different accounts separately, and only those whose login works', () => {
    const user = userOf(entry(1, [{ seg_id: 1 }], 'a'), entry(2, [{ seg_id: 2 }], 'b'));
    user.merge();
    assert.deepEqual(user.select(100, own, 0), { account: 'a', blocks: [user.entries[0]!.blocks[0]!] });
    const onlyB = (account: string): string | null => (account === 'b' ? 'b' : null);
    assert.deepEqual(user.select(100, onlyB, 0), { account: 'b', blocks: [user.entries[1]!.blocks[0]!] });
    assert.equal(
      user.select(100, () => null, 0),
      null,
    );
  });

  describe('after an ambiguous request', () => {
    function lost(...segBlocks: Block[]): { user: User; blocks: readonly PendingBlock[] } {
      const user = userOf(entry(1, segBlocks));
      const blocks = send(user);
      user.flight = null;
      for (const block of blocks) block.state = 'waiting';
      user.ambiguousRequests().add(blocks, 1000);
      return { user, blocks };
    }

    it('resends a newer state of the same segment, and not a mere retry', () => {
      const { user, blocks } = lost({ seg_id: 1 });
      assert.equal(user.ambiguous!.mayUndo(blocks[0]!, 500), false);
      const newer = entry(2, [{ seg_id: 1, expiration: -1 }, { seg_id: 2 }]);
      user.add(newer);
      assert.equal(user.ambiguous!.mayUndo(newer.blocks[0]!, 500), true);
      assert.equal(user.ambiguous!.mayUndo(newer.blocks[1]!, 500), false);
      assert.equal(user.ambiguous!.mayUndo(newer.blocks[0]!, 1000), false);
    });

    it('resends a retry that meanwhile became a removal', () => {
      const { user, blocks } = lost({ seg_id: 1, expiration: 1 });
      blocks[0]!.sentExpired = true;
      assert.equal(user.ambiguous!.mayUndo(blocks[0]!, 500), true);
    });

    it('resends every block of the other kind, which may be the same segment', () => {
      const { user } = lost({ seg_id: 1 });
      const newer = entry(2, [{ seg_code: 'x', member_id: 7 }]);
      user.add(newer);
      assert.equal(user.ambiguous!.mayUndo(newer.blocks[0]!, 500), true);
    });

    it('resends every block when only the user of the request is known', () => {
      const user = userOf(entry(1, [{ seg_id: 1 }]));
      user.ambiguousRequests().addUnknown(1000);
      assert.equal(user.ambiguous!.mayUndo(user.entries[0]!.blocks[0]!, 500), true);
      assert.equal(user.ambiguous?.untilMs, 1000);
    });

    it('wakes blocks to resend only when the last ambiguous request can no longer run', () => {
      const { user, blocks } = lost({ seg_id: 1 });
      const newer = entry(2, [{ seg_id: 1, expiration: -1 }]);
      user.add(newer);
      user.merge();
      accept(user, send(user));
      newer.blocks[0]!.due = true;
      user.ambiguousRequests().add(blocks, 1500);
      user.clearAmbiguous(1000);
      assert.equal(newer.blocks[0]!.state, 'ended');
      user.clearAmbiguous(1500);
      assert.equal(newer.blocks[0]!.state, 'waiting');
      assert.equal(user.ambiguous, null);
    });

    it('is not idle until then', () => {
      const { user, blocks } = lost({ seg_id: 1 });
      accept(user, blocks);
      assert.equal(user.takeRetired().length, 1);
      assert.equal(user.idle, false);
      user.clearAmbiguous(1000);
      assert.equal(user.idle, true);
    });
  });

  it('forgets ended entries only up to the first open one', () => {
    const [first, second, third] = [
      entry(1, [{ seg_id: 1 }]),
      entry(2, [{ seg_id: 2 }]),
      entry(3, [{ seg_id: 3 }]),
    ];
    const user = userOf(first, second, third);
    accept(user, [...first.blocks, ...third.blocks]);
    assert.deepEqual(user.takeRetired(), [first]);
    assert.deepEqual(user.entries, [second, third]);
    accept(user, second.blocks);
    assert.deepEqual(user.takeRetired(), [second, third]);
    assert.ok(user.idle);
  });

  it('sends a row to repeat once more', () => {
    const entry = entryOf(key, [{ seg_id: 1 }]);
    const source = { node: 'n', account: 'a' };
    const repeat = new PendingEntry({ seq: 2, source, eventMonoMs: 0, appendedWallMs: 0 }, entry, 'repeat');
    assert.ok(!repeat.done && repeat.open === 0 && repeat.blocks[0]!.again);
    assert.equal(userOf(repeat).waits, true);
  });
});

// User: which blocks coalesce, which may share a request, and which must be remembered.
import { strict as assert } from 'node:assert';
import { Item, type Cell } from '../../src/delivery/pending/item';
import { User } from '../../src/delivery/pending/user';
import type { Block } from './support/fake-service';
import { device, entryOf } from './support/world';

const key = device(1);

function item(
  seq: number,
  blocks: readonly Block[],
  account = 'a',
  user = key,
  domain: string | null = 'idfa',
): Item {
  return new Item(
    { seq, source: { node: 'n', account }, eventMonoMs: 0, takenWallMs: 0 },
    entryOf(user, blocks, { domain }),
    'waiting',
  );
}

function userOf(...items: Item[]): User {
  const user = new User(key, 1);
  for (const each of items) user.add(each);
  return user;
}

const own = (account: string): string => account;
const seqs = (cells: readonly Cell[]): number[] => cells.map((cell) => cell.item.seq);

/** Acts as the engine does when a request is sent and accepted. */
function send(user: User, limit = 100): readonly Cell[] {
  const { cells } = user.select(limit, own, 0)!;
  for (const cell of cells) cell.state = 'inFlight';
  user.flight = cells;
  return cells;
}

function accept(user: User, cells: readonly Cell[]): void {
  user.flight = null;
  for (const cell of cells) {
    cell.state = 'ended';
    cell.again = true;
  }
}

describe('one user', () => {
  it('sends only the newest block of each segment; older ones end with it', () => {
    const user = userOf(
      item(1, [{ seg_id: 1 }, { seg_id: 2 }]),
      item(2, [{ seg_id: 1, expiration: -1 }]),
      item(3, [{ seg_id: 1 }]),
    );
    assert.deepEqual(user.merge(), []);
    const { cells } = user.select(100, own, 0)!;
    assert.deepEqual(seqs(cells), [1, 3]);
    assert.deepEqual(seqs(cells[1]!.absorbed!), [1, 2]);
  });

  it('does not absorb a block in flight', () => {
    const user = userOf(item(1, [{ seg_id: 1 }]));
    const first = send(user);
    user.add(item(2, [{ seg_id: 1, expiration: -1 }]));
    user.merge();
    assert.equal(first[0]!.state, 'inFlight');
    assert.deepEqual(seqs(user.select(100, own, 0)!.cells), [2]);
  });

  it('ends an older block that is read after a newer one has ended', () => {
    const newer = item(5, [{ seg_id: 1, expiration: -1 }]);
    const user = userOf(newer);
    accept(user, send(user));
    user.add(item(2, [{ seg_id: 1 }]));
    assert.deepEqual(seqs(user.merge()), [2]);
    assert.equal(user.waits, false);
  });

  it('keeps entries in the order of their numbers, in whatever order they are added', () => {
    const user = userOf(item(3, [{ seg_id: 3 }]), item(1, [{ seg_id: 1 }]), item(2, [{ seg_id: 2 }]));
    assert.deepEqual(
      user.items.map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.ok(user.has(2) && !user.has(4));
  });

  it('sends blocks by id and by code in successive requests', () => {
    const user = userOf(item(1, [{ seg_code: 'x', member_id: 7 }, { seg_id: 1 }]), item(2, [{ seg_id: 2 }]));
    user.merge();
    const first = send(user);
    assert.deepEqual(
      first.map((cell) => cell.block.kind),
      ['code'],
    );
    accept(user, first);
    user.merge();
    assert.deepEqual(seqs(send(user)), [1, 2]);
  });

  it('sends two spellings of one id in successive requests', () => {
    const id = 'ab'.repeat(16);
    const user = userOf(
      item(1, [{ seg_id: 1 }], 'a', id, null),
      item(2, [{ seg_id: 1, expiration: -1 }], 'a', id.toUpperCase(), null),
    );
    user.merge();
    const first = send(user);
    assert.deepEqual(seqs(first), [1]);
    accept(user, first);
    user.merge();
    assert.deepEqual(seqs(user.select(100, own, 0)!.cells), [2]);
  });

  it('resends a block that an older block of the other kind may undo', () => {
    const removal = item(5, [{ seg_id: 1, expiration: -1 }]);
    const user = userOf(removal);
    accept(user, send(user));
    user.add(item(2, [{ seg_code: 'x', member_id: 7 }]));
    user.merge();
    assert.equal(removal.cells[0]!.state, 'waiting');
    assert.deepEqual(seqs(user.select(100, own, 0)!.cells), [2]);
  });

  it('also resends it when a newer block that was to replace it is rejected', () => {
    const ended = item(5, [{ seg_id: 1, expiration: -1 }]);
    const user = userOf(ended);
    accept(user, send(user));
    const older = item(2, [{ seg_code: 'x', member_id: 7 }]);
    const newest = item(6, [{ seg_id: 1 }]);
    user.add(older);
    user.add(newest);
    user.merge();
    accept(user, send(user));
    assert.equal(older.settled, true);
    const { cells } = user.select(100, own, 0)!;
    assert.deepEqual(seqs(cells), [6]);
    assert.deepEqual(seqs(cells[0]!.absorbed ?? []), [5]);
  });

  it('puts removals first when not every block fits', () => {
    const user = userOf(
      item(1, [{ seg_id: 1 }, { seg_id: 2 }, { seg_id: 3, expiration: -1 }, { seg_id: 4, expiration: 1 }]),
    );
    user.merge();
    const keys = (limit: number, nowMs: number): string[] =>
      user.select(limit, own, nowMs)!.cells.map(({ block }) => block.key);
    assert.deepEqual(keys(2, 0), ['i3', 'i1']);
    // An expired add is a removal too.
    assert.deepEqual(keys(2, 60_000), ['i3', 'i4']);
    user.blockLimit = 1;
    assert.deepEqual(keys(2, 0), ['i3']);
  });

  it('sends entries of different accounts separately, and only those whose login works', () => {
    const user = userOf(item(1, [{ seg_id: 1 }], 'a'), item(2, [{ seg_id: 2 }], 'b'));
    user.merge();
    assert.deepEqual(user.select(100, own, 0), { account: 'a', cells: [user.items[0]!.cells[0]!] });
    const onlyB = (account: string): string | null => (account === 'b' ? 'b' : null);
    assert.deepEqual(user.select(100, onlyB, 0), { account: 'b', cells: [user.items[1]!.cells[0]!] });
    assert.equal(
      user.select(100, () => null, 0),
      null,
    );
  });

  describe('after an ambiguous request', () => {
    function lost(...blocks: Block[]): { user: User; cells: readonly Cell[] } {
      const user = userOf(item(1, blocks));
      const cells = send(user);
      user.flight = null;
      for (const cell of cells) cell.state = 'waiting';
      user.ambiguousRequests().add(cells, 1000);
      return { user, cells };
    }

    it('resends a newer state of the same segment, and not a mere retry', () => {
      const { user, cells } = lost({ seg_id: 1 });
      assert.equal(user.ambiguous!.mayUndo(cells[0]!, 500), false);
      const newer = item(2, [{ seg_id: 1, expiration: -1 }, { seg_id: 2 }]);
      user.add(newer);
      assert.equal(user.ambiguous!.mayUndo(newer.cells[0]!, 500), true);
      assert.equal(user.ambiguous!.mayUndo(newer.cells[1]!, 500), false);
      assert.equal(user.ambiguous!.mayUndo(newer.cells[0]!, 1000), false);
    });

    it('resends a retry that meanwhile became a removal', () => {
      const { user, cells } = lost({ seg_id: 1, expiration: 1 });
      cells[0]!.sentExpired = true;
      assert.equal(user.ambiguous!.mayUndo(cells[0]!, 500), true);
    });

    it('resends every block of the other kind, which may be the same segment', () => {
      const { user } = lost({ seg_id: 1 });
      const newer = item(2, [{ seg_code: 'x', member_id: 7 }]);
      user.add(newer);
      assert.equal(user.ambiguous!.mayUndo(newer.cells[0]!, 500), true);
    });

    it('resends every block when only the user of the request is known', () => {
      const user = userOf(item(1, [{ seg_id: 1 }]));
      user.ambiguousRequests().addUnknown(1000);
      assert.equal(user.ambiguous!.mayUndo(user.items[0]!.cells[0]!, 500), true);
      assert.equal(user.ambiguous?.untilMs, 1000);
    });

    it('wakes blocks to resend only when the last ambiguous request can no longer run', () => {
      const { user, cells } = lost({ seg_id: 1 });
      const newer = item(2, [{ seg_id: 1, expiration: -1 }]);
      user.add(newer);
      user.merge();
      accept(user, send(user));
      newer.cells[0]!.due = true;
      user.ambiguousRequests().add(cells, 1500);
      user.clearAmbiguous(1000);
      assert.equal(newer.cells[0]!.state, 'ended');
      user.clearAmbiguous(1500);
      assert.equal(newer.cells[0]!.state, 'waiting');
      assert.equal(user.ambiguous, null);
    });

    it('is not idle until then', () => {
      const { user, cells } = lost({ seg_id: 1 });
      accept(user, cells);
      assert.equal(user.takeRetired().length, 1);
      assert.equal(user.idle, false);
      user.clearAmbiguous(1000);
      assert.equal(user.idle, true);
    });
  });

  it('forgets ended entries only up to the first open one', () => {
    const [first, second, third] = [
      item(1, [{ seg_id: 1 }]),
      item(2, [{ seg_id: 2 }]),
      item(3, [{ seg_id: 3 }]),
    ];
    const user = userOf(first, second, third);
    accept(user, [...first.cells, ...third.cells]);
    assert.deepEqual(user.takeRetired(), [first]);
    assert.deepEqual(user.items, [second, third]);
    accept(user, second.cells);
    assert.deepEqual(user.takeRetired(), [second, third]);
    assert.ok(user.idle);
  });

  it('sends a row to repeat once more', () => {
    const entry = entryOf(key, [{ seg_id: 1 }]);
    const source = { node: 'n', account: 'a' };
    const repeat = new Item({ seq: 2, source, eventMonoMs: 0, takenWallMs: 0 }, entry, 'repeat');
    assert.ok(!repeat.settled && repeat.open === 0 && repeat.cells[0]!.again);
    assert.equal(userOf(repeat).waits, true);
  });
});

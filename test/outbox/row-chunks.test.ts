// The memory store's packed rows against a plain array.
import assert from 'node:assert/strict';

import fc from 'fast-check';

import type { Row, RowState, Source } from '../../src/outbox/outbox';
import { LaneRows } from '../../src/outbox/row-chunks';
import { newRow, seqs } from './rows';

const sources: Source[] = [{ node: 'out', account: 'account' }];

type Step =
  | { readonly kind: 'push'; readonly count: number }
  | { readonly kind: 'remove' | RowState; readonly from: number; readonly count: number }
  | { readonly kind: 'drop'; readonly through: number }
  | { readonly kind: 'page'; readonly after: number; readonly through: number; readonly limit: number };

const place = fc.integer({ min: 0, max: 130 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({
    kind: fc.constantFrom('remove', 'remove', 'waiting', 'shield', 'repeat'),
    from: place,
    count: fc.integer({ min: 1, max: 20 }),
  }),
  fc.record({ kind: fc.constant('drop' as const), through: place }),
  fc.record({
    kind: fc.constant('page' as const),
    after: place,
    through: place,
    limit: fc.integer({ min: 1, max: 9 }),
  }),
);

class PlainRows {
  rows: Row[] = [];
  push = (row: Row) => void this.rows.push(row);
  remove = (seq: number) => void (this.rows = this.rows.filter((row) => row.seq !== seq));
  setState = (seq: number, state: RowState) =>
    void (this.rows = this.rows.map((row) => (row.seq === seq ? { ...row, state } : row)));
  drop = (through: number) =>
    void (this.rows = this.rows.filter((row) => row.state !== 'shield' || row.seq > through));
  page = (after: number, through: number, limit: number) =>
    this.rows
      .filter((row) => row.seq > after && row.seq <= through && row.state !== 'shield')
      .slice(0, limit);
}

function carryOut(packed: LaneRows, plain: PlainRows, what: Step, lastSeq: number): number {
  switch (what.kind) {
    case 'push':
      for (const seq of seqs(lastSeq + 1, lastSeq + what.count)) {
        packed.push(newRow(seq), 0);
        plain.push({ ...newRow(seq), state: 'waiting' });
      }
      return lastSeq + what.count;
    case 'drop':
      packed.dropShieldsThrough(what.through);
      plain.drop(what.through);
      return lastSeq;
    case 'page':
      assert.deepEqual(
        packed.page(what.after, what.through, what.limit),
        plain.page(what.after, what.through, what.limit),
      );
      return lastSeq;
    default:
      for (const seq of seqs(what.from, what.from + what.count - 1)) {
        if (what.kind === 'remove') {
          packed.remove(seq);
          plain.remove(seq);
        } else {
          packed.setState(seq, what.kind);
          plain.setState(seq, what.kind);
        }
      }
      return lastSeq;
  }
}

describe('rows packed in chunks', () => {
  it('hold what a plain list would hold, whatever is pushed, changed and removed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const packed = new LaneRows('add', sources, 8);
        const plain = new PlainRows();
        let lastSeq = 0;
        for (const what of steps) lastSeq = carryOut(packed, plain, what, lastSeq);
        assert.deepEqual(packed.page(0, Infinity, Infinity), plain.page(0, Infinity, Infinity));
        for (const seq of seqs(1, lastSeq)) {
          assert.deepEqual(packed.get(seq), plain.rows.find((row) => row.seq === seq) ?? null);
        }
        const waiting = plain.rows.find((row) => row.state === 'waiting') ?? null;
        assert.deepEqual(packed.firstWaiting(), waiting);
        assert.ok(packed.slots <= 8 + 4 * plain.rows.length + 8, `${packed.slots} for ${plain.rows.length}`);
      }),
      { numRuns: 300 },
    );
  });

  it('keep few places when one row of a thousand stays', () => {
    const packed = new LaneRows('add', sources);
    for (const seq of seqs(1, 100_000)) packed.push(newRow(seq), 0);
    for (const seq of seqs(1, 100_000)) if (seq % 1000 !== 0) packed.remove(seq);
    assert.equal(packed.page(0, Infinity, Infinity).length, 100);
    assert.ok(packed.slots < 2000, `${packed.slots} places`);
  });
});

// Against a list of all lost requests.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { AmbiguousRequests } from '../../src/delivery/ambiguous';
import { cellKey, Item, orderKind, type Cell } from '../../src/delivery/item';
import { device, entryOf } from '../delivery/support/world';

describe('lost requests of a user', () => {
  it('are never forgotten too early', () => {
    const cells: Cell[] = [];
    for (let n = 0; n < 12; n += 1) {
      const block = n % 3 === 0 ? { seg_code: `c${n % 2}`, member_id: 1 } : { seg_id: 1 + (n % 2) };
      const item = new Item(
        n + 1,
        entryOf(device(1), [block]),
        { node: 'n', account: 'a' },
        0,
        0,
        'waiting',
        null,
      );
      cells.push(...item.cells);
    }
    const step = fc.tuple(fc.nat(11), fc.boolean(), fc.nat(5), fc.nat(11), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const real = new AmbiguousRequests();
        const all: { cell: Cell; expired: boolean; untilMs: number }[] = [];
        let nowMs = 0;
        for (const [at, expired, ms, asked, askedExpired] of steps) {
          nowMs += ms;
          const cell = cells[at]!;
          cell.sentExpired = expired;
          real.add([cell], nowMs + 20);
          all.push({ cell, expired, untilMs: nowMs + 20 });
          const other = cells[asked]!;
          other.sentExpired = askedExpired;
          for (let sentMs = nowMs; sentMs < nowMs + 22; sentMs += 1) {
            const model = all.some(
              (lost) =>
                sentMs < lost.untilMs &&
                (orderKind(lost.cell) !== orderKind(other) ||
                  (cellKey(lost.cell) === cellKey(other) &&
                    (lost.cell !== other || lost.expired !== askedExpired))),
            );
            if (model) assert.ok(real.mayUndo(other, sentMs));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

// Packed rows for another thread arrive unchanged.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';

import type { NewRow, Row } from '../../src/queue/store';
import { packNew, packRead, unpackNew, unpackRead } from '../../src/queue/sqlite/packed-rows';

const source = fc.record({ node: fc.string(), account: fc.string() }, { noNullPrototype: true });
const row = fc.record({
  lane: fc.constantFrom<NewRow['lane']>('add', 'removal', 'bulk'),
  userHash: fc.maxSafeNat(),
  source: fc.nat({ max: 2 }),
  eventWallMs: fc.double({ noNaN: true }),
  eventMonoMs: fc.double({ noNaN: true }),
  appendedWallMs: fc.maxSafeNat(),
  cold: fc.boolean(),
  body: fc.string({ unit: fc.constantFrom('a', '"', 'é', '汉', '😀', '\n') }),
});

describe('packed rows', () => {
  it('are unchanged, also after a clone into another thread', () => {
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 50 }),
        fc.array(source, { minLength: 3, maxLength: 3 }),
        (rows, sources) => {
          const given: NewRow[] = rows.map((each, at) => ({
            ...each,
            seq: at + 1,
            source: sources[each.source]!,
          }));
          assert.deepEqual(unpackNew(structuredClone(packNew(given))), given);
          const read: Row[] = given.map(({ cold, ...each }) => ({
            ...each,
            state: cold === true ? 'repeat' : 'waiting',
          }));
          assert.deepEqual(unpackRead(structuredClone(packRead(read))), read);
        },
      ),
    );
  });
});

// Batch builder: the counted size is the built size, every block that fits is included, and no other.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { BatchBuilder } from '../../src/delivery/schedule/batch-builder';
import { PendingEntry } from '../../src/delivery/pending/pending-entry';
import { User } from '../../src/delivery/pending/user';
import type { Selection } from '../../src/delivery/pending/waiting-blocks';
import type { Block } from './support/fake-service';
import { runs } from './support/runs';
import { device, entryOf } from './support/world';

const source = { node: 'n', account: 'a' };
const minuteMs = 60_000;

function userWith(
  number: number,
  blocks: readonly Block[],
  issuedMs = 0,
): { user: User; selection: Selection } {
  const entry = entryOf(device(number), blocks);
  const user = new User(entry.userKey, number);
  user.add(
    new PendingEntry({ seq: number + 1, source, eventMonoMs: issuedMs, appendedWallMs: 0 }, entry, 'waiting'),
  );
  const selection = user.select(100, (account) => account, issuedMs);
  return { user, selection: selection! };
}

const code = fc
  .tuple(fc.constantFrom('a', 'é', '汉', '😀', '"'), fc.integer({ min: 1, max: 12 }), fc.nat({ max: 99 }))
  .map(([part, times, tail]) => `${part.repeat(times)}${tail}`);
const block: fc.Arbitrary<Block> = fc
  .tuple(code, fc.constantFrom(-1, 0, 1, 1000, 2_147_483_647))
  .map(([seg_code, expiration]) => ({ seg_code, member_id: 1, expiration }));

interface Body {
  rt_segment: { user_id: string; domain: string; seg_block: Block[] }[];
}

describe('the batch builder', () => {
  it('counts exactly the bytes it builds, stays below the limit and omits no block that would fit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(block, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 150, max: 900 }),
        (users, limitBytes) => {
          const batchBuilder = new BatchBuilder(0, limitBytes);
          const expected: Block[][] = [];
          users.forEach((blocks, number) => {
            const { user, selection } = userWith(number, blocks);
            const beforeBytes = batchBuilder.bodyBytes;
            const fitted = batchBuilder.add(user, selection.blocks);
            assert.ok(batchBuilder.bodyBytes < limitBytes || batchBuilder.size === 0);
            if (fitted > 0) expected.push(blocks.slice(0, fitted));
            if (fitted < blocks.length) {
              const roomy = new BatchBuilder(0);
              roomy.add(user, selection.blocks.slice(0, fitted + 1));
              const frame = new BatchBuilder(0).bodyBytes;
              const comma = batchBuilder.size - (fitted > 0 ? 1 : 0) > 0 ? 1 : 0;
              const withNext = beforeBytes + roomy.bodyBytes - frame + comma;
              assert.ok(withNext >= limitBytes, `${fitted} of ${blocks.length}: ${withNext} < ${limitBytes}`);
            }
          });
          const body = batchBuilder.body();
          assert.equal(Buffer.byteLength(body), batchBuilder.bodyBytes);
          const sent = (JSON.parse(body) as Body).rt_segment.map(({ seg_block }) => seg_block);
          assert.deepEqual(sent, expected);
        },
      ),
      runs(300),
    );
  });

  it('sends the id and domain of each user with its blocks', () => {
    const batchBuilder = new BatchBuilder(0);
    for (const number of [1, 2]) {
      const { user, selection } = userWith(number, [{ seg_id: 5, value: 7 }]);
      assert.equal(batchBuilder.add(user, selection.blocks), 1);
    }
    assert.deepEqual(JSON.parse(batchBuilder.body()), {
      rt_segment: [
        { user_id: device(1), domain: 'idfa', seg_block: [{ seg_id: 5, value: 7 }] },
        { user_id: device(2), domain: 'idfa', seg_block: [{ seg_id: 5, value: 7 }] },
      ],
    });
  });

  it('ages the expiration by whole minutes, and turns an expired add into a removal', () => {
    const cases: [given: number | undefined, waitedMs: number, sent: number | undefined][] = [
      [90, 0, 90],
      [90, minuteMs - 1, 90],
      [90, minuteMs, 89],
      [90, 89 * minuteMs, 1],
      [90, 90 * minuteMs - 1, 1],
      [90, 90 * minuteMs, -1],
      [90, 1000 * minuteMs, -1],
      [0, 90 * minuteMs, 0],
      [-1, 90 * minuteMs, -1],
      [undefined, 90 * minuteMs, undefined],
      // An event in the future counts as now.
      [90, -5 * minuteMs, 90],
    ];
    for (const [given, waitedMs, sent] of cases) {
      const { user, selection } = userWith(1, [
        { seg_id: 5, ...(given !== undefined && { expiration: given }) },
      ]);
      const batchBuilder = new BatchBuilder(waitedMs);
      batchBuilder.add(user, selection.blocks);
      const [entry] = (JSON.parse(batchBuilder.body()) as Body).rt_segment;
      assert.equal(entry!.seg_block[0]!.expiration, sent, `${given} after ${waitedMs} ms`);
      assert.equal(selection.blocks[0]!.sentExpired, sent === -1 && given !== -1);
    }
  });
});

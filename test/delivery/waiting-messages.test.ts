// Waiting messages: each comes out in order, with the number and the moment with which it went in.
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import type { Submission } from '../../src/delivery/submission';
import { HandedIn, WaitingMessages, type Moment } from '../../src/delivery/waiting-messages';

const submission = (node: string): Submission => ({
  source: { node, account: 'a' },
  entries: [],
  indexes: null,
  completeOn: 'accepted',
  onEnd: () => undefined,
});

describe('the waiting messages', () => {
  it('behaves like an array of messages', () => {
    const step = fc.record({ shifts: fc.boolean(), skips: fc.nat(2), laterMs: fc.nat(1) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const line = new WaitingMessages();
        const model: HandedIn[] = [];
        let number = 0;
        let at: Moment = { monoMs: 0, wallMs: 0 };
        for (const { shifts, skips, laterMs } of steps) {
          if (shifts) {
            assert.equal(line.next, model[0]?.submission);
            assert.equal(line.nextNumber, model[0]?.number);
            assert.deepEqual(line.shift(), model.shift());
          } else {
            number += 1 + skips;
            if (laterMs > 0) at = { monoMs: at.monoMs + 1, wallMs: at.wallMs + 1 };
            const one = submission(`node ${number}`);
            line.push(one, number, at);
            model.push(new HandedIn(one, number, at));
          }
          assert.equal(line.size, model.length);
        }
      }),
    );
  });
});

// Pending messages: each ends once, when its last entry has ended; entries that are read back find their
// message.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import {
  PendingMessage,
  PendingMessages,
  type Ending,
  type EntryEnd,
  type MessageEnd,
} from '../../src/delivery/pending-messages';
import { runs } from './support/runs';

function endingOf(how: EntryEnd): Ending {
  return {
    rejection: how === 'rejected' ? { code: 'SYNTAX', message: 'bad' } : null,
    effect: how === 'accepted' || how === 'expired' ? how : 'none',
    warnings: null,
  };
}

function pendingMessageOf(firstSeq: number, entries: number, ends: MessageEnd[] = []): PendingMessage {
  const pendingMessage = messageOf(entries, ends);
  pendingMessage.numbered(firstSeq, entries);
  return pendingMessage;
}

/** Without a sequence number. */
function messageOf(entries: number, ends: MessageEnd[] = [], node = 'n'): PendingMessage {
  const message = new PendingMessage(node, entries, null, (end) => ends.push(end));
  message.took(1, entries);
  return message;
}

describe('a pending message', () => {
  it('ends when its last entry has ended, with a summary that adds up', () => {
    const ends: MessageEnd[] = [];
    const pendingMessage = pendingMessageOf(10, 4, ends);
    pendingMessage.entryEnded(11, endingOf('rejected'));
    pendingMessage.entryEnded(10, endingOf('accepted'));
    pendingMessage.entryEnded(13, endingOf('expired'));
    assert.deepEqual(ends, []);
    assert.ok(pendingMessage.isOpen);
    pendingMessage.entryEnded(12, { ...endingOf('superseded'), warnings: ['odd', 'odd'] });
    assert.equal(pendingMessage.isOpen, false);
    const summary = {
      entries: 4,
      users: 1,
      associations: 4,
      accepted: 1,
      superseded: 1,
      expired: 1,
      warnings: ['odd'],
    };
    assert.deepEqual(ends, [
      { kind: 'settled', summary, rejections: [{ index: 1, code: 'SYNTAX', message: 'bad' }] },
    ]);
  });

  it('finds each entry by its number, though its parts have gaps between their numbers', () => {
    const ends: MessageEnd[] = [];
    const pendingMessage = pendingMessageOf(10, 2, ends);
    const whole = messageOf(5, ends);
    for (const [firstSeq, entries] of [
      [10, 2],
      [20, 1],
      [31, 2],
    ] as const)
      whole.numbered(firstSeq, entries);
    for (const seq of [32, 20, 11]) whole.entryEnded(seq, endingOf('rejected'));
    for (const seq of [10, 31]) whole.entryEnded(seq, endingOf('accepted'));
    assert.ok(pendingMessage.isOpen);
    const [end] = ends;
    assert.deepEqual(end?.kind === 'settled' && end.rejections.map(({ index }) => index), [4, 2, 1]);
  });

  it('ends only once, whatever follows', () => {
    const ends: MessageEnd[] = [];
    const pendingMessage = pendingMessageOf(1, 1, ends);
    pendingMessage.endQueued('asked');
    pendingMessage.end({ kind: 'parked' });
    pendingMessage.entryEnded(1, endingOf('accepted'));
    assert.deepEqual(
      ends.map(({ kind }) => kind),
      ['queued'],
    );
  });
});

describe('the pending messages', () => {
  it('find the open message of any number, and none for other numbers', () => {
    const lengths = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat({ max: 3 }), fc.boolean()), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(lengths, (list) => {
        const book = new PendingMessages(10_000);
        const expected = new Map<number, PendingMessage>();
        let seq = 1;
        let open = 0;
        for (const [entries, gap, ends] of list) {
          seq += gap;
          const pendingMessage = messageOf(entries);
          book.add(pendingMessage, seq, entries);
          if (ends) {
            book.stored(pendingMessage, 'queued');
          } else {
            open += 1;
            for (let i = 0; i < entries; i += 1) expected.set(seq + i, pendingMessage);
          }
          seq += entries;
        }
        assert.equal(book.open, open);
        for (let i = 0; i <= seq; i += 1) assert.equal(book.find(i), expected.get(i) ?? null);
      }),
      runs(200),
    );
  });

  it('forgets ended pending messages in lots and keeps finding the others', () => {
    const book = new PendingMessages(10_000);
    const pendingMessages = Array.from({ length: 5_000 }, () => messageOf(1));
    for (const [at, pendingMessage] of pendingMessages.entries()) book.add(pendingMessage, at + 1, 1);
    for (const [at, pendingMessage] of pendingMessages.entries()) {
      if (at % 10 === 0) continue;
      book.stored(pendingMessage, 'queued');
    }
    assert.equal(book.open, 500);
    for (const [at, pendingMessage] of pendingMessages.entries())
      assert.equal(book.find(at + 1), at % 10 === 0 ? pendingMessage : null);
  });

  it('ends those of a node that closes, and those of which something is not stored yet once it is', () => {
    const book = new PendingMessages(10_000);
    const ends: MessageEnd[] = [];
    const [mine, ended, other, unstored] = [
      messageOf(2, ends),
      messageOf(1, ends),
      messageOf(1, ends, 'other'),
      messageOf(1, ends),
    ];
    for (const [at, pendingMessage] of [mine, ended, other, mine, unstored].entries())
      book.add(pendingMessage, at + 1, 1);
    book.entryEnded(ended, 2, endingOf('accepted'));
    assert.equal(book.open, 3);
    book.closeNode('n', [unstored, other]);
    assert.deepEqual(
      ends.map(({ kind }) => kind),
      ['settled', 'parked'],
    );
    book.stored(unstored, 'accepted');
    book.stored(other, 'accepted');
    assert.deepEqual([ends.length, book.open, other.isOpen], [3, 1, true]);
  });

  it('end once they are stored when more than are to wait for an outcome do', () => {
    const book = new PendingMessages(1);
    const messages = [messageOf(1), messageOf(1), messageOf(1)];
    for (const [at, message] of messages.entries()) {
      assert.equal(book.areFull, at > 0);
      book.add(message, at + 1, 1);
      book.stored(message, 'accepted', at === 2);
    }
    assert.deepEqual(
      messages.map(({ isOpen }) => isOpen),
      [true, false, false],
    );
  });

  it('end as queued with what was rejected so far when another process tells the rest, those not stored yet once they are', () => {
    const book = new PendingMessages(10_000);
    const ends: MessageEnd[] = [];
    const [stored, unstored] = [messageOf(2, ends), messageOf(2, ends)];
    book.add(stored, 1, 2);
    book.add(unstored, 3, 1);
    book.entryEnded(stored, 1, endingOf('rejected'));
    book.endAllQueued(new Set([unstored]));
    const [end] = ends;
    assert.ok(end?.kind === 'queued' && end.reason === 'lateOutcomes');
    assert.deepEqual(end.rejections, [{ index: 0, code: 'SYNTAX', message: 'bad' }]);
    assert.deepEqual([ends.length, book.open, unstored.isOpen], [1, 1, true]);
    book.stored(unstored, 'accepted', true);
    assert.deepEqual([ends.length, book.open, book.find(2)], [2, 0, null]);
  });
});

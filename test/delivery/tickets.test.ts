// A message ends once, when the last of its entries has; entries that are read back find their message.
import fc from 'fast-check';
import { strict as assert } from 'node:assert';
import { Ticket, TicketBook, type TicketEnd } from '../../src/delivery/tickets';
import { Item } from '../../src/delivery/item';
import { runs } from './support/runs';
import { device, entryOf } from './support/world';

const entry = entryOf(device(1), [{ seg_id: 1 }]);

function itemOf(seq: number, how: 'accepted' | 'superseded' | 'expired' | 'rejected'): Item {
  const item = new Item(seq, entry, { node: 'n', account: 'a' }, 0, 0, 'waiting', null);
  if (how === 'accepted') item.acceptedBlocks = 1;
  if (how === 'expired') item.expiredBlocks = 1;
  if (how === 'rejected') item.rejection = { code: 'SYNTAX', message: 'bad' };
  return item;
}

function ticketOf(firstSeq: number, entries: number, ends: TicketEnd[] = []): Ticket {
  const ticket = messageOf(entries, ends);
  ticket.numbered(firstSeq, entries);
  return ticket;
}

/** Not numbered yet. */
function messageOf(entries: number, ends: TicketEnd[] = [], node = 'n'): Ticket {
  return new Ticket(node, { entries, users: 1, associations: entries }, null, (end) => ends.push(end));
}

describe('a message’s ticket', () => {
  it('ends when the last entry has ended, with a sum that adds up', () => {
    const ends: TicketEnd[] = [];
    const ticket = ticketOf(10, 4, ends);
    ticket.entryEnded(itemOf(11, 'rejected'));
    ticket.entryEnded(itemOf(10, 'accepted'));
    ticket.entryEnded(itemOf(13, 'expired'));
    assert.deepEqual(ends, []);
    assert.ok(ticket.isOpen);
    const last = itemOf(12, 'superseded');
    last.warnings = ['odd', 'odd'];
    ticket.entryEnded(last);
    assert.equal(ticket.isOpen, false);
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

  it('knows each entry by its number, though the numbers of its parts do not follow each other', () => {
    const ends: TicketEnd[] = [];
    const ticket = ticketOf(10, 2, ends);
    const whole = messageOf(5, ends);
    for (const [firstSeq, entries] of [
      [10, 2],
      [20, 1],
      [31, 2],
    ] as const)
      whole.numbered(firstSeq, entries);
    for (const seq of [32, 20, 11]) whole.entryEnded(itemOf(seq, 'rejected'));
    for (const seq of [10, 31]) whole.entryEnded(itemOf(seq, 'accepted'));
    assert.ok(ticket.isOpen);
    const [end] = ends;
    assert.deepEqual(end?.kind === 'settled' && end.rejections.map(({ index }) => index), [4, 2, 1]);
  });

  it('ends only once, whatever comes after', () => {
    const ends: TicketEnd[] = [];
    const ticket = ticketOf(1, 1, ends);
    ticket.endQueued('asked');
    ticket.endEarly({ kind: 'parked' });
    ticket.entryEnded(itemOf(1, 'accepted'));
    assert.deepEqual(
      ends.map(({ kind }) => kind),
      ['queued'],
    );
  });
});

describe('the book of tickets', () => {
  it('finds the open ticket of any number, and none for the others', () => {
    const lengths = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat({ max: 3 }), fc.boolean()), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(lengths, (list) => {
        const book = new TicketBook();
        const expected = new Map<number, Ticket>();
        let seq = 1;
        let open = 0;
        for (const [entries, gap, ends] of list) {
          seq += gap;
          const ticket = messageOf(entries);
          book.add(ticket, seq, entries);
          if (ends) {
            ticket.endQueued('asked');
            book.closed();
          } else {
            open += 1;
            for (let i = 0; i < entries; i += 1) expected.set(seq + i, ticket);
          }
          seq += entries;
        }
        assert.equal(book.open, open);
        for (let i = 0; i <= seq; i += 1) assert.equal(book.find(i), expected.get(i) ?? null);
      }),
      runs(200),
    );
  });

  it('forgets ended tickets in lots and keeps finding the others', () => {
    const book = new TicketBook();
    const tickets = Array.from({ length: 5_000 }, () => messageOf(1));
    for (const [at, ticket] of tickets.entries()) book.add(ticket, at + 1, 1);
    for (const [at, ticket] of tickets.entries()) {
      if (at % 10 === 0) continue;
      ticket.endQueued('asked');
      book.closed();
    }
    assert.equal(book.open, 500);
    for (const [at, ticket] of tickets.entries())
      assert.equal(book.find(at + 1), at % 10 === 0 ? ticket : null);
  });

  it('knows the open tickets of a node', () => {
    const book = new TicketBook();
    const [mine, ended, other] = [messageOf(2), messageOf(1), messageOf(1, [], 'other')];
    for (const [at, ticket] of [mine, ended, other, mine].entries()) book.add(ticket, at + 1, 1);
    ended.endEarly({ kind: 'parked' });
    book.closed();
    assert.equal(book.open, 2);
    assert.deepEqual([...book.ofNode('n')], [mine]);
  });
});

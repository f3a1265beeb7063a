// Rows of another queue, taken into the queue of an account whose address or member was mended.

import type { CheckedEntry } from '../entry/entry';
import { readBody } from '../entry/check';
import { QueueError, type Row, type Source } from '../queue/store';
import type { Engine } from './engine';
import type { MessageEnd } from './pending-messages';

/** A message at a time. */
const mostEntries = 1_000;

interface Message {
  readonly source: Source;
  readonly rows: { readonly row: Row; readonly entry: CheckedEntry }[];
}

/**
 * Takes those rows, in their order, of whose users the engine took nothing newer. Resolves to their numbers once that is
 * durable; rejects with a QueueError when it is not.
 */
export async function takeMoved(engine: Engine, rows: readonly Row[]): Promise<readonly number[]> {
  const messages: Message[] = [];
  for (const row of rows) {
    const entry = engine.takesMoved(row) ? readBody(row.body) : null;
    if (entry === null) continue;
    const { source, eventWallMs } = row;
    let last = messages.at(-1);
    if (last?.source.node !== source.node || last.rows.length >= mostEntries)
      messages.push((last = { source, rows: [] }));
    // It ages from its event on, wherever it waits.
    last.rows.push({ row, entry: { ...entry, eventTimeMs: Math.round(eventWallMs) } });
  }
  const taken = messages.flatMap((message) => message.rows.map(({ row }) => row));
  engine.tookMoved(taken);
  // All are handed in before anything newer can be.
  const ends = await Promise.all(messages.map((message) => handIn(engine, message)));
  for (const end of ends) {
    // One of a queue that is parked ends when it is durable too.
    if (end.kind === 'failed') throw new QueueError('failed', end.message);
  }
  return taken.map(({ seq }) => seq);
}

function handIn(engine: Engine, { source, rows }: Message): Promise<MessageEnd> {
  const entries = rows.map(({ entry }) => entry);
  return new Promise((onEnd) =>
    engine.submitMoved({ source, entries, indexes: null, completeOn: 'queued', onEnd }),
  );
}

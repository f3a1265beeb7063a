// Rows of another queue, taken into the queue of an account whose address or member was mended.

import type { CheckedEntry } from '../entry/entry';
import { readBody } from '../entry/read-body';
import type { MovedRows } from '../queue/orphaned-queue';
import { QueueError, type Row } from '../queue/store';
import type { Engine } from './engine';
import type { MessageEnd } from './pending-messages';

/** A message at a time. */
const mostEntries = 1_000;

/**
 * Takes those rows, in their order, of whose users the engine took nothing newer: as messages of one node, each of which is
 * taken as a whole or not at all. Ends with the first one that is refused, or later rows would overtake its rows.
 */
export async function takeMoved(engine: Engine, rows: readonly Row[]): Promise<MovedRows> {
  const moved: number[] = [];
  for (let at = 0; at < rows.length;) {
    const message = messageFrom(rows, at);
    at += message.length;
    const end = await handIn(engine, message, moved);
    // One of a queue that is parked ends when it is durable too.
    if (end?.kind === 'failed') return { moved, refused: new QueueError('failed', end.message) };
  }
  return { moved, refused: null };
}

function messageFrom(rows: readonly Row[], first: number): readonly Row[] {
  const { node } = rows[first]!.source;
  let end = first;
  while (end < rows.length && end - first < mostEntries && rows[end]!.source.node === node) end += 1;
  return rows.slice(first, end);
}

/** Checks for newer entries only now, because some may have come while the previous message was stored. Null if no row may move. */
function handIn(engine: Engine, rows: readonly Row[], moved: number[]): Promise<MessageEnd | null> {
  const taken: Row[] = [];
  const entries: CheckedEntry[] = [];
  for (const row of rows) {
    const entry = engine.recentUsers.allows(row) ? readBody(row.body) : null;
    if (entry === null) continue;
    taken.push(row);
    // It ages from its event on, wherever it waits.
    entries.push({ ...entry, eventTimeMs: Math.round(row.eventWallMs) });
  }
  if (taken.length === 0) return Promise.resolve(null);
  const { source } = taken[0]!;
  return new Promise((resolve) => {
    const onEnd = (end: MessageEnd): void => {
      if (end.kind !== 'failed') {
        engine.recentUsers.appendedMoved(taken);
        for (const { seq } of taken) moved.push(seq);
      }
      resolve(end);
    };
    engine.submit({ source, entries, indexes: null, completeOn: 'queued', onEnd }, true);
  });
}

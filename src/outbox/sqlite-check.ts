// Whether the file holds what it says it holds: SQLite follows a damaged page to wherever it points, and a page that
// lost entries looks like one that never had them.

import type { DatabaseSync } from 'node:sqlite';

import { outboxError } from './sqlite-errors';
import { pragma } from './sqlite-schema';

/** Of a larger file only what is read is checked, as it is read: 84 MB took 0.2 s at the start, measured warm. */
const mostCheckedBytes = 128 * 1024 * 1024;

const countWaiting = 'SELECT count(*) AS waiting FROM entry NOT INDEXED WHERE state = 0';

/** Throws an OutboxError `damaged` when pages, indexes, entries and the number of those that wait do not agree. */
export function checkContent(db: DatabaseSync, path: string, waiting: number): void {
  if (pragma(db, 'page_count') * pragma(db, 'page_size') > mostCheckedBytes) return;
  const found = Object.values(db.prepare('PRAGMA integrity_check(1)').get() ?? {})[0];
  if (found !== 'ok') throw outboxError('damaged', path, String(found).replace(/\s+/g, ' '));
  const counted = db.prepare(countWaiting).get()?.waiting;
  if (counted !== waiting)
    throw outboxError('damaged', path, `${waiting} entries should wait, ${String(counted)} do`);
}

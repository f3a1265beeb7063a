// Integrity check of a queue file: SQLite follows a damaged page wherever it points, and a page that lost
// entries looks like one that never had them.

import type { DatabaseSync } from 'node:sqlite';

import { queueError } from './sqlite-errors';
import { pragma } from './sqlite-schema';

/**
 * A larger file is only checked as it is read. Measured: 139 MB with a million entries take 0.3 s when the file
 * is cached, 1.2 s from a disk of 100 MB/s; 700 MB take 1.5 s and 7.5 s.
 */
const mostCheckedBytes = 128 * 1024 * 1024;

const countWaiting = 'SELECT count(*) AS waiting FROM entry NOT INDEXED WHERE state = 0';

/** Throws a QueueError `damaged` when pages, indexes, entries and the number of pending entries disagree. */
export function checkContent(db: DatabaseSync, path: string, waiting: number): void {
  if (pragma(db, 'page_count') * pragma(db, 'page_size') > mostCheckedBytes) return;
  // `quick_check` takes two thirds of the time, but does not compare the index of removals with its entries: of
  // 455 relevant bits in that index, flipping 141 passed and lost a removal.
  const found = Object.values(db.prepare('PRAGMA integrity_check(1)').get() ?? {})[0];
  if (found !== 'ok') throw queueError('damaged', path, String(found).replace(/\s+/g, ' '));
  const counted = db.prepare(countWaiting).get()?.waiting;
  if (counted !== waiting)
    throw queueError('damaged', path, `${waiting} entries should wait, ${String(counted)} do`);
}

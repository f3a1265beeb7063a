// Prepared statements of a log in SQLite.

import type { DatabaseSync } from 'node:sqlite';

import { bucketOf, logSql } from '../log-sql';

/** Rows per INSERT: measured a third faster than single rows, and no faster with more. */
export const rowsPerInsert = 40;
export const columnsPerRow = 10;

export type LogStatements = ReturnType<typeof prepareAll>;

/** Lanes and states are literals, so that the partial indexes are used. */
export function prepareAll(db: DatabaseSync) {
  const columns = 'seq, lane, state, user, source, event_wall, event_mono, taken_wall, body';
  const insert =
    'INSERT INTO entry (seq, lane, state, user, source, chars, event_wall, event_mono, taken_wall, cold, body)';
  const values = '(?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)';
  const sql = logSql({
    table: (name) => name,
    byNumber: 'NOT INDEXED',
    byIndex: (index) => `INDEXED BY ${index}`,
    at: () => '?',
    columns,
  });
  return {
    insertOne: db.prepare(`${insert} VALUES ${values}`),
    insertMany: db.prepare(`${insert} VALUES ${new Array(rowsPerInsert).fill(values).join(', ')}`),
    repeatRun: db.prepare('UPDATE entry SET state = 1 WHERE seq BETWEEN ? AND ? AND state = 0'),
    sumRun: db.prepare(
      'SELECT count(*) FILTER (WHERE state = 0) AS waiting, coalesce(sum(chars), 0) AS chars FROM entry WHERE seq BETWEEN ? AND ?',
    ),
    removeRun: db.prepare('DELETE FROM entry WHERE seq BETWEEN ? AND ?'),
    readAdds: db.prepare(sql.readAdds),
    readRemovals: db.prepare(sql.readRemovals),
    readBulk: db.prepare(sql.readBulk),
    coolAdds: db.prepare('UPDATE entry NOT INDEXED SET cold = 1 WHERE seq <= ? AND cold = 0 AND lane = 0'),
    coolRemovals: db.prepare(
      'UPDATE entry INDEXED BY entry_removal SET cold = 1 WHERE lane = 1 AND seq <= ? AND cold = 0',
    ),
    coolBulk: db.prepare(
      'UPDATE entry INDEXED BY entry_bulk SET cold = 1 WHERE lane = 2 AND seq <= ? AND cold = 0',
    ),
    // Bucket after bucket, so that the rows are in order.
    rowsOf: db.prepare(
      `WITH RECURSIVE bucket (n) AS (
        SELECT ${bucketOf('?1')} UNION ALL SELECT n + 1 FROM bucket WHERE n < ${bucketOf('?2')}
      )
      SELECT ${columns} FROM bucket CROSS JOIN entry INDEXED BY entry_cold
      WHERE ${bucketOf('seq')} = n AND user = ?3 AND cold = 1 AND seq > ?1 AND seq <= ?2 LIMIT ?4`,
    ),
    firstSeq: db.prepare(sql.firstSeq),
    oldest: db.prepare(sql.oldest),
    setTotals: db.prepare(
      'UPDATE total SET last_seq = ?, waiting = ?, chars = ?, warm_add = ?, warm_removal = ?, warm_bulk = ?, commits = ?',
    ),
    beginRecord: db.prepare('INSERT INTO flight (post, users) VALUES (?, ?)'),
    setRecordUnknown: db.prepare('UPDATE flight SET until_wall = ? WHERE post = ?'),
    settleRecord: db.prepare('DELETE FROM flight WHERE post = ?'),
    getMeta: db.prepare(sql.getMeta),
    setMeta: db.prepare(sql.setMeta),
  };
}

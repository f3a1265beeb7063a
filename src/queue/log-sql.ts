// SQL statements that the stores on SQLite and PostgreSQL share, so that order and states mean the same in
// both.

/** Differences between the two databases. */
export interface Dialect {
  /** SQL name of a table. */
  readonly table: (name: 'entry' | 'meta') => string;
  /** Index hint for reading entries by number. */
  readonly byNumber: string;
  /** Index hint for this index; empty where the database chooses it without a hint. */
  readonly byIndex: (index: 'entry_removal' | 'entry_bulk') => string;
  /** A parameter by its position, from 1. */
  readonly at: (place: number) => string;
  /** The columns of `entry` that form a row. */
  readonly columns: string;
}

/**
 * The index by user has buckets of 4,096 successive rows: within a bucket its pages stay in the cache while rows are
 * appended. An index by user alone writes another page for each row.
 */
export function bucketOf(seq: string): string {
  return `(${seq} >> 12)`;
}

/** Lanes and states are literals, so that the partial indexes are used. */
export function logSql({ table, byNumber, byIndex, at, columns }: Dialect) {
  const entry = table('entry');
  const page = `seq > ${at(1)} AND seq <= ${at(2)} ORDER BY seq LIMIT ${at(3)}`;
  return {
    /** Numbers above the first parameter, up to the second; the third is the limit. */
    readAdds: `SELECT ${columns} FROM ${entry} ${byNumber} WHERE lane = 0 AND ${page}`,
    readRemovals: `SELECT ${columns} FROM ${entry} ${byIndex('entry_removal')} WHERE lane = 1 AND ${page}`,
    readBulk: `SELECT ${columns} FROM ${entry} ${byIndex('entry_bulk')} WHERE lane = 2 AND ${page}`,
    oldest: `SELECT taken_wall FROM ${entry} ${byNumber} WHERE state = 0 ORDER BY seq LIMIT 1`,
    firstSeq: `SELECT min(seq) AS first FROM ${entry}`,
    lastSeq: `SELECT coalesce(max(seq), 0) AS last FROM ${entry}`,
    getMeta: `SELECT value FROM ${table('meta')} WHERE key = ${at(1)}`,
    setMeta:
      `INSERT INTO ${table('meta')} (key, value) VALUES (${at(1)}, ${at(2)}) ` +
      `ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  };
}

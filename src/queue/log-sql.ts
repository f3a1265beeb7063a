// The statements that the stores on SQLite and PostgreSQL have in common: one order by number, one meaning of states.

/** What differs between the two. */
export interface Dialect {
  /** A table by its plain name. */
  readonly table: (name: 'entry' | 'meta') => string;
  /** Said of the entries where they are to be read by number, not by an index. */
  readonly byNumber: string;
  /** Said of the entries where this index is to be used; a database that finds it by itself says nothing. */
  readonly byIndex: (index: 'entry_removal' | 'entry_tombstone') => string;
  /** A parameter by its place, from 1. */
  readonly at: (place: number) => string;
  /** Those columns of `entry` that a row is made of. */
  readonly columns: string;
  /** Whether a column holds one of a list, which is the parameter at `place`. */
  readonly isOneOf: (column: string, place: number) => string;
}

/** Literal lanes and states, so that the partial indexes are used. */
export function logSql({ table, byNumber, byIndex, at, columns, isOneOf }: Dialect) {
  const entry = table('entry');
  const page = `state <> 1 AND seq > ${at(1)} AND seq <= ${at(2)} ORDER BY seq LIMIT ${at(3)}`;
  return {
    /** Of numbers above the first, up to the second; at most so many. */
    readAdds: `SELECT ${columns} FROM ${entry} ${byNumber} WHERE lane = 0 AND ${page}`,
    readRemovals: `SELECT ${columns} FROM ${entry} ${byIndex('entry_removal')} WHERE lane = 1 AND ${page}`,
    oldest: `SELECT taken_wall FROM ${entry} ${byNumber} WHERE state = 0 ORDER BY seq LIMIT 1`,
    /** Where a search of so many rows above a number ends. */
    lookedAt:
      `SELECT max(seq) AS last, count(*) AS count FROM ` +
      `(SELECT seq FROM ${entry} ${byNumber} WHERE seq > ${at(1)} ORDER BY seq LIMIT ${at(2)}) AS looked`,
    rowsOf:
      `SELECT ${columns} FROM ${entry} ${byNumber} ` +
      `WHERE seq > ${at(1)} AND seq <= ${at(2)} AND ${isOneOf('"user"', 3)} ORDER BY seq`,
    getMeta: `SELECT value FROM ${table('meta')} WHERE key = ${at(1)}`,
    setMeta:
      `INSERT INTO ${table('meta')} (key, value) VALUES (${at(1)}, ${at(2)}) ` +
      `ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  };
}

// Packed rows: new rows for another thread as columns instead of objects, because cloning a thousand objects
// costs more than writing them to disk.

import { laneCodes, lanesByCode } from '../row-codes';
import type { NewRow, Source } from '../store';

/** The numbers of all rows in one array, their bodies in one string. */
export interface PackedRows {
  /** `numbersPerRow` numbers for each row, in the order of `pack`. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly sources: readonly Source[];
  readonly bodies: string;
}

const numbersPerRow = 8;
/** Added to the lane of a row that is cold. */
const coldFlag = 4;

export function pack(rows: readonly NewRow[]): PackedRows {
  const numbers = new Float64Array(rows.length * numbersPerRow);
  const sources: Source[] = [];
  let at = 0;
  for (const row of rows) {
    // Rows of one message share one source object.
    if (row.source !== sources.at(-1)) sources.push(row.source);
    numbers[at++] = row.seq;
    numbers[at++] = laneCodes[row.lane] + (row.cold === true ? coldFlag : 0);
    numbers[at++] = row.userHash;
    numbers[at++] = sources.length - 1;
    numbers[at++] = row.eventWallMs;
    numbers[at++] = row.eventMonoMs;
    numbers[at++] = row.appendedWallMs;
    numbers[at++] = row.body.length;
  }
  return { numbers, sources, bodies: rows.map(({ body }) => body).join('') };
}

/** Restores the rows. */
export function unpack({ numbers, sources, bodies }: PackedRows): NewRow[] {
  const rows: NewRow[] = [];
  let start = 0;
  for (let at = 0; at < numbers.length; at += numbersPerRow) {
    const end = start + numbers[at + 7]!;
    rows.push({
      seq: numbers[at]!,
      lane: lanesByCode[numbers[at + 1]! % coldFlag]!,
      userHash: numbers[at + 2]!,
      source: sources[numbers[at + 3]!]!,
      eventWallMs: numbers[at + 4]!,
      eventMonoMs: numbers[at + 5]!,
      appendedWallMs: numbers[at + 6]!,
      body: bodies.slice(start, end),
      cold: numbers[at + 1]! >= coldFlag,
    });
    start = end;
  }
  return rows;
}

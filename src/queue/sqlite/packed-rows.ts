// Packed rows: rows for another thread as columns instead of objects, because cloning a thousand objects costs more than
// writing them to disk.

import { laneCodes, lanesByCode } from '../row-codes';
import type { NewRow, Row, Source } from '../store';

/** The numbers of all rows in one array. */
interface Columns {
  /** `numbersPerRow` numbers for each row, in the order of `columnsOf`. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly sources: readonly Source[];
}

/** New rows, which end in the thread that unpacks them: one text is cloned faster than many. */
export interface PackedNew extends Columns {
  readonly bodies: string;
}

/** Rows that were read. A part of one long text would keep all of it in memory, so each body is a text of its own. */
export interface PackedRead extends Columns {
  readonly bodies: readonly string[];
}

const numbersPerRow = 8;
/** Added to the lane of a new row that is cold, and of a row that was read and is to be repeated. */
const flag = 4;

export function packNew(rows: readonly NewRow[]): PackedNew {
  return { ...columnsOf(rows, ({ cold }) => cold === true), bodies: bodiesOf(rows).join('') };
}

export function packRead(rows: readonly Row[]): PackedRead {
  return { ...columnsOf(rows, ({ state }) => state === 'repeat'), bodies: bodiesOf(rows) };
}

function bodiesOf(rows: readonly { readonly body: string }[]): string[] {
  return rows.map(({ body }) => body);
}

function columnsOf<R extends NewRow | Row>(rows: readonly R[], isFlagged: (row: R) => boolean): Columns {
  const numbers = new Float64Array(rows.length * numbersPerRow);
  const sources: Source[] = [];
  let at = 0;
  for (const row of rows) {
    // Rows of one message share one source object.
    if (row.source !== sources.at(-1)) sources.push(row.source);
    numbers[at++] = row.seq;
    numbers[at++] = laneCodes[row.lane] + (isFlagged(row) ? flag : 0);
    numbers[at++] = row.userHash;
    numbers[at++] = sources.length - 1;
    numbers[at++] = row.eventWallMs;
    numbers[at++] = row.eventMonoMs;
    numbers[at++] = row.appendedWallMs;
    numbers[at++] = row.body.length;
  }
  return { numbers, sources };
}

export function unpackNew({ bodies, ...columns }: PackedNew): NewRow[] {
  let end = 0;
  return unpack(
    columns,
    (_, chars) => bodies.slice(end, (end += chars)),
    (row, cold) => ({ ...row, cold }),
  );
}

export function unpackRead({ bodies, ...columns }: PackedRead): Row[] {
  return unpack(
    columns,
    (index) => bodies[index]!,
    (row, repeats) => ({ ...row, state: repeats ? 'repeat' : 'waiting' }),
  );
}

function unpack<R>(
  { numbers, sources }: Columns,
  bodyOf: (index: number, chars: number) => string,
  rowOf: (row: Omit<NewRow, 'cold'>, isFlagged: boolean) => R,
): R[] {
  const rows = new Array<R>(numbers.length / numbersPerRow);
  for (let index = 0; index < rows.length; index++) {
    const at = index * numbersPerRow;
    const code = numbers[at + 1]!;
    const row = {
      seq: numbers[at]!,
      lane: lanesByCode[code % flag]!,
      userHash: numbers[at + 2]!,
      source: sources[numbers[at + 3]!]!,
      eventWallMs: numbers[at + 4]!,
      eventMonoMs: numbers[at + 5]!,
      appendedWallMs: numbers[at + 6]!,
      body: bodyOf(index, numbers[at + 7]!),
    };
    rows[index] = rowOf(row, code >= flag);
  }
  return rows;
}

// Staged rows for another thread as columns, for the reason in packed-rows.ts.

import type { StagedRow } from '../sync-store';

export interface PackedStagedRows {
  /** For each row the length of its key, value and expiration; NaN for null. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly keys: string;
}

const numbersPerRow = 3;

export function packStaged(rows: readonly StagedRow[]): PackedStagedRows {
  const numbers = new Float64Array(rows.length * numbersPerRow);
  rows.forEach(({ memberKey, value, expiration }, at) => {
    numbers.set([memberKey.length, value ?? NaN, expiration ?? NaN], at * numbersPerRow);
  });
  return { numbers, keys: rows.map(({ memberKey }) => memberKey).join('') };
}

export function unpackStaged({ numbers, keys }: PackedStagedRows): StagedRow[] {
  const rows: StagedRow[] = [];
  let start = 0;
  for (let at = 0; at < numbers.length; at += numbersPerRow) {
    const end = start + numbers[at]!;
    const [value, expiration] = [numbers[at + 1]!, numbers[at + 2]!];
    rows.push({
      memberKey: keys.slice(start, end),
      value: Number.isNaN(value) ? null : value,
      expiration: Number.isNaN(expiration) ? null : expiration,
    });
    start = end;
  }
  return rows;
}

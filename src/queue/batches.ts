// Batch size of a shared queue: small enough for the database to append a batch well within the time of a call,
// however large the message is.

export const rowsPerBatch = 1_000;
/** Body length in UTF-16 units. */
const charsPerBatch = 1_000_000;

interface Sized {
  readonly body: string;
}

/** Splits rows into batches, in order; a row that is too large for a batch is alone in its own. */
export function batchesOf<R extends Sized>(rows: readonly R[]): R[][] {
  const batches: R[][] = [];
  for (let at = 0; at < rows.length;) {
    const batch = firstBatch(rows, at);
    batches.push(batch);
    at += batch.length;
  }
  return batches;
}

/** The first batch of the rows from index `from` on. */
export function firstBatch<R extends Sized>(rows: readonly R[], from = 0): R[] {
  let chars = 0;
  let end = from;
  for (; end < rows.length && end - from < rowsPerBatch; end += 1) {
    chars += rows[end]!.body.length;
    if (chars > charsPerBatch && end > from) break;
  }
  return rows.slice(from, end);
}

export function charsOf(rows: readonly Sized[]): number {
  let chars = 0;
  for (const { body } of rows) chars += body.length;
  return chars;
}

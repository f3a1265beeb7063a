// How much goes into a shared log at once: little enough for the database to take it in well under the time
// that a call has, however large a message is.

export const rowsPerBatch = 1_000;
/** UTF-16 units of their bodies. */
const charsPerBatch = 1_000_000;

interface Sized {
  readonly body: string;
}

/** The rows in their order, in batches; a row that is too large for one is alone in its own. */
export function batchesOf<R extends Sized>(rows: readonly R[]): R[][] {
  const batches: R[][] = [];
  for (let at = 0; at < rows.length;) {
    const batch = firstBatch(rows, at);
    batches.push(batch);
    at += batch.length;
  }
  return batches;
}

/** What goes at once of the rows from `from` on. */
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

// How often properties run: a few seconds by default; PROPERTY_RUNS multiplies the time for a long search.

/** `usual` runs, or in proportion to PROPERTY_RUNS (150 is the usual measure). */
export function numRuns(usual: number): number {
  const asked = process.env['PROPERTY_RUNS'];
  return asked === undefined ? usual : Math.max(1, Math.round((Number(asked) * usual) / 150));
}

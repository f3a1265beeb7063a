// How often properties run: a few seconds by default; PROPERTY_RUNS multiplies the time for a long search.

export interface Runs {
  readonly numRuns: number;
  /** Whether a counterexample is shown as it was found, without looking for a smaller one. */
  readonly endOnFailure: boolean;
}

/** `usual` runs, or in proportion to PROPERTY_RUNS (150 is the usual measure); PROPERTY_SHRINK=0 for quick failures. */
export function runs(usual: number): Runs {
  const { PROPERTY_RUNS: asked, PROPERTY_SHRINK: shrink } = process.env;
  const numRuns = asked === undefined ? usual : Math.max(1, Math.round((Number(asked) * usual) / 150));
  return { numRuns, endOnFailure: shrink === '0' };
}

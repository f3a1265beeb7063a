// Number of runs of properties: a few seconds by default; PROPERTY_RUNS multiplies the time for a long search, as test/long/more-runs.ts does.

export interface Runs {
  readonly numRuns: number;
}

/** `usual` runs, or in proportion to PROPERTY_RUNS (150 is the default). */
export function runs(usual: number): Runs {
  const { PROPERTY_RUNS: asked } = process.env;
  return { numRuns: asked === undefined ? usual : Math.max(1, Math.round((Number(asked) * usual) / 150)) };
}

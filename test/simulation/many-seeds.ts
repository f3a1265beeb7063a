// Runs many seeds in this thread and combines their results.
import { runSeed } from './run-seed';

export interface Summary {
  seeds: number;
  events: number;
  /** In order of the seeds. */
  failed: { seed: number; promise: string; text: string }[];
  faults: Record<string, number>;
  worst: Record<string, { value: number; seed: number }>;
  shapes: Record<string, number>;
}

export function emptySummary(): Summary {
  return { seeds: 0, events: 0, failed: [], faults: {}, worst: {}, shapes: {} };
}

export async function runSeeds(from: number, count: number, stopAtFirst = false): Promise<Summary> {
  const sum = emptySummary();
  for (let seed = from; seed < from + count; seed += 1) {
    const { violations, events, faults, worst, plan } = await runSeed(seed);
    sum.seeds += 1;
    sum.events += events;
    sum.shapes[plan.shape] = (sum.shapes[plan.shape] ?? 0) + 1;
    for (const [kind, times] of faults) sum.faults[kind] = (sum.faults[kind] ?? 0) + times;
    for (const [what, value] of worst) keepWorst(sum, what, value, seed);
    const [first] = violations;
    if (first === undefined) continue;
    sum.failed.push({ seed, ...first });
    if (stopAtFirst) break;
  }
  return sum;
}

function keepWorst(sum: Summary, what: string, value: number, seed: number): void {
  const known = sum.worst[what];
  if (known === undefined || value > known.value) sum.worst[what] = { value, seed };
}

export function addTo(sum: Summary, part: Summary): void {
  sum.seeds += part.seeds;
  sum.events += part.events;
  sum.failed.push(...part.failed);
  for (const [kind, times] of Object.entries(part.faults)) sum.faults[kind] = (sum.faults[kind] ?? 0) + times;
  for (const [shape, times] of Object.entries(part.shapes))
    sum.shapes[shape] = (sum.shapes[shape] ?? 0) + times;
  for (const [what, { value, seed }] of Object.entries(part.worst)) keepWorst(sum, what, value, seed);
}

// The first seeds, on two processes, for the long tests: the same ones in each run.
import { availableParallelism } from 'node:os';
import { addTo, emptySummary, type Summary } from './many-seeds';
import { workThrough } from './pool';

const share = 50;

/** Plays the seeds from 1 to `last`, a multiple of 50. */
export async function playFirst(last: number): Promise<Summary> {
  const sum = emptySummary();
  let next = 1;
  await workThrough(
    Math.min(2, availableParallelism()),
    () => (next > last ? null : { kind: 'seeds', from: (next += share) - share, count: share }),
    (_task, part) => addTo(sum, part),
  );
  return sum;
}

// Plays one user's histories and counts the steps of `src/`: a thread of its own, so that all of it is counted.
import { takeSteps } from './steps';

import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { forms, play } from './hot-user';

/** What one history took. */
export interface Played {
  readonly form: string;
  /** For each entry and request, for each of the counts. */
  readonly stepsEach: readonly number[];
  /** The functions that did most, with most entries. */
  readonly most: string;
  readonly wrong: readonly string[];
}

const source = path.join(__dirname, '..', '..', '..', 'src') + path.sep;

async function main(): Promise<void> {
  const { counts, options } = workerData as { counts: readonly number[]; options: object };
  for (const form of forms) {
    const stepsEach: number[] = [];
    const wrong: string[] = [];
    let most = '';
    for (const each of counts) {
      const count = each * (form.times ?? 1);
      takeSteps(source);
      const world = await play(form, count, options);
      const steps = takeSteps(source);
      stepsEach.push(steps.total / (count + world.service.requests.length));
      most = steps.most;
      wrong.push(...(form.check?.(world) ?? world.violations()));
    }
    parentPort!.postMessage({ form: form.name, stepsEach, most, wrong } satisfies Played);
  }
}

void main();

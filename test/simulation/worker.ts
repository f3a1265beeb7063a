// Worker process that runs seeds, for `npm run simulate -- --seeds N` and `--bugs`.
import type { Bug } from './bugs/bug';
import { bugs } from './bugs/bugs';
import { runSeeds, type Summary } from './many-seeds';
import { runSeed } from './run-seed';

export type Task =
  | { readonly kind: 'seeds'; readonly from: number; readonly count: number }
  | { readonly kind: 'bug'; readonly name: string; readonly from: number; readonly count: number };

process.on('message', (task: Task) => {
  work(task).then(
    (answer) => process.send!(answer),
    (error: unknown) => {
      // Otherwise the pool waits for an answer forever: a run may take unhandled rejections for faults of its own.
      console.error(error);
      process.exit(1);
    },
  );
});

async function work(task: Task): Promise<unknown> {
  if (task.kind === 'seeds') return runSeeds(task.from, task.count);
  return findBug(
    bugs.find(({ name }) => name === task.name)!,
    task,
  );
}

/** The first seed that fails with the bug, and not without it. */
async function findBug({ putIn }: Bug, { from, count }: Task): Promise<Summary> {
  for (let seed = from; ;) {
    const takeOut = putIn();
    const found = await runSeeds(seed, from + count - seed, true);
    takeOut();
    const [failed] = found.failed;
    if (failed === undefined || (await runSeed(failed.seed)).violations.length === 0) return found;
    seed = failed.seed + 1;
  }
}

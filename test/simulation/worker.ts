// A process of its own that runs the seeds it is handed, for `npm run simulate -- --seeds N` and `--bugs`.
import { runSeeds } from './many-seeds';
import { bugs } from './bugs/bugs';

export type Task =
  | { readonly kind: 'seeds'; readonly from: number; readonly count: number }
  | { readonly kind: 'bug'; readonly name: string; readonly from: number; readonly count: number };

process.on('message', (task: Task) => {
  void work(task).then((answer) => process.send!(answer));
});

async function work(task: Task): Promise<unknown> {
  if (task.kind === 'seeds') return runSeeds(task.from, task.count);
  const takeOut = bugs.find(({ name }) => name === task.name)!.putIn();
  try {
    return await runSeeds(task.from, task.count, true);
  } finally {
    takeOut();
  }
}

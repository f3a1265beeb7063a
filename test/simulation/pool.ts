// Process pool: one process for each core.
import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Summary } from './many-seeds';
import type { Task } from './worker';

/** Passes each task's answer to `took` as it arrives; `next` returns null when no task is left. */
export async function workThrough(
  processes: number,
  next: () => Task | null,
  took: (task: Task, answer: Summary) => void,
): Promise<void> {
  await Promise.all(Array.from({ length: processes }, () => oneProcess(next, took)));
}

async function oneProcess(
  next: () => Task | null,
  took: (task: Task, answer: Summary) => void,
): Promise<void> {
  const child = fork(path.join(__dirname, 'worker.ts'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning', '--import', 'tsx'],
  });
  try {
    for (let task = next(); task !== null; task = next()) took(task, await ask(child, task));
  } finally {
    child.disconnect();
  }
}

function ask(child: ChildProcess, task: Task): Promise<Summary> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a worker ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as Summary);
    });
    child.send(task);
  });
}

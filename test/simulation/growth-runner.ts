// Growth runner: passes growth seeds to the process that counts, which starts with the first of them.
import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Growth } from './growth';

let running: ChildProcess | null = null;

/** `bug`: the name of the bug to put in. */
export function growthOf(seed: number, bug: string | null): Promise<Growth> {
  running ??= start();
  const its = running;
  its.channel?.ref();
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void =>
      reject(new Error(`the process that counts ended with ${code}`));
    its.once('exit', ended);
    its.once('message', (growth) => {
      its.off('exit', ended);
      its.channel?.unref();
      resolve(growth as Growth);
    });
    its.send({ seed, bug });
  });
}

function start(): ChildProcess {
  const started = fork(path.join(__dirname, 'growth-process.ts'), [], {
    // Optimised code does not count inlined calls, and V8 optimises at random times.
    execArgv: ['--no-opt', '--no-maglev', '--disable-warning=ExperimentalWarning', '--import', 'tsx'],
  });
  // It does not keep this process running, and ends with it.
  started.unref();
  return started;
}

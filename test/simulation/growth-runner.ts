// Hands growth seeds to the thread that counts, which is started for the first of them.
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Growth } from './growth';

let thread: Worker | null = null;

/** `bug`: the name of the bug that is put in. */
export function growthOf(seed: number, bug: string | null): Promise<Growth> {
  thread ??= startThread();
  const its = thread;
  return new Promise((resolve, reject) => {
    its.once('error', reject);
    its.once('message', (growth: Growth) => {
      its.off('error', reject);
      resolve(growth);
    });
    its.postMessage({ seed, bug });
  });
}

function startThread(): Worker {
  const loads = `require('tsx/cjs'); require(${JSON.stringify(path.join(__dirname, 'growth-thread.ts'))});`;
  const started = new Worker(loads, { eval: true });
  // It does not keep the process from ending.
  started.unref();
  return started;
}

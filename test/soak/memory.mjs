// Loaded into the Node-RED that is soaked (`--import`): writes what only the process itself knows of its memory.
import { renameSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const everyMs = 5_000;
/** Only what a full collection leaves is in use; one a minute is rare enough not to keep the memory small. */
const collectEvery = 12;
const file = process.env.SOAK_MEMORY_FILE;

if (isMainThread && file !== undefined) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  let turns = 0;
  let collected = null;
  setInterval(() => {
    turns += 1;
    if (turns % collectEvery === 0) {
      collect();
      collected = { atMs: Date.now(), heapMb: process.memoryUsage().heapUsed / 1_048_576 };
    }
    const figures = { atMs: Date.now(), collected, resources: process.getActiveResourcesInfo().length };
    writeFileSync(`${file}.new`, JSON.stringify(figures));
    renameSync(`${file}.new`, file);
  }, everyMs).unref();
}

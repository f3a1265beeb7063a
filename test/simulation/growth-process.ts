// Growth process: V8 starts counting here before any of the code is loaded.
import { Session } from 'node:inspector';
import type * as bugsModule from './bugs/bugs';
import type * as growthModule from './growth';

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
// oxlint-disable-next-line no-require-imports -- only code loaded from here on is counted
const { measureGrowth } = require('./growth') as typeof growthModule;
// oxlint-disable-next-line no-require-imports
const { bugs } = require('./bugs/bugs') as typeof bugsModule;

process.on('message', ({ seed, bug }: { seed: number; bug: string | null }) => {
  // In a turn of its own, where promises can be made to settle.
  setImmediate(() => {
    const takeOut = bugs.find(({ name }) => name === bug)?.putIn();
    process.send!(measureGrowth(seed, session));
    takeOut?.();
  });
});

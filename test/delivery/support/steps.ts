// Counts the work that code does, whatever the machine is doing: how often each of its blocks ran.
//
// It counts from when it is loaded. Of code that ran before, loops and branches are not counted: import it first, in a
// thread of its own.
import { Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';

interface FunctionCoverage {
  readonly functionName: string;
  readonly ranges: readonly { readonly count: number }[];
}

export interface Steps {
  readonly total: number;
  /** The functions that did most, to see what a test found. */
  readonly most: string;
}

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

/** The steps since the last call: blocks (functions, loops, branches) of the files in a folder. */
export function takeSteps(folder: string): Steps {
  const byFunction = new Map<string, number>();
  session.post('Profiler.takePreciseCoverage', (error, { result }) => {
    if (error !== null) throw error;
    for (const { url, functions } of result) {
      const file = url.startsWith('file:') ? fileURLToPath(url) : url;
      if (!file.startsWith(folder)) continue;
      for (const each of functions) add(byFunction, file, each);
    }
  });
  const sorted = [...byFunction].sort(([, a], [, b]) => b - a);
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  const most = sorted.slice(0, 5).map(([name, count]) => `${name} ${count}`);
  return { total, most: most.join(', ') };
}

function add(counts: Map<string, number>, file: string, { functionName, ranges }: FunctionCoverage): void {
  const name = `${file.slice(file.lastIndexOf('/') + 1)}:${functionName}`;
  const count = ranges.reduce((sum, range) => sum + range.count, 0);
  counts.set(name, (counts.get(name) ?? 0) + count);
}

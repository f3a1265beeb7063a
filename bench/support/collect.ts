// Takes away the garbage of what a worker made before it is timed: its cost is not the contender's.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Collects all generations; what survives is old afterwards. */
export function collect(): void {
  gc();
}

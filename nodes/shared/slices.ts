// Time slices of this process, for messages with very many entries.
import { SliceTurns, type Slices } from '../../src/entry/index';

/** Short enough that other work of this process does not notice it. */
const sliceMs = 10;

const turns = new SliceTurns(
  sliceMs,
  () => performance.now(),
  () => new Promise((resolve) => setImmediate(resolve)),
);

export function newSlices(): Slices {
  return turns.slices();
}

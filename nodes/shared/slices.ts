// Time slices of this process, for messages with very many entries.
import { SliceTurns, type Slices } from '../../src/entry/slices';

/** Shorter than what somebody or something else at this process would notice. */
const sliceMs = 10;

const turns = new SliceTurns(
  sliceMs,
  () => performance.now(),
  () => new Promise((resolve) => setImmediate(resolve)),
);

export function newSlices(): Slices {
  return turns.slices();
}

// The seeds of forms of a user's history, in the order of the forms.
import assert from 'node:assert/strict';
import { forms } from './growth-forms';
import { runSeed } from './run-seed';

/** Plays every `nth` form, of those after the first two, which are among the first hundred seeds. */
export async function boundsWork(nth: number): Promise<void> {
  for (let form = 3; form <= forms.length; form += nth) {
    const { violations } = await runSeed(50 * form);
    assert.deepEqual(violations, [], `seed ${50 * form}`);
  }
}

// What `npm test` does less often or smaller: seeds of the simulation, runs of properties, a message for a shared queue.
import assert from 'node:assert/strict';
import './more-runs';
import '../delivery/refused-bodies.test';
import '../delivery/shared-large.test';
import '../queue/large-message.test';
import { playFirst } from '../simulation/first-seeds';

describe('The simulation of the whole system', () => {
  it('keeps every promise with the seeds 1 to 500', async function () {
    this.timeout(600_000);
    const { seeds, failed } = await playFirst(500);
    assert.equal(seeds, 500);
    assert.deepEqual(failed, []);
  });
});

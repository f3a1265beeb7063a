// What `npm test` does less often or smaller: seeds of the simulation, forms of a user's history, runs of properties, a backlog, a
// message for a shared queue.
import assert from 'node:assert/strict';
import './more-runs';
import '../delivery/backlog.test';
import '../delivery/refused-bodies.test';
import '../delivery/shared-large.test';
import '../queue/large-message.test';
import { playFirst } from '../simulation/first-seeds';
import { boundsWork } from '../simulation/growth-seeds';

describe('The simulation of the whole system', () => {
  it('keeps every promise with the seeds 1 to 500', async function () {
    this.timeout(600_000);
    const { seeds, failed } = await playFirst(500);
    assert.equal(seeds, 500);
    assert.deepEqual(failed, []);
  });

  it('bounds the work for every form of a user’s history', async function () {
    this.timeout(600_000);
    await boundsWork(1);
  });
});

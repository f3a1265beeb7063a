// kill −9 in the middle of a load, three times: the service ends up with every accepted entry, in order.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../../src/sandbox/sandbox';
import { AudienceSite, assertNothingEscaped } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { assertQuotaKept } from '../support/quota';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, since, tell } from './measured';

const users = 300;
/** Long enough for posts to be on their way: after a start one second of the quota counts as used. */
const killAfterMs = { least: 1_300, most: 2_300 };
const drainMs = 30_000;
const rounds = 3;
/** Slow replies, and a few that never come. */
const faults: readonly Fault[] = [
  { kind: 'latency', beforeMs: [0, 40], afterMs: [0, 40] },
  { kind: 'lostReply', probability: 0.2, count: 2 },
];

describe('a Node-RED that is killed in the middle of a load', function () {
  this.timeout(120_000);
  const expected = new ExpectedAudience();
  const load = new EventLoad({ expected, users, delivery: 'once' });
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;

  before(async () => {
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    site = await AudienceSite.make({ serviceUrl: sandbox.url });
    ends(() => site.close());
    await site.start();
    ends(() => load.discard());
  });

  const killUnderLoad = async (): Promise<void> => {
    load.start(site.eventsUrl);
    await sleep(killAfterMs.least + Math.random() * (killAfterMs.most - killAfterMs.least));
    const { signal } = await site.stop('SIGKILL');
    assert.equal(signal, 'SIGKILL', `Node-RED had ended before:\n${site.log}`);
    await load.stop();
    await site.start();
  };

  for (let round = 1; round <= rounds; round += 1) {
    it(`holds what was taken, in order, after kill ${round}`, async () => {
      const startedMs = performance.now();
      const before = { ...load.counts };
      await sandbox.setFaults(faults);
      await killUnderLoad();
      await site.delivered(drainMs);
      const state = await sandbox.state();
      assert.deepEqual(expected.differences(state), []);
      expected.settle(state);
      tell(
        `kill ${round}`,
        count(load.counts.taken - before.taken, 'events taken'),
        count(load.counts.unanswered - before.unanswered, 'unanswered'),
        count(state.length, 'memberships as expected'),
        since(startedMs),
      );
    });
  }

  it('kept the quota throughout, and its queue is empty in the end', async () => {
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assert.deepEqual(expected.differences(await sandbox.state()), []);
    assertQuotaKept(await sandbox.peaks());
    assertNothingEscaped(site.log);
  });
});

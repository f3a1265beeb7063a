// SIGTERM with a backlog: Node-RED ends in time, and the next one delivers the rest.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { AudienceSite, assertNothingEscaped, documentedAccountLimits } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { nodeRedVersion } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, since, tell } from './measured';

const smallLimits = { postsPerSecond: 10, usersPerSecond: 50, maxConcurrent: 4 };
const stopMs = 15_000;
const loadMs = 3_000;

describe(`a Node-RED ${nodeRedVersion} that is stopped with a backlog`, function () {
  this.timeout(120_000);
  const expected = new ExpectedAudience();
  const load = new EventLoad({ expected, users: 500, delivery: 'once' });
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;

  before(async () => {
    sandbox = await StandAloneSandbox.start({
      faults: [{ kind: 'latency', beforeMs: [100, 300], afterMs: [100, 300] }],
    });
    ends(() => sandbox.kill());
    site = await AudienceSite.make({ serviceUrl: sandbox.url, limits: smallLimits });
    ends(() => site.close());
    await site.start();
    ends(() => load.discard());
  });

  it('exits with code 0 within 15 s, events still coming in', async () => {
    load.start(site.eventsUrl);
    await sleep(loadMs);
    const { code, signal, tookMs } = await site.stop('SIGTERM');
    await load.stop();
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    assert.ok(tookMs < stopMs, `it took ${Math.round(tookMs)} ms`);
    const queued = await site.queued();
    assert.ok(queued > 100, `${queued} entries make no backlog`);
    assertQuotaKept(await sandbox.peaks(), { postsPerSecond: 10, usersPerSecond: 50, concurrent: 4 });
    tell(
      count(load.counts.taken, 'events taken'),
      count(queued, 'left in the queue'),
      `ended in ${(tookMs / 1000).toFixed(2)} s`,
    );
  });

  it('delivers the rest at the next start, in order', async () => {
    const startedMs = performance.now();
    await site.start({ limits: documentedAccountLimits });
    await site.delivered(30_000);
    const state = await sandbox.state();
    assert.deepEqual(expected.differences(state), []);
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assertQuotaKept(await sandbox.peaks());
    assertNothingEscaped(site.log);
    tell(count(state.length, 'memberships as expected'), since(startedMs));
  });
});

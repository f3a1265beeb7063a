// Ten deploys of every kind, one a second, while events come in faster than the quota lets them out.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { AudienceSite, assertNothingEscaped, audienceFlow, nodeIds } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import type { FlowNode } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, since, tell } from './measured';

const limits = { postsPerSecond: 20, usersPerSecond: 200, maxConcurrent: 4 };
const sandboxLimits = { postsPerSecond: 20, usersPerSecond: 200 };
const deploys = 10;
const users = 300;
/** What a deploy closes in the middle gets no answer, and is sent again after this. */
const answerMs = 2_000;
const everyMs = 1_000;
const drainMs = 30_000;

/** What each deploy changes, so that those nodes really restart: everything, the out node, the account, the flow. */
const changes = [
  { type: 'full', id: nodeIds.tab, property: 'info' },
  { type: 'nodes', id: nodeIds.out, property: 'name' },
  { type: 'nodes', id: nodeIds.account, property: 'name' },
  { type: 'flows', id: nodeIds.input, property: 'name' },
] as const;

describe('a Node-RED that is redeployed every second under load', function () {
  this.timeout(120_000);
  const expected = new ExpectedAudience();
  const load = new EventLoad({ expected, users, clients: 12, pauseMs: 30, answerMs, delivery: 'untilTaken' });
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;

  before(async () => {
    sandbox = await StandAloneSandbox.start({
      limits: sandboxLimits,
      faults: [{ kind: 'latency', beforeMs: [5, 60], afterMs: [5, 60] }],
    });
    ends(() => sandbox.kill());
    site = await AudienceSite.make({ serviceUrl: sandbox.url, limits });
    ends(() => site.close());
    await site.start();
    ends(() => load.discard());
  });

  it(`loses nothing and keeps the order over ${deploys} deploys`, async () => {
    const startedMs = performance.now();
    let flow = audienceFlow({ serviceUrl: sandbox.url, limits });
    load.start(site.eventsUrl);
    for (let deploy = 0; deploy < deploys; deploy += 1) {
      await sleep(Math.max(0, startedMs + (deploy + 1) * everyMs - performance.now()));
      const { type, id, property } = changes[deploy % changes.length]!;
      flow = flow.map((node): FlowNode =>
        node.id === id ? { ...node, [property]: `deploy ${deploy}` } : node,
      );
      await site.running.deploy(flow, type);
    }
    await sleep(everyMs / 2);
    await load.stop();
    await site.delivered(drainMs);
    const state = await sandbox.state();
    assert.deepEqual(expected.differences(state), []);
    const { worst } = await sandbox.peaks();
    tell(
      count(deploys, 'deploys'),
      count(load.counts.taken, 'events taken'),
      count(load.counts.repeated, 'messages sent again'),
      count(state.length, 'memberships as expected'),
      `at most ${worst.postsPerSecond} posts and ${worst.usersPerSecond} users a second`,
      since(startedMs),
    );
  });

  it('never went over the quota, and logged in once', async () => {
    const peaks = await sandbox.peaks();
    assertQuotaKept(peaks, sandboxLimits);
    assert.ok(peaks.worst.usersPerSecond > limits.usersPerSecond / 2, 'the load filled the quota');
    assert.equal(peaks.totals.authentications, 1);
  });

  it('leaves no error behind, and nothing in the queue', async () => {
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assertNothingEscaped(site.log);
  });
});

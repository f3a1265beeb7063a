// Two real Node-RED, one of them a 5, that share a queue in a real PostgreSQL: the sender is killed, and put to sleep.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { nodeRedVersion } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { ownPostgres } from '../support/services';
import { count, since, tell } from './measured';
import { repeatedMs, SharedRun, sleep } from './shared-run';

describe('two Node-RED that share a queue', function () {
  this.timeout(120_000);
  const ends = cleanUps();
  let run: SharedRun;

  before(async function () {
    const database = await ownPostgres(this, ends, 'audience_shared');
    run = await SharedRun.start({
      versions: [nodeRedVersion, '5'],
      databaseUrl: database.url,
      faults: [{ kind: 'latency', beforeMs: [0, 40], afterMs: [0, 40] }],
    });
    ends(() => run.close());
  });

  it('deliver the entries of both, in order, after the sender is killed', async () => {
    const startedMs = performance.now();
    run.load.start(...run.eventUrls);
    await run.taken(300);
    const sender = await run.sends(null);
    await run.sites[sender]!.stop('SIGKILL');
    const killedMs = performance.now();
    // Clients that nobody answers go home: all of them, when the kill takes long.
    await run.load.stop();
    run.load.start(run.sites[1 - sender]!.eventsUrl);
    await run.sends(`node-${sender + 1}`);
    const tookMs = performance.now() - killedMs;
    await run.taken(501);
    await run.load.stop();
    await run.sites[sender]!.start();
    await run.drained();
    const memberships = await run.assertAudience();
    tell(
      count(run.load.counts.taken, 'events taken'),
      count(run.load.counts.unanswered, 'unanswered'),
      count(memberships, 'memberships as expected'),
      `the other had the lease after ${(tookMs / 1000).toFixed(1)} s`,
      since(startedMs),
    );
    assert.ok(run.load.counts.taken > 500);
  });

  it('do so when the sender sleeps for longer than its lease, and wakes', async () => {
    const sender = await run.sends(null);
    run.load.start(...run.eventUrls);
    await sleep(1_500);
    run.load.sendTo(run.sites[1 - sender]!.eventsUrl);
    run.sites[sender]!.signal('SIGSTOP');
    await run.sends(`node-${sender + 1}`);
    await sleep(1_500);
    run.sites[sender]!.signal('SIGCONT');
    await sleep(1_500);
    await run.load.stop();
    await run.drained();
    // What the sleeper had begun to send may leave as it wakes; until it is repeated, that may show.
    await sleep(repeatedMs);
    await run.assertAudience();
  });

  it('never went over the quota together, and leave nothing behind', async () => {
    assertQuotaKept(await run.sandbox.peaks());
    for (const site of run.sites) assert.equal((await site.stop()).code, 0);
    run.assertNothingEscaped();
    assert.equal((await run.state()).waiting, 0);
  });
});

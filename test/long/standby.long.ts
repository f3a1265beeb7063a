// Three real Node-RED whose shared queue is in a primary with a synchronous standby: the primary is killed under load, and
// the standby promoted, with a new standby after that, and again. Size: STANDBY_FAILOVERS.
import { performance } from 'node:perf_hooks';
import { count, since, tell } from '../process/measured';
import { repeatedMs, SharedRun, sleep } from '../process/shared-run';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { PostgresPair } from '../support/postgres-pair';
import { needService } from '../support/services';

const failovers = Number(process.env.STANDBY_FAILOVERS ?? 4);
const aroundMs = 6_000;
/** Until somebody has noticed, and promotes the standby. */
const goneMs = 4_000;
const drainMs = 90_000;
const limits = { postsPerSecond: 25, usersPerSecond: 250, maxConcurrent: 6 };

describe('three Node-RED whose database fails over to a synchronous standby, in the long run', function () {
  this.timeout(20 * 60_000);
  const ends = cleanUps();
  let pair: PostgresPair;
  let run: SharedRun;

  before(async function () {
    const found = await PostgresPair.find();
    needService(this, found, 'PostgreSQL with pg_basebackup');
    pair = found;
    ends(() => pair.stop());
    run = await SharedRun.start({
      versions: ['5', '4.1', '5'],
      databaseUrl: pair.url,
      askedUrl: pair.primaryUrl,
      limits,
      delivery: 'untilTaken',
      // What several keep at the same time has no order among them.
      sticky: true,
      faults: [{ kind: 'latency', beforeMs: [0, 60], afterMs: [0, 60] }],
    });
    ends(() => run.close());
  });

  it(`lose nothing and keep order and quota over ${failovers} failovers`, async () => {
    const startedMs = performance.now();
    const tookMs: number[] = [];
    run.load.start(...run.eventUrls);
    for (let failover = 0; failover < failovers; failover += 1) {
      await sleep(aroundMs);
      await pair.killPrimary();
      await sleep(goneMs);
      await pair.promote();
      const promotedMs = performance.now();
      run.askedUrl = pair.primaryUrl;
      await run.sends(null, 30_000);
      tookMs.push(performance.now() - promotedMs);
      await pair.renew();
    }
    await sleep(aroundMs);
    await run.load.stop();
    await until(
      async () => (await run.kept()).every((kept) => kept === 0),
      drainMs,
      () => `machines that keep nothing; logs:\n${run.logs()}`,
    );
    await run.drained(drainMs);
    await sleep(repeatedMs);
    await run.drained(drainMs);
    const memberships = await run.assertAudience();
    await run.assertQuota();
    tell(
      count(failovers, 'failovers'),
      count(run.load.counts.taken, 'events taken'),
      count(memberships, 'memberships as expected'),
      `a sender ${(Math.max(...tookMs) / 1000).toFixed(1)} s after the promotion at most`,
      since(startedMs),
    );
    run.assertNothingEscaped();
  });
});

// Two real Node-RED, one of them a 5, whose shared queue has one address: for some seconds that leads to a server that takes no
// changes, a standby, as during a failover, and their connections to it stay when it leads to the primary again.
import { strict as assert } from 'node:assert';
import { cleanUps } from '../support/clean-up';
import { nodeRedVersion, until } from '../support/node-red';
import { PostgresPair } from '../support/postgres-pair';
import { assertQuotaKept } from '../support/quota';
import { Relay } from '../support/relay';
import { needService } from '../support/services';
import { count, tell } from './measured';
import { SharedRun, sleep } from './shared-run';

const readOnlyMs = 6_000;

describe('two Node-RED whose database takes no changes for some seconds', function () {
  this.timeout(120_000);
  const ends = cleanUps();
  let pair: PostgresPair;
  let relay: Relay;
  let run: SharedRun;

  before(async function () {
    const found = await PostgresPair.find();
    needService(this, found, 'PostgreSQL with pg_basebackup');
    pair = found;
    ends(() => pair.stop());
    relay = await Relay.open(pair.primaryUrl);
    ends(() => relay.close());
    const moving = new URL(pair.primaryUrl);
    moving.port = new URL(relay.url).port;
    run = await SharedRun.start({
      versions: [nodeRedVersion, '5'],
      databaseUrl: moving.href,
      askedUrl: pair.primaryUrl,
      // What both keep at the same time has no order among them.
      sticky: true,
      delivery: 'untilTaken',
    });
    ends(() => run.close());
  });

  it('send again when it takes changes, and lose nothing', async () => {
    run.load.start(...run.eventUrls);
    await run.taken(200);
    await relay.close();
    relay.leadTo(pair.standbyUrl);
    await relay.reopen();
    await sleep(readOnlyMs);
    const before = (await run.sandbox.peaks()).totals.posts;
    // Connections that are there stay.
    relay.leadTo(pair.primaryUrl);
    await until(
      async () => (await run.sandbox.peaks()).totals.posts > before + 20,
      20_000,
      () => `new posts; logs:\n${run.logs()}`,
    );
    await run.load.stop();
    await run.drained();
    const memberships = await run.assertAudience();
    tell(count(run.load.counts.taken, 'events taken'), count(memberships, 'memberships as expected'));
    assertQuotaKept(await run.sandbox.peaks());
    for (const site of run.sites) assert.equal((await site.stop()).code, 0);
    run.assertNothingEscaped();
  });
});

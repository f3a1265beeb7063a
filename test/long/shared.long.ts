// Three real Node-RED with one queue take the same users in turn, while one after the other of them is killed, put to
// sleep, cut off from the database and deployed. Sizes: SHARED_KILLS, SHARED_SLEEPS, SHARED_CUTS, SHARED_DEPLOYS.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { count, since, tell } from '../process/measured';
import { repeatedMs, SharedRun, sleep } from '../process/shared-run';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { OwnNetwork } from '../support/own-network';
import { ownPostgres } from '../support/services';

const times = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const kills = times('SHARED_KILLS', 8);
const sleeps = times('SHARED_SLEEPS', 6);
const cuts = times('SHARED_CUTS', 6);
const deploys = times('SHARED_DEPLOYS', 30);

const killEveryMs = 10_000;
/** A new sender logs in, and all of them together do so ten times in five minutes at the most. */
const logins = { kills: 8, windowMs: 305_000 };
/** Longer than its lease. */
const asleepMs = 5_000;
/** Longer than it takes to find out that a database says nothing, and to keep what comes in. */
const cutMs = 12_000;
const drainMs = 90_000;
/** Less than the load: the quota is used up all the time. */
const limits = { postsPerSecond: 25, usersPerSecond: 250, maxConcurrent: 6 };

describe('three Node-RED that share a queue, in the long run', function () {
  this.timeout(30 * 60_000);
  const ends = cleanUps();
  let network: OwnNetwork | null;
  let run: SharedRun;

  before(async function () {
    const database = await ownPostgres(this, ends, 'audience_shared_long');
    network = await OwnNetwork.open();
    ends(async () => network?.close());
    run = await SharedRun.start({
      versions: ['5', '4.1', '5'],
      databaseUrl: database.url,
      network,
      limits,
      delivery: 'untilTaken',
      faults: [
        { kind: 'latency', beforeMs: [0, 60], afterMs: [0, 60] },
        { kind: 'lostReply', probability: 0.002 },
      ],
    });
    ends(() => run.close());
  });

  const nameOf = (site: number): string => `node-${site + 1}`;
  const urlsWithout = (site: number): string[] =>
    run.sites.filter((_, index) => index !== site).map(({ eventsUrl }) => eventsUrl);

  /** Everything has ended, also what is sent once more after a take-over. */
  async function settled(startedMs: number, ...more: readonly string[]): Promise<void> {
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
    const { worst } = await run.sandbox.peaks();
    tell(
      ...more,
      count(run.load.counts.taken, 'events taken so far'),
      count(run.load.counts.repeated, 'messages sent again'),
      count(memberships, 'memberships as expected'),
      `at most ${worst.postsPerSecond} posts, ${worst.usersPerSecond} users a second and ${worst.concurrent} calls at a time`,
      since(startedMs),
    );
  }

  it(`lose nothing and keep order and quota when the sender is killed ${kills} times`, async () => {
    const startedMs = performance.now();
    const tookMs: number[] = [];
    run.load.start(...run.eventUrls);
    for (let kill = 0; kill < kills; kill += 1) {
      const [window, inWindow] = [Math.floor(kill / logins.kills), (kill % logins.kills) + 1];
      const dueMs = startedMs + window * logins.windowMs + inWindow * killEveryMs;
      await sleep(Math.max(0, dueMs - performance.now()));
      const sender = await run.sends(null);
      const killedMs = performance.now();
      await run.sites[sender]!.stop('SIGKILL');
      run.load.sendTo(...urlsWithout(sender));
      await run.sends(nameOf(sender));
      tookMs.push(performance.now() - killedMs);
      await run.sites[sender]!.start();
      run.load.sendTo(...run.eventUrls);
    }
    await settled(startedMs, count(kills, 'kills'), spread('another had the lease after', tookMs));
  });

  it(`do so when the sender sleeps longer than its lease ${sleeps} times`, async () => {
    const startedMs = performance.now();
    const tookMs: number[] = [];
    run.load.start(...run.eventUrls);
    for (let round = 0; round < sleeps; round += 1) {
      await sleep(2_000);
      const sender = await run.sends(null);
      run.load.sendTo(...urlsWithout(sender));
      const stoppedMs = performance.now();
      run.sites[sender]!.signal('SIGSTOP');
      await run.sends(nameOf(sender));
      tookMs.push(performance.now() - stoppedMs);
      await sleep(Math.max(0, stoppedMs + asleepMs - performance.now()));
      run.sites[sender]!.signal('SIGCONT');
      run.load.sendTo(...run.eventUrls);
    }
    await settled(startedMs, count(sleeps, 'sleeps'), spread('another had the lease after', tookMs));
  });

  it(`do so when one is cut off from the database, and joined again, ${cuts} times`, async function () {
    if (network === null) this.skip();
    const startedMs = performance.now();
    const inside = run.sites.length - 1;
    let cutAsSender = 0;
    let mostKept = 0;
    // What is kept on a machine has no order with what another takes meanwhile.
    run.load.sticky = true;
    run.load.start(...run.eventUrls);
    for (let cut = 0; cut < cuts; cut += 1) {
      await sleep(3_000);
      if (cut % 2 === 0) await hasSend(inside);
      const isSender = (await run.sends(null)) === inside;
      if (isSender) cutAsSender += 1;
      await network.cut();
      if (isSender) await run.sends(nameOf(inside));
      await sleep(cutMs);
      mostKept = Math.max(mostKept, ...(await run.kept()));
      await network.join();
      await until(
        async () => (await run.kept()).every((kept) => kept === 0),
        drainMs,
        () => `an end of what ${nameOf(inside)} keeps; logs:\n${run.logs()}`,
      );
    }
    await settled(
      startedMs,
      count(cuts, 'cuts'),
      count(cutAsSender, 'of them of the sender'),
      count(mostKept, 'entries kept at most'),
    );
    run.load.sticky = false;
    assert.ok(mostKept > 0, 'something was kept meanwhile');
    assert.ok(cutAsSender > 0, 'the sender was cut off');
  });

  /** Puts whoever else sends to sleep until it does. */
  async function hasSend(site: number): Promise<void> {
    for (let sender = await run.sends(null); sender !== site; sender = await run.sends(null)) {
      run.sites[sender]!.signal('SIGSTOP');
      await run.sends(nameOf(sender));
      run.sites[sender]!.signal('SIGCONT');
    }
  }

  it('stop in time when they are cut off, and keep what they have taken', async function () {
    if (network === null) this.skip();
    const startedMs = performance.now();
    const inside = run.sites.length - 1;
    run.load.sticky = true;
    run.load.start(...run.eventUrls);
    const tookMs: number[] = [];
    for (const isSender of [true, false]) {
      await sleep(2_000);
      if (isSender) await hasSend(inside);
      else await hasSend(0);
      await network.cut();
      await sleep(cutMs);
      // Its users' next events go to nobody meanwhile: they would be newer than what it keeps.
      const stopped = await run.sites[inside]!.stop();
      assert.equal(stopped.code, 0);
      tookMs.push(stopped.tookMs);
      await network.join();
      await run.sites[inside]!.start();
      run.load.sendTo(...run.eventUrls);
    }
    await settled(startedMs, spread('stopped after', tookMs));
    run.load.sticky = false;
  });

  it(`lose nothing and keep order and quota when all of them are deployed ${deploys} times`, async () => {
    const startedMs = performance.now();
    run.load.start(...run.eventUrls);
    for (let deploy = 0; deploy < deploys; deploy += 1) {
      await sleep(1_000);
      await run.deployAll(deploy);
    }
    await settled(startedMs, count(deploys, 'deploys of each'));
  });

  it('leave nothing behind', async () => {
    for (const site of run.sites) assert.equal((await site.stop()).code, 0);
    run.assertNothingEscaped();
    assert.equal((await run.state()).waiting, 0);
  });
});

function spread(what: string, tookMs: readonly number[]): string {
  const sorted = [...tookMs].sort((a, b) => a - b);
  const seconds = (ms: number | undefined): string => ((ms ?? 0) / 1000).toFixed(1);
  return `${what} ${seconds(sorted[Math.floor(sorted.length / 2)])} s (median), ${seconds(sorted.at(-1))} s at most`;
}

// An outage of the service, or a hanging service, while events arrive: they wait, and are delivered in order.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { AudienceSite, assertNothingEscaped } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { EventLoad } from '../support/event-load';
import { ExpectedAudience } from '../support/expected-audience';
import { assertQuotaKept } from '../support/quota';
import { Relay } from '../support/relay';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, since, tell } from './measured';

interface Outage {
  /** `gone`: connections break, and new ones are refused. `hangs`: connections are taken, nothing comes back. */
  readonly kind: 'gone' | 'hangs';
  readonly outageMs: number;
}

const aroundMs = 1_500;
/** From the service's return to the end of the backlog: its size, and the backoff that may have begun just before. */
const drainMs = 40_000;

function outage({ kind, outageMs }: Outage): void {
  const expected = new ExpectedAudience();
  const load = new EventLoad({ expected, users: 500, clients: 4, delivery: 'untilTaken', pauseMs: 30 });
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let relay: Relay;
  let site: AudienceSite;

  before(async () => {
    sandbox = await StandAloneSandbox.start({
      faults: [{ kind: 'latency', beforeMs: [0, 30], afterMs: [0, 30] }],
    });
    ends(() => sandbox.kill());
    relay = await Relay.open(sandbox.url);
    ends(() => relay.close());
    site = await AudienceSite.make({ serviceUrl: relay.url });
    ends(() => site.close());
    await site.start();
    ends(() => load.discard());
  });

  it(`takes events for the ${outageMs / 1000} s, and delivers them in order when the service is back`, async () => {
    const startedMs = performance.now();
    load.start(site.eventsUrl);
    await sleep(aroundMs);
    const before = load.counts.taken;
    if (kind === 'gone') await relay.close();
    else sandbox.hang();
    await sleep(outageMs);
    const meanwhile = load.counts.taken - before;
    if (kind === 'gone') await relay.reopen();
    else sandbox.goOn();
    const backMs = performance.now();
    await sleep(aroundMs);
    await load.stop();
    await site.delivered(drainMs);
    const state = await sandbox.state();
    assert.deepEqual(expected.differences(state), []);
    assert.equal(load.counts.repeated, 0, 'no message was refused or left without an answer');
    assert.ok(meanwhile > 100, `${meanwhile} events make no outage`);
    tell(
      count(load.counts.taken, 'events taken'),
      count(meanwhile, 'of them during the outage'),
      count(state.length, 'memberships as expected'),
      `${since(backMs)} after the return`,
      since(startedMs),
    );
  });

  it('gave every entry one end, and kept the quota', async () => {
    assert.deepEqual(await site.ended(), { accepted: load.counts.taken, rejected: 0 });
    assertQuotaKept(await sandbox.peaks());
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assertNothingEscaped(site.log);
  });
}

describe('a Node-RED whose service is unreachable', function () {
  this.timeout(120_000);
  outage({ kind: 'gone', outageMs: 10_000 });
});

describe('a Node-RED whose service hangs', function () {
  this.timeout(120_000);
  outage({ kind: 'hangs', outageMs: 4_000 });
});

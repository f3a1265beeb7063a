// A removal behind a backlog of adds: it overtakes them, and no add undoes it.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { AudienceSite, assertNothingEscaped, audienceFlow } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, since, tell } from './measured';

const adds = 20_000;
const perMessage = 1_000;
const buyer = '19999999999999999999';
const segment = 10001;
/** Promise 7. */
const removalMs = 2_000;
const drainMs = 120_000;

interface Entry {
  user_id: string;
  seg_block: { seg_id: number; value?: number; expiration: number }[];
}

const viewed = (user_id: string, value: number): Entry => ({
  user_id,
  seg_block: [{ seg_id: segment, value, expiration: 43_200 }],
});

describe('a removal behind 20,000 queued adds', function () {
  this.timeout(120_000);
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;

  before(async () => {
    sandbox = await StandAloneSandbox.start({ limits: 'none' });
    ends(() => sandbox.kill());
    site = await AudienceSite.make({ serviceUrl: sandbox.url });
    ends(() => site.close());
    await site.start();
  });

  const post = async (entries: readonly Entry[]): Promise<void> => {
    const { status, body } = await site.running.post('events', entries);
    assert.equal(status, 202, String(body));
  };
  const isIn = async (): Promise<boolean> => (await sandbox.segmentsOf(buyer)).includes(String(segment));

  it('is at the service within 2 s', async () => {
    await post([viewed(buyer, 1)]);
    await until(isIn, 10_000, 'the buyer in the segment');
    const startedMs = performance.now();
    // The buyer is a viewer once more, near the end of the backlog.
    for (let first = 0; first < adds; first += perMessage) {
      const viewers = Array.from({ length: perMessage }, (_, index) => viewed(`3${first + index + 1e9}`, 2));
      if (first === adds - 2 * perMessage) viewers[perMessage / 2] = viewed(buyer, 2);
      await post(viewers);
    }
    const queuedMs = performance.now();
    await post([{ user_id: buyer, seg_block: [{ seg_id: segment, expiration: -1 }] }]);
    await until(async () => !(await isIn()), removalMs, 'the buyer out of the segment');
    const took = since(queuedMs);
    const sent = (await sandbox.peaks()).totals.users;
    assert.ok(sent < adds, 'adds still wait');
    tell(
      `${count(adds, 'adds queued')} in ${((queuedMs - startedMs) / 1000).toFixed(1)} s`,
      count(adds - sent, 'still waiting'),
      `the removal took ${took}`,
    );
    assertQuotaKept(await sandbox.peaks());
  });

  it('is not undone by the adds that it has overtaken', async () => {
    const startedMs = performance.now();
    // The documented quota would take a second for each thousand of the rest.
    const limits = { postsPerSecond: 1_000, usersPerSecond: 20_000, maxConcurrent: 15 };
    await site.running.deploy(audienceFlow({ serviceUrl: sandbox.url, limits }));
    await site.delivered(drainMs);
    const state = await sandbox.state();
    assert.equal(await isIn(), false);
    assert.equal(state.length, adds - 1);
    assert.equal((await site.stop()).code, 0);
    assert.equal(await site.queued(), 0);
    assertNothingEscaped(site.log);
    tell(count(state.length, 'memberships as expected'), since(startedMs));
  });
});

// “de-target buyers”, fed by its buttons: a buyer is removed at once, while viewers are still queued.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { count, debugs, device, ExampleSite, feeder, nodeOf, readExample, report, settled } from './support';

const viewers = 5_000;
const buyers = 25;
const waitMs = 20_000;

describe('de-target buyers', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const flow = readExample('de-target buyers');
  const feed = feeder(nodeOf(flow, 'xandr-segment-builder', 'viewers join'));
  let site: ExampleSite;

  before(async () => {
    site = await ExampleSite.start([...flow, feed]);
    ends(() => site.close());
  });

  it('takes buyers out while viewers are still queued, and the buyers’ own views do not bring them back', async () => {
    const startedMs = performance.now();
    const comms = await site.running.comms();
    const users = Array.from({ length: viewers }, (_, n) => ({ user: device(n), idType: 'idfa' }));
    await site.press(feed, users);
    // The last of the viewers: their own views are far back in the queue.
    const bought = users.slice(-buyers);
    const button = nodeOf(flow, 'inject', 'try: the last of them buys');
    for (const buyer of bought) await site.press(button, buyer);
    await until(
      () => debugs(comms, 'left after').length === buyers,
      waitMs,
      () => `${buyers} purchases accepted instead of ${debugs(comms, 'left after').length}`,
    );
    const meanwhile = (await site.sandboxState()).length;
    assert.ok(meanwhile < viewers - buyers, `the viewers were still queued: ${meanwhile} were in`);
    const expected = users.slice(0, -buyers).map(({ user }) => `10001 ${user}`);
    await settled(() => site.sandboxState(), expected, waitMs);
    const slowest = Math.max(
      ...debugs(comms, 'left after').map((text) => Number(/(\d+) ms/.exec(String(text))![1])),
    );
    comms.close();
    report(
      'de-target buyers',
      'its buttons',
      `${count(viewers, 'views')}, ${count(buyers, 'purchases')}`,
      `${count(expected.length, 'memberships as expected')}, the slowest buyer out after ${slowest} ms with ${meanwhile} viewers in`,
      startedMs,
    );
  });

  it('shows the same by its buttons', async () => {
    const comms = await site.running.comms();
    await site.press(nodeOf(flow, 'inject', 'try: the last of them buys'));
    await until(() => debugs(comms, 'left after').length === 1, waitMs, 'how long it took');
    assert.match(debugs(comms, 'left after')[0], /^1ba98a6c-d1a5-49ef-ad1c-000000020000 left after \d+ ms$/);
    comms.close();
  });
});

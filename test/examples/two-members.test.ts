// “two members”, fed by an HTTP client: each member gets its own, also while the other one cannot be reached.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { Relay } from '../support/relay';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { count, device, ExampleSite, inParallel, nodeOf, readExample, report, settled } from './support';

const visits = 1_500;
const waitMs = 20_000;

describe('two members', function () {
  this.timeout(60_000);
  const ends = cleanUps();

  it('fills each member’s segment, and one does not wait for the other', async () => {
    const startedMs = performance.now();
    const sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    const relay = await Relay.open(sandbox.url);
    ends(() => relay.close());
    await relay.close();
    const flow = readExample('two members');
    // The second sandbox is where the example says, but for the port, which may be taken here.
    const garden = nodeOf(flow, 'xandr-account', 'garden (member 2)');
    assert.deepEqual(garden.credentials, { username: 'practice', password: 'practice' });
    Object.assign(garden, { authUrl: relay.url, serviceUrl: relay.url });
    const site = await ExampleSite.start(flow);
    ends(() => site.close());
    const comms = await site.running.comms();

    const numbers = Array.from({ length: visits }, (_, n) => n);
    await inParallel(numbers, 16, async (n) => {
      const visit = { user: device(n), idType: 'idfa', brand: brandOf(n) };
      assert.equal((await site.running.post('visits', visit)).status, 202);
    });
    const of = (brand: string, segment: number): string[] =>
      numbers.filter((n) => brandOf(n) === brand).map((n) => `${segment} ${device(n)}`);
    const kitchen = await settled(() => site.sandboxState(), of('kitchen', 10_001), waitMs);
    assert.deepEqual(await sandbox.state(), []);
    const gardenOut = flow.find(
      ({ type, account }) => type === 'xandr-instant-audience-out' && account === garden.id,
    )!;
    await until(
      () => comms.on(`status/${gardenOut.id}`).at(-1)?.text === 'service unreachable',
      waitMs,
      'a status that says why the garden waits',
    );
    await relay.reopen();
    const gardenState = await settled(() => sandbox.state(), of('garden', 10_006), waitMs);
    await settled(() => site.sandboxState(), of('kitchen', 10_001), waitMs);
    comms.close();
    report(
      'two members',
      'HTTP requests, one of two services unreachable at first',
      count(visits, 'visits'),
      `${count(kitchen.length, 'memberships')} of one member and ${count(gardenState.length, 'of the other')}, as expected`,
      startedMs,
    );
  });
});

function brandOf(n: number): string {
  return n % 3 === 0 ? 'garden' : 'kitchen';
}

// “two instances” in two instances with one PostgreSQL, fed by an HTTP client in turn; the active instance is killed.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { ownPostgres } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import {
  count,
  debugs,
  device,
  ExampleSite,
  inParallel,
  nodeOf,
  readExample,
  report,
  settled,
} from './support';

const users = 300;
/** Events of each user, one after the other: the last one says whether the user is in. */
const rounds = 4;
const waitMs = 20_000;

describe('two instances', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  /** The first one sends at the start. */
  let sites: [ExampleSite, ExampleSite];
  let sandbox: StandAloneSandbox;
  let events = 0;

  before(async function () {
    const database = await ownPostgres(this, ends, 'audience_two_instances');
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    const flow = readExample('two instances');
    const account = nodeOf(flow, 'xandr-account');
    assert.deepEqual(account.credentials, {
      username: 'practice',
      password: 'practice',
      databaseUrl: '${AUDIENCE_DATABASE_URL}',
    });
    // The sandbox is where the example says, but for the port, which may be taken here.
    Object.assign(account, { authUrl: sandbox.url, serviceUrl: sandbox.url });
    const start = async (name: string): Promise<ExampleSite> => {
      const env = { AUDIENCE_DATABASE_URL: database.url, INSTANCE_AUDIENCE_NAME: name };
      const site = await ExampleSite.start(flow, { env });
      ends(() => site.close());
      await site.running.logged(/This Node-RED \(node-\d\) sends now|Standing by: node-\d sends/);
      return site;
    };
    const [one, two] = await Promise.all([start('node-1'), start('node-2')]);
    assert.notEqual(sendsNow.test(one.log), sendsNow.test(two.log), 'one of them sends');
    sites = sendsNow.test(one.log) ? [one, two] : [two, one];
  });

  it('share one queue: both accept events, and the other one delivers the entries of a killed one', async () => {
    const startedMs = performance.now();
    const [first, second] = sites;
    const comms = await second.running.comms();
    ends(() => {
      comms.close();
      return Promise.resolve();
    });
    let killed: Promise<void> | null = null;
    const numbers = Array.from({ length: users }, (_, n) => n);
    await inParallel(numbers, 24, async (n) => {
      for (let round = 0; round < rounds; round += 1) {
        const event = { user: device(n), idType: 'idfa', action: actionOf(n, round) };
        if (events >= (users * rounds) / 2) killed ??= first.kill();
        await postTo(killed !== null || (n + round) % 2 === 1 ? [second] : [first, second], event);
      }
    });
    await killed!;
    const expected = numbers.filter((n) => actionOf(n, rounds - 1) === 'add');
    const state = await settled(
      () => sandbox.state(),
      expected.map((n) => `10001 ${device(n)}`),
      waitMs,
    );
    await second.running.logged(sendsNow);
    const told = (): string[] => debugs(comms, 'who sends').map(String);
    await until(
      () => told().at(-1) === 'ready',
      waitMs,
      () => `a status that says ready: ${told().join(', ')}`,
    );
    assert.ok(told().some((status) => status.startsWith('standby')));
    report(
      'two instances',
      'HTTP requests to two Node-RED instances in turn, the active one killed',
      count(events, 'events'),
      `${count(state.length, 'memberships')} as expected, nothing missing`,
      startedMs,
    );
  });

  it('hand the work back when the one that sends is stopped', async () => {
    const [first, second] = sites;
    await first.startAgain();
    await first.running.logged(/Standing by: node-\d sends/);
    const before = first.log.length;
    await second.close();
    await until(
      () => sendsNow.test(first.log.slice(before)),
      waitMs,
      () => `a line that it sends again in ${first.log.slice(before)}`,
    );
  });

  /** As a load balancer does: what one does not answer goes to the next. */
  async function postTo(those: readonly ExampleSite[], event: object): Promise<void> {
    for (const [index, site] of those.entries()) {
      try {
        const reply = await site.running.post('shared-events', event);
        assert.deepEqual(reply, { status: 202, body: { queued: 1 } });
        events += 1;
        return;
      } catch (error) {
        if (error instanceof assert.AssertionError || index === those.length - 1) throw error;
      }
    }
  }
});

const sendsNow = /This Node-RED \(node-\d\) sends now/;

function actionOf(n: number, round: number): string {
  return (n + round) % 3 === 0 ? 'remove' : 'add';
}

// “amqp to audience”, fed from a real RabbitMQ: as imported, and killed in the middle, after which nothing is missing.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import type { ConfirmChannel } from 'amqplib';
import { cleanUps } from '../support/clean-up';
import { until, type FlowNode } from '../support/node-red';
import { amqpAt, findRabbitMq, needService, type MessageQueue } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import {
  count,
  device,
  ExampleSite,
  heldAfter,
  nodeOf,
  readExample,
  report,
  settled,
  setVariable,
  someEvents,
  type Event,
  useSandboxAt,
} from './support';

const waitMs = 20_000;
/** After a kill, what was in flight keeps its share of the quota for so long: its requests may still run. */
const lateMarginMs = 20_000;
const modules = ['amqplib'];

describe('amqp to audience', function () {
  this.timeout(lateMarginMs + 90_000);
  const ends = cleanUps();
  let server: MessageQueue;
  let channel: ConfirmChannel;

  before(async function () {
    const found = await findRabbitMq();
    needService(this, found, 'RabbitMQ');
    server = found;
    ends(() => server.stop());
    const { model, end } = await amqpAt(server.url);
    ends(end);
    channel = await model.createConfirmChannel();
  });

  /** The example on a queue of its own. */
  const exampleFor = async (name: string): Promise<{ flow: FlowNode[]; queue: string }> => {
    const queue = `audience-test-${name}-${process.pid}`;
    await channel.assertQueue(queue, { durable: true });
    ends(() => channel.deleteQueue(queue));
    const flow = readExample('amqp to audience');
    setVariable(flow, 'AMQP_URL', server.url);
    setVariable(flow, 'AMQP_QUEUE', queue);
    return { flow, queue };
  };

  const publish = async (queue: string, events: readonly unknown[]): Promise<void> => {
    for (const event of events) channel.sendToQueue(queue, Buffer.from(JSON.stringify(event)));
    await channel.waitForConfirms();
  };

  /** Neither waiting nor delivered and not acknowledged: a queue that may be emptied holds neither. */
  const acknowledged = async (queue: string, site: ExampleSite): Promise<void> => {
    await until(
      async () => (await channel.checkQueue(queue)).messageCount === 0,
      waitMs,
      () => `an empty queue; log:\n${site.log}`,
    );
  };

  it('accepts the broker’s messages, and also acknowledges those that can never be sent', async () => {
    const startedMs = performance.now();
    const { flow, queue } = await exampleFor('as-imported');
    const events = someEvents(2_000, 600);
    await publish(queue, [...events.slice(0, 500), { user: 'not an id' }, 'no event', ...events.slice(500)]);
    const site = await ExampleSite.start(flow, { modules });
    ends(() => site.close());
    const expected = heldAfter(events);
    await settled(() => site.sandboxState(), expected, waitMs);
    await acknowledged(queue, site);
    await site.press(nodeOf(flow, 'inject', 'try: 1,000 events'));
    const both = heldAfter([...events, ...tried()]);
    await settled(() => site.sandboxState(), both, waitMs);
    await acknowledged(queue, site);
    await site.close();
    // With Node-RED gone, what it had not acknowledged would be back.
    assert.equal((await channel.checkQueue(queue)).messageCount, 0);
    report(
      'amqp to audience',
      server.what,
      count(events.length + tried().length, 'events'),
      count(both.length, 'memberships as expected'),
      startedMs,
    );
  });

  it('misses nothing at all when Node-RED is killed in the middle', async () => {
    const startedMs = performance.now();
    const { flow, queue } = await exampleFor('kill');
    const sandbox = await StandAloneSandbox.start({
      faults: [{ kind: 'latency', beforeMs: [0, 20], afterMs: [0, 20] }],
    });
    ends(() => sandbox.kill());
    useSandboxAt(nodeOf(flow, 'xandr-account'), sandbox.url);
    // So that a kill finds messages at the broker, in the flow, and on disk.
    setVariable(flow, 'PREFETCH', '50');
    const events = someEvents(6_000, 4_000);
    const expected = heldAfter(events);
    await publish(queue, events);
    const site = await ExampleSite.start(flow, { modules });
    ends(() => site.close());
    const leftAt: number[] = [];
    for (const left of [4_500, 2_000]) {
      await until(
        async () => (await channel.checkQueue(queue)).messageCount < left,
        waitMs,
        () => `a queue with fewer than ${left}; log:\n${site.log}`,
      );
      await site.kill();
      leftAt.push((await channel.checkQueue(queue)).messageCount);
      await site.startAgain();
    }
    assert.ok(
      leftAt.every((left) => left > 0),
      'it was killed before the queue was empty',
    );
    await settled(() => sandbox.state(), expected, lateMarginMs + waitMs);
    await acknowledged(queue, site);
    await site.delivered(nodeOf(flow, 'xandr-instant-audience-out'), lateMarginMs + waitMs);
    await settled(() => sandbox.state(), expected, waitMs);
    report(
      'amqp to audience',
      `${server.what}, killed with ${leftAt.join(' and ')} messages left in it`,
      count(events.length, 'events'),
      `${count(expected.length, 'memberships as expected')}, nothing missing`,
      startedMs,
    );
  });
});

/** What the example's button publishes. */
function tried(): Event[] {
  return Array.from({ length: 1_000 }, (_, index) => ({
    user: device((index + 1) % 800),
    segment: 10_001,
    action: (index + 1) % 4 === 0 ? 'remove' : 'add',
  }));
}

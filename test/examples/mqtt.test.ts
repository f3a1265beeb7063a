// “mqtt to audience”, fed through a real broker: as imported, and killed in the middle.
import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { connectAsync, type MqttClient } from 'mqtt';
import { cleanUps } from '../support/clean-up';
import { until, type FlowNode } from '../support/node-red';
import { findBroker, needService, type Broker } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import {
  assertLines,
  count,
  debugCount,
  debugs,
  device,
  ExampleSite,
  heldAfter,
  lines,
  nodeOf,
  readExample,
  report,
  settled,
  someEvents,
  useSandboxAt,
  type Event,
} from './support';

/** Own names on a broker that others may use, too. */
const topics = `audience-test-${process.pid}`;
const sessions = `instant-audience-test-${process.pid}`;
/** Brokers keep 1,000 messages for a session by default; so many may be on their way. */
const mostUnderWay = 400;
const waitMs = 15_000;
/** After a kill, what was in flight keeps its share of the quota for so long: its requests may still run. */
const lateMarginMs = 20_000;

describe('mqtt to audience', function () {
  this.timeout(lateMarginMs + 90_000);
  const ends = cleanUps();
  let broker: Broker;
  let client: MqttClient;

  before(async function () {
    const found = await findBroker();
    needService(this, found, 'MQTT broker');
    broker = found;
    ends(() => broker.stop());
    client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`);
    ends(() => client.endAsync());
  });

  /** The example on this broker, with a session and topics of its own. */
  const exampleFor = (session: string): FlowNode[] => {
    const flow = readExample('mqtt to audience');
    Object.assign(nodeOf(flow, 'mqtt-broker'), { broker: '127.0.0.1', port: broker.port, clientid: session });
    nodeOf(flow, 'mqtt in').topic = `${topics}/+/+`;
    for (const button of flow.filter(({ type }) => type === 'inject'))
      button.topic = String(button.topic).replace('audience/', `${topics}/`);
    ends(() => endSession(broker, session));
    return flow;
  };

  const publish = async ({ user, segment, action }: Event): Promise<void> => {
    await client.publishAsync(`${topics}/${segment}/${action}`, user, { qos: 1 });
  };

  /**
   * Resolves when what is published arrives in the flow. The node says *connected* before it has subscribed, and a
   * broker drops what comes in between. The probe names no segment, so it leaves the builder as not built.
   */
  const subscribed = async (site: ExampleSite): Promise<void> => {
    const probe = `${topics}/probe/add`;
    const comms = await site.running.comms();
    const arrived = async (): Promise<boolean> => {
      await client.publishAsync(probe, device(1), { qos: 1 });
      return comms.on('debug').some(({ topic }) => topic === probe);
    };
    await until(arrived, waitMs, 'a subscription at the broker').finally(() => comms.close());
  };

  it('puts devices into the segments that the topics name, and takes them out', async () => {
    const startedMs = performance.now();
    const flow = exampleFor(sessions);
    const site = await ExampleSite.start(flow);
    ends(() => site.close());
    await subscribed(site);
    const comms = await site.running.comms();
    const events = someEvents(2_000, 600);
    await publishInStep(events, () => debugCount(comms, 'accepted'), publish);
    const expected = heldAfter(events);
    await settled(() => site.sandboxState(), expected, waitMs);
    assert.deepEqual(debugs(comms, 'rejected'), []);
    const topic = `${topics}/no-segment/add`;
    await client.publishAsync(topic, device(1), { qos: 1 });
    await until(
      () => comms.on('debug').some((said) => said.name === 'not built' && said.topic === topic),
      waitMs,
      'what is wrong with a topic',
    );
    await site.press(nodeOf(flow, 'inject', 'try: add'));
    await settled(
      () => site.sandboxState(),
      [...expected, '10001 1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13'],
      waitMs,
    );
    comms.close();
    await site.close();
    report(
      'mqtt to audience',
      broker.what,
      count(events.length, 'events'),
      count(expected.length, 'memberships as expected'),
      startedMs,
    );
  });

  it('loses no committed message, and none from its downtime, when it is killed', async () => {
    const startedMs = performance.now();
    const sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    const flow = exampleFor(`${sessions}-kill`);
    useSandboxAt(nodeOf(flow, 'xandr-account'), sandbox.url);
    const site = await ExampleSite.start([...flow, ...tap(flow)]);
    ends(() => site.close());
    await subscribed(site);
    const events = joinAndLeave(2_400);
    const [killAt, upAt] = [1_600, 2_000];
    await publishInStep(events.slice(0, killAt), async () => (await committed(site)).size, publish);
    await site.kill();
    const before = await committed(site);
    for (const event of events.slice(killAt, upAt)) await publish(event);
    await site.startAgain();
    // The broker has kept the subscription with the session; it would not keep more events than these.
    await sawCommitted(site, events[upAt - 1]!);
    for (const event of events.slice(upAt)) await publish(event);
    await sawCommitted(site, events.at(-1)!);
    await site.delivered(nodeOf(flow, 'xandr-instant-audience-out'), lateMarginMs + waitMs);
    const state = await sandbox.state();
    const lost = assertInOrder(events, await committed(site), state);
    assert.deepEqual(
      lost.filter((event) => events.indexOf(event) >= killAt),
      [],
      'what the broker kept while Node-RED was down',
    );
    report(
      'mqtt to audience',
      `${broker.what}, killed after ${count(before.size, 'commits')}`,
      count(events.length, 'events'),
      `${count(state.length, 'memberships')}, no committed entry missing (${lost.length} lost that were acknowledged before their commit)`,
      startedMs,
    );
  });
});

/** Every device joins; every third one leaves again, fifty devices later. */
function joinAndLeave(number: number): Event[] {
  const events: Event[] = [];
  for (let n = 0; events.length < number; n += 1) {
    events.push({ user: device(n), segment: 10_001, action: 'add' });
    if (n >= 50 && n % 3 === 0) events.push({ user: device(n - 50), segment: 10_001, action: 'remove' });
  }
  return events.slice(0, number);
}

/** What the broker still holds for a session is dropped with it. */
async function endSession({ port }: Broker, clientId: string): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, clean: true });
  await client.endAsync();
}

const committedFile = 'committed.txt';

/** Writes down what the out node says is durably queued. */
function tap(flow: readonly FlowNode[]): FlowNode[] {
  const out = nodeOf(flow, 'xandr-instant-audience-out');
  const { z } = out;
  out.completeOn = 'queued';
  (out.wires as string[][])[0]!.push('tap');
  const func = `
    if (msg.audience.status !== 'queued') return null;
    const [block] = msg.payload.seg_block;
    return { payload: msg.payload.user_id + (block.expiration === -1 ? ' remove' : ' add') };`;
  return [
    { id: 'tap', type: 'function', z, func, outputs: 1, x: 0, y: 0, wires: [['tap-file']] },
    {
      id: 'tap-file',
      type: 'file',
      z,
      filename: committedFile,
      filenameType: 'str',
      appendNewline: true,
      overwriteFile: 'false',
      x: 0,
      y: 0,
      wires: [],
    },
  ];
}

function key({ user, action }: Event): string {
  return `${user} ${action}`;
}

/** Of `device action`. The last line may be cut short by a kill. */
async function committed(site: ExampleSite): Promise<Set<string>> {
  const text = await readFile(path.join(site.userDir, committedFile), 'utf8').catch(() => '');
  return new Set(text.split('\n').slice(0, -1));
}

async function sawCommitted(site: ExampleSite, event: Event): Promise<void> {
  await until(
    async () => (await committed(site)).has(key(event)),
    waitMs,
    () => `${key(event)} committed`,
  );
}

/** Publishes no faster than the flow commits, so that the broker need not drop anything. */
async function publishInStep(
  events: readonly Event[],
  done: () => number | Promise<number>,
  publish: (event: Event) => Promise<void>,
): Promise<void> {
  for (const [index, event] of events.entries()) {
    const room = async (): Promise<boolean> => index - (await done()) < mostUnderWay;
    if (index % 100 === 0) await until(room, waitMs, `room for more than ${index}`);
    await publish(event);
  }
}

/**
 * The state of each device is that of its last committed event, or of a later one. Gives the events whose effect
 * is not there: acknowledged to the broker, killed before they were committed.
 */
function assertInOrder(
  events: readonly Event[],
  committedKeys: ReadonlySet<string>,
  state: readonly { segment: string; user_id: string; value: number | null }[],
): Event[] {
  const inSegment = new Set(lines(state));
  const ofDevice = new Map<string, Event[]>();
  for (const event of events) ofDevice.set(event.user, [...(ofDevice.get(event.user) ?? []), event]);
  const lost: Event[] = [];
  const wrong: string[] = [];
  for (const [user, own] of ofDevice) {
    const isIn = inSegment.has(`10001 ${user}`);
    const last = own.findLastIndex((event) => committedKeys.has(key(event)));
    const possible = own.slice(Math.max(last, 0)).map(({ action }) => action === 'add');
    if (last === -1) possible.push(false);
    if (!possible.includes(isIn)) wrong.push(`${user} is ${isIn ? 'in' : 'out'}`);
    const end = own[own.length - 1]!;
    if (isIn !== (end.action === 'add')) lost.push(end);
  }
  assertLines(wrong, []);
  return lost;
}

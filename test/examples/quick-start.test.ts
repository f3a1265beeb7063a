// The quick start, run as it is: a thousand events by its buttons, and the sandbox holds what they say.
import { strict as assert } from 'node:assert';
import { cleanUps } from '../support/clean-up';
import { NodeRed, nodeRedVersion, until, type CommsLog, type FlowNode } from '../support/node-red';
import { count, nodeOf, readExample, report } from './support';

interface Event {
  user: string;
  event: 'viewed' | 'bought';
}

const userCount = 200;
const eventCount = 1000;
const postersAtATime = 16;
/** What the log has of an event that is neither viewed nor bought. */
const refused = /\[error\] \[xandr-segment-builder:add or remove\] .* has no value/;

describe('the events of the quick-start test', () => {
  it('leave some users in and some out, with several events for each', () => {
    const byUser = eventsByUser();
    const sizes = [...byUser.values()].map((events) => events.length);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      eventCount,
    );
    assert.ok(Math.min(...sizes) > 1);
    const inCount = expectedMembers(byUser).size;
    assert.ok(inCount > 50 && inCount < 150, `${inCount} of ${userCount}`);
  });
});

describe(`the quick start on Node-RED ${nodeRedVersion}`, function () {
  this.timeout(180_000);
  const flow = readExample('quick start');
  const out = flow.find((node) => node.type === 'xandr-instant-audience-out')!;
  const button = (name: string): FlowNode => nodeOf(flow, 'inject', name);
  let nodeRed: NodeRed;
  let comms: CommsLog;
  const cleanUp = cleanUps();

  before(async () => {
    nodeRed = await NodeRed.start();
    cleanUp(() => nodeRed.stop());
    await nodeRed.deploy(flow);
    comms = await nodeRed.comms();
    cleanUp(() => {
      comms.close();
      return Promise.resolve();
    });
  });

  const members = async (): Promise<Set<string>> => {
    const segments = await nodeRed.json('instant-audience/sandbox/members?segment=10001');
    return new Set(
      segments.flatMap((segment: any) => segment.members.map((member: any) => member.user_id.toLowerCase())),
    );
  };
  const debugs = (name: string): any[] => comms.on('debug').filter((said) => said.name === name);

  it('ends with the membership that 1000 events say, each accepted once', async () => {
    const startedMs = performance.now();
    const byUser = eventsByUser();
    await postAll(byUser, async (event) => {
      await nodeRed.inject(button(event.event).id, event);
    });
    await until(
      () => debugs('result').length >= eventCount,
      60_000,
      () => `${debugs('result').length} accepted`,
    );
    assert.deepEqual(await members(), expectedMembers(byUser));
    assert.equal(debugs('result').length, eventCount);
    for (const said of debugs('result')) assert.equal(JSON.parse(said.msg).status, 'accepted');
    report(
      'quick start',
      `its buttons, Node-RED ${nodeRedVersion}`,
      count(eventCount, 'events'),
      count(expectedMembers(byUser).size, 'memberships as expected'),
      startedMs,
    );
  });

  it('shows in the out node’s status that it worked, and in the end that it is idle and connected', async () => {
    const statuses = (): any[] => comms.on(`status/${out.id}`);
    await until(
      () => statuses().at(-1)?.fill === 'green',
      10_000,
      () => `a green status: ${JSON.stringify(statuses())}`,
    );
    for (const status of statuses()) assert.ok(status.text, 'a status has no text');
  });

  it('adds a user who views, and removes the same user who buys, by its two buttons', async () => {
    const { user } = JSON.parse(button('viewed').payload as string) as Event;
    await nodeRed.inject(button('viewed').id);
    await until(async () => (await members()).has(user), 10_000, 'the viewer in the segment');
    await nodeRed.inject(button('bought').id);
    await until(async () => !(await members()).has(user), 10_000, 'the buyer out of the segment');
  });

  it('refuses an event that it does not know, in a sentence', async () => {
    const { user } = JSON.parse(button('viewed').payload as string) as Event;
    await nodeRed.inject(button('viewed').id, { user, event: 'sold' });
    await nodeRed.logged(refused);
  });

  it('stops cleanly and in time, with nothing in the log that should not be there', async () => {
    const { code, signal, tookMs } = await nodeRed.stop();
    assert.equal(signal, null);
    assert.equal(code, 0);
    assert.ok(tookMs < 15_000, `it took ${Math.round(tookMs)} ms`);
    const output = nodeRed.output.replace(refused, '');
    assert.doesNotMatch(output, /\[(error|fatal)\]|Uncaught|UnhandledPromise|Error stopping node/);
  });
});

/** The same events in every run: about five for each user, of both kinds, in an order that mixes the users. */
function eventsByUser(): Map<string, Event[]> {
  const byUser = new Map<string, Event[]>();
  let state = 1;
  const next = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  for (let index = 0; index < eventCount; index += 1) {
    const number = index < 2 * userCount ? index % userCount : next(userCount);
    const user = String(5_000_000_000 + number);
    const event: Event = { user, event: next(2) === 0 ? 'viewed' : 'bought' };
    byUser.set(user, [...(byUser.get(user) ?? []), event]);
  }
  return byUser;
}

/** The last event of a user decides. */
function expectedMembers(byUser: ReadonlyMap<string, readonly Event[]>): Set<string> {
  return new Set([...byUser].filter(([, events]) => events.at(-1)!.event === 'viewed').map(([user]) => user));
}

/** Each user's events in order, several users at a time. */
async function postAll(
  byUser: ReadonlyMap<string, readonly Event[]>,
  post: (event: Event) => Promise<void>,
): Promise<void> {
  const waiting = [...byUser.values()];
  const poster = async (): Promise<void> => {
    for (let events = waiting.shift(); events; events = waiting.shift()) {
      for (const event of events) await post(event);
    }
  };
  await Promise.all(Array.from({ length: postersAtATime }, poster));
}

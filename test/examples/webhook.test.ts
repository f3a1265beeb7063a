// “webhook to audience”, fed by an HTTP client in bursts: the responses, and the resulting segments.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until, type CommsLog, type FlowNode } from '../support/node-red';
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

const waitMs = 15_000;
const apiKey = { 'x-api-key': 'try-me' };
const unset = 'API_KEY is not set: double-click the tab of this flow, and set it there';

interface Event {
  readonly user: string;
  readonly idType: string;
  readonly action: string;
  readonly segments: readonly number[];
}

describe('webhook to audience', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const flow = readExample('webhook to audience');
  let site: ExampleSite;

  before(async () => {
    site = await ExampleSite.start(flow);
    ends(() => site.close());
  });

  const post = (
    body: unknown,
    headers: Record<string, string> = apiKey,
  ): Promise<{ status: number; body: any }> => site.running.post('webhook', body, headers);

  it('accepts a burst, answers each request with the queued entries, and delivers in order', async () => {
    const startedMs = performance.now();
    const comms = await site.running.comms();
    const users = someUsers(600);
    await inParallel(users, 60, async (events) => {
      for (const event of events)
        assert.deepEqual(await post(event), { status: 202, body: { queued: 1 } }, JSON.stringify(event));
    });
    const expected = heldAfter(users.flat());
    await settled(() => site.sandboxState(), expected, waitMs);
    await until(
      () => acceptedIn(acceptedOf(comms)) === users.flat().length,
      waitMs,
      () => `each event accepted once instead of ${acceptedIn(acceptedOf(comms))}`,
    );
    comms.close();
    report(
      'webhook to audience',
      'HTTP requests, 60 at a time',
      count(users.flat().length, 'events'),
      count(expected.length, 'memberships as expected'),
      startedMs,
    );
  });

  it('answers 400 with the problem', async () => {
    const event: Event = { user: device(1), idType: 'idfa', action: 'add', segments: [10_001] };
    for (const [wrong, reason] of [
      [{ ...event, user: 'not an id' }, /^User ID: /],
      [{ ...event, action: 'maybe' }, /maybe/],
      [{ ...event, segments: ['kitchen'] }, /kitchen/],
      [{ ...event, idType: 'sha1mac' }, /sha1mac/],
      [{}, /^ID type: msg\.payload\.idType has no value/],
      [[event], /^ID type: msg\.payload\.idType has no value/],
    ] as const) {
      const { status, body } = await post(wrong);
      assert.equal(status, 400, JSON.stringify(wrong));
      assert.match(body.error, reason);
    }
  });

  it('answers 401 without the key, and takes nothing', async () => {
    const event: Event = { user: device(9_999), idType: 'idfa', action: 'add', segments: [10_001] };
    const refused = { status: 401, body: { error: 'the header X-Api-Key is missing or wrong' } };
    assert.deepEqual(await post(event, {}), refused);
    assert.deepEqual(await post(event, { 'x-api-key': 'guessed' }), refused);
    assert.ok((await site.sandboxState()).every(({ user_id }) => user_id !== device(9_999)));
  });

  it('refuses every request while API_KEY is not set, with 503 and the remedy, and shows it', async () => {
    const event: Event = { user: device(9_998), idType: 'idfa', action: 'add', segments: [10_001] };
    for (const env of [[], [{ name: 'API_KEY', value: '', type: 'str' }]]) {
      await site.running.deploy(withEnvironment(flow, env));
      const comms = await site.running.comms();
      for (const headers of [{ 'x-api-key': '' }, {}, { 'x-api-key': 'undefined' }, apiKey]) {
        const { status, body } = await post(event, headers);
        assert.deepEqual([status, body.error], [503, unset], JSON.stringify(headers));
      }
      await until(
        () =>
          comms.on(`status/${nodeOf(flow, 'function', 'API key?').id}`).at(-1)?.text === 'API_KEY is not set',
        waitMs,
        'the status that says so',
      );
      comms.close();
    }
    assert.ok((await site.sandboxState()).every(({ user_id }) => user_id !== device(9_998)));
    await site.running.deploy(flow);
    assert.equal((await post(event)).status, 202);
  });

  it('answers 503 with the remedy when the queue is full', async () => {
    await site.running.deploy(withFullQueue(flow));
    const event: Event = { user: device(1), idType: 'idfa', action: 'add', segments: [10_001] };
    assert.equal((await post(event)).status, 202);
    const { status, body } = await post({ ...event, user: device(2) });
    assert.equal(status, 503);
    assert.match(body.error, /queue/);
  });
});

/** The same flow with another environment of its tab. */
function withEnvironment(flow: readonly FlowNode[], env: readonly object[]): FlowNode[] {
  const changed = structuredClone(flow) as FlowNode[];
  Object.assign(nodeOf(changed, 'tab'), { env });
  return changed;
}

/** Each with events in order, the same in every run. */
function someUsers(number: number): Event[][] {
  return Array.from({ length: number }, (_, n) =>
    Array.from({ length: 1 + (n % 5) }, (_event, k) => ({
      user: device(n),
      idType: 'idfa',
      action: (n + k) % 3 === 0 ? 'remove' : 'add',
      segments: (n + k) % 2 === 0 ? [10_001] : [10_001, 10_002],
    })),
  );
}

function heldAfter(events: readonly Event[]): string[] {
  const held = new Map<string, boolean>();
  for (const { user, action, segments } of events)
    for (const segment of segments) held.set(`${segment} ${user}`, action === 'add');
  return [...held].filter(([, isIn]) => isIn).map(([line]) => line);
}

function acceptedOf(comms: CommsLog): any[] {
  return debugs(comms, 'result').filter(({ status }) => status === 'accepted');
}

function acceptedIn(said: readonly { accepted: number; superseded: number }[]): number {
  return said.reduce((sum, { accepted, superseded }) => sum + accepted + superseded, 0);
}

/** The same flow for a service that does not answer, with room for one entry. */
function withFullQueue(flow: readonly FlowNode[]): FlowNode[] {
  const changed = structuredClone(flow) as FlowNode[];
  Object.assign(nodeOf(changed, 'xandr-account'), {
    environment: 'custom',
    authUrl: 'http://127.0.0.1:9',
    serviceUrl: 'http://127.0.0.1:9',
    member: '1',
    queueMaxEntries: 1,
    credentials: { username: 'jane', password: 'secret' },
  });
  return changed;
}

// “what became of it”, fed by a button: the report adds up, and the findings name entries without effect.
import { strict as assert } from 'node:assert';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUps } from '../support/clean-up';
import { until, type CommsLog, type FlowNode } from '../support/node-red';
import { count, debugs, device, ExampleSite, feeder, nodeOf, readExample, report, settled } from './support';

const viewers = 900;
const unknown = 100;
const waitMs = 15_000;

describe('what became of it', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const flow = readExample('what became of it');
  const feed = feeder(nodeOf(flow, 'xandr-segment-builder'));
  let site: ExampleSite;
  let comms: CommsLog;

  before(async () => {
    // A report is of the last full hour and what there is of this one: the change of an hour would split it.
    const leftMs = 3_600_000 - (Date.now() % 3_600_000);
    if (leftMs < 20_000) await sleep(leftMs + 100);
    site = await ExampleSite.start([...flow, tap(flow), feed]);
    ends(() => site.close());
    comms = await site.running.comms();
    ends(() => {
      comms.close();
      return Promise.resolve();
    });
  });

  it('names every accepted entry without effect', async () => {
    const startedMs = performance.now();
    const known = Array.from({ length: viewers }, (_, n) => device(n));
    const nobody = Array.from({ length: unknown }, (_, n) => device(n).replace(/^\w{8}/, 'ffffffff'));
    const body = [...known, ...nobody].map((user) => ({ user, idType: 'idfa' }));
    await site.press(feed, body);
    const state = await settled(
      () => site.sandboxState(),
      known.map((user) => `10001 ${user}`),
      waitMs,
    );
    await site.delivered(nodeOf(flow, 'xandr-instant-audience-out'), waitMs);
    await site.press(nodeOf(flow, 'inject', 'what became of them?'));
    const found = (): unknown[] => debugs(comms, 'differences');
    await until(() => found().length === 1, waitMs, 'a report');
    assert.deepEqual(found(), [
      {
        unknownUsers: { users: unknown, associations: 3 * unknown },
        inactiveSegments: viewers,
        unauthorizedSegments: viewers,
        unknownSegments: 0,
        surplus: { users: 0, associations: 0 },
        unexplained: 0,
      },
    ]);
    await until(() => debugs(comms, 'other findings').length === 1, waitMs, 'findings');
    assert.deepEqual(debugs(comms, 'segments to correct'), [
      'segment 10999 is inactive: 1,000 adds had no effect',
      'segment 10998 may not be filled by this member: 1,000 adds had no effect',
    ]);
    assert.deepEqual(debugs(comms, 'other findings'), [
      '100 users (10 %) not known to the platform: 300 of the sent associations had no effect',
    ]);
    report(
      'what became of it',
      'a button',
      count(viewers + unknown, 'viewers'),
      `${count(state.length, 'memberships')} as expected, ${count(2 * viewers + 3 * unknown, 'pairs')} without effect reported`,
      startedMs,
    );
  });

  it('shows it by its buttons', async () => {
    await site.press(nodeOf(flow, 'inject', 'try: 1,000 viewers'));
    await site.delivered(nodeOf(flow, 'xandr-instant-audience-out'), waitMs);
    await site.press(nodeOf(flow, 'inject', 'what became of them?'));
    await until(() => debugs(comms, 'segments to correct').length === 4, waitMs, 'findings');
    assert.equal(
      debugs(comms, 'segments to correct').at(-1),
      'segment 10998 may not be filled by this member: 2,000 adds had no effect',
    );
  });
});

/** The differences alone: a debug message has a limit of its own. */
function tap(flow: readonly FlowNode[]): FlowNode {
  const usage = nodeOf(flow, 'xandr-audience-usage');
  (usage.wires as string[][])[0]!.push('tap');
  return {
    id: 'tap',
    type: 'debug',
    z: usage.z!,
    name: 'differences',
    active: true,
    tosidebar: true,
    console: false,
    tostatus: false,
    complete: 'payload.reconciliation.differences',
    targetType: 'msg',
    x: 0,
    y: 0,
    wires: [],
  };
}

// kill −9 of a real Node-RED at random moments of runs of an audience sync, with live events for the same segment in between: the
// service ends up with the table and the live events after it. SYNC_KILLS says how many kills (50), SYNC_SEED the dice.
import { strict as assert } from 'node:assert';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../../src/sandbox/sandbox';
import { count, tell } from '../process/measured';
import { Dice } from '../simulation/world/dice';
import { AudienceSite, assertNothingEscaped, nodeIds } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { until, type FlowNode } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';
import { SyncedAudience, type Table } from '../support/synced-audience';

const kills = Number(process.env.SYNC_KILLS ?? 50);
const seed = process.env.SYNC_SEED ?? String(Date.now());
/** So many kills in runs, then one without a run, each time with a look at the service. */
const killsInRuns = 4;
const segment = 10_001;
const users = 1_500;
const liveUsers = 120;
const clients = 4;
/** So that a run is sent for some seconds. */
const limits = { postsPerSecond: 40, usersPerSecond: 200, maxConcurrent: 15 };
const killWithinMs = 6_000;
const endsMs = 180_000;
/** 20 s after a request was lost it is taken not to run any more, and what it may have undone is sent again. */
const resentMs = 22_000;
const faults: readonly Fault[] = [
  { kind: 'latency', beforeMs: [0, 40], afterMs: [0, 40] },
  { kind: 'lostReply', probability: 0.02 },
];

const idOf = (user: number): string => `1${String(user * 7_919).padStart(18, '0')}`;

const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
  ...{ z: nodeIds.tab, x: 100, y: 300 },
  ...node,
  wires,
});
const keep = (id: string): FlowNode => ({
  ...{ id, type: 'function', outputs: 0 },
  func: `const all = global.get('${id}') ?? []; all.push({ ...msg.payload, run: msg.topic }); global.set('${id}', all);`,
});
/** `POST audience?run=3&index=0&count=2` answers once the rows are durable; `GET told` has the reports. */
const syncNodes: FlowNode[] = [
  inTab({ id: 'rows', type: 'http in', method: 'post', url: '/audience' }, ['part']),
  inTab(
    {
      ...{ id: 'part', type: 'function', outputs: 1 },
      func: `const { run, index, count } = msg.req.query;
        msg.topic = run;
        if (count > 1) msg.parts = { id: run, type: 'array', index: Number(index), count: Number(count) };
        return msg;`,
    },
    ['sync'],
  ),
  inTab(
    {
      ...{ id: 'sync', type: 'xandr-audience-sync', account: nodeIds.account, segment: String(segment) },
      ...{ value: 'value', valueType: 'item', maxRemovals: 90 },
    },
    ['reports'],
    ['refused'],
  ),
  inTab(keep('reports')),
  inTab(keep('refused')),
  inTab({ id: 'taken', type: 'complete', scope: ['sync'] }, ['answer-rows']),
  inTab({ id: 'answer-rows', type: 'function', outputs: 1, func: 'msg.statusCode = 202; return msg;' }, [
    'response',
  ]),
  inTab({ id: 'asks', type: 'http in', method: 'get', url: '/told' }, ['told']),
  inTab(
    {
      ...{ id: 'told', type: 'function', outputs: 1 },
      func: "msg.payload = { reports: global.get('reports') ?? [], refused: global.get('refused') ?? [] }; return msg;",
    },
    ['response'],
  ),
];

describe('a Node-RED that is killed in the runs of an audience sync', function () {
  this.timeout(0);
  const ends = cleanUps();
  const dice = new Dice(seed);
  const expected = new SyncedAudience();
  const killedIn = new Map<string, number>();
  const events = { taken: 0, unanswered: 0, removals: 0 };
  let sandbox: StandAloneSandbox;
  let site: AudienceSite;
  let runs = 0;
  let table: Table = new Map();
  let value = 1_000_000;
  let stopping = true;
  let working: Promise<unknown> = Promise.resolve();

  before(async () => {
    tell(`SYNC_SEED=${seed}`);
    sandbox = await StandAloneSandbox.start({
      limits: { postsPerSecond: limits.postsPerSecond, usersPerSecond: limits.usersPerSecond },
      faults,
    });
    ends(() => sandbox.kill());
    site = await AudienceSite.make({ serviceUrl: sandbox.url, limits, moreNodes: syncNodes });
    ends(() => site.close());
    await site.start();
    ends(() => {
      stopping = true;
      return Promise.resolve();
    });
  });

  // ── Live events ─────────────────────────────────────────────────────────────────────────────────────────────

  const startLive = (): void => {
    stopping = false;
    const url = site.eventsUrl;
    working = Promise.all(Array.from({ length: clients }, (_, client) => sendEvents(url, client)));
  };
  const stopLive = async (): Promise<void> => {
    stopping = true;
    await working;
  };
  /** Each client has users of its own, half of them in the tables, and sends one event at a time. */
  const sendEvents = async (url: string, client: number): Promise<void> => {
    const random = dice.fork(`client ${client} ${url}`);
    while (!stopping) {
      const number = random.between(0, liveUsers / clients - 1) * clients + client;
      const user = idOf(number % 2 === 0 ? number : users + number);
      const its = random.chance(0.4) ? null : (value += 1);
      const block = {
        seg_id: segment,
        ...(its === null ? { expiration: -1 } : { value: its, expiration: 43_200 }),
      };
      const status = await post(url, [{ user_id: user, domain: null, seg_block: [block] }]);
      // The door is closed before the house is.
      if (status !== 404 && status !== 503) {
        assert.ok(status === 202 || status === null, `an event was answered with ${status}`);
        expected.event(user, its, status === null ? 'unanswered' : 'taken');
        events[status === null ? 'unanswered' : 'taken'] += 1;
        if (its === null) events.removals += 1;
      }
      if (status === null) return;
      await sleep(random.between(10, 100));
    }
  };

  // ── Runs ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A fifth of the users joins, leaves or gets another value. */
  const nextTable = (): void => {
    runs += 1;
    const next = new Map(table);
    for (let user = 0; user < users; user += 1) {
      if (!dice.chance(0.2)) continue;
      if (next.has(idOf(user)) && dice.chance(0.5)) next.delete(idOf(user));
      else next.set(idOf(user), runs);
    }
    table = next;
  };
  /** Whole, or in parts. False when Node-RED was killed meanwhile. */
  const sendTable = async (): Promise<boolean> => {
    const rows = [...table].map(([id, its]) => ({ id, value: its }));
    const parts = dice.pick([1, 1, 4, 12]);
    const size = Math.ceil(rows.length / parts);
    for (let index = 0; index < parts; index += 1) {
      const query = new URLSearchParams({ run: String(runs), index: String(index), count: String(parts) });
      const url = new URL(`audience?${query}`, site.running.url).href;
      if ((await post(url, rows.slice(index * size, (index + 1) * size))) !== 202) return false;
    }
    return true;
  };
  const killInRun = async (): Promise<void> => {
    nextTable();
    const sending = sendTable();
    await sleep(dice.between(0, killWithinMs));
    const { signal } = await site.stop('SIGKILL');
    assert.equal(signal, 'SIGKILL', `Node-RED had ended before:\n${site.log}`);
    await sending;
  };
  const restart = async (): Promise<void> => {
    const phase = phaseIn(path.join(site.userDir, 'instant-audience'));
    killedIn.set(phase, (killedIn.get(phase) ?? 0) + 1);
    await stopLive();
    await site.start();
    startLive();
  };
  const runToItsEnd = async (): Promise<void> => {
    nextTable();
    assert.ok(await sendTable());
    const told = (): Promise<{ reports: any[]; refused: any[] }> => site.running.json('told');
    await until(
      async () =>
        (await told()).reports.some(({ run, status }) => run === String(runs) && status === 'ended'),
      endsMs,
      () => `the end of run ${runs}; log:\n${site.log}`,
    );
    assert.deepEqual(
      (await told()).refused.filter(({ refused }) => refused.code !== 'interrupted'),
      [],
    );
  };
  const settled = async (of: Table | null): Promise<void> => {
    await stopLive();
    await site.delivered(endsMs);
    await sleep(resentMs);
    await site.delivered(endsMs);
    const memberships = await sandbox.state();
    const state = new Map(
      memberships
        .filter((each) => Number(each.segment) === segment)
        .map((each) => [each.user_id, each.value!] as const),
    );
    assert.deepEqual(expected.differences(state, of), []);
    expected.settle(state);
    startLive();
  };

  it(`holds the table and what came after it, ${kills} kills`, async () => {
    startLive();
    for (let kill = 1; kill <= kills; kill += 1) {
      if (kill % (killsInRuns + 1) !== 0) {
        await killInRun();
        await restart();
        continue;
      }
      await runToItsEnd();
      await settled(table);
      // Without a run, so that nothing but these events may change anything.
      await sleep(dice.between(500, killWithinMs));
      await site.stop('SIGKILL');
      await restart();
      await settled(null);
      tell(`${kill} kills`, `${runs} runs`, JSON.stringify(events), JSON.stringify([...killedIn]));
    }
    await runToItsEnd();
    await settled(table);
    await stopLive();
    assertQuotaKept(await sandbox.peaks(), limits);
    assertNothingEscaped(site.log);
    tell(
      ...[...killedIn].map(([phase, times]) => count(times, `kills in ${phase}`)),
      count(events.taken, 'live events taken'),
      count(events.unanswered, 'unanswered'),
    );
  });
});

/** Of the run, in a copy of the queue file: what a killed process left is opened first by the next one. */
function phaseIn(folder: string): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'sync-kills-'));
  try {
    const file = readdirSync(folder).find((name) => name.endsWith('.sqlite'))!;
    for (const suffix of ['', '-wal'])
      if (existsSync(path.join(folder, file + suffix)))
        copyFileSync(path.join(folder, file + suffix), path.join(copy, file + suffix));
    const db = new DatabaseSync(path.join(copy, file));
    try {
      const found = db.prepare('SELECT state FROM synced WHERE segment IS NOT NULL').get();
      if (found?.state == null) return 'no run';
      const state = JSON.parse(found.state as string) as { open: { phase: string } | null };
      return state.open?.phase ?? 'no run';
    } finally {
      db.close();
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The status; null without an answer. */
async function post(url: string, body: unknown): Promise<number | null> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return null;
  }
}

// The usage node in a Node-RED runtime, on the real sandbox: reports, findings, and errors.
import assert from 'node:assert/strict';
import { systemHourlyClock } from '../../nodes/audience-usage/schedule';
import type { AccountUser } from '../../nodes/account/account-api';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  idfa,
  load,
  loadWith,
  login,
  sleep,
  unload,
  until,
  useNodeRed,
} from './out-flow';

const hourMs = 3_600_000;
const wait = (n: number): object => ({ user_id: `u${n}`, seg_block: [{ seg_id: 10001 }, { seg_id: 10999 }] });

describe('the usage node', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let out: Flow;
  let usage: Flow;
  const nodes = (changes: object = {}, account: object = {}): object[] => [
    customAccount(sandbox.url, { member: '1', ...account }),
    ...out.nodes(),
    ...usage.nodes({ type: 'xandr-audience-usage', ...changes }),
  ];
  const start = (changes: object = {}): Promise<void> => load(nodes(changes), login(), out, usage);

  beforeEach(async () => {
    sandbox = await startSandbox();
    out = new Flow();
    usage = new Flow('usage');
  });
  afterEach(async () => {
    await unload();
    await sandbox.close();
  });

  /** Away from the change of an hour, so that a test sees one hour only. */
  async function wellInsideAnHour(): Promise<void> {
    const leftMs = hourMs - (Date.now() % hourMs);
    if (leftMs < 10_000) await sleep(leftMs + 10);
  }

  it('reports the service’s figures, the sent entries, and the findings, in the requesting message', async function () {
    this.timeout(40_000);
    await wellInsideAnHour();
    await start();
    const unknown = {
      user_id: 'ffffffff-0000-4000-8000-000000000001',
      domain: 'idfa',
      seg_block: [{ seg_id: 10001 }],
    };
    await out.send({ payload: [entry(1), entry(2, -1), wait(1), wait(2), unknown] });
    await usage.send({ payload: 'gone', topic: 'kept', nested: { one: 1 } });
    const [message] = usage.accepted;
    const { payload: report } = message;
    assert.deepEqual([usage.accepted.length, message.topic, message.nested], [1, 'kept', { one: 1 }]);
    assert.deepEqual([report.member, report.aggregated], [1, false]);
    const hour = new Date(Math.floor(Date.now() / hourMs) * hourMs).toISOString();
    const last = report.hours.at(-1);
    assert.deepEqual([last.hour, last.counts.adds, last.counts.removes, last.matchRate], [hour, 3, 1, 80]);
    assert.deepEqual(last.invalidUsers, [unknown.user_id]);
    assert.deepEqual(last.inactiveSegments, [{ id: 10999, code: 'summer_sale_2019', memberId: 1 }]);
    assert.deepEqual(last.removals, [{ userId: idfa(2), segmentId: 10001, expirationMinutes: -1 }]);
    assert.equal(last.raw.num_valid_adds, 3);
    const { sent, differences, notProcessed, states, exact, hours } = report.reconciliation;
    assert.deepEqual(sent, { users: 5, adds: 6, removes: 1 });
    assert.deepEqual(differences, {
      unknownUsers: { users: 1, associations: 1 },
      inactiveSegments: 2,
      unauthorizedSegments: 0,
      unknownSegments: 0,
      surplus: { users: 0, associations: 0 },
      unexplained: 0,
    });
    assert.deepEqual([notProcessed, exact], [{ users: 0, associations: 0 }, true]);
    assert.deepEqual(states, { queued: 0, accepted: 0, processed: 5, unconfirmed: 0 });
    assert.deepEqual([hours.at(-1).hour, hours.at(-1).state], [hour, 'processed']);
    const found = usage.rejected.map(({ payload }) => payload);
    assert.deepEqual(found, report.findings);
    assert.deepEqual(
      found.map(({ kind, segment, adds, sentence }: any) => [kind, segment, adds, sentence]),
      [
        ['inactiveSegment', 10999, 2, 'segment 10999 is inactive: 2 adds had no effect'],
        [
          'unknownUsers',
          undefined,
          undefined,
          '1 user (20 %) not known to the platform: 1 of the sent associations had no effect',
        ],
      ],
    );
    for (const { topic, nested } of usage.rejected) {
      assert.deepEqual([topic, nested], ['kept', { one: 1 }]);
      assert.notEqual(nested, message.nested);
    }
    await until(() => usage.status === 'findings: 2', 'its status');
    assert.equal(sandbox.peaks().totals.authentications, 1, 'the account’s own login');
  });

  it('gives one sum when that is wanted, and compares hour by hour all the same', async () => {
    await start({ detail: 'aggregated', range: 'day' });
    await out.send({ payload: entry(1) });
    await usage.send({});
    const { payload } = usage.accepted[0];
    assert.deepEqual(
      [payload.aggregated, payload.hours.length, payload.hours[0].invalidUsers],
      [true, 1, null],
    );
    assert.equal(payload.total.adds, 1);
    assert.equal(payload.reconciliation.hours.length, 25);
  });

  it('reads the range that the message names, cut off at now', async () => {
    await start({ range: 'custom', from: 'from', to: 'range.to', toType: 'flow' });
    usage.node.context().flow.set('range', { to: '2199-01-01T00:00Z' });
    const from = new Date(Date.now() - 100 * hourMs).toISOString();
    await usage.send({ from }, { from: Date.now() - 600 * hourMs });
    const [named, late] = usage.accepted.map(({ payload }) => payload);
    assert.equal(named.from, from);
    assert.ok(Math.abs(Date.parse(named.to) - Date.now()) < 60_000);
    assert.equal(late.reconciliation.hours.length, 601);
    assert.deepEqual(usage.rejected, []);
  });

  it('reports the problem of a range', async () => {
    await start({ range: 'custom', from: 'from', to: 'to' });
    const hour = (ago: number): number => Date.now() - ago * hourMs;
    for (const [message, reason] of [
      [{}, /^From is empty/],
      [{ from: 'yesterday' }, /^From cannot be used: "yesterday" is not a time/],
      [{ from: '2026-01-05T10:00' }, /^From cannot be used: .* time zone/],
      [{ from: hour(1), to: hour(2) }, /From is later than To/],
      [{ from: hour(-1) }, /From is in the future/],
      [{ from: hour(800) }, /longer than 30 days/],
      [{ from: hour(2), to: {} }, /^To cannot be used/],
    ] as const) {
      await usage.send(message);
      assert.match(usage.error, reason);
    }
    assert.deepEqual(usage.accepted, []);
  });

  it('reports an unusable account once at the start and to each message', async () => {
    for (const [changes, account, reason, status] of [
      [{ account: '' }, {}, /No account is chosen/, 'no account'],
      [{ account: 'nowhere' }, {}, /disabled or does not exist/, 'no active account'],
      [{}, { member: '' }, /^Account: Member ID/, 'account not usable'],
    ] as const) {
      usage = new Flow('usage');
      await load(nodes(changes, account), login(), usage);
      await usage.send({});
      assert.match(usage.error, reason);
      await until(() => usage.status === status, status);
      await unload();
    }
  });

  it('continues to wait for an account that closes before it is ready', async () => {
    const users: AccountUser[] = [];
    const slowAccount = (RED: any): void => {
      RED.nodes.registerType('xandr-account', function (this: any, config: object) {
        RED.nodes.createNode(this, config);
        this.join = (_: string, user: AccountUser) => users.push(user);
        this.leave = () => Promise.resolve();
      });
    };
    const flow = [{ id: 'account', type: 'xandr-account' }, ...usage.nodes({ type: 'xandr-audience-usage' })];
    await loadWith(slowAccount, flow, {}, usage);
    usage.give({});
    await sleep(20);
    users[0]!.closes();
    await sleep(20);
    assert.equal(usage.ends, 0);
    await deploy([...flow, ...out.nodes({ account: '' })], 'nodes', usage);
    users[1]!.ready({ key: 'error.member_missing' });
    await usage.allEnded();
    assert.match(usage.error, /Member ID: needed/);
  });

  it('reports by itself when an hour is over, and an hour later also after a report that failed', async () => {
    const wait = systemHourlyClock.after.bind(systemHourlyClock);
    const calls: (() => void)[] = [];
    systemHourlyClock.after = (waitMs, call) => {
      assert.ok(waitMs > 0 && waitMs <= hourMs + 7 * 60_000, String(waitMs));
      calls.push(call);
      return () => undefined;
    };
    try {
      await start({ schedule: 'hourly', range: 'hour' });
      assert.equal(calls.length, 1);
      sandbox.faults.set([{ kind: 'status', status: 503, on: 'usage', count: 1 }]);
      calls[0]!();
      await until(() => usage.status === 'reading failed', 'the first fails');
      calls[1]!();
      await until(() => usage.accepted.length === 1, 'the second comes');
      const [{ payload: report }] = usage.accepted;
      // Full hours only: somebody who asks also gets what there is of the hour that runs.
      assert.ok(Date.parse(report.to) < Math.floor(Date.now() / hourMs) * hourMs + 1);
      assert.equal(
        Date.parse(report.to) + 1000 - Date.parse(report.from),
        hourMs,
        'nothing is to be made up for',
      );
      assert.equal(calls.length, 3, 'and the next hour');
    } finally {
      systemHourlyClock.after = wait;
    }
    usage = new Flow('usage');
    await deploy(nodes({ schedule: 'message' }), 'full', out, usage);
    assert.equal(calls.length, 3);
  });

  it('makes up for the hour whose report failed as the first after a start', async () => {
    const [wait, realNow] = [systemHourlyClock.after.bind(systemHourlyClock), Date.now.bind(Date)];
    const calls: (() => void)[] = [];
    systemHourlyClock.after = (_waitMs, call) => {
      calls.push(call);
      return () => undefined;
    };
    try {
      await start({ schedule: 'hourly', range: 'hour' });
      sandbox.faults.set([{ kind: 'status', status: 503, on: 'usage', count: 1 }]);
      calls[0]!();
      await until(() => usage.status === 'reading failed', 'the first fails');
      Date.now = () => realNow() + hourMs;
      calls[1]!();
      await until(() => usage.accepted.length === 1, 'the second comes');
      const [{ payload: report }] = usage.accepted;
      assert.equal(Date.parse(report.to) + 1000 - Date.parse(report.from), 2 * hourMs);
    } finally {
      systemHourlyClock.after = wait;
      Date.now = realNow;
    }
  });

  it('always names a sandbox, and nothing else as one', async () => {
    await load(nodes({}, { environment: 'sandbox' }), login(), out, usage);
    await until(() => usage.status === 'ready · sandbox', 'ready');
    await usage.send({});
    await until(() => usage.status === '– % known users · sandbox', 'what it read');
    await unload();
    const texts = usage.shown.map(({ text }) => text);
    // Before the account has said so, nothing is known of it.
    assert.deepEqual(
      texts.filter((text) => !text.endsWith(' · sandbox')),
      texts.filter((text) => text === 'connecting'),
    );
    usage = new Flow('usage');
    await load(nodes(), login(), out, usage);
    await until(() => usage.status === 'ready', 'ready');
  });

  it('reports why the statistics were not read, and reads them once possible', async () => {
    await start();
    sandbox.faults.set([{ kind: 'status', status: 503, on: 'usage', count: 1 }]);
    await usage.send({});
    assert.match(usage.error, /^The usage statistics could not be read: .*503/);
    await until(() => usage.status === 'reading failed', 'its status');
    sandbox.faults.set([{ kind: 'deadToken', on: 'usage', count: 1 }]);
    await usage.send({});
    assert.equal(usage.accepted.length, 1);
  });

  it('ends every message once when it is closed while it reads', async () => {
    await start();
    sandbox.faults.set([{ kind: 'latency', beforeMs: 300, on: 'usage' }]);
    usage.give({ n: 1 }, { n: 2 }, { n: 3 });
    await sleep(100);
    await deploy(nodes({ detail: 'aggregated' }), 'nodes', out, usage);
    await until(() => usage.ends === 3, 'all ended');
    await sleep(700);
    assert.equal(usage.ends, 3);
    sandbox.faults.set([]);
    await usage.send({ n: 4 });
    assert.equal(usage.accepted.at(-1).n, 4);
  });
});

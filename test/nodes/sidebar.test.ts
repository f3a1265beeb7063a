// The runtime of the tab Audience, without a browser: its data, permissions, actions, and the metrics.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { engines } from '../../nodes/account/process-wide';
import { queueFolder } from '../../nodes/account/queue/queue-file';
import { Actions } from '../../nodes/sidebar/actions';
import { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import { prometheusText } from '../../nodes/sidebar/metrics';
import { idleAccounts, Overview, type ShownQueue } from '../../nodes/sidebar/overview';
import { overviewTopic, unwatchTopic, Watchers, watchTopic } from '../../nodes/sidebar/watchers';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  entry,
  Flow,
  idfa,
  load,
  logged as linesOf,
  deploy,
  nodesRed,
  nodesUserDir,
  login,
  sleep,
  unload,
  until,
  useNodeRed,
} from './out-flow';

describe('the runtime of the tab Audience', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let flow: Flow;
  let folder = '';
  const logged: string[] = [];
  let warnAfterMs = 60_000;
  const list = (): ReturnType<typeof engines.list> => engines.list();
  const overview = new Overview(list, () => warnAfterMs);
  /** The engine under test; others of this process may be parked still. */
  const shown = (): ShownQueue => overview.queues().find(({ origin }) => origin === sandbox.url)!;
  const left = (): OrphanedQueues => new OrphanedQueues(folder, list);
  const actions = (): Actions =>
    new Actions(engines, new Orphaned(engines, left()), (text) => logged.push(text));

  before(() => (folder = mkdtempSync(path.join(tmpdir(), 'instant-audience-tab-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    sandbox = await startSandbox({ users: { me: 'secret' } });
    flow = new Flow();
    warnAfterMs = 60_000;
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    // What waits in them would be for an old address of the next test's account.
    rmSync(queueFolder(nodesUserDir()), { recursive: true, force: true });
    await sandbox.close();
  });
  const start = (changes: object = {}, password = 'secret'): Promise<void> =>
    load([customAccount(sandbox.url), ...flow.nodes(changes)], login(password), flow);

  it('counts entries by outcome, invalid ones separately, and shows reasons', async () => {
    sandbox.faults.set([{ kind: 'poison', userIds: [idfa(3)] }]);
    await start();
    await flow.send({ payload: [entry(1), entry(2), entry(3), { user_id: '0' }, 7] });
    const { taken, accepted, rejected, invalid, rejectedByCode, rejectedKept, state } = shown();
    assert.deepEqual([taken, accepted, rejected, invalid], [3, 2, 1, 2]);
    assert.deepEqual([shown().rejectedToday, shown().environment], [3, 'custom']);
    assert.equal(
      Object.values(rejectedByCode).reduce((sum, count) => sum + count, 0),
      3,
    );
    assert.equal(rejectedByCode.SYNTAX, 1);
    assert.deepEqual([rejectedKept, state.kind], [3, 'idle']);
    const kept = actions().rejected(shown().key)!;
    assert.deepEqual(kept.map(({ code }) => code).sort(), Object.keys(rejectedByCode).sort());
    assert.deepEqual(kept.find(({ code }) => code === 'SYNTAX')!.entry, entry(3));
    assert.deepEqual(
      actions()
        .rejected(shown().key, 'SYNTAX')!
        .map(({ entry: last }) => last),
      [entry(3)],
    );
    assert.deepEqual(actions().rejected(shown().key, 'none'), []);
  });

  it('counts a message that holds no entry at all, also in the status', async () => {
    await start();
    const none = ['some text', '{"user_id": "1"}', 7, true, null, undefined, [], { rt_segment: 3 }];
    await flow.send(...none.map((payload) => ({ payload })));
    assert.equal(flow.errors.length, none.length);
    const { taken, invalid, rejectedByCode, rejectedKept } = shown();
    assert.deepEqual([taken, invalid, rejectedKept], [0, 8, 8]);
    assert.deepEqual(Object.keys(rejectedByCode).sort(), [
      'input_boolean',
      'input_empty',
      'input_json_text',
      'input_missing',
      'input_null',
      'input_number',
      'input_text',
      'rt_segment_type',
    ]);
    await until(() => flow.status === '8 invalid', 'the status');
    await flow.send({ payload: [entry(1), { user_id: '0' }] });
    await until(() => flow.status === '9 invalid', 'one more');
    assert.equal(shown().invalid, 9);
  });

  it('counts entries that the service accepted without counting them', async () => {
    await start();
    await flow.send({ payload: entry(1) });
    assert.deepEqual(shown().unaccounted, { users: 0, segments: 0 });
    const { monitor } = list().find(({ origin }) => origin === sandbox.url)!.engine;
    monitor.unaccounted.note({ users: 2, segments: 3 }, { users: 5, segments: 9 }, 0, () => undefined);
    assert.deepEqual(shown().unaccounted, { users: 2, segments: 3 });
    const text = prometheusText([shown()], list());
    assert.match(text, /^instant_audience_unaccounted_total\{[^}]*of="users"\} 2$/m);
    assert.match(text, /^instant_audience_unaccounted_total\{[^}]*of="segments"\} 3$/m);
  });

  it('shows that the oldest entry is older than the account allows', async () => {
    await start();
    await flow.send({ control: 'pause' });
    flow.give({ payload: entry(1) });
    await until(() => shown().waiting === 1, 'it waits');
    assert.equal(shown().late, false);
    warnAfterMs = 20;
    await sleep(60);
    assert.equal(shown().late, true);
    assert.match(prometheusText([shown()], list()), /^instant_audience_late\{[^}]*\} 1$/m);
    await flow.send({ control: 'resume' });
    await flow.allEnded();
    assert.deepEqual([shown().late, shown().oldestMs, shown().drainSeconds], [false, 0, 0]);
  });

  it('computes the time until the queue is empty from the rate of the last seconds', async () => {
    await start();
    const [info] = list().filter(({ origin }) => origin === sandbox.url);
    let nowMs = 0;
    let accepted = 0;
    const stats = (): object => ({
      ...info!.engine.stats(),
      counters: { ...info!.engine.counters, accepted, waiting: 5000 - accepted },
    });
    const engine = new Proxy(info!.engine, {
      get: (target, name) => (name === 'stats' ? stats : Reflect.get(target, name, target)),
    });
    const reckoned = new Overview(
      () => [{ ...info!, engine }],
      () => null,
      () => [],
      () => nowMs,
    );
    const drain = (): number | null => reckoned.queues()[0]!.drainSeconds;
    assert.equal(drain(), null, 'nothing has ended');
    for (let second = 1; second <= 10; second += 1) {
      nowMs += 1000;
      accepted += 100;
      const left = drain();
      assert.ok(left !== null && Math.abs(left - (5000 - accepted) / 100) <= 1, `${left} after ${second} s`);
    }
    for (let second = 0; second < 60; second += 1) {
      nowMs += 1000;
      reckoned.queues();
    }
    assert.equal(drain(), null, 'it stands still');
  });

  it('lists each segment warning once, with the values of its sentence', async () => {
    await start();
    await until(() => list().some(({ origin }) => origin === sandbox.url), 'the queue');
    const warmUp = {
      kind: 'warmUp',
      key: 'i1',
      keys: ['i1'],
      segment: 1,
      untilMs: Date.now() + 90_000,
    } as const;
    const inactive = { kind: 'inactive', key: 'i2', segment: 2 } as const;
    const warned = new Overview(
      list,
      () => null,
      () => [warmUp, inactive, warmUp].map((warning) => ({ warning, holds: false })),
    );
    const { segments, warnAfterMs: usual } = warned.queues().find(({ origin }) => origin === sandbox.url)!;
    assert.deepEqual(segments, [
      { key: 'warmUp', params: { segment: 1, minutes: 2 } },
      { key: 'inactive', params: { segment: 2 } },
    ]);
    assert.equal(usual, 120_000);
    for (const [first, second] of [
      [true, false],
      [false, true],
    ] as const) {
      const both = new Overview(
        list,
        () => null,
        () => [
          { warning: warmUp, holds: first },
          { warning: warmUp, holds: second },
        ],
      );
      const { segments: told } = both.queues().find(({ origin }) => origin === sandbox.url)!;
      assert.deepEqual(told, [{ key: 'held', params: { segment: 1, minutes: 2 } }], 'one node holds it back');
    }
  });

  it('pauses, resumes, and shows a refused login, which only a retry tries again', async () => {
    await start({}, 'new');
    const key = (): string => shown().key;
    flow.give({ payload: entry(1) });
    await until(() => shown().state.kind === 'loginRefused', 'the login is refused');
    assert.equal(shown().state.code, 'NOAUTH');
    await actions().act('pause', { queue: key() });
    assert.equal(shown().state.kind, 'paused');
    await actions().act('resume', { queue: key() });
    assert.equal(shown().state.kind, 'loginRefused');
    const { port } = new URL(sandbox.url);
    await sandbox.close();
    sandbox = await startSandbox({ users: { me: 'new' }, port: Number(port) });
    assert.equal((await actions().act('flush', { queue: key() })).status, 200);
    await sleep(300);
    assert.equal(shown().state.kind, 'loginRefused');
    assert.equal((await actions().act('retry', { queue: key() })).status, 200);
    await flow.allEnded();
    assert.equal(sandbox.state().length, 1);
  });

  it('reports one wrong URL alike in status, tab and log, with its name', async () => {
    const wrong = `${sandbox.url}/no/such/place`;
    await load([customAccount(sandbox.url, { serviceUrl: wrong }), ...flow.nodes()], login(), flow);
    flow.give({ payload: entry(1) });
    await until(() => flow.status === 'wrong URL', 'the status');
    const { state, errors } = overview.queues().find(({ waiting }) => waiting === 1)!;
    const says = 'HTTP 404, SYNTAX: "There is no POST /no/such/place/rt-segment here"';
    const sentence = `Correct the URL in the account: the service has no address ${wrong}/rt-segment (${says}).`;
    assert.deepEqual([state.look, state.key, state.kind], ['stopped', 'wrong_url', 'misconfigured']);
    assert.equal(state.message, sentence);
    const told = `${sentence} Everything stays queued and is tried again.`;
    assert.deepEqual(
      errors.map(({ text }) => text),
      [told],
    );
    assert.deepEqual(
      linesOf('warn').filter((text) => text.includes('Correct the URL')),
      [`${told} See the documentation: Troubleshooting, Status.`],
    );
  });

  it('shows deliveries in the status, for some seconds', async () => {
    await start({ completeOn: 'queued' });
    await flow.send({ payload: [entry(1), entry(2)] });
    await until(() => flow.status === '2 delivered', 'the status');
    await until(() => flow.status === 'ready', 'idle again');
  });

  it('shows the queues that accounts use first, and since when each counts', async () => {
    const other = await startSandbox({ users: { me: 'secret' } });
    try {
      const openedMs = Date.now();
      await start();
      await flow.send({ control: 'pause' });
      flow.give({ payload: entry(1) });
      await until(() => shown().waiting === 1, 'one waits');
      await deploy([customAccount(other.url, { name: 'shop' }), ...flow.nodes()], 'nodes', flow);
      const queues = (): ShownQueue[] => overview.queues();
      await until(() => queues().some(({ origin }) => origin === other.url), 'the new queue');
      const origins = queues().map(({ origin }) => origin);
      assert.ok(origins.indexOf(other.url) < origins.indexOf(sandbox.url), origins.join());
      const { sinceWallMs } = queues().find(({ origin }) => origin === other.url)!;
      assert.ok(sinceWallMs > openedMs && sinceWallMs <= Date.now());
    } finally {
      await unload();
      await other.close();
    }
  });

  it('separates unusable accounts from unused ones, and equal names from each other', async () => {
    const broken = customAccount(sandbox.url, { id: 'no-member', member: '' });
    const twins = ['twin-1', 'twin-2'].map((id) => ({ id, type: 'xandr-account', environment: 'sandbox' }));
    await load(
      [customAccount(sandbox.url), broken, ...twins, ...flow.nodes({ account: 'no-member' })],
      login(),
      flow,
    );
    const found = idleAccounts(nodesRed(), list());
    assert.deepEqual(
      found.map(({ name, problem }) => [name, problem?.key ?? null]),
      [
        ['custom 7', null],
        ['custom', 'error.member_missing'],
        ['sandbox (in-1)', null],
        ['sandbox (in-2)', null],
      ],
    );
  });

  it('purges with the answer to the first question only, once, and only that queue', async () => {
    await start();
    await flow.send({ control: 'pause' });
    flow.give({ payload: [entry(1), entry(2)] });
    await until(() => shown().waiting === 2, 'they wait');
    const { key } = shown();
    const acting = actions();
    const first = await acting.act('purge', { queue: key });
    assert.equal(first.status, 409);
    const { confirm, waiting } = first.body as { confirm: string; waiting: number };
    assert.equal(waiting, 2);
    assert.equal((await acting.act('purge', { queue: key, confirm: 'guessed' })).status, 409);
    assert.equal((await actions().act('purge', { queue: key, confirm })).status, 409);
    assert.equal(shown().waiting, 2);
    const done = await acting.act('purge', { queue: key, confirm });
    assert.deepEqual(done, { status: 200, body: { code: 'purged', entries: 2, inFlight: 0 } });
    assert.equal((await acting.act('purge', { queue: key, confirm })).status, 409);
    await flow.allEnded();
    const [{ audience }] = flow.rejected;
    assert.deepEqual(
      audience.rejected.map(({ code, message }: any) => [code, message]),
      [0, 1].map(() => ['purged', 'An operator purged the queue before this entry was sent.']),
    );
    assert.equal(shown().rejectedToday, 0, 'an operator purged them');
    assert.equal((await acting.act('purge', { queue: 'none' })).status, 404);
    assert.equal((await acting.act('flush', null)).status, 404);
    assert.ok(logged.some((text) => text === 'The queue of member 7 was purged: 2 entries.'));
  });

  it('erases a user by a message, and by a call, from queued and rejected entries', async () => {
    await start();
    await flow.send({ payload: { ...entry(1), seg_block: [] } });
    await flow.send({ control: 'pause' });
    flow.give({ payload: [entry(1), entry(2)] }, { payload: entry(3) });
    await until(() => shown().waiting === 3, 'they wait');
    assert.equal(shown().rejectedKept, 1);
    flow.give({ control: 'erase', user_id: idfa(1).toUpperCase(), domain: 'idfa' });
    await until(() => shown().waiting === 2, 'one is erased');
    assert.equal(shown().rejectedKept, 0);
    flow.give({ control: 'erase' }, { control: 'erase', user_id: idfa(1), domain: 5 });
    await until(() => flow.errors.length === 2, 'two are refused');
    assert.match(flow.errors.join('\n'), /user_id is missing[\s\S]*domain is 5/);
    // No kind of id at all is any kind; a custom one without its name is nobody's.
    for (const [domain, code] of [
      ['', 'domainMissing'],
      [' ', 'domainInvalid'],
    ] as const)
      assert.deepEqual(await actions().act('erase', { user: idfa(3), domain }), {
        status: 400,
        body: { code },
      });
    assert.equal(shown().waiting, 2);
    const erased = await actions().act('erase', { user: idfa(3) });
    assert.deepEqual(erased, { status: 200, body: { code: 'erased', entries: 1, inFlight: 0, segments: 0 } });
    assert.equal((await actions().act('erase', { user: ' ' })).status, 400);
    await flow.send({ control: 'resume' });
    await flow.allEnded();
    const codes = flow.rejected.flatMap(({ audience }) => audience.rejected.map(({ code }: any) => code));
    assert.deepEqual(codes, ['seg_block_empty', 'erased', 'erased']);
    assert.deepEqual(
      sandbox.state().map(({ user_id }) => user_id),
      [idfa(2)],
    );
    assert.ok(!logged.join().includes(idfa(3)));
  });

  it('gives Prometheus figures that add up, in its own format', async () => {
    await start();
    await flow.send({ payload: [entry(1), entry(2), { user_id: '0' }] });
    const text = prometheusText([shown()], list());
    const names = new Set<string>();
    for (const line of text.trim().split('\n')) {
      if (line.startsWith('#'))
        assert.match(line, /^# (HELP \w+ \S.*\.|TYPE \w+ (counter|gauge|histogram))$/);
      else assert.match(line, /^instant_audience_\w+\{(\w+="([^"\\\n]|\\.)*",?)+\} -?[\d.]+(e-?\d+)?$/);
      names.add(/^(?:# \w+ )?(\w+)/.exec(line)![1]!);
    }
    const value = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
    assert.equal(value(/^instant_audience_entries_taken_total\{[^}]*\} (\d+)/m), 2);
    assert.equal(value(/^instant_audience_entries_ended_total\{[^}]*end="accepted"\} (\d+)/m), 2);
    assert.equal(value(/^instant_audience_entries_invalid_total\{[^}]*\} (\d+)/m), 1);
    assert.equal(value(/^instant_audience_entries_rejected_total\{[^}]*code="user_id_zero"\} (\d+)/m), 1);
    assert.equal(value(/^instant_audience_latency_seconds_bucket\{[^}]*le="\+Inf"\} (\d+)/m), 2);
    assert.equal(value(/^instant_audience_state\{[^}]*state="idle"\} (\d+)/m), 1);
    const buckets = [...text.matchAll(/latency_seconds_bucket\{[^}]*\} (\d+)/g)].map(([, count]) =>
      Number(count),
    );
    assert.deepEqual(
      buckets,
      [...buckets].sort((a, b) => a - b),
    );
    const quoted = { ...shown(), accounts: [{ id: 'a', name: 'a "b"\\c' }] };
    assert.match(prometheusText([quoted], list()), /account="a \\"b\\"\\\\c"/);
  });

  it('sends only to connections with a ticket, only changes, and stops with the last connection', async () => {
    const events = new EventEmitter();
    const told: { session: string; data: any }[] = [];
    events.on('comms', ({ topic, session, data }) => {
      assert.equal(topic, overviewTopic);
      told.push({ session, data });
    });
    let figure = 1;
    let nowMs = 0;
    let updates = 0;
    const source = {
      update: () => {
        updates += 1;
        return { queues: [{ key: 'q', figure }] };
      },
      history: () => [],
    };
    const watchers = new Watchers({ events }, source, () => nowMs);
    events.emit(`comms:message:${watchTopic}`, { session: 'a', data: { ticket: 'guessed' } });
    events.emit(`comms:message:${watchTopic}`, { session: 'a', data: null });
    assert.deepEqual([watchers.size, updates], [0, 0]);
    const ticket = watchers.ticket();
    events.emit(`comms:message:${watchTopic}`, { session: 'a', data: { ticket } });
    events.emit(`comms:message:${watchTopic}`, { session: 'b', data: { ticket } });
    const late = watchers.ticket();
    nowMs = 60_000;
    events.emit(`comms:message:${watchTopic}`, { session: 'c', data: { ticket: late } });
    assert.deepEqual([watchers.size, told.map(({ session }) => session)], [1, ['a']]);
    assert.deepEqual(Object.keys(told[0]!.data.histories), ['q']);
    await sleep(2200);
    assert.equal(told.length, 1, 'nothing is new');
    figure = 2;
    await sleep(1200);
    assert.equal(told.length, 2);
    assert.deepEqual(told[1]!.data.histories, {});
    events.emit(`comms:message:${unwatchTopic}`, { session: 'a' });
    const before = updates;
    await sleep(1500);
    assert.deepEqual([watchers.size, updates], [0, before]);
    events.emit(`comms:message:${watchTopic}`, {
      session: 'a',
      data: { ticket: watchers.ticket() },
    });
    events.emit('comms:connection-removed', { session: 'a' });
    assert.equal(watchers.size, 0);
  });

  it('reports the problem of a failing queue file, by a code with a sentence in the editor', async () => {
    const file = 'gone.example-9-12345678.sqlite';
    const queueFile = path.join(folder, 'instant-audience', file);
    mkdirSync(path.dirname(queueFile), { recursive: true });
    writeFileSync(
      queueFile,
      'not a database, but long enough to be taken for a file with something in it'.repeat(20),
    );
    try {
      const [shownLeft] = left().list();
      assert.deepEqual([shownLeft!.key, shownLeft!.problem!.trouble], [file, 'damaged']);
      assert.ok(shownLeft!.problem!.reason.includes(queueFile));
      const acting = actions();
      const { body } = await acting.act('purgeOrphaned', { queue: file });
      const purged = await acting.act('purgeOrphaned', { queue: file, ...body });
      assert.deepEqual(
        [purged.status, (purged.body as any).code, (purged.body as any).trouble],
        [500, 'failed', 'damaged'],
      );
      const erased = await acting.act('erase', { user: idfa(1) });
      assert.equal(erased.status, 207);
      const { code, trouble, file: named } = erased.body as any;
      assert.deepEqual([code, trouble, named], ['erasedPartly', 'damaged', file]);
    } finally {
      rmSync(queueFile);
    }
  });

  it('takes no path for a queue that is left but a name in its folder', () => {
    const queues = left();
    for (const file of [
      '../x-1-12345678.sqlite',
      'none-1-12345678.sqlite',
      '',
      null,
      'a/b-1-12345678.sqlite',
    ])
      assert.equal(queues.pathOf(file), null);
    assert.deepEqual(queues.list(), []);
  });
});

// The audience sync in a Node-RED runtime, with a queue on disk and the real sandbox: runs, refusals, sources, controls.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { engines } from '../../nodes/account/process-wide';
import { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';
import { Actions } from '../../nodes/sidebar/actions';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  deploy,
  Flow,
  idfa,
  load,
  logged,
  login,
  nodesUserDir,
  restart,
  unload,
  until,
  useNodeRed,
} from './out-flow';

const segment = 10001;
interface Row {
  readonly id: string;
  readonly worth?: unknown;
}
const rows = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, index) => ({ id: idfa(from + index + 1) }));

describe('the audience sync', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let sync: Flow;
  let out: Flow;
  const nodes = (changes: object = {}, account: object = {}): object[] => [
    customAccount(sandbox.url, { member: '1', ...account }),
    ...out.nodes(),
    ...sync.nodes({ type: 'xandr-audience-sync', segment: String(segment), domain: 'idfa', ...changes }),
  ];
  const start = (changes: object = {}, account: object = {}): Promise<void> =>
    load(nodes(changes, account), login(), out, sync);

  beforeEach(async () => {
    sandbox = await startSandbox();
    sync = new Flow('sync');
    out = new Flow();
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox.close();
    rmSync(path.join(nodesUserDir(), 'instant-audience'), { recursive: true, force: true });
  });

  const users = (): string[] =>
    sandbox
      .state()
      .map(({ user_id: id }) => id)
      .sort();
  const ids = (its: readonly Row[]): string[] => its.map(({ id }) => id).sort();
  /** The next report on output 1. */
  async function report(number = 1): Promise<any> {
    await until(() => sync.accepted.length >= number, `report ${number}`);
    return sync.accepted[number - 1].payload;
  }
  async function refused(number = 1): Promise<any> {
    await until(() => sync.rejected.length >= number, `refusal ${number}`);
    return sync.rejected[number - 1].payload;
  }
  async function whole(its: readonly Row[], number: number): Promise<any> {
    await sync.send({ payload: its, topic: 'nightly' });
    return report(number);
  }

  it('makes the segment equal to the rows, run by run, and reports each run once', async () => {
    await start();
    const first = await whole(rows(500), 1);
    assert.deepEqual(users(), ids(rows(500)));
    assert.deepEqual([first.status, first.run, first.added, first.members], ['ended', 1, 500, 500]);
    assert.equal(sync.accepted[0].topic, 'nightly');
    const second = await whole(rows(500, 20), 2);
    assert.deepEqual([second.added, second.removed, second.unchanged], [20, 20, 480]);
    assert.deepEqual(users(), ids(rows(500, 20)));
    await until(() => sync.status?.startsWith('members 500 · next refresh ') === true, 'the status');
  });

  it('takes the users, values and times that fields of the rows give', async () => {
    const mapping = {
      userId: 'who',
      valueType: 'item',
      value: 'worth',
      expiration: '2',
      expirationUnit: 'hours',
    };
    await start(mapping);
    await sync.send({
      payload: [
        { who: idfa(1), worth: '7' },
        { who: idfa(2), worth: 'x' },
      ],
    });
    const { added, invalid } = await report();
    assert.deepEqual([added, invalid], [1, 1]);
    const [member] = sandbox.state();
    assert.equal(member!.value, 7);
    const [rejected] = sync.rejected;
    assert.equal(rejected.audience.count, 1);
    const { index, code, message } = rejected.audience.rejected[0];
    assert.deepEqual([index, code], [1, 'number_type']);
    assert.match(message, /^Value, item 1: "x" is not a number/);
    assert.deepEqual(rejected.payload, [{ who: idfa(2), worth: 'x' }]);
  });

  it('ends with one error where nothing takes rejected rows or refused runs', async () => {
    await start({ wires: [['sync accepted'], []] });
    await sync.send({ payload: [{ id: 'x' }, { id: 'y' }, { id: idfa(1) }] });
    assert.match(sync.error, /^2 rows or users were rejected\. First: item 0: User ID, item 0:/);
    await report();
    await sync.send({ payload: [] });
    await until(
      () => logged().some((line) => line.startsWith('The audience is empty')),
      'the error of the run',
    );
  });

  describe('removes nobody and says why', () => {
    const cases: readonly (readonly [string, () => Promise<void>, string, RegExp])[] = [
      ['the result is empty', () => sync.send({ payload: [] }), 'empty', /^The audience is empty \(0 rows/],
      [
        '21 % would be removed',
        () => sync.send({ payload: rows(79) }),
        'too_many_removals',
        /^The run would remove 21 of 100 users; at most 20 are allowed/,
      ],
      [
        'the source fails in the middle',
        async () => {
          await sync.send({ payload: rows(50), parts: { id: 'a', index: 0, count: 2 } });
          await sync.send({ error: { message: 'connection lost' } });
        },
        'source_failed',
        /connection lost$/,
      ],
      [
        'half of the result comes before the next one',
        async () => {
          await sync.send({ payload: rows(50), parts: { id: 'a', index: 0, count: 2 } });
          await sync.send({ payload: rows(50), parts: { id: 'b', index: 0, count: 2 } });
        },
        'replaced',
        /^The next run began before the last row of this one came \(50 rows\)/,
      ],
      [
        'a part is missing',
        async () => {
          await sync.send({ payload: rows(50), parts: { id: 'a', index: 0 } });
          await sync.send({ payload: rows(49, 51), parts: { id: 'a', index: 2 }, complete: true });
        },
        'parts_missing',
        /^1 messages of the sequence are missing/,
      ],
    ];
    for (const [what, act, code, sentence] of cases) {
      it(`when ${what}`, async () => {
        await start();
        await whole(rows(100), 1);
        const before = sandbox.state();
        await act();
        const { status, run, removed, refused: why } = await refused();
        assert.deepEqual([status, run, removed, why.code], ['refused', 2, 0, code]);
        assert.match(why.message, sentence);
        assert.deepEqual(sandbox.state(), before);
      });
    }
  });

  it('gathers what split, csv and file in send', async () => {
    await start({ maxRemovals: 100 });
    for (const [index, row] of rows(10).entries())
      await sync.send({ payload: row, parts: { id: 'split', type: 'array', len: 1, count: 10, index } });
    assert.equal((await report(1)).added, 10);
    for (const [index, row] of rows(10, 5).entries())
      await sync.send({ payload: row, parts: { id: 'csv', index, count: NaN } });
    await sync.send({ complete: true });
    assert.deepEqual([(await report(2)).added, (await report(2)).removed], [5, 5]);
    for (const [index, row] of rows(3).entries())
      await sync.send({ payload: [row], parts: { id: 'file', index, ...(index === 2 && { count: 3 }) } });
    await report(3);
    assert.deepEqual(users(), ids(rows(3)));
  });

  it('leaves out users without consent, counts them, and removes them once they withdraw it', async () => {
    await start({ consent: 'ok', consentType: 'item', maxRemovals: 100 });
    const payload = rows(4).map((row, index) => ({ ...row, ok: index < 3 ? 'yes' : 'no' }));
    await sync.send({ payload });
    const first = await report(1);
    assert.deepEqual([first.added, first.no_consent, first.invalid], [3, 1, 0]);
    await sync.send({ payload: [{ ...payload[0], ok: false }, payload[1], { ...payload[2], ok: 'maybe' }] });
    const second = await report(2);
    assert.deepEqual([second.removed, second.no_consent, second.invalid], [2, 1, 1]);
    assert.deepEqual(users(), ids(rows(1, 1)));
    assert.deepEqual(sync.rejected[0].audience.rejected[0].code, 'consent_unknown');
  });

  it('previews, accepts a refused run, resends and forgets by msg.control', async () => {
    await start();
    await whole(rows(100), 1);
    await sync.send({ payload: rows(10), control: 'preview' });
    const { status, removed } = await report(2);
    assert.deepEqual([status, removed], ['preview', 90]);
    assert.equal(users().length, 100);
    await sync.send({ payload: rows(10) });
    assert.equal((await refused(1)).refused.code, 'too_many_removals');
    await sync.send({ control: 'force' });
    assert.equal((await report(3)).removed, 90);
    assert.deepEqual(users(), ids(rows(10)));
    await sync.send({ control: 'resend' });
    assert.equal((await whole(rows(10), 4)).refreshed, 10);
    await sync.send({ control: 'forget' });
    assert.equal((await whole(rows(5), 5)).added, 5);
    assert.equal(users().length, 10, 'what was forgotten stays at the service');
    await sync.send({ control: 'force' });
    assert.match(sync.error, /^There is no refused run to apply/);
    await sync.send({ control: 'flush' });
    assert.match(sync.error, /^msg\.control is "flush"; it can be preview, force, resend or forget/);
    await sync.send({ payload: 'text' });
    assert.match(sync.error, /^Rows: this is "text", not an array/);
  });

  it('keeps what it knows over a restart, and updates it by live events', async () => {
    await start();
    await whole(rows(100), 1);
    await restart();
    await start();
    await out.send({
      payload: [
        { user_id: idfa(1), domain: 'idfa', seg_block: [{ seg_id: segment, expiration: -1 }] },
        { user_id: idfa(500), domain: 'idfa', seg_block: [{ seg_id: segment, expiration: 60 }] },
      ],
    });
    const { added, removed, unchanged } = await whole(rows(100), 2);
    assert.deepEqual([added, removed, unchanged], [1, 1, 99]);
    assert.deepEqual(users(), ids(rows(100)));
  });

  it('keeps an erased user out until the suppression is lifted, by the list or by the ID', async () => {
    await start();
    await whole(rows(10), 1);
    const folder = path.join(nodesUserDir(), 'none');
    const orphaned = new Orphaned(engines, new OrphanedQueues(folder, () => engines.list()));
    const actions = new Actions(engines, orphaned, () => undefined);
    const user = { user: idfa(3), domain: 'idfa' };
    assert.equal((await actions.act('lift', user)).status, 404);
    assert.deepEqual(await actions.act('erase', user), {
      status: 200,
      body: { code: 'erasedSynced', entries: 0, inFlight: 0, segments: 1 },
    });
    await until(() => !users().includes(idfa(3)), 'the user has left');
    assert.equal((await whole(rows(10), 2)).suppressed, 1);
    const { found, isWhole } = await actions.suppressions();
    const [listed, ...more] = found;
    assert.deepEqual([listed!.member, more.length, isWhole], ['1', 0, true]);
    assert.ok(Math.abs(Date.now() - listed!.sinceWallMs) < 60_000);
    assert.deepEqual((await actions.act('lift', { ...listed })).body, { code: 'lifted' });
    assert.deepEqual((await actions.suppressions()).found, []);
    assert.equal((await whole(rows(10), 3)).added, 1);
    await actions.act('erase', user);
    assert.equal((await actions.act('lift', user)).status, 200);
    assert.equal((await actions.act('lift', user)).status, 404);
    await until(() => !users().includes(idfa(3)), 'the user has left again');
    await whole(rows(10), 4);
    assert.deepEqual(users(), ids(rows(10)));
  });

  it('refuses a queue in memory, red, with what to do', async () => {
    await start({}, { queue: 'memory' });
    await sync.send({ payload: rows(1) });
    assert.match(sync.error, /queue of this account is in memory.*keep the queue on disk/);
    await until(() => sync.status === 'queue in memory' && sync.shown.at(-1)?.fill === 'red', 'the status');
    assert.deepEqual(users(), []);
  });

  it('refuses a second node for the same segment, by the name of the first', async () => {
    const other = new Flow('other');
    const second = other.nodes({ type: 'xandr-audience-sync', segment: String(segment), domain: 'idfa' });
    await load([...nodes({ name: 'nightly' }), ...second], login(), out, sync, other);
    await other.send({ payload: rows(1) });
    assert.match(other.error, /^The node nightly already syncs this segment/);
    await whole(rows(2), 1);
    // Another segment is no conflict.
    const third = other.nodes({ type: 'xandr-audience-sync', segment: '10002', domain: 'idfa' });
    await deploy([...nodes({ name: 'nightly' }), ...third], 'nodes', out, sync, other);
    await other.send({ payload: rows(1) });
    await until(() => other.accepted.length === 1, 'its report');
  });

  it('is red without an account, and with settings that cannot work, with a sentence for each', async () => {
    await start({ account: '', segment: '' });
    await sync.send({ payload: rows(1) });
    assert.match(sync.error, /^This node is not set up\. Segment: enter the segment/);
    await deploy(nodes({ account: '' }), 'full', out, sync);
    await sync.send({ payload: rows(1) });
    assert.match(sync.error, /^No account is chosen/);
    await until(() => sync.status === 'no account' && sync.shown.at(-1)?.fill === 'red', 'the status');
  });

  it('goes on with a run after a deploy', async () => {
    await start();
    await sync.send({ payload: rows(3_000) });
    await deploy(nodes({ name: 'changed' }), 'full', out, sync);
    const { added } = await report(1);
    assert.equal(added, 3_000);
    assert.equal(users().length, 3_000);
  });
});

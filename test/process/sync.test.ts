// The audience sync with a CSV export, in a real Node-RED with the packed package: killed in the middle of a run, run again
// with changes, and with an export that failed.
import { strict as assert } from 'node:assert';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cleanUps } from '../support/clean-up';
import { NodeRed, packedPackage, until, type FlowNode } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';

const scratch = path.join(__dirname, '..', '..', '.test', process.env.TEST_PART ?? 'alone', 'run');
/** Longer than a number keeps. */
const firstId = 12_345_678_900_000_000_000n;
const idsFrom = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => String(firstId + BigInt(from + index))).sort();

function flow(serviceUrl: string, file: string): FlowNode[] {
  const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
    ...{ z: 'tab', x: 100, y: 100 },
    ...node,
    wires,
  });
  const keep = (id: string): FlowNode => ({
    ...{ id, type: 'function', outputs: 0 },
    func: `const all = global.get('${id}') ?? []; all.push(msg.payload); global.set('${id}', all);`,
  });
  return [
    { id: 'tab', type: 'tab', label: 'sync', disabled: false, info: '' },
    {
      ...{ id: 'account', type: 'xandr-account', name: 'test', environment: 'custom' },
      ...{ authUrl: serviceUrl, serviceUrl, member: '1', queue: 'disk' },
    },
    inTab({ id: 'start', type: 'inject', props: [{ p: 'payload' }], payloadType: 'date' }, ['file']),
    inTab({ id: 'file', type: 'file in', filename: file, filenameType: 'str', format: 'lines' }, ['csv']),
    inTab(
      {
        ...{ id: 'csv', type: 'csv', spec: 'rfc', sep: ',', hdrin: true, multi: 'one', skip: '0' },
        ...{ ret: '\\n', temp: '', strings: false },
      },
      ['sync'],
    ),
    inTab(
      { id: 'sync', type: 'xandr-audience-sync', account: 'account', segment: '10001', userId: 'user' },
      ['reports'],
      ['refused'],
    ),
    inTab(keep('reports')),
    inTab(keep('refused')),
    inTab({ id: 'ask', type: 'http in', method: 'get', url: '/told' }, ['tell']),
    inTab(
      {
        ...{ id: 'tell', type: 'function', outputs: 1 },
        func: "msg.payload = { reports: global.get('reports') ?? [], refused: global.get('refused') ?? [] }; return msg;",
      },
      ['response'],
    ),
    inTab({ id: 'response', type: 'http response', statusCode: '' }),
  ];
}

describe('an audience sync of a CSV export', function () {
  this.timeout(180_000);
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  let nodeRed: NodeRed;
  let userDir = '';
  let file = '';

  const start = async (flows?: FlowNode[]): Promise<void> => {
    nodeRed = await NodeRed.start({
      userDir,
      ...(flows && { flows, credentials: { account: { username: 'me', password: 'secret' } } }),
    });
  };
  const write = (ids: readonly string[]): Promise<void> =>
    writeFile(file, ['user,name', ...ids.map((id) => `${id},"a, ""b"""`), ''].join('\n'));
  const users = async (): Promise<string[]> => (await sandbox.state()).map(({ user_id: id }) => id).sort();
  const told = (): Promise<{ reports: any[]; refused: any[] }> => nodeRed.json('told');
  const reports = async (count: number): Promise<any> => {
    await until(async () => (await told()).reports.length >= count, 60_000, `report ${count}`);
    return (await told()).reports.at(-1);
  };

  before(async () => {
    const { template } = await packedPackage();
    const { likeTemplate } = await import('../../scripts/user-dir.mjs');
    await mkdir(scratch, { recursive: true });
    userDir = await mkdtemp(path.join(scratch, 'sync-'));
    ends(() => rm(userDir, { recursive: true, force: true, maxRetries: 3 }));
    await likeTemplate(template, userDir);
    file = path.join(userDir, 'audience.csv');
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    await start(flow(sandbox.url, file));
    ends(async () => void (await nodeRed.stop()));
  });

  it('is carried out to its end after kill −9 in the middle, without a change twice', async () => {
    await write(idsFrom(0, 5_000));
    await nodeRed.inject('start');
    await until(async () => (await users()).length > 1_500, 60_000, 'the first members');
    await nodeRed.stop('SIGKILL');
    assert.ok((await users()).length < 5_000);
    await start();
    const { status, added, invalid, members } = await reports(1);
    assert.deepEqual([status, added, invalid, members], ['ended', 5_000, 0, 5_000]);
    assert.deepEqual(await users(), idsFrom(0, 5_000));
    assertQuotaKept(await sandbox.peaks());
  });

  it('sends only what changed in the next run', async () => {
    await write(idsFrom(100, 5_000));
    await nodeRed.inject('start');
    const { added, removed, unchanged } = await reports(2);
    assert.deepEqual([added, removed, unchanged], [100, 100, 4_900]);
    assert.deepEqual(await users(), idsFrom(100, 5_000));
  });

  it('changes nothing after an export that has only the heading, or only a half', async () => {
    await write([]);
    await nodeRed.inject('start');
    await until(async () => (await told()).refused.length === 1, 20_000, 'the refusal of the empty export');
    await write(idsFrom(100, 2_500));
    await nodeRed.inject('start');
    await until(async () => (await told()).refused.length === 2, 20_000, 'the refusal of half an export');
    const codes = (await told()).refused.map(({ refused }) => refused.code);
    assert.deepEqual(codes, ['empty', 'too_many_removals']);
    assert.deepEqual(await users(), idsFrom(100, 5_000));
  });

  it('lets a refused run be accepted after a restart', async () => {
    await nodeRed.stop();
    await start();
    const accept = { queue: `${sandbox.url} 1`, segment: 'i10001' };
    // The node may still be opening its queue.
    await until(
      async () => (await nodeRed.post('instant-audience/tab/forceSync', accept)).status !== 404,
      20_000,
      'the sync',
    );
    assert.equal((await reports(1)).removed, 2_500);
    assert.deepEqual(await users(), idsFrom(100, 2_500));
  });
});

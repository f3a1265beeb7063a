// Segment checks of an out node for the builders before it: warnings in log and status, unless switched off.
import assert from 'node:assert/strict';
import { translate } from '../editor/bundle';
import { segmentWatches } from '../../nodes/instant-audience-out/segment-watch';
import { segmentRemark, segmentSentence } from '../../nodes/instant-audience-out/segment-words';
import type { SegmentFinding, SegmentWarning } from '../../src/usage/segment-check';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  load,
  logged,
  login,
  sleep,
  unload,
  until,
  useNodeRed,
  wordsOf,
} from './out-flow';

describe('the segments before an out node', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let flow: Flow;
  const builder = (segments: string[], changes: object = {}): object => ({
    id: 'builder',
    type: 'xandr-segment-builder',
    z: 'flow',
    x: 0,
    y: 0,
    userId: 'user',
    segments: segments.map((segment) => ({ by: 'id', segment })),
    wires: [['out'], []],
    ...changes,
  });
  const nodes = (segments: string[], changes: object = {}): object[] => [
    customAccount(sandbox.url, { member: '1' }),
    builder(segments),
    ...flow.nodes(changes),
  ];
  const warnings = (): string[] => logged('warn').filter((line) => line.startsWith('Segment '));

  beforeEach(async () => {
    sandbox = await startSandbox();
    flow = new Flow();
  });
  afterEach(async () => {
    await unload();
    await sandbox.close();
  });

  it('are looked up on deploy; problems appear in the status and once in the log', async () => {
    await load(nodes(['10001', '10999']), login(), flow);
    await until(() => flow.status === 'segment inactive', 'the status');
    assert.equal(flow.shown.at(-1)!.fill, 'yellow');
    assert.deepEqual(warnings(), [
      'Segment 10999 is inactive, so entries for it have no effect. Activate it at the service, or remove it from the flow. See the documentation: Troubleshooting, Segments.',
    ]);
    assert.deepEqual(
      segmentWatches
        .get('out')!
        .warnings(Date.now())
        .map(({ kind }) => kind),
      ['inactive'],
    );
    await flow.send({ payload: entry(1) });
    assert.equal(flow.accepted.length, 1, 'it is only a warning');
    assert.equal(sandbox.peaks().totals.authentications, 1);
  });

  it('are looked up again every hour', async () => {
    const { setTimeout: real } = globalThis;
    const hours: (() => void)[] = [];
    globalThis.setTimeout = Object.assign(
      (call: () => void, ms?: number, ...rest: unknown[]) => {
        if (ms !== 3_600_000) return real(call, ms, ...(rest as []));
        hours.push(call);
        return real(() => undefined, 0);
      },
      { __promisify__: real.__promisify__ },
    ) as typeof setTimeout;
    try {
      await load(nodes(['10001']), login(), flow);
      await until(() => hours.length === 1, 'the look on deploy');
      const { gets } = sandbox.peaks().totals;
      assert.ok(gets > 0);
      hours[0]!();
      await until(() => hours.length === 2, 'the look an hour later');
      assert.equal(sandbox.peaks().totals.gets, 2 * gets);
    } finally {
      globalThis.setTimeout = real;
    }
  });

  it('are counted if there are several, and disappear once the builder is corrected', async () => {
    await load(nodes(['10996', '10999']), login(), flow);
    await until(() => flow.status === 'check 2 segments', 'the status');
    assert.equal(warnings().length, 2);
    await deploy(nodes(['10001']), 'full', flow);
    await until(() => flow.status === 'ready', 'nothing to say');
  });

  it('are not looked up where that is unwanted, nor where none is fixed', async () => {
    await load(nodes(['10999'], { youngSegments: 'ignore' }), login(), flow);
    await until(() => flow.status === 'ready', 'ready');
    await sleep(1_200);
    assert.equal(sandbox.peaks().totals.gets, 0);
    assert.equal(segmentWatches.size, 0);
    await deploy(
      [
        customAccount(sandbox.url, { member: '1' }),
        builder([], { segments: [{ by: 'id', segment: 'payload.segment', segmentType: 'msg' }] }),
        ...flow.nodes(),
      ],
      'full',
      flow,
    );
    await sleep(1_200);
    assert.equal(sandbox.peaks().totals.gets, 0);
  });

  it('in their warm-up delay adds where that is chosen, and nothing else', async () => {
    await load(nodes(['10001', '10996'], { youngSegments: 'hold' }), login(), flow);
    await until(() => flow.status === 'new segment, waiting', 'the status');
    flow.give(
      { payload: entry(1, 60, 10996) },
      { payload: entry(2, 60, 10001) },
      { payload: entry(3, -1, 10996) },
    );
    await until(() => flow.accepted.length === 2, 'the others');
    await sleep(500);
    assert.deepEqual(
      sandbox.state().map(({ segment }) => segment),
      ['10001'],
    );
    assert.match(warnings()[0]!, /^Segment 10996 is new\. Adds to it wait 20 more minutes/);
    await deploy(nodes(['10001', '10996'], { youngSegments: 'warn' }), 'nodes', flow);
    await until(() => flow.accepted.length === 3, 'the one that waited');
    assert.equal(sandbox.state().length, 1, 'it was sent too early: nobody is in the segment yet');
  });

  it('that are not looked up stand in the status and, with the reason, in the log, until they are', async () => {
    sandbox.faults.set([{ kind: 'status', status: 403, on: 'segments' }]);
    await load(nodes(['10999']), login(), flow);
    await until(() => flow.status === 'segments unchecked', 'the status');
    assert.equal(flow.shown.at(-1)!.fill, 'yellow');
    await until(() => sandbox.peaks().totals.gets > 1, 'a further look');
    const failures = logged('warn').filter((line) => line.startsWith('Segments not checked'));
    assert.equal(failures.length, 1);
    assert.match(failures[0]!, /Reason: .*403/);
    sandbox.faults.set([]);
    await until(() => flow.status === 'segment inactive', 'the next look');
    assert.equal(segmentWatches.get('out')!.failure, null);
  });

  it('of messages are looked up when they first come, also those that were made after the deploy', async () => {
    await load(nodes([]), login(), flow);
    await sleep(1_000);
    assert.equal(sandbox.peaks().totals.gets, 0, 'nothing is named yet');
    flow.give({ payload: entry(1, 60, 10001) }, { payload: entry(1, 60, 10999) });
    await until(() => flow.status === 'segment inactive', 'the status');
    const { gets } = sandbox.peaks().totals;
    for (let n = 0; n < 20; n += 1) flow.give({ payload: entry(n, 60, 10001) });
    await until(() => flow.accepted.length === 22, 'the others');
    await sleep(1_000);
    assert.equal(sandbox.peaks().totals.gets, gets, 'known segments are looked up no more');
    flow.give({ payload: entry(1, 60, 10996) });
    await until(() => flow.status === 'check 2 segments', 'the one that is new');
    assert.equal(warnings().length, 2);
  });

  it('of messages that are new make adds wait, the first one, too', async () => {
    await load(nodes([], { youngSegments: 'hold' }), login(), flow);
    await until(() => flow.status === 'ready', 'ready');
    flow.give(
      { payload: entry(1, 60, 10996) },
      { payload: entry(2, 60, 10001) },
      { payload: entry(3, -1, 10996) },
    );
    await until(() => flow.status?.includes('new segment, waiting') === true, 'the status');
    await until(() => flow.accepted.length === 2, 'the others');
    await sleep(500);
    assert.deepEqual(
      sandbox.state().map(({ segment }) => segment),
      ['10001'],
    );
    // What waits is known to the queue only: no message names it after a deploy.
    await deploy(nodes([], { youngSegments: 'hold', name: 'again' }), 'nodes', flow);
    const isHeld = (): boolean => flow.status?.includes('new segment, waiting') === true;
    await until(isHeld, 'the status again');
    await sleep(500);
    assert.equal(flow.accepted.length, 2);
    await deploy(nodes([], { youngSegments: 'warn' }), 'nodes', flow);
    await until(() => flow.accepted.length === 3, 'the one that waited');
  });

  it('of other members are logged once, as information, without a warning in the status', async () => {
    await load(nodes(['10997']), login(), flow);
    const told = (): string[] => logged('info').filter((line) => line.includes('belongs to another member'));
    await until(() => told().length > 0, 'the line');
    flow.give({ payload: entry(1, 60, 10997) });
    await until(() => flow.accepted.length === 1, 'the entry');
    await sleep(1_000);
    assert.equal(told().length, 1);
    assert.match(told()[0]!, /^Segment 10997 belongs to another member, so this node cannot check/);
    assert.equal(flow.status, '1 delivered');
    assert.deepEqual(warnings(), []);
  });
});

describe('a warning about a segment', () => {
  it('has a sentence and a remark for every kind', () => {
    const named = { key: 'i12', segment: 12 };
    const all: SegmentWarning[] = [
      { kind: 'unknown', ...named },
      { kind: 'inactive', ...named },
      { kind: 'otherCase', ...named, segment: 'Buyers', listed: 'buyers' },
      { kind: 'warmUp', ...named, untilMs: Date.now() + 200_000, keys: [] },
    ];
    const words = { _: translate(wordsOf('instant-audience-out')) };
    const sentences = all.map((warning) => segmentSentence(words, warning, false));
    assert.equal(new Set(sentences).size, all.length);
    assert.match(sentences[2]!, /^The service spells segment Buyers as buyers/);
    assert.match(sentences[3]!, /4 more minutes/);
    const remarks = all.map((warning) => segmentRemark(words, [warning], false));
    assert.equal(new Set(remarks).size, all.length);
    assert.equal(segmentRemark(words, all, false), 'check 4 segments');
    const notOurs: SegmentFinding = { kind: 'notOurs', ...named };
    assert.match(segmentSentence(words, notOurs, false), /^Segment 12 .* cannot check/);
    assert.equal(segmentRemark(words, [], false), null);
    assert.match(segmentSentence(words, all[3]!, true), /Adds to it wait 4 more minutes/);
    assert.equal(segmentRemark(words, [all[3]!], true), 'new segment, waiting');
  });
});

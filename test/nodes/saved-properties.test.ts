// Saved properties from the environment or a file: unclear values are refused with one sentence, once.
import assert from 'node:assert/strict';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { customAccount, entry, Flow, load, logged, login, unload, until, useNodeRed } from './out-flow';

/** Sets variables for one test; `undefined` leaves one unset. */
function withEnvironment(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
}

describe('saved properties of an out node', function () {
  this.timeout(20_000);
  useNodeRed();
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await startSandbox();
  });
  after(() => sandbox.close());
  afterEach(async () => {
    await unload();
    withEnvironment({ IA_FLAG: undefined, IA_CHOICE: undefined });
  });

  const start = async (properties: object): Promise<Flow> => {
    const flow = new Flow();
    await load([customAccount(sandbox.url), ...flow.nodes(properties)], login(), flow);
    return flow;
  };
  const posted = (): number => sandbox.operations().length;

  it('is dry when its variable says yes, posts when it says no, and what else it may say is told with the settings', async () => {
    for (const [value, status] of [
      [' True\n', 'dry run'],
      ['off', 'accepted'],
    ] as const) {
      withEnvironment({ IA_FLAG: value });
      const before = posted();
      const flow = await start({ dryRun: '${IA_FLAG}' });
      await flow.send({ payload: entry(1) });
      assert.equal(flow.accepted[0]?.audience.status, status);
      assert.equal(posted() === before, status === 'dry run');
      await unload();
    }
  });

  for (const [property, label] of [
    ['dryRun', 'Dry run'],
    ['allowUnknownFields', 'Unknown fields'],
  ] as const) {
    it(`refuses ${property} from a variable that says neither or is not set, and posts nothing`, async () => {
      for (const [value, sentence] of [
        ['ture', `${label}: "ture" is neither yes nor no; write true or false.`],
        [undefined, `${label}: the environment variable IA_FLAG is not set`],
      ] as const) {
        withEnvironment({ IA_FLAG: value });
        const before = posted();
        const flow = await start({ [property]: '${IA_FLAG}' });
        await flow.send({ payload: entry(1) });
        assert.ok(flow.error.startsWith(`This node is not set up. ${sentence}`), flow.error);
        assert.equal(posted(), before);
        await until(() => flow.status === 'not set up', 'its status');
        const told = logged().filter((line) => line.includes(sentence));
        assert.equal(told.length, 2, 'at the start and for the message');
        await unload();
      }
    });
  }

  const choices = [
    ['completeOn', 'Complete message', 'quued', 'accepted, queued'],
    ['youngSegments', 'Segment check', 'holds', 'ignore, warn, hold'],
    ['lateAdds', 'Late adds', 'keep', 'shorten, asIs'],
  ] as const;
  for (const [property, label, value, known] of choices) {
    it(`refuses ${property} ${value} and names what it knows`, async () => {
      withEnvironment({ IA_CHOICE: value });
      const flow = await start({ [property]: '${IA_CHOICE}' });
      await flow.send({ payload: entry(1) });
      assert.equal(
        flow.error,
        `This node is not set up. ${label}: "${value}" is not known; choose one of ${known}.`,
      );
    });
  }

  it('reads values with blanks around them, and uses defaults for missing ones', async () => {
    withEnvironment({ IA_CHOICE: ' queued\n' });
    const flow = await start({ completeOn: '${IA_CHOICE}', dryRun: null, input: ' payload ' });
    await flow.send({ payload: entry(1) });
    assert.equal(flow.accepted[0]?.audience.status, 'queued');
  });

  it('reports all problems at once', async () => {
    const flow = await start({ completeOn: 'x', dryRun: 'y' });
    await flow.send({ payload: entry(1) });
    assert.match(flow.error, /Complete message: "x" .*; Dry run: "y"/);
  });
});

describe('saved properties of a usage node', function () {
  this.timeout(20_000);
  useNodeRed();
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await startSandbox();
  });
  after(() => sandbox.close());
  afterEach(async () => {
    await unload();
    withEnvironment({ IA_CHOICE: undefined });
  });

  const errorOf = async (properties: object): Promise<string> => {
    const usage = new Flow('usage');
    const nodes = usage.nodes({ type: 'xandr-audience-usage', ...properties });
    await load([customAccount(sandbox.url), ...nodes], login(), usage);
    await usage.send({ payload: 1 });
    if (usage.errors.length > 0) await until(() => usage.status === 'not set up', 'its status');
    await unload();
    return usage.error;
  };

  it('refuses choices that are unknown or whose variable is not set', async () => {
    const unset = /Range: the environment variable IA_CHOICE is not set/;
    assert.match(await errorOf({ range: '${IA_CHOICE}' }), unset);
    withEnvironment({ IA_CHOICE: 'dayly' });
    assert.equal(
      await errorOf({ schedule: '${IA_CHOICE}' }),
      'This node is not set up. Runs: "dayly" is not known; choose one of message, hourly.',
    );
  });

  it('refuses a time that an hourly report cannot have, and an empty one', async () => {
    const custom = { range: 'custom', schedule: 'hourly' };
    assert.match(await errorOf({ ...custom, from: 'payload' }), /From: there is no message/);
    assert.match(await errorOf(custom), /From: enter the start of the range/);
    assert.equal(await errorOf({ range: ' day ', from: 5, schedule: null }), '');
  });
});

describe('saved properties of a segment builder', function () {
  this.timeout(20_000);
  useNodeRed();
  afterEach(async () => {
    await unload();
    withEnvironment({ IA_ALLOW: undefined, IA_CODE: undefined, IA_UNIT: undefined });
  });

  const subject = { id: 'builder', type: 'xandr-segment-builder', userId: 'payload.user' };
  const row = { by: 'code', segment: '${IA_CODE}', member: '7' };

  /** What comes of one message. */
  const built = async (properties: object, wrap = (nodes: object[]): object[] => nodes) => {
    const flow = new Flow('builder');
    const nodes = flow.nodes({ ...subject, segments: [{ segment: 10001 }], ...properties });
    await load(wrap(nodes), {}, flow);
    await flow.send({ payload: { user: '12345' } });
    await unload();
    return { error: flow.error, entry: flow.accepted[0]?.payload };
  };

  it('allows a custom domain only when its variable says true, and refuses anything else than yes and no', async () => {
    const allow = { domain: 'crm', allowCustomDomain: '${IA_ALLOW}' };
    withEnvironment({ IA_ALLOW: 'true' });
    assert.partialDeepStrictEqual((await built(allow)).entry, { domain: 'crm', custom_domain: true });
    withEnvironment({ IA_ALLOW: 'false' });
    assert.match((await built(allow)).error, /ID type: "crm" is not in the service’s list/);
    withEnvironment({ IA_ALLOW: 'maybe' });
    assert.match((await built(allow)).error, /Custom domains: "maybe" is neither yes nor no/);
  });

  it('never builds an entry with the name of a variable that is not set', async () => {
    for (const [properties, told] of [
      [{ segments: [row] }, /Segment 1, Segment: the environment variable IA_CODE is not set/],
      [
        { segments: [{ segment: '1', value: '$(IA_CODE)' }] },
        /Segment 1, Value: the environment variable IA_CODE/,
      ],
      [
        { segments: [{ segment: '1', expirationUnit: '${IA_UNIT}' }] },
        /Segment 1, Unit: the environment variable IA_UNIT/,
      ],
      [{ userId: '${IA_CODE}', userIdType: 'str' }, /User ID: the environment variable IA_CODE/],
      [{ domain: '${IA_CODE}', allowCustomDomain: true }, /ID type: the environment variable IA_CODE/],
      [{ eventTime: '${IA_CODE}' }, /Event time: the environment variable IA_CODE/],
      [{ output: '${IA_CODE}' }, /Output: the environment variable IA_CODE/],
    ] as const) {
      const { error, entry } = await built(properties);
      assert.match(error, told);
      assert.equal(entry, undefined);
    }
  });

  it('builds with the values of variables, those of the flow before those of the process', async () => {
    withEnvironment({ IA_CODE: 'of the process', IA_UNIT: 'hours ' });
    const segments = [{ ...row, expirationUnit: '${IA_UNIT}', expiration: '2' }];
    const of = (code: string): object => ({
      seg_block: [{ seg_code: code, member_id: 7, expiration: 120 }],
    });
    assert.partialDeepStrictEqual((await built({ segments })).entry, of('of the process'));
    const env = [{ name: 'IA_CODE', value: 'of the flow', type: 'str' }];
    const inFlow = (nodes: object[]): object[] => [
      { id: 'other', type: 'tab', label: 'with variables', env },
      ...nodes.map((node) => ({ ...node, z: 'other' })),
    ];
    assert.partialDeepStrictEqual((await built({ segments }, inFlow)).entry, of('of the flow'));
  });
});

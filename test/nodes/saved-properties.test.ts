// Saved properties that come from the environment or from a file: what is not clear is refused in a sentence, once.
import assert from 'node:assert/strict';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { customAccount, entry, Flow, load, logged, login, unload, until, useNodeRed } from './out-flow';

/** Sets variables for one test; `undefined` leaves one unset. */
function withEnvironment(values: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name];
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

  for (const value of ['TRUE', 'true', ' True\n', '1', 'yes', 'on']) {
    it(`is dry when its variable says ${JSON.stringify(value)}, and posts nothing`, async () => {
      withEnvironment({ IA_FLAG: value });
      const before = posted();
      const flow = await start({ dryRun: '${IA_FLAG}' });
      await flow.send({ payload: entry(1) });
      assert.equal(flow.accepted[0]?.audience.status, 'dry run');
      assert.equal(posted(), before);
    });
  }

  for (const value of ['false', 'FALSE', '0', 'no', 'off']) {
    it(`posts when its variable says ${value}`, async () => {
      withEnvironment({ IA_FLAG: value });
      const flow = await start({ dryRun: '${IA_FLAG}' });
      await flow.send({ payload: entry(1) });
      assert.equal(flow.accepted[0]?.audience.status, 'accepted');
    });
  }

  for (const property of ['dryRun', 'allowUnknownFields'] as const) {
    const label = property === 'dryRun' ? 'Dry run' : 'Unknown fields';
    for (const value of ['', 'ture', '2', 'dry']) {
      it(`refuses ${property} from a variable that says ${JSON.stringify(value)}, and posts nothing`, async () => {
        withEnvironment({ IA_FLAG: value });
        const before = posted();
        const flow = await start({ [property]: '${IA_FLAG}' });
        await flow.send({ payload: entry(1) });
        const got = JSON.stringify(value);
        const sentence = `${label}: ${got} is neither yes nor no; write true or false.`;
        assert.equal(flow.error, `This node is not set up. ${sentence}`);
        assert.equal(posted(), before);
        await until(() => flow.status === 'not set up', 'its status');
        assert.equal(
          logged().filter((line) => line.includes(sentence)).length,
          2,
          'at the start and for the message',
        );
      });
    }

    it(`refuses ${property} from a variable that is not set`, async () => {
      const before = posted();
      const flow = await start({ [property]: '${IA_FLAG}' });
      await flow.send({ payload: entry(1) });
      assert.match(flow.error, new RegExp(`${label}: the environment variable IA_FLAG is not set`));
      assert.equal(posted(), before);
    });

    for (const value of [2, [], {}]) {
      it(`refuses ${property} ${JSON.stringify(value)} of a file`, async () => {
        const flow = await start({ [property]: value });
        await flow.send({ payload: entry(1) });
        assert.match(flow.error, new RegExp(`${label}: .* is neither yes nor no`));
      });
    }
  }

  const choices = [
    ['completeOn', 'A message is done', 'quued', 'accepted, queued'],
    ['youngSegments', 'New segments', 'holds', 'ignore, warn, hold'],
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

  it('reads values with blanks around them, and takes the defaults of what is missing', async () => {
    withEnvironment({ IA_CHOICE: ' queued\n' });
    const flow = await start({ completeOn: '${IA_CHOICE}', dryRun: null, input: ' payload ' });
    await flow.send({ payload: entry(1) });
    assert.equal(flow.accepted[0]?.audience.status, 'queued');
  });

  it('says everything that is wrong at once', async () => {
    const flow = await start({ completeOn: 'x', dryRun: 'y' });
    await flow.send({ payload: entry(1) });
    assert.match(flow.error, /A message is done: "x" .*; Dry run: "y"/);
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

  const choices = [
    ['schedule', 'Runs', 'message, hourly'],
    ['range', 'Range', 'hour, day, twoWeeks, custom'],
    ['detail', 'Report', 'hourly, aggregated'],
  ] as const;
  for (const [property, label, known] of choices) {
    it(`refuses an unknown ${property} and names what it knows`, async () => {
      withEnvironment({ IA_CHOICE: 'dayly' });
      assert.equal(
        await errorOf({ [property]: '${IA_CHOICE}' }),
        `This node is not set up. ${label}: "dayly" is not known; choose one of ${known}.`,
      );
    });

    it(`refuses a ${property} whose variable is not set`, async () => {
      assert.match(
        await errorOf({ [property]: '${IA_CHOICE}' }),
        new RegExp(`${label}: the environment variable IA_CHOICE is not set`),
      );
    });
  }

  it('refuses a time that an hourly report cannot have, and an empty one', async () => {
    const custom = { range: 'custom', schedule: 'hourly' };
    assert.match(await errorOf({ ...custom, from: 'payload' }), /From: there is no message/);
    assert.match(await errorOf(custom), /From: say where the range begins/);
    assert.equal(await errorOf({ range: ' day ', from: 5, schedule: null }), '');
  });
});

// A segment builder as somebody meets it in a real editor: what its form takes and finds, on a tab and in a subflow, what the
// browser's console has to say, and where its failures show.
import { strict as assert } from 'node:assert';
import type { Locator, Page } from 'playwright-core';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { nodeRedVersion, until, type FlowNode, type NodeRed } from '../support/node-red';
import { editorSuite, type Editor } from './editor';

const password = 's3cr3t-word';

function flowsFor(url: string): FlowNode[] {
  const custom = { environment: 'custom', authUrl: url, serviceUrl: url, member: '7' };
  const built = { type: 'xandr-segment-builder', userId: 'payload.user', segments: [{ segment: '10001' }] };
  const input = (id: string, y: number, to: string): FlowNode[] => [
    { id, type: 'http in', z: 'tab', x: 60, y, url: `/${id}`, method: 'post', wires: [[to, `${id} ok`]] },
    { id: `${id} ok`, type: 'http response', z: 'tab', x: 60, y: y + 40, statusCode: '', headers: {} },
  ];
  return [
    { id: 'tab', type: 'tab', label: 'builder' },
    { id: 'account', type: 'xandr-account', name: 'seat', ...custom },
    { ...built, id: 'builder', z: 'tab', x: 300, y: 100, account: 'account', wires: [['out'], []] },
    {
      id: 'out',
      type: 'xandr-instant-audience-out',
      z: 'tab',
      x: 560,
      y: 100,
      account: 'account',
      wires: [[], []],
    },
    ...input('event', 100, 'builder'),
    { id: 'sub', type: 'subflow', name: 'sub', in: [{ x: 40, y: 40, wires: [{ id: 'inner' }] }], out: [] },
    { id: 'inner account', type: 'xandr-account', z: 'sub', name: 'inner seat', ...custom },
    { ...built, id: 'inner', z: 'sub', x: 300, y: 60, account: 'inner account', wires: [[], []] },
    { id: 'instance', type: 'subflow:sub', z: 'tab', x: 300, y: 300, wires: [] },
    ...input('through', 300, 'instance'),
  ];
}

describe(`a segment builder in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let sandbox: Sandbox;
  let editor: Editor;
  let page: Page;
  /** Requests of ours that the browser reports in its console. */
  const failed: string[] = [];

  before(async function () {
    const segments = Array.from({ length: 150 }, (_, at) => ({
      id: 9_901 + at,
      code: `rig_${at + 1}`,
      short_name: `Rig segment ${at + 1}`,
      state: 'active',
      member_id: 7,
      expire_minutes: 0,
      last_modified: '2026-01-01 00:00:00',
    }));
    sandbox = await startSandbox({ member: 7, users: { me: password }, segments } as never);
    suite.ends(() => sandbox.close());
    const login = { username: 'me', password };
    const credentials = { account: login, 'inner account': login };
    ({ nodeRed, editor, page } = await suite.open(this, {
      flows: flowsFor(sandbox.url),
      credentials,
    }));
    page.on('response', (response) => {
      if (response.status() >= 400 && response.url().includes('instant-audience'))
        failed.push(`${response.status()} ${response.url()}`);
    });
  });
  afterEach(() => assert.deepEqual(failed.splice(0), []));

  const search = (): Locator => page.getByRole('combobox', { name: 'Name, code or id' });
  const pick = (): Promise<void> => page.getByRole('button', { name: 'Search the member' }).click();
  const take = (): Promise<void> => page.getByRole('button', { name: 'Use the last message' }).click();
  const taken = async (): Promise<any> =>
    JSON.parse(await page.locator('#instant-audience-message').inputValue()).payload;

  it('takes the segment whose exact name was typed', async () => {
    await editor.edit('builder');
    await pick();
    await page.getByText('50 of 150 segments').waitFor();
    await search().fill('Rig segment 42');
    await page.getByRole('option', { selected: true }).filter({ hasText: 'Rig segment' }).waitFor();
    await page.keyboard.press('Enter');
    await search().waitFor({ state: 'detached' });
    assert.equal(await editor.field('Segment').inputValue(), '9942');
    await editor.cancel();
  });

  it('gives its form the last message that passed, also one that passed before it was opened', async () => {
    await nodeRed.post('event', { user: '4711' });
    await editor.edit('builder');
    await take();
    await page.getByText('Using the message from').waitFor();
    assert.equal((await taken()).user, '4711');
    await editor.cancel();
  });

  it('logs nothing to the console while it is open and not deployed, and shows the next step', async () => {
    const added = await editor.drag('xandr-segment-builder', 300, 420);
    await editor.edit(added);
    await take();
    await page.getByText('No message can pass yet').waitFor();
    await editor.cancel();
    await page.evaluate('RED.history.pop()');
  });

  it('finds in a subflow the nodes and the login of its instances', async () => {
    await nodeRed.post('through', { user: 'inside' });
    await page.evaluate("RED.workspaces.show('sub')");
    await editor.edit('inner');
    await take();
    await page.getByText('Using the message from').waitFor();
    assert.equal((await taken()).user, 'inside');
    await pick();
    await page.getByText('50 of 150 segments').waitFor();
    await page.keyboard.press('Escape');
    await editor.cancel();
    await page.evaluate("RED.editor.editConfig('', 'xandr-account', 'inner account')");
    await page.getByRole('button', { name: 'Test connection' }).click();
    const result = page.locator('#instant-audience-test-result[data-level]:not([data-level=""])');
    await result.waitFor();
    assert.equal(await result.getAttribute('data-level'), 'good', await result.innerText());
    await page.locator('#node-config-dialog-cancel').click();
    await page.evaluate("RED.workspaces.show('tab')");
  });

  it('shows its failures in its status, whole in the debug sidebar, and with the queue', async () => {
    await page.evaluate("RED.sidebar.show('debug')");
    await nodeRed.post('event', { user: '0' });
    const status = editor.nodeOnCanvas('builder').locator('.red-ui-flow-node-status-label');
    await status.filter({ hasText: '1 invalid' }).waitFor();
    const message = page.locator('.red-ui-debug-msg').last();
    const sentence = 'User id: 0 stands for an opted-out user; leave it out';
    await until(
      async () => (await message.innerText()).includes(sentence),
      10_000,
      'the whole sentence in the debug sidebar',
    );
    await page.evaluate("RED.sidebar.show('instant-audience')");
    const figure = page.locator('.instant-audience-tab dt:text-is("Invalid") + dd').first();
    await until(async () => (await figure.textContent()) === '1', 15_000, 'one invalid in the tab');
  });

  it('shows no status any more on a flow that is disabled', async () => {
    for (const enabled of [false, true]) {
      await page.evaluate(`RED.workspaces.${enabled ? 'enable' : 'disable'}('tab')`);
      await editor.deploy();
      const status = editor.nodeOnCanvas('out').locator('.red-ui-flow-node-status-label');
      await until(
        async () => ((await status.textContent()) ?? '') === (enabled ? 'ready' : ''),
        10_000,
        () => (enabled ? 'the status' : 'no status'),
      );
      assert.equal(
        (await editor.nodeOnCanvas('builder').locator('.red-ui-flow-node-status-label').textContent()) ?? '',
        '',
      );
    }
  });
});

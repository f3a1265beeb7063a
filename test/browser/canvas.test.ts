// The account of a node that is added by hand: a sandbox where there is none, the only one where there is one.
import { strict as assert } from 'node:assert';
import type { Page } from 'playwright-core';
import { nodeRedVersion, until } from '../support/node-red';
import type { Editor } from './editor';
import { editorSuite } from './suite';

const outType = 'xandr-instant-audience-out';

describe(`a node on the canvas of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let editor: Editor;
  let page: Page;
  let out: string;

  before(async function () {
    ({ editor, page } = await suite.share(this, { flows: [{ id: 'tab', type: 'tab', label: 'try' }] }));
  });

  const accounts = async (): Promise<string[]> =>
    (await editor.all()).filter(({ type }) => type === 'xandr-account').map(({ id }) => id);
  const act = (action: string): Promise<void> => page.evaluate(`RED.actions.invoke('core:${action}')`);
  const usersOf = (account: string): Promise<string[]> =>
    page.evaluate(`RED.nodes.node('${account}').users.map(({ id }) => id)`);
  /** After whatever the editor does in its next turn. */
  const settled = (): Promise<void> => page.evaluate('new Promise((resolve) => setTimeout(resolve, 50))');
  const nothingOfOurs = async (): Promise<void> => {
    assert.deepEqual(
      (await editor.all()).filter(({ type }) => type !== 'tab').map(({ type }) => type),
      [],
    );
    // The editor redraws in its next frame. Until then, a click meets a node or a group that no longer exists.
    await page.waitForFunction("document.querySelector('.red-ui-flow-node, .red-ui-flow-group') === null");
  };

  it('brings no account if it is a segment builder, which is valid without one', async () => {
    await editor.drag('xandr-segment-builder', 200, 100);
    await settled();
    assert.deepEqual(await accounts(), []);
    assert.deepEqual(await editor.complaints(), []);
    await act('undo');
  });

  /** What is missing in a node of a type right after it was dragged. */
  const complaintsOf: Readonly<Record<string, readonly string[]>> = {
    [outType]: [],
    'xandr-audience-sync': ['xandr-audience-sync: Segment: enter the segment, or search for it.'],
    'xandr-audience-usage': [],
  };
  for (const [type, complaints] of Object.entries(complaintsOf)) {
    it(`brings a sandbox account if it is the first ${type}, and selects it`, async () => {
      out = await editor.drag(type, 300, 200);
      await until(async () => (await accounts()).length === 1, 5000, 'an account');
      const [account] = await accounts();
      assert.equal((await editor.saved(out)).account, account);
      assert.equal((await editor.saved(account!)).environment, 'sandbox');
      assert.deepEqual(await usersOf(account!), [out]);
      assert.deepEqual(await editor.complaints(), complaints);
    });

    it(`takes both back with one undo, and brings both back with one redo (${type})`, async () => {
      const before = await editor.all();
      await act('undo');
      await nothingOfOurs();
      await act('redo');
      await settled();
      assert.deepEqual(new Set(await editor.ids()), new Set(before.map(({ id }) => id)));
      const [account] = await accounts();
      assert.equal((await editor.saved(out)).account, account);
      assert.deepEqual(await usersOf(account!), [out]);
      assert.deepEqual(await editor.complaints(), complaints);
      await act('undo');
      await nothingOfOurs();
    });
  }

  it('brings its account into a group, too, and out again with one undo', async () => {
    const first = await editor.drag('xandr-segment-builder', 300, 200);
    await page.evaluate(`RED.view.select('${first}')`);
    await act('group-selection');
    const before = await editor.ids();
    out = await editor.drag(outType, 310, 200, 'group');
    await until(async () => (await accounts()).length === 1, 5000, 'an account');
    assert.ok((await editor.saved(out)).g, 'it is in the group');
    await act('undo');
    assert.deepEqual(await editor.ids(), before);
    await act('redo');
    await settled();
    assert.equal((await accounts()).length, 1);
    assert.deepEqual(await editor.complaints(), []);
    for (let step = 0; step < 3; step += 1) await act('undo');
    await nothingOfOurs();
  });

  it('brings a sandbox account if it is added by keyboard', async () => {
    await page.keyboard.down('Control');
    await page.mouse.click(600, 300);
    await page.keyboard.up('Control');
    await page.locator('.red-ui-type-search input').pressSequentially('instant audience out');
    await page.locator('.red-ui-type-search .selected', { hasText: 'instant audience out' }).waitFor();
    await page.keyboard.press('Enter');
    await until(async () => (await accounts()).length === 1, 5000, 'an account');
    assert.deepEqual(await editor.complaints(), []);
    await act('undo');
    await nothingOfOurs();
  });

  it('uses the only account if there is one, and another sandbox if that is disabled', async () => {
    out = await editor.drag(outType, 300, 200);
    await until(async () => (await accounts()).length === 1, 5000, 'an account');
    const [account] = await accounts();
    const second = await editor.drag(outType, 300, 300);
    await settled();
    assert.deepEqual(await accounts(), [account]);
    assert.equal((await editor.saved(second)).account, account);
    await page.evaluate(`RED.nodes.node('${account}').d = true`);
    const third = await editor.drag(outType, 300, 400);
    await until(async () => (await accounts()).length === 2, 5000, 'a second account');
    assert.notEqual((await editor.saved(third)).account, account);
    assert.deepEqual(await usersOf(account!), [out, second]);
    for (let step = 0; step < 3; step += 1) await act('undo');
    await nothingOfOurs();
  });

  it('brings no account by import, by paste, or by undo of a deletion', async () => {
    const plain = { id: 'plain', type: outType, z: 'tab', x: 200, y: 100, account: '', wires: [[], []] };
    await page.evaluate(
      (nodes) => (globalThis as any).RED.view.importNodes(nodes, { addFlow: false }),
      [plain],
    );
    await page.mouse.move(500, 300);
    await page.mouse.click(500, 300);
    await settled();
    const [imported] = (await editor.all()).filter(({ type }) => type === outType);
    assert.ok(imported);
    await page.evaluate(`RED.view.select('${imported.id}')`);
    await act('copy-selection-to-internal-clipboard');
    await act('paste-from-internal-clipboard');
    await page.mouse.move(500, 380);
    await page.mouse.move(500, 400);
    await page.mouse.click(500, 400);
    await until(
      async () => (await editor.all()).filter(({ type }) => type === outType).length === 2,
      5000,
      'the pasted node',
    );
    await page.evaluate(`RED.view.select('${imported.id}')`);
    await act('delete-selection');
    await act('undo');
    await settled();
    assert.deepEqual(await accounts(), []);
    assert.equal((await editor.complaints()).length, 2);
  });
});

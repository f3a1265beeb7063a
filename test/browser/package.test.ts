// The package in the editor, in a real browser: palette, examples menu, deploy.
import { strict as assert } from 'node:assert';
import type { Page } from 'playwright-core';
import { needBrowser, openEditor, picture, type Pages } from '../support/browser';
import { exampleNames, readExample } from '../examples/support';
import { cleanUps } from '../support/clean-up';
import { nodeRedVersion, until, type FlowNode, type NodeRed } from '../support/node-red';
import { manifest, quickStart, types } from '../package/support';
import { startBoth } from './suite';

describe(`the package in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const cleanUp = cleanUps();
  let nodeRed: NodeRed;
  let browser: Pages;
  let page: Page;
  let errors: Error[];

  before(async function () {
    needBrowser(this);
    [nodeRed, browser] = await startBoth();
    cleanUp(() => nodeRed.stop());
    cleanUp(() => browser.close());
    ({ page, errors } = await openEditor(browser, nodeRed.url));
  });

  it('shows its nodes in the palette under their names, with their icons', async () => {
    for (const [type, label] of [
      ['xandr-segment-builder', 'segment builder'],
      ['xandr-instant-audience-out', 'instant audience out'],
      ['xandr-audience-sync', 'audience sync'],
      ['xandr-audience-usage', 'audience usage'],
    ] as const) {
      const node = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
      await node.scrollIntoViewIfNeeded();
      assert.equal(
        (await node.locator('.red-ui-palette-label').innerText()).replace(/\s+/g, ' ').trim(),
        label,
      );
      const icon = await node.locator('.red-ui-palette-icon').getAttribute('style');
      assert.match(icon ?? '', new RegExp(`icons/${manifest.name}/.+\\.svg`));
    }
  });

  for (const word of ['xandr', 'audience'])
    it(`finds its nodes when a user types “${word}” into the filter of the palette`, async () => {
      const filter = page.locator('#red-ui-palette-search input');
      const found = (): Promise<(string | undefined)[]> =>
        page
          .locator('.red-ui-palette-node:visible')
          .evaluateAll((nodes) => nodes.map((node) => node.dataset.paletteType));
      // Node-RED leaves a category hidden for good when the filter is cleared while the category still slides up.
      await page.evaluate('$.fx.off = true');
      // The palette filters a moment after the last key; before, it shows all nodes.
      await page.evaluate("$('#red-ui-palette-search input').searchBox('value', '')");
      await until(async () => (await found()).includes('exec'), 10_000, 'all nodes');
      await filter.pressSequentially(word);
      const ours = types.filter((type) => type !== 'xandr-account').sort();
      await until(
        async () => String((await found()).sort()) === String(ours),
        10_000,
        `nothing but ${String(ours)}`,
      );
    });

  it('imports the quick start from the examples menu and deploys it without a complaint', async () => {
    await page.evaluate("RED.actions.invoke('core:show-examples-import-dialog')");
    // The dialog disables its button once more, 100 ms after it opened, whatever was chosen meanwhile.
    await page.evaluate('new Promise((resolve) => setTimeout(resolve, 150))');
    const examples = page.locator('#red-ui-clipboard-dialog-import-tab-examples .red-ui-treeList-label');
    await examples.filter({ hasText: manifest.name }).click();
    await examples.filter({ hasText: 'quick start' }).click();
    await page.locator('#red-ui-clipboard-dialog-ok').click();
    await page.locator('#red-ui-workspace-tabs').getByText('quick start').click();
    await page.locator('.red-ui-flow-node-label', { hasText: 'add or remove' }).waitFor();
    assert.deepEqual(await page.evaluate(invalidNodes), []);
    await page.locator('#red-ui-header-button-deploy').click();
    await nodeRed.logged(
      /Started modified nodes|Started nodes|Started flows[\s\S]*Started (modified )?(flows|nodes)/,
    );
    assert.deepEqual(errors.map(String), []);
    await picture(page, `quick-start-${nodeRedVersion}`);
  });

  it('opens each of our forms with its words, and leaves the nodes as they were when it is closed', async () => {
    await page.evaluate(importInPage, oneOfEach());
    const before = await savedNodes(page);
    for (const type of types) {
      await page.evaluate(editNodeOf, type);
      const form = page.locator('.red-ui-tray form:visible').first();
      await form.locator('input:visible').first().waitFor();
      assert.doesNotMatch(
        await form.innerText(),
        /\b[a-z]+\.[a-z]\w+\b(?!\.)/,
        `${type} shows a key for a word`,
      );
      await picture(page, `form-${type}-${nodeRedVersion}`);
      await page.locator('#node-dialog-ok:visible, #node-config-dialog-ok:visible').click();
      await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
      assert.deepEqual(await savedNodes(page), before, type);
    }
    assert.deepEqual(errors.map(String), []);
  });
});

/** The quick start, and with it what it has no node of, as another example has it. */
function oneOfEach(): FlowNode[] {
  const flow = quickStart();
  const tab = flow.find(({ type }) => type === 'tab')!;
  const account = flow.find(({ type }) => type === 'xandr-account')!;
  const others = exampleNames.flatMap(readExample);
  for (const type of types.filter((each) => !flow.some((node) => node.type === each))) {
    const found = others.find((node) => node.type === type);
    assert.ok(found, `an example has a ${type}`);
    flow.push({ ...found, z: tab.id, account: account.id, wires: [] });
  }
  return flow;
}

/** What a deploy would save now, of our nodes; the editor adds empty credentials to any node that has some. */
async function savedNodes(page: Page): Promise<unknown> {
  const all = await page.evaluate<FlowNode[]>('RED.nodes.createCompleteNodeSet()');
  return all
    .filter((node) => types.includes(node.type))
    .map((node) => Object.fromEntries(Object.entries(node).filter(([key]) => key !== 'credentials')));
}

/** Runs in the page: adds nodes with new IDs, beside the quick start that is there. */
function importInPage(flow: readonly object[]): void {
  (globalThis as any).RED.nodes.import(flow, { generateIds: true, addFlow: false });
}

/** Runs in the page: opens the form of the first node of a type. */
function editNodeOf(type: string): void {
  const { RED } = globalThis as any;
  let found: any;
  RED.nodes.eachNode((node: any) => (found ??= node.type === type ? node : undefined));
  if (found) {
    RED.editor.edit(found);
    return;
  }
  RED.nodes.eachConfig((node: any) => (found ??= node.type === type ? node : undefined));
  RED.editor.editConfig('', type, found.id);
}

/** Runs in the page: the nodes that their own validators refuse, with the reasons. */
function invalidNodes(): string[] {
  const { RED } = globalThis as any;
  const invalid: string[] = [];
  const look = (node: any): void => {
    if (!node.valid) invalid.push(`${node.type}: ${JSON.stringify(node.validationErrors)}`);
  };
  RED.nodes.eachNode(look);
  RED.nodes.eachConfig(look);
  return invalid;
}

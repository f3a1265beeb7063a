// The package in the editor, in a real browser: palette, examples menu, deploy.
import { strict as assert } from 'node:assert';
import type { Browser, Page } from 'playwright-core';
import { needBrowser, openBrowser, openEditor, picture } from '../support/browser';
import { NodeRed, nodeRedVersions } from '../support/node-red';
import { manifest } from './support';

for (const version of nodeRedVersions) {
  describe(`the package in the editor of Node-RED ${version}`, function () {
    this.timeout(120_000);
    let nodeRed: NodeRed | undefined;
    let browser: Browser | undefined;
    let page: Page;
    let errors: Error[];

    before(async function () {
      needBrowser(this);
      nodeRed = await NodeRed.start({ version });
      browser = await openBrowser();
      ({ page, errors } = await openEditor(browser, nodeRed.url));
    });
    after(async () => {
      await browser?.close();
      await nodeRed?.stop();
    });

    it('shows both nodes in the palette under their names, with their icons', async () => {
      for (const [type, label] of [
        ['instant-audience-segment-builder', 'segment builder'],
        ['instant-audience-out', 'instant audience out'],
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

    it('imports the quick start from the examples menu and deploys it without a complaint', async () => {
      await page.evaluate("RED.actions.invoke('core:show-examples-import-dialog')");
      const examples = page.locator('#red-ui-clipboard-dialog-import-tab-examples .red-ui-treeList-label');
      await examples.filter({ hasText: manifest.name }).click();
      await examples.filter({ hasText: 'quick start' }).click();
      await page.locator('#red-ui-clipboard-dialog-ok').click();
      await page.locator('#red-ui-workspace-tabs').getByText('quick start').click();
      await page.locator('.red-ui-flow-node-label', { hasText: 'kitchen viewers' }).waitFor();
      const invalid = await page.evaluate(
        "(() => { const bad = []; RED.nodes.eachNode((n) => { if (!n.valid) bad.push(n.type + ' ' + JSON.stringify(n.validationErrors)); });" +
          ' RED.nodes.eachConfig((n) => { if (!n.valid) bad.push(n.type); }); return bad; })()',
      );
      assert.deepEqual(invalid, []);
      await page.locator('#red-ui-header-button-deploy').click();
      await nodeRed!.logged(
        /Started modified nodes|Started nodes|Started flows[\s\S]*Started (modified )?(flows|nodes)/,
      );
      assert.equal((await nodeRed!.post('events', {})).status, 400);
      await picture(page, `quick-start-${version}`);
    });

    it('opens each of our forms with its fields and closes it without having changed anything', async () => {
      for (const type of Object.keys(manifest['node-red'].nodes)) {
        await page.evaluate(
          `(() => { let id; RED.nodes.eachNode((n) => { if (n.type === '${type}') id = n; });` +
            ` if (id) RED.editor.edit(id); else RED.nodes.eachConfig((n) => { if (n.type === '${type}') RED.editor.editConfig('', n.type, n.id); }); })()`,
        );
        const form = page.locator('.red-ui-tray').last().locator('form.dialog-form:visible').first();
        await form.waitFor();
        await page.waitForTimeout(400);
        assert.doesNotMatch(
          await form.innerText(),
          /\b(label|form)\.[a-z]+\b/,
          `a word is missing in ${type}`,
        );
        await picture(page, `form-${type}-${version}`);
        await page.locator('.red-ui-tray').last().locator('#node-dialog-ok, #node-config-dialog-ok').click();
        await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
      }
      assert.equal(await page.evaluate('RED.nodes.dirty()'), false);
      assert.deepEqual(errors.map(String), []);
    });
  });
}

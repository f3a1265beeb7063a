// The package in the editor, in a real browser: palette, examples menu, deploy.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { needBrowser, openBrowser, openEditor, picture } from '../support/browser';
import { exampleNames, readExample } from '../examples/support';
import { cleanUps } from '../support/clean-up';
import { NodeRed, nodeRedVersions, type FlowNode } from '../support/node-red';
import { manifest, quickStart, root, types } from './support';

for (const version of nodeRedVersions) {
  describe(`the package in the editor of Node-RED ${version}`, function () {
    this.timeout(120_000);
    const cleanUp = cleanUps();
    let nodeRed: NodeRed;
    let browser: Browser;
    let page: Page;
    let errors: Error[];

    before(async function () {
      needBrowser(this);
      nodeRed = await NodeRed.start({ version });
      cleanUp(() => nodeRed.stop());
      browser = await openBrowser();
      cleanUp(() => browser.close());
      ({ page, errors } = await openEditor(browser, nodeRed.url));
    });

    it('shows its nodes in the palette under their names, with their icons', async () => {
      for (const [type, label] of [
        ['instant-audience-segment-builder', 'segment builder'],
        ['instant-audience-out', 'instant audience out'],
        ['instant-audience-usage', 'audience usage'],
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
      assert.deepEqual(await page.evaluate(invalidNodes), []);
      await page.locator('#red-ui-header-button-deploy').click();
      await nodeRed.logged(
        /Started modified nodes|Started nodes|Started flows[\s\S]*Started (modified )?(flows|nodes)/,
      );
      assert.equal((await nodeRed.post('events', {})).status, 400);
      assert.deepEqual(errors.map(String), []);
      await picture(page, `quick-start-${version}`);
    });

    it('opens each of our forms with its words, and leaves the nodes as they were when it is closed', async () => {
      await nodeRed.deploy(oneOfEach());
      const { page, errors } = await openEditor(browser, nodeRed.url);
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
        await picture(page, `form-${type}-${version}`);
        await page.locator('#node-dialog-ok:visible, #node-config-dialog-ok:visible').click();
        await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
        assert.deepEqual(await savedNodes(page), before, type);
      }
      assert.deepEqual(errors.map(String), []);
      await page.close();
    });

    for (const language of ['de', 'ja']) {
      it(`speaks ${language} to whose browser does: forms and help`, async () => {
        await nodeRed.deploy(oneOfEach());
        const own = await openEditor(browser, nodeRed.url, undefined, language);
        for (const type of types) {
          await own.page.evaluate(editNodeOf, type);
          const form = own.page.locator('.red-ui-tray form:visible').first();
          await form.locator('input:visible').first().waitFor();
          const expected = await own.page.evaluate(formWords, type);
          assert.ok(expected.length > 2, `${type}: ${expected.length} labels`);
          const text = await form.innerText();
          for (const { key, word } of expected) {
            assert.equal(word, look(wordsIn(type, language), key), `${type}: ${key}`);
            assert.ok(text.includes(word), `${type} shows no “${word}”`);
          }
          await picture(own.page, `form-${type}-${language}-${version}`);
          await own.page.locator('#node-dialog-cancel:visible, #node-config-dialog-cancel:visible').click();
          await own.page.locator('.red-ui-tray').waitFor({ state: 'detached' });
          const help = await own.page.evaluate<string>(`RED.nodes.getNodeHelp('${type}')`);
          assert.match(
            help,
            language === 'de' ? /<h3>(Eingänge|Details)<\/h3>/ : /<h3>(入力|詳細)<\/h3>/,
            type,
          );
        }
        assert.deepEqual(own.errors.map(String), []);
        await own.page.close();
      });
    }
  });
}

/** Runs in the page: by what key of our words the visible labels of the open form are named, and what they say. */
function formWords(type: string): { key: string; word: string }[] {
  const labels = document.querySelectorAll<HTMLElement>('.red-ui-tray form [data-i18n]');
  // The editor puts the name of the words before each key: `@scope/package/type:key`; `[title]…` is no text.
  return [...labels]
    .filter((label) => label.offsetParent !== null && label.dataset.i18n!.startsWith('@'))
    .filter((label) => label.dataset.i18n!.includes(`/${type}:`))
    .map((label) => ({
      key: label.dataset.i18n!.slice(label.dataset.i18n!.lastIndexOf(':') + 1),
      word: label.innerText.trim(),
    }))
    .filter(({ word }) => word !== '');
}

function wordsIn(type: string, language: string): unknown {
  const name = path.basename(manifest['node-red'].nodes[type]!, '.js');
  return JSON.parse(
    readFileSync(path.join(root, 'nodes', name, 'locales', language, `${name}.json`), 'utf8'),
  );
}

function look(words: unknown, key: string): unknown {
  return key.split('.').reduce<any>((level, part) => level?.[part], words);
}

/** The quick start, and with it what it has no node of, as another example has it. */
function oneOfEach(): FlowNode[] {
  const flow = quickStart();
  const tab = flow.find(({ type }) => type === 'tab')!;
  const account = flow.find(({ type }) => type === 'instant-audience-account')!;
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

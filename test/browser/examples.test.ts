// The examples on small screens: all of their nodes, groups and statuses are visible between palette and sidebar.
import { strict as assert } from 'node:assert';
import type { Page } from 'playwright-core';
import { picture, reloadEditor } from '../support/browser';
import { nodeRedVersion, until, type NodeRed } from '../support/node-red';
import { exampleNames, nodeOf, readExample } from '../examples/support';
import type { Editor } from './editor';
import { editorSuite } from './suite';

/** Parts of the canvas that are not visible as a whole; nodes of types that this editor does not know have their place, too. */
function hiddenParts(page: Page): Promise<string[]> {
  return page.evaluate(hiddenInPage);
}

describe(`the examples in Node-RED ${nodeRedVersion}`, function () {
  this.timeout(180_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let editor: Editor;

  before(async function () {
    ({ nodeRed, editor } = await suite.open(this, { size: { width: 1000, height: 700 } }));
  });

  const importExample = async (name: string): Promise<void> => {
    const { page } = editor;
    await page.addStyleTag({ content: '.red-ui-notification { visibility: hidden !important }' });
    const nodes = readExample(name);
    await page.evaluate((all) => (globalThis as any).RED.view.importNodes(all), nodes);
    // Not by a click: with many tabs, Node-RED 4.1 shows its notifications over them.
    await page.evaluate(`RED.workspaces.show('${nodeOf(nodes, 'tab').id}')`);
    await editor.nodeOnCanvas(nodeOf(nodes, 'group').id).waitFor();
    // An import scrolls the canvas a little.
    await page.evaluate("$('#red-ui-workspace-chart').scrollLeft(0).scrollTop(0)");
  };

  it('show the whole quick start with its statuses beside the sidebar on 1,000 × 700', async () => {
    await importExample('quick start');
    const flow = readExample('quick start');
    await editor.deploy();
    await nodeRed.inject(nodeOf(flow, 'inject', 'viewed').id);
    const status = editor.page.locator('.red-ui-flow-node-status-label', { hasText: 'sandbox' });
    await status.waitFor();
    await until(async () => (await status.textContent())!.startsWith('1 delivered'), 10_000, 'the status');
    assert.deepEqual(await hiddenParts(editor.page), []);
    await picture(editor.page, `quick-start-small-${nodeRedVersion}`);
  });

  describe('beside the sidebar on 1,200 × 700', () => {
    // The editor divides its width as it loads. To load it for each example would take five times as long.
    before(async () => {
      await editor.page.setViewportSize({ width: 1200, height: 700 });
      await reloadEditor(editor.page);
    });

    for (const name of exampleNames.filter((each) => each !== 'quick start')) {
      it(`show all of “${name}”`, async () => {
        await importExample(name);
        assert.deepEqual(await hiddenParts(editor.page), []);
      });
    }
  });
});

function hiddenInPage(): string[] {
  const { document } = globalThis as any;
  const boxOf = (selector: string): any => document.querySelector(selector).getBoundingClientRect();
  const chart = boxOf('#red-ui-workspace-chart');
  const sidebars = [...document.querySelectorAll('#red-ui-sidebar, .red-ui-sidebar')]
    .map((one: any) => one.getBoundingClientRect())
    .filter((box: any) => box.width > 0 && box.left - chart.left > 100);
  const right = Math.min(chart.right, ...sidebars.map((box: any) => box.left));
  const footer = boxOf('#red-ui-workspace-footer').top;
  const parts = [
    ...document.querySelectorAll(
      '.red-ui-flow-node-group, .red-ui-flow-group, .red-ui-flow-node-status-group:not([style*="none"])',
    ),
  ];
  if (parts.length < 3) return ['nothing is drawn'];
  return parts.flatMap((part: any) => {
    const box = part.getBoundingClientRect();
    const isInside =
      box.left >= chart.left && box.top >= chart.top && box.right <= right && box.bottom <= footer;
    return box.width === 0 || isInside
      ? []
      : [
          `${part.id} ${Math.round(box.left)}–${Math.round(box.right)} of ${Math.round(chart.left)}–${Math.round(right)}`,
        ];
  });
}

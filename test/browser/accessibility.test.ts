// axe finds nothing on our forms and on the tab Audience: with each tab and fold open, light and dark.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { nodeRedVersion, type FlowNode, type NodeRed } from '../support/node-red';
import type { Editor } from './editor';
import { accountFlow, openTab, postUsers, tab } from './sidebar-flows';
import { editorSuite } from './suite';

const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const place = { z: 'tab', y: 300, account: 'account-shop' };
const flows: FlowNode[] = [
  tab,
  ...accountFlow('shop'),
  { id: 'account-seat', type: 'xandr-account', name: 'seat', environment: 'production' },
  {
    ...place,
    id: 'builder',
    type: 'xandr-segment-builder',
    x: 200,
    userId: 'payload.user',
    segments: [{ by: 'id', segment: '10999' }],
    wires: [['out-shop'], []],
  },
  { ...place, id: 'sync', type: 'xandr-audience-sync', x: 350, segment: '10002', wires: [[], []] },
  { ...place, id: 'usage', type: 'xandr-audience-usage', x: 500, wires: [[], []] },
];

describe(`axe in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let editor: Editor;
  let page: Page;

  before(async function () {
    ({ nodeRed, editor, page } = await suite.share(this, { flows, size: { width: 1400, height: 1100 } }));
    await page.evaluate(axe);
  });

  /** In both themes, without opening anything again. */
  const check = async (root: string, name: string): Promise<void> => {
    for (const theme of ['light', 'dark'] as const) {
      await editor.setTheme(theme);
      assert.deepEqual(await page.evaluate(axeInPage, root), [], `${name} in ${theme}`);
    }
  };

  for (const id of ['builder', 'out-shop', 'sync', 'usage', 'account-shop', 'account-seat']) {
    it(`finds nothing on the form of ${id}, in light and dark`, async () => {
      if (id.startsWith('account')) await editor.editConfig(id);
      else await editor.edit(id);
      try {
        const tabs = await page.locator('.instant-audience-form [role=tab]').all();
        for (const [at, each] of tabs.length === 0 ? [[0, null] as const] : tabs.entries()) {
          await each?.click();
          await page.evaluate(openAll, '.instant-audience-form');
          await check('.instant-audience-form', `${id}-${at}`);
        }
      } finally {
        await editor.cancel();
      }
    });
  }

  it('finds nothing on the tab Audience, in light and dark', async () => {
    await openTab(page);
    await postUsers(nodeRed, 'shop', 0, 20);
    await nodeRed.post('shop', [{ user_id: '0', seg_block: [{ seg_id: 1 }] }]);
    const part = page.locator('.instant-audience-tab');
    await part.getByText('user ID 0: opted out or no cookie').waitFor({ state: 'attached' });
    await page.evaluate(openAll, '.instant-audience-tab');
    await part.locator('pre').waitFor();
    await part.getByRole('button', { name: 'More' }).click();
    await check('.instant-audience-tab', 'tab');
  });
});

// ── In the page ───────────────────────────────────────────────────────────────────────────────────────────────

async function axeInPage(root: string): Promise<string[]> {
  const { violations } = await (globalThis as any).axe.run(root);
  return violations.flatMap(({ id, nodes }: any) =>
    nodes.map(({ html, failureSummary }: any) => `${id}: ${html}\n${failureSummary}`),
  );
}

function openAll(root: string): void {
  const { document } = globalThis as any;
  for (const details of document.querySelectorAll(`${root} details`)) details.open = true;
  const closed = `.instant-audience-head[aria-expanded=false], .instant-audience-link[aria-expanded=false]`;
  for (const button of document.querySelector(root).querySelectorAll(closed)) button.click();
}

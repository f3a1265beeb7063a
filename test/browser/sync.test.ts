// The form of the audience sync: a segment that is picked, what shows when, problems as sentences, and what is saved.
import { strict as assert } from 'node:assert';
import type { Page } from 'playwright-core';
import { nodeRedVersion, type FlowNode, type NodeRed } from '../support/node-red';
import type { Editor } from './editor';
import { openTab } from './sidebar-flows';
import { editorSuite } from './suite';

const flows: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'sync', disabled: false, info: '' },
  { id: 'account', type: 'xandr-account', environment: 'sandbox' },
  { id: 'sync', type: 'xandr-audience-sync', z: 'tab', x: 300, y: 100, account: 'account', wires: [[], []] },
  { id: 'start', type: 'inject', z: 'tab', x: 100, y: 200, props: [{ p: 'payload' }], wires: [['running']] },
  {
    ...{ id: 'running', type: 'xandr-audience-sync', z: 'tab', x: 300, y: 200, account: 'account' },
    ...{ segment: '10002', wires: [[], []] },
  },
];

describe(`the form of the audience sync in Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let editor: Editor;
  let page: Page;

  before(async function () {
    ({ nodeRed, editor, page } = await suite.share(this, { flows, size: { width: 1400, height: 1100 } }));
  });

  const field = (name: string): ReturnType<Page['locator']> => page.locator(`#node-input-${name}`);
  const problem = (name: string): ReturnType<Page['locator']> =>
    page.locator(`#instant-audience-problem-${name}`);

  it('asks for a segment, takes one from the list by keyboard, and shows its name as the label', async () => {
    await editor.edit('sync');
    await problem('segment').filter({ hasText: 'Segment: enter the segment' }).waitFor();
    await page.getByRole('button', { name: 'Search the member’s segments' }).press('Enter');
    const search = page.getByRole('combobox', { name: 'Name, code or ID' });
    await page.locator('.instant-audience-found li[aria-selected=true]').waitFor();
    await search.press('ArrowDown');
    await search.press('Enter');
    await problem('segment').waitFor({ state: 'hidden' });
    const segment = await field('segment').inputValue();
    assert.match(segment, /^\d+$/);
    const name = await page.locator('#instant-audience-picked').textContent();
    await editor.done();
    const saved = await editor.saved('sync');
    assert.deepEqual([saved.segment, saved.segmentName, saved.segmentBy], [segment, name, 'id']);
    assert.deepEqual([saved.userId, saved.userIdType, saved.domain], ['id', 'item', '']);
    // Long names are cut.
    assert.ok(name!.startsWith((await editor.labelOf('sync')).replace('…', '')), name!);
  });

  it('saves nothing else than what was changed, and shows only what counts', async () => {
    const before = await editor.saved('sync');
    await editor.edit('sync');
    await field('segmentMember').waitFor({ state: 'hidden' });
    await field('consentVendor').waitFor({ state: 'hidden' });
    await editor.done();
    assert.deepEqual(await editor.saved('sync'), before);
    await editor.edit('sync');
    await field('mode').selectOption('add');
    await field('maxRemovals').waitFor({ state: 'hidden' });
    await field('segmentBy').selectOption('code');
    await field('segmentMember').waitFor();
    assert.equal(await field('segmentMember').inputValue(), '1');
    await field('refresh').fill('100');
    await problem('refresh').filter({ hasText: 'Renew at: enter a whole number from 0 to 99.' }).waitFor();
    await editor.cancel();
    assert.deepEqual(await editor.saved('sync'), before);
  });

  it('has its segment in the tab Audience, where a refused run is accepted', async () => {
    await nodeRed.inject('start', [{ id: '12345678900987654321' }, { id: '12345678900987654322' }]);
    await openTab(page);
    const card = page.locator('.instant-audience-tab');
    await card.getByText('Synced segments').waitFor();
    await card.getByText('members: 2').waitFor();
    await nodeRed.inject('start', [{ id: '12345678900987654321' }]);
    await card.getByText('The run would remove 1 of 2 users').waitFor();
    await card.getByRole('button', { name: 'Accept refused run …' }).click();
    await page.getByRole('button', { name: 'Apply it' }).click();
    await card.getByText('members: 1').waitFor();
  });

  it('has a user who was erased in the list of suppressed users, until the suppression is lifted', async () => {
    const tab = page.locator('.instant-audience-tab');
    await tab.getByRole('button', { name: 'Privacy' }).press('Enter');
    await tab.getByLabel('User ID').fill('12345678900987654321');
    await tab.getByRole('button', { name: 'Erase …' }).click();
    await page.getByRole('button', { name: 'Erase the user' }).click();
    await tab.getByText('Synced segments that the user leaves: 1.').waitFor();
    await tab.getByRole('button', { name: 'Show suppressed users' }).press('Enter');
    await tab.getByText('Suppressed users: 1.').waitFor();
    const user = tab.getByRole('listitem').filter({ hasText: 'member 1 ·' });
    await user.getByRole('button', { name: 'Lift suppression …' }).click();
    await page.getByRole('button', { name: 'Lift it' }).click();
    await tab.getByText('Lifted: runs and events may add this user again.').waitFor();
    await tab.getByText('Suppressed users: 0.').waitFor();
  });
});

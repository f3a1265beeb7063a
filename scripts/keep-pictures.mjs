// Pictures of docs/keep-a-segment.md: the flow and the refused run, made in the editor as the page says.
import path from 'node:path';
import { Editor } from '../test/browser/editor.ts';
import { openTab } from '../test/browser/sidebar-flows.ts';
import { closeForm, openForm, setPayload, shoot } from './first-flow-pictures.mjs';

const rows = ['12345678900987654321', '12345678900987654322', '12345678900987654323'].map((id) => ({ id }));

/** Draws the flow, runs it, and has a run refused; returns the written files. */
export async function keepPictures(nodeRed, browser, images) {
  await nodeRed.deploy([{ id: 'tab', type: 'tab', label: 'keep a segment' }]);
  const editor = await Editor.open(browser, nodeRed, { width: 1500, height: 1000 });
  const { page } = editor;
  const file = (name) => path.join(images, `keep-a-segment-${name}.png`);
  const inject = await editor.drag('inject', 170, 100);
  const sync = await editor.drag('xandr-audience-sync', 390, 100);
  const debug = await editor.drag('debug', 640, 100);
  await editor.wire(inject, 0, sync);
  await editor.wire(sync, 0, debug);
  await editor.wire(sync, 1, debug);

  await openForm(page, inject);
  await setPayload(page, rows);
  await closeForm(page);
  await editor.edit(sync);
  await page.getByRole('button', { name: 'Search the member’s segments' }).click();
  await page.locator('.instant-audience-found li').first().click();
  await page.locator('#instant-audience-picked:not(:empty)').waitFor();
  await editor.done();
  await editor.deploy();
  await editor.nodeOnCanvas(inject).locator('.red-ui-flow-node-button-button').first().click();
  await page.locator('.red-ui-debug-msg').last().waitFor();
  await page.evaluate("RED.view.select('none')");
  await page.evaluate("$('#red-ui-workspace-chart').scrollLeft(0).scrollTop(0)");
  await page.addStyleTag({ content: '#red-ui-notifications { display: none }' });
  const nodes = [inject, sync, debug].map((id) => editor.nodeOnCanvas(id));
  const shot = [await shoot(page, file('canvas'), nodes, 32)];

  await nodeRed.inject(inject, rows.slice(1));
  await page.locator('.red-ui-debug-msg').nth(1).waitFor();
  await openTab(page);
  const card = page.locator('.instant-audience-tab');
  const head = card.locator('.instant-audience-head', { hasText: 'sandbox' }).first();
  if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
  const button = card.getByRole('button', { name: 'Accept refused run …' });
  const heading = card.getByText('Synced segments');
  await button.waitFor();
  await heading.evaluate((part) => part.scrollIntoView({ block: 'start' }));
  shot.push(await shoot(page, file('refused'), [heading, button], 4));
  await page.close();
  return shot;
}

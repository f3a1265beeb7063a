// Pictures of docs/first-flow.md: the flow, its inject node, and the accepted message, made in the editor as the page says.
import path from 'node:path';
import { Editor } from '../test/browser/editor.ts';

/** Shoots the box around parts of the page, with a margin in pixels. */
export async function shoot(page, file, parts, margin = 0) {
  await page.mouse.move(5, 5);
  // Waits for animations, and for the statuses of the nodes.
  await page.waitForTimeout(1500);
  const boxes = await Promise.all(parts.map((part) => part.boundingBox()));
  const x = Math.min(...boxes.map((box) => box.x)) - margin;
  const y = Math.min(...boxes.map((box) => box.y)) - margin;
  const width = Math.max(...boxes.map((box) => box.x + box.width)) + margin - x;
  const height = Math.max(...boxes.map((box) => box.y + box.height)) + margin - y;
  await page.screenshot({ path: file, clip: { x, y, width, height } });
  return file;
}

export async function openForm(page, id) {
  await page.evaluate(`RED.view.select('${id}'); RED.view.focus()`);
  await page.keyboard.press('Enter');
  await page.locator('#node-dialog-ok:visible').waitFor();
}

export async function closeForm(page) {
  await page.locator('#node-dialog-ok:visible').click();
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
}

/** Gives the open inject node a payload of JSON. */
export async function setPayload(page, payload) {
  await page.evaluate((text) => {
    const field = globalThis.$('.node-input-prop-property-value').first();
    field.typedInput('type', 'json');
    field.typedInput('value', text);
  }, JSON.stringify(payload));
}

/** Builds the flow, sends one event, and returns the written files. */
export async function firstFlowPictures(nodeRed, browser, images) {
  await nodeRed.deploy([{ id: 'tab', type: 'tab', label: 'first flow' }]);
  const editor = await Editor.open(browser, nodeRed, { width: 1500, height: 900 });
  const { page } = editor;
  const file = (name) => path.join(images, `first-flow-${name}.png`);
  const inject = await editor.drag('inject', 170, 100);
  const builder = await editor.drag('xandr-segment-builder', 380, 100);
  const out = await editor.drag('xandr-instant-audience-out', 620, 100);
  const debug = await editor.drag('debug', 860, 100);
  await editor.wire(inject, 0, builder);
  await editor.wire(builder, 0, out);
  await editor.wire(out, 0, debug);
  const nodes = [inject, builder, out, debug].map((id) => editor.nodeOnCanvas(id));

  await openForm(page, inject);
  await setPayload(page, { user: '12345678900987654321', segment: 10001 });
  const form = [page.locator('#node-input-property-container')];
  const shot = [await shoot(page, file('inject'), form)];
  await closeForm(page);
  await openForm(page, debug);
  await page.evaluate("$('#node-input-typed-complete').typedInput('type', 'full')");
  await closeForm(page);
  await editor.deploy();
  await nodes[0].locator('.red-ui-flow-node-button-button').first().click();
  const message = page.locator('.red-ui-debug-msg').last();
  await message.locator('.red-ui-debug-msg-object-header').first().click();
  await message
    .locator('.red-ui-debug-msg-object-entry', { hasText: /^\W*audience/ })
    .first()
    .click();
  await message.getByText('"accepted"').waitFor();
  await page.evaluate("RED.view.select('none')");
  await page.addStyleTag({ content: '#red-ui-notifications { display: none }' });
  // Forms and selections scroll the canvas.
  await page.evaluate("$('#red-ui-workspace-chart').scrollLeft(0).scrollTop(0)");
  shot.push(await shoot(page, file('canvas'), nodes, 32));
  shot.push(await shoot(page, file('accepted'), [message]));
  await page.close();
  return shot;
}

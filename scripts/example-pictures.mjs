// Pictures of the examples: each flow in the editor, cropped, just after its import.
import path from 'node:path';
import { ExampleSite, exampleNames, readExample } from '../test/examples/support.ts';
import { openEditor } from '../test/support/browser.ts';

/** Margin around the flow, in pixels. */
const margin = 20;
/** Window size, wide enough for a flow between palette and sidebar. */
const editor = { width: 2200, height: 1100 };

/** Hides elements over the flow, and the marks of undeployed nodes. */
const hidden =
  '.red-ui-notification, .red-ui-popover, .red-ui-flow-node-changed { visibility: hidden !important }';

/** Runs in the page: the bounding box of all drawn nodes, wires and groups, in window coordinates. */
function drawnArea() {
  const parts = [
    ...globalThis.document.querySelectorAll('.red-ui-flow-node-group, .red-ui-flow-link, .red-ui-flow-group'),
  ];
  const boxes = parts.map((part) => part.getBoundingClientRect()).filter(({ width }) => width > 0);
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const right = Math.max(...boxes.map((box) => box.right));
  const bottom = Math.max(...boxes.map((box) => box.bottom));
  return { left, top, right, bottom };
}

/** `mqtt to audience` as `example-mqtt-to-audience.png`. */
export function pictureOf(name) {
  return `example-${name
    .replaceAll(/[^a-z]+/gi, '-')
    .toLowerCase()
    .replace(/-$/, '')}.png`;
}

async function shoot(page, name, images) {
  await page.locator('#red-ui-workspace-tabs').getByText(name, { exact: true }).click();
  // Waits for the fonts of the labels, and for the sliding of the tab.
  await page.mouse.move(editor.width - 5, editor.height - 5);
  await page.evaluate('document.fonts.ready.then(() => undefined)');
  await page.waitForTimeout(600);
  const area = await page.evaluate(drawnArea);
  const chart = await page.locator('#red-ui-workspace-chart').boundingBox();
  const x = Math.max(area.left - margin, chart.x);
  const y = Math.max(area.top - margin, chart.y);
  const clip = { x, y, width: area.right + margin - x, height: area.bottom + margin - y };
  if (area.right > editor.width || area.bottom > editor.height)
    throw new Error(`${name} is larger than the picture: ${JSON.stringify(area)}`);
  const file = path.join(images, pictureOf(name));
  await page.screenshot({ path: file, clip });
  return file;
}

/** Modules whose nodes the examples use, so that the editor can draw them. */
const modules = ['@flowfuse/node-red-dashboard', 'node-red-node-email', 'node-red-node-mysql'];

/** Imports each example without deploying it, and returns the written files. */
export async function examplePictures(browser, images) {
  const site = await ExampleSite.start([], { modules });
  try {
    const files = [];
    for (const name of exampleNames) {
      const { page } = await openEditor(browser, site.running.url, editor);
      await page.evaluate(
        (nodes) => globalThis.RED.view.importNodes(nodes, { addFlow: false }),
        readExample(name),
      );
      await page.addStyleTag({ content: hidden });
      files.push(await shoot(page, name, images));
      await page.close();
    }
    return files;
  } finally {
    await site.close();
  }
}

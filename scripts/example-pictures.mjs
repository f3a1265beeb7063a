// The pictures of the examples: each flow as the editor draws it when it was just imported, and nothing around it.
import path from 'node:path';
import { ExampleSite, exampleNames, readExample } from '../test/examples/support.ts';
import { openEditor } from '../test/support/browser.ts';

/** Around the flow, in pixels. */
const margin = 20;
/** Wide enough for a flow between palette and sidebar. */
const editor = { width: 2200, height: 1100 };

/** What is over the flow or marks it as not deployed, since it was only just imported. */
const hidden =
  '.red-ui-notification, .red-ui-popover, .red-ui-flow-node-changed { visibility: hidden !important }';

/** Runs in the page: what of the canvas has something on it, in the coordinates of the window. */
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
  // The labels are drawn when their font is there; the tab slides in.
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

/** Nodes of the palette that an example needs, so that the editor knows how they look. */
const modules = ['@flowfuse/node-red-dashboard'];

/** Imports each example as a person does, without deploying it, and gives the files that it wrote. */
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

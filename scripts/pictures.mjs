// npm run pictures: shoots the pictures in docs/ and in the help, from Node-RED 5 with the built package. Names after
// `--` select kinds: quick-start, first-flow, keep, help, examples, sidebar.
//
// Runs under tsx, because it imports the tests' helpers for Node-RED and the browser.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openBrowser, openEditor } from '../test/support/browser.ts';
import { NodeRed, until } from '../test/support/node-red.ts';
import { quickStart } from '../test/package/support.ts';
import { examplePictures } from './example-pictures.mjs';
import { chromiumEnvironment } from './chromium.mjs';
import { firstFlowPictures } from './first-flow-pictures.mjs';
import { asWebp, helpPictures } from './form-pictures.mjs';
import { keepPictures } from './keep-pictures.mjs';
import { sidebarPictures } from './sidebar-pictures.mjs';
import { root } from './tools.mjs';

const images = path.join(root, 'docs', 'images');
/** Node-RED serves a package's `resources` folder to the editor. */
const resources = path.join(root, 'resources');

/** Presses the button of a few visitors, so that the picture shows statuses. */
async function viewSomeTimes(nodeRed, { id }) {
  for (let number = 1; number <= 20; number += 1)
    await nodeRed.inject(id, { user: String(5_000_000_000 + number), event: 'viewed' });
}

async function quickStartPicture(nodeRed, browser) {
  const flow = quickStart();
  const out = flow.find((node) => node.type === 'xandr-instant-audience-out');
  await nodeRed.deploy(flow);
  const { page } = await openEditor(browser, nodeRed.url, { width: 1400, height: 560 });
  const comms = await nodeRed.comms();
  await viewSomeTimes(
    nodeRed,
    flow.find(({ type }) => type === 'inject'),
  );
  await until(
    () => comms.on(`status/${out.id}`).length > 0,
    10_000,
    () => 'a status of the out node',
  );
  comms.close();
  await page.locator('#red-ui-workspace-tabs').getByText('quick start').click();
  await page.evaluate("RED.actions.invoke('core:toggle-right-sidebar')");
  await page.evaluate(
    "RED.palette && document.querySelector('[data-palette-type=xandr-instant-audience-out]').scrollIntoView()",
  );
  await page.evaluate("RED.actions.invoke('core:zoom-fit')");
  await page.mouse.move(700, 500);
  // Waits for the animations of sidebar and zoom, and for the out node's last status.
  await page.waitForTimeout(2500);
  const file = path.join(images, 'quick-start.png');
  await page.screenshot({ path: file });
  return file;
}

/** Kinds of pictures by name, for `npm run pictures -- examples`. */
const kinds = {
  'quick-start': async (browser) => [await withNodeRed((nodeRed) => quickStartPicture(nodeRed, browser))],
  'first-flow': (browser) => withNodeRed((nodeRed) => firstFlowPictures(nodeRed, browser, images)),
  keep: (browser) => withNodeRed((nodeRed) => keepPictures(nodeRed, browser, images)),
  help: (browser) => withNodeRed((nodeRed) => helpPictures(nodeRed, browser, resources)),
  examples: (browser) => examplePictures(browser, images),
  sidebar: (browser) => withNodeRed((nodeRed) => sidebarPictures(nodeRed, browser, images)),
};

async function withNodeRed(shootAll) {
  const nodeRed = await NodeRed.start();
  try {
    return await shootAll(nodeRed);
  } finally {
    await nodeRed.stop();
  }
}

/** The picture as WebP, since it is in the package. */
async function small(file) {
  if (!file.endsWith('.png')) return file;
  const page = await browser.newPage();
  const webp = file.replace(/png$/, 'webp');
  await writeFile(webp, await asWebp(page, await readFile(file)));
  await rm(file);
  await page.close();
  return webp;
}

const chosen = process.argv.slice(2);
const unknown = chosen.filter((kind) => !(kind in kinds));
if (unknown.length > 0)
  throw new Error(`Unknown kinds: ${unknown.join(', ')}. Choose from ${Object.keys(kinds).join(', ')}.`);
await mkdir(images, { recursive: true });
await mkdir(resources, { recursive: true });
Object.assign(process.env, await chromiumEnvironment());
const browser = await openBrowser();
try {
  for (const [kind, shootAll] of Object.entries(kinds)) {
    if (chosen.length > 0 && !chosen.includes(kind)) continue;
    for (const file of await shootAll(browser))
      console.log(`wrote ${path.relative(root, await small(file))}`);
  }
} finally {
  await browser.close();
}

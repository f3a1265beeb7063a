// Pictures of the filled-in forms for the help, in each language. docs/nodes.md shows the English ones.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PostgresLog } from '../src/queue-postgres/postgres-log.ts';
import { Editor } from '../test/browser/editor.ts';
import { findPostgres, freshPostgresDatabase } from '../test/support/services.ts';

const builder = 'builder';
const out = 'out';
const account = 'account';
const usage = 'usage';
const sync = 'sync';

const flows = [
  { id: 'tab', type: 'tab', label: 'kitchen' },
  { id: account, type: 'xandr-account', environment: 'sandbox' },
  {
    id: builder,
    type: 'xandr-segment-builder',
    z: 'tab',
    x: 200,
    y: 100,
    account,
    userId: 'payload.user',
    domain: 'idfa',
    segments: [{ segment: '10001', name: 'Kitchen: viewed a product' }],
    wires: [[out], []],
  },
  { id: out, type: 'xandr-instant-audience-out', z: 'tab', x: 500, y: 100, account, wires: [[], []] },
  {
    id: usage,
    type: 'xandr-audience-usage',
    z: 'tab',
    x: 200,
    y: 200,
    account,
    schedule: 'hourly',
    range: 'day',
    wires: [[], []],
  },
  {
    id: sync,
    type: 'xandr-audience-sync',
    z: 'tab',
    x: 500,
    y: 200,
    account,
    segment: '10001',
    segmentName: 'Kitchen: viewed a product',
    wires: [[], []],
  },
];

/** Fills in the tab of the queue, and tests the database. */
async function chooseSharedQueue({ page }, databaseUrl) {
  await page.locator('#node-config-input-queue').selectOption('shared');
  const { hostname, port, pathname, username, password } = new URL(databaseUrl);
  const fields = { Host: hostname, Port: port, Name: pathname.slice(1), User: username, Password: password };
  for (const [name, text] of Object.entries(fields))
    await page.locator(`#node-config-input-database${name}`).fill(text);
  await page.locator('#instant-audience-test-database').click();
  await page.locator('#instant-audience-test-database-result[data-level="good"]').waitFor();
  await page.evaluate('document.activeElement.blur()');
}

/** Runs `shootAll` with a PostgreSQL database that contains queues with an active instance. */
async function withDatabase(shootAll) {
  const server = await findPostgres();
  if (server === null)
    throw new Error('There is no PostgreSQL for the pictures, neither running nor installed.');
  const database = await freshPostgresDatabase(server, 'audience_pictures');
  const sender = { id: 'pictures', name: 'node-2:1880' };
  const queues = [
    { origin: 'sandbox', member: '1' },
    { origin: 'https://streaming-data.appnexus.com', member: '1661' },
  ].map((queue) => new PostgresLog({ url: database.url, ...queue }));
  try {
    for (const queue of queues) {
      await queue.open();
      await queue.claim(sender, true, null, 600_000);
    }
    return await shootAll(database.url);
  } finally {
    for (const queue of queues) await queue.close(sender);
    await database.drop();
    await server.stop();
  }
}

/** Converts to WebP in the browser: a third of the bytes, since every user downloads these pictures. */
export async function asWebp(page, png) {
  const url = await page.evaluate(
    async (source) => {
      const image = new globalThis.Image();
      image.src = source;
      await image.decode();
      const canvas = globalThis.document.createElement('canvas');
      canvas.width = image.width;
      canvas.height = image.height;
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', 0.6);
    },
    `data:image/png;base64,${png.toString('base64')}`,
  );
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

const marginPx = 8;

/** Shoots the form without its buttons. */
async function shootForHelp(editor, file) {
  const { page } = editor;
  await page.mouse.move(5, 5);
  await page.evaluate('document.activeElement.blur()');
  await page.waitForTimeout(400);
  const form = await page.locator('.instant-audience-form:visible').last().boundingBox();
  const clip = {
    x: form.x - marginPx,
    y: form.y - marginPx,
    width: form.width + 2 * marginPx,
    height: form.height + 2 * marginPx,
  };
  await writeFile(file, await asWebp(page, await page.screenshot({ clip })));
  await editor.cancel();
  return file;
}

/** Fails on a machine without Japanese glyphs, which would draw boxes instead. */
async function requireJapaneseGlyphs(page) {
  const drawn = await page.evaluate(() => {
    const context = globalThis.document.createElement('canvas').getContext('2d');
    const draw = (text) => {
      context.clearRect(0, 0, 40, 40);
      context.font = '30px sans-serif';
      context.fillText(text, 0, 32);
      return context.getImageData(0, 0, 40, 40).data.join();
    };
    return [draw('語'), draw('日')];
  });
  if (drawn[0] === drawn[1]) {
    throw new Error('This machine has no Japanese font: install one, such as fonts-ipafont-gothic.');
  }
}

/** Shoots every form in each language. Node-RED serves the pictures from `resources`. */
export function helpPictures(nodeRed, browser, resources) {
  return withDatabase((databaseUrl) => shootHelp(nodeRed, browser, resources, databaseUrl));
}

async function shootHelp(nodeRed, browser, resources, databaseUrl) {
  await nodeRed.deploy(flows);
  const files = [];
  for (const language of ['en-US', 'de', 'ja']) {
    const editor = await Editor.open(browser, nodeRed, { width: 1400, height: 1700 }, language);
    const { page } = editor;
    if (language === 'ja') await requireJapaneseGlyphs(page);
    const file = (name) => path.join(resources, `form-${name}-${language}.webp`);
    await editor.nodeOnCanvas(builder).waitFor();
    await editor.edit(builder);
    files.push(await shootForHelp(editor, file('segment-builder')));
    await editor.edit(out);
    files.push(await shootForHelp(editor, file('instant-audience-out')));
    await editor.edit(usage);
    files.push(await shootForHelp(editor, file('audience-usage')));
    await editor.edit(sync);
    files.push(await shootForHelp(editor, file('audience-sync')));
    await editor.editConfig(account);
    await page.locator('#instant-audience-test').click();
    await page.locator('#instant-audience-test-result[data-level="good"]').waitFor();
    files.push(await shootForHelp(editor, file('account')));
    await editor.editConfig(account);
    await page.locator('#instant-audience-account-tabs a').nth(2).click();
    await chooseSharedQueue(editor, databaseUrl);
    files.push(await shootForHelp(editor, file('account-shared')));
    await page.close();
  }
  return files;
}

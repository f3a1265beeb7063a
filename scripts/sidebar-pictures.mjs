// The pictures of the sidebar tab: a queue that has worked for two minutes, one that is paused, in light and in dark.
import path from 'node:path';
import { startSandbox } from '../src/sandbox/sandbox.ts';
import { Editor } from '../test/browser/editor.ts';
import { accountFlow, openTab, postUsers, tab } from '../test/browser/sidebar-flows.ts';

/** Users posted in one go, every two seconds: what the charts show. */
const waves = [900, 1400, 2200, 3500, 5200, 2600, 1200, 700, 1500, 2600, 4200, 3000, 1800, 900, 400, 1100];

async function work(nodeRed, page) {
  const refused = [
    { user_id: '0', seg_block: [{ seg_id: 10001 }] },
    { user_id: '12345', seg_block: [] },
  ];
  await nodeRed.post('shop', refused);
  let from = 0;
  for (const users of [...waves, ...waves.toReversed(), ...waves]) {
    await postUsers(nodeRed, 'shop', from, users);
    from += users;
    await page.waitForTimeout(2500);
  }
}

/** Deploys flows of its own and gives the files that it wrote. */
export async function sidebarPictures(nodeRed, browser, images) {
  const sandbox = await startSandbox({ member: 1661 });
  try {
    const custom = { environment: 'custom', authUrl: sandbox.url, serviceUrl: sandbox.url, member: '1661' };
    await nodeRed.deploy([
      tab,
      ...accountFlow('shop'),
      ...accountFlow('loyalty', { ...custom, credentials: { username: 'me', password: 'secret' } }, 1),
    ]);
    const editor = await Editor.open(browser, nodeRed, { width: 1400, height: 1330 });
    const { page } = editor;
    await openTab(page);
    // The debug tab below it makes room.
    await page.evaluate("document.querySelector('button[data-tab-id=debug]')?.click()");
    const head = (name) => page.locator('.instant-audience-head', { hasText: name });
    await head('loyalty').waitFor();
    await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
    await postUsers(nodeRed, 'loyalty', 0, 1200);
    await head('loyalty').click();
    await work(nodeRed, page);
    await head('Sandbox').click();
    const files = [];
    for (const theme of ['light', 'dark']) {
      await editor.setTheme(theme);
      await page.mouse.move(5, 5);
      await page.waitForTimeout(1500);
      const file = path.join(images, `sidebar-${theme}.png`);
      await page.locator('.instant-audience-tab').screenshot({ path: file });
      files.push(file);
    }
    return files;
  } finally {
    await sandbox.close();
  }
}

// Pictures of the sidebar tab, with an active and a paused queue, in a light and a dark theme.
import path from 'node:path';
import { startSandbox } from '../src/sandbox/sandbox.ts';
import { Editor } from '../test/browser/editor.ts';
import { accountFlow, openTab, postUsers, tab } from '../test/browser/sidebar-flows.ts';

/** Numbers of users posted every 2.5 s, which give the charts their shape. */
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

/** Deploys flows, lets them work for two minutes, and returns the written files. */
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
    // Closes the debug tab below to make room.
    await page.evaluate("document.querySelector('button[data-tab-id=debug]')?.click()");
    const head = (name) => page.locator('.instant-audience-head', { hasText: name });
    await head('loyalty').waitFor();
    await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
    await postUsers(nodeRed, 'loyalty', 0, 1200);
    await head('loyalty').click();
    await work(nodeRed, page);
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

// The tab "Audience" in a real editor: its figures and buttons, and its rest while it is hidden.
import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { picture, type Pages } from '../support/browser';
import { nodeRedVersion, until, type FlowNode, type NodeRed } from '../support/node-red';
import { Editor } from './editor';
import { looksInPage } from './looks';
import { accountFlow, deviceId, openTab, postUsers, tab } from './sidebar-flows';
import { editorSuite } from './suite';

/** Names a segment that is switched off. */
const builder: FlowNode = {
  id: 'builder',
  type: 'xandr-segment-builder',
  z: 'tab',
  x: 200,
  y: 300,
  account: 'account-shop',
  userId: 'payload.user',
  segments: [{ by: 'id', segment: '10999' }],
  wires: [['out-shop'], []],
};

describe(`the tab Audience in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let browser: Pages;
  let sandbox: Sandbox;
  /** Refuses the login of the account `vault`. */
  let guarded: Sandbox;
  let editor: Editor;
  let page: Page;
  /** Height of the charts of a card as it opens, and once they are drawn. */
  let chartsPx: { readonly opened: number; readonly drawn: number };

  before(async function () {
    sandbox = await startSandbox({ member: 7 });
    suite.ends(() => sandbox.close());
    guarded = await startSandbox({ member: 9, users: { me: 'another-word' } });
    suite.ends(() => guarded.close());
    const login = { username: 'me', password: 'secret-word' };
    ({ nodeRed, browser, editor, page } = await suite.open(this, {
      flows: flowsOf('7'),
      credentials: { 'account-loyalty': login, 'account-vault': login },
      size: { width: 1400, height: 1200 },
    }));
    await postUsers(nodeRed, 'vault', 0, 3);
    await openTab(page);
    // With as many accounts as this they are closed at first.
    for (const name of ['shop', 'loyalty', 'vault']) {
      if (name === 'shop') chartsPx = await openAndDraw(card(name));
      else await head(name).click();
      // By keyboard: a problem that arrives may move it between press and release, and the browser drops the click then.
      const details = card(name).getByRole('button', { name: 'Details', exact: true }).first();
      await details.press('Enter');
      await until(
        async () => (await details.getAttribute('aria-expanded')) === 'true',
        5000,
        `details of ${name}`,
      );
    }
  });

  /** With the member that the account `loyalty` has. */
  const flowsOf = (member: string): FlowNode[] => {
    const at = ({ url }: Sandbox): object => ({ environment: 'custom', authUrl: url, serviceUrl: url });
    const loyalty = { ...at(sandbox), member };
    const vault = { ...at(guarded), member: '9', warnAfterMinutes: 1 };
    return [
      tab,
      { id: 'other', type: 'tab', label: 'other' },
      builder,
      ...accountFlow('shop'),
      ...accountFlow('loyalty', loyalty, 1),
      ...accountFlow('vault', vault, 2),
    ];
  };
  const card = (name: string): Locator =>
    page
      .locator('.instant-audience-tab section')
      .filter({ has: page.locator(`.instant-audience-name >> text="${name}"`) });
  const head = (name: string): Locator => card(name).locator('.instant-audience-head').first();
  const figure = (name: string, term: string): Locator => card(name).locator(`dt:text-is("${term}") + dd`);
  /** Charts are drawn as they come into view. */
  const openAndDraw = (section: Locator): Promise<typeof chartsPx> =>
    section.evaluate(async (root: any) => {
      const frame = (): Promise<unknown> => new Promise(requestAnimationFrame);
      const charts = root.querySelector('.instant-audience-charts');
      root.querySelector('.instant-audience-head').click();
      const opened = charts.offsetHeight;
      charts.scrollIntoView();
      while (root.querySelectorAll('.uplot').length < 3) await frame();
      await frame();
      return { opened, drawn: charts.offsetHeight };
    });
  const choose = async (name: string, item: string | RegExp): Promise<void> => {
    await press(name, 'More');
    await card(name).getByRole('menuitem', { name: item, exact: true }).click();
  };
  const press = (name: string, button: string | RegExp): Promise<void> =>
    card(name).getByRole('button', { name: button, exact: true }).first().click();
  const openExample = (): Promise<void> => press('shop', 'user ID 0: opted out or no cookie');
  const shows = async (place: Locator, text: string | RegExp): Promise<void> => {
    let said = '';
    await until(
      async () => {
        said = (await place.textContent()) ?? '';
        return typeof text === 'string' ? said === text : text.test(said);
      },
      15_000,
      () => `${String(text)} in ${place.toString()}; it says ${said}`,
    );
  };

  /** In a tab that is as wide as the editor makes it at first. */
  const brokenShortTerms = (name: string): Promise<string[]> =>
    card(name)
      .locator('dl:not(.instant-audience-figures) dt')
      .evaluateAll((terms) =>
        terms.flatMap((term: any) => {
          const range = term.ownerDocument.createRange();
          range.selectNodeContents(term);
          const lines = new Set([...range.getClientRects()].map(({ top }) => top));
          return lines.size > 1 && term.textContent.length < 20 ? [String(term.textContent)] : [];
        }),
      );

  /** Presses Pause and waits until it holds: what comes before that is sent. */
  const pause = async (name: string): Promise<void> => {
    await press(name, 'Pause');
    await shows(card(name).locator('.instant-audience-state'), /^paused/);
  };

  it('takes the room of its charts before they are drawn, so that no button moves', () => {
    assert.ok(chartsPx.drawn > 200, `${chartsPx.drawn} px`);
    assert.equal(chartsPx.opened, chartsPx.drawn);
  });

  it('shows who is in a segment of the sandbox, without a click, and who has left it', async () => {
    const users = card('shop').locator('.instant-audience-members');
    const post = (expiration: number): Promise<unknown> =>
      nodeRed.post('shop', [{ user_id: '12345678900987654321', seg_block: [{ seg_id: 10001, expiration }] }]);
    await post(60);
    await shows(users, /^12345678900987654321, until/);
    assert.equal(await users.isVisible(), true);
    await post(-1);
    await card('shop').getByText('No segment has users.').waitFor();
    assert.equal(await users.count(), 0);
  });

  it('shows the outcomes of each account’s entries, in words and figures', async () => {
    await postUsers(nodeRed, 'shop', 0, 300);
    await nodeRed.post('shop', [{ user_id: '0', seg_block: [{ seg_id: 1 }] }]);
    await shows(figure('shop', 'Delivered'), '302');
    await shows(figure('shop', 'Invalid'), '1');
    await shows(card('shop').locator('.instant-audience-state'), 'ready');
    await shows(figure('shop', 'pending'), '0');
    await shows(figure('shop', 'users/s'), /^\d+ \/ 1,000$/);
    await shows(figure('shop', 'oldest'), '–');
    await shows(figure('shop', 'rejected today'), '1');
    assert.match(await card('shop').innerText(), /user ID 0: opted out or no cookie\s+1/);
    await shows(figure('loyalty', 'Delivered'), '0');
    assert.deepEqual(await brokenShortTerms('shop'), []);
  });

  it('warns of a segment that a builder names and that is switched off', async () => {
    const warning = card('shop').locator('.instant-audience-problem', { hasText: 'Segment 10999' });
    await shows(warning, /is inactive, so entries for it have no effect\./);
  });

  for (const theme of ['light', 'dark'] as const) {
    it(`shows nothing cut off, no raw key and no faint text in ${theme}`, async () => {
      await editor.setTheme(theme);
      await press('Privacy', 'Privacy');
      await openExample();
      await picture(page, `tab-${nodeRedVersion}-${theme}`);
      const where = { root: '.instant-audience-tab', decoration: '.instant-audience-state .fa' };
      assert.deepEqual(await page.evaluate(looksInPage, where), { overflowing: [], raw: [], faint: [] });
      await openExample();
      await press('Privacy', 'Privacy');
      await editor.setTheme('light');
    });
  }

  it('says of each queue where it sends', async () => {
    for (const [name, badge] of [
      ['shop', 'SANDBOX'],
      ['loyalty', 'CUSTOM'],
    ] as const)
      await shows(card(name).locator('.instant-audience-badge'), badge);
  });

  it('shows the last entry of a reason, with links to its node and to the docs', async () => {
    await openExample();
    const example = card('shop').locator('.instant-audience-example');
    await shows(example.locator('pre'), /"user_id": "0"/);
    assert.match(await example.locator('p').first().innerText(), /^user_id is 0/);
    const docs = example.getByRole('link', { name: 'What to do' });
    assert.match(
      (await docs.getAttribute('href')) ?? '',
      /docs\/troubleshooting\.html#codes-of-rejected-entries$/,
    );
    await page.evaluate("RED.workspaces.show('other')");
    await example.getByRole('button', { name: 'Show its node' }).click();
    assert.equal(await page.evaluate('RED.workspaces.active()'), 'tab');
    await openExample();
    assert.equal(await example.isVisible(), false);
  });

  it('links each card to its nodes, by their names on the canvas', async () => {
    for (const id of ['out-shop', 'builder']) {
      const name = await editor.labelOf(id);
      await page.evaluate("RED.workspaces.show('other')");
      await card('shop')
        .locator('.instant-audience-links')
        .getByRole('button', { name, exact: true })
        .click();
      assert.equal(await page.evaluate('RED.workspaces.active()'), 'tab');
    }
  });

  it('names an account as the editor does', async () => {
    const nameless = `member 7 at ${new URL(sandbox.url).host}`;
    for (const [name, shown] of [
      ['', nameless],
      ['loyalty', 'loyalty'],
    ] as const) {
      await page.evaluate(`RED.nodes.node('account-loyalty').name = '${name}'`);
      const isShown = async (): Promise<boolean> => {
        // The tab is told of changes only.
        await postUsers(nodeRed, 'shop', 0, 1);
        return card(shown).isVisible();
      };
      await until(isShown, 10_000, shown);
    }
  });

  it('draws the last hour of each, where it can be seen', async () => {
    await until(
      async () => (await page.locator('.instant-audience-tab canvas').count()) >= 3,
      10_000,
      'three charts',
    );
    const names = await card('loyalty').locator('figcaption > :first-child').allTextContents();
    assert.deepEqual(names, ['Users a second', 'Pending entries', 'From input to delivery']);
    const painted = await page
      .locator('.instant-audience-tab canvas')
      .first()
      .evaluate((canvas) => {
        const { width, height } = canvas as any;
        const { data } = (canvas as any).getContext('2d').getImageData(0, 0, width, height);
        return data.some((value: number) => value > 0);
      });
    assert.equal(painted, true);
    // A figure or a time that is cut touches the edge of the picture.
    const cut = await page.locator('.instant-audience-tab canvas').evaluateAll((canvases) =>
      canvases.map((canvas: any) => {
        const { width, height } = canvas;
        const edge = (x: number): boolean =>
          canvas
            .getContext('2d')
            .getImageData(x, 0, 1, height)
            .data.some((value: number) => value > 0);
        return edge(0) || edge(width - 1);
      }),
    );
    assert.ok(cut.length >= 3 && !cut.includes(true), `cut at an edge: ${String(cut)}`);
  });

  it('pauses, shows the age of the oldest entry, and resumes', async () => {
    await pause('loyalty');
    await postUsers(nodeRed, 'loyalty', 0, 50);
    await shows(figure('loyalty', 'pending'), '50');
    await shows(figure('loyalty', 'Time until the queue is empty'), 'not known');
    await shows(figure('loyalty', 'oldest'), /^[1-9]\d* s$/);
    await press('loyalty', 'Resume');
    await shows(figure('loyalty', 'Delivered'), '50');
  });

  it('purges only after a confirmation, and shows the discarded entries', async () => {
    await pause('loyalty');
    await postUsers(nodeRed, 'loyalty', 100, 40);
    await shows(figure('loyalty', 'pending'), '40');
    await press('loyalty', 'Purge …');
    const question = page
      .locator('.red-ui-notification')
      .filter({ hasText: 'Purge the queue of loyalty? Entries that will not be sent: 40.' });
    await question.getByRole('button', { name: 'Cancel' }).click();
    // An update later it would be seen.
    await page.waitForTimeout(1200);
    await shows(figure('loyalty', 'pending'), '40');
    await press('loyalty', 'Purge …');
    await question.getByRole('button', { name: 'Purge it' }).click();
    await shows(figure('loyalty', 'pending'), '0');
    await page.locator('.red-ui-notification', { hasText: 'Purged. Discarded entries: 40.' }).waitFor();
    await shows(figure('loyalty', 'Rejected'), '40');
    await press('loyalty', 'Resume');
  });

  it('exports rejected entries, with their reasons', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), choose('shop', /^Export rejected/)]);
    const [rejected] = JSON.parse(await readFile(await download.path(), 'utf8'));
    assert.deepEqual(
      [rejected.code, rejected.entry.user_id, rejected.node],
      ['user_id_zero', '0', 'out-shop'],
    );
    assert.ok(Date.parse(rejected.time) > 0);
  });

  it('erases a user from queued and rejected entries, after a confirmation', async () => {
    await pause('loyalty');
    await postUsers(nodeRed, 'loyalty', 500, 30);
    await shows(figure('loyalty', 'pending'), '30');
    await press('Privacy', 'Privacy');
    const part = card('Privacy');
    await part.getByLabel('User ID').fill(deviceId(510).toUpperCase());
    await part.getByRole('button', { name: 'Erase …' }).click();
    await page.getByRole('button', { name: 'Erase the user' }).click();
    await shows(part.getByRole('status'), /^Erased\. Discarded entries: 1\./);
    await shows(figure('loyalty', 'pending'), '29');
    await press('loyalty', 'Resume');
    await shows(figure('loyalty', 'pending'), '0');
    const members = sandbox.state().map(({ user_id: id }) => id);
    assert.ok(members.includes(deviceId(509)) && !members.includes(deviceId(510)));
  });

  it('erases nobody by a custom domain without its name', async () => {
    await pause('loyalty');
    await nodeRed.post('loyalty', [{ user_id: '4711', seg_block: [{ seg_id: 10001, expiration: 60 }] }]);
    await shows(figure('loyalty', 'pending'), '1');
    const part = card('Privacy');
    await part.getByLabel('User ID').fill('4711');
    await part.getByLabel('ID type').selectOption('custom');
    await part.getByRole('button', { name: 'Erase …' }).click();
    await shows(part.getByRole('status'), 'Enter the name of the custom domain.');
    assert.equal(await page.getByRole('button', { name: 'Erase the user' }).count(), 0);
    await shows(figure('loyalty', 'pending'), '1');
    await part.getByLabel('ID type').selectOption('any');
    await press('loyalty', 'Purge …');
    await page.getByRole('button', { name: 'Purge it' }).click();
    await press('loyalty', 'Resume');
  });

  it('shows the members of the sandbox’s segments', async () => {
    const part = card('shop');
    await shows(part.locator('.instant-audience-line').first(), /10001.*users: 75/);
    await part.getByRole('button', { name: /^10001/ }).click();
    await part.getByText(`${deviceId(0)} (idfa), value 0, until`).waitFor();
    await part.getByText('and 25 more').waitFor();
  });

  it('calls a queue left only some seconds after its account was given another member', async () => {
    await pause('loyalty');
    await postUsers(nodeRed, 'loyalty', 900, 5);
    await shows(figure('loyalty', 'pending'), '5');
    await nodeRed.deploy(flowsOf('8').filter((node) => node !== builder));
    // For ten seconds the account could have it back.
    assert.equal(await card('Queues that no account uses').isVisible(), false);
  });

  it('is reached and read without a mouse', async () => {
    // The other member's segments and login are known some seconds after the deploy; until then the problems change, and
    // with them what Tab reaches.
    const problemsNow = (): Promise<string[]> =>
      card('loyalty').locator('.instant-audience-problem').allTextContents();
    let before: string | null = null;
    await until(
      async () => {
        const now = (await problemsNow()).join();
        await page.waitForTimeout(3_000);
        const isSteady = now === before;
        before = now;
        return isSteady;
      },
      30_000,
      'problems that stay',
    );
    const its = head('loyalty');
    await its.focus();
    // The card of the other member's queue is a new one, which may begin closed.
    if ((await its.getAttribute('aria-expanded')) === 'false') await page.keyboard.press('Enter');
    assert.equal(await its.getAttribute('aria-expanded'), 'true');
    await page.keyboard.press('Enter');
    assert.equal(await its.getAttribute('aria-expanded'), 'false');
    await page.keyboard.press('Space');
    assert.equal(await its.getAttribute('aria-expanded'), 'true');
    const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent.trim()');
    const pressed = async (key: string): Promise<string> => {
      await page.keyboard.press(key);
      return focused();
    };
    // The link of each problem comes first.
    const problems = (await problemsNow()).length;
    for (let left = problems; left > 0; left -= 1) assert.equal(await pressed('Tab'), 'What to do');
    assert.match(await pressed('Tab'), /^(Pause|Resume)$/);
    assert.equal(await pressed('Tab'), 'More');
    assert.equal(await pressed('Enter'), 'Send now');
    assert.equal(await pressed('ArrowDown'), 'Retry now');
    assert.match(await pressed('End'), /^Export rejected/);
    assert.equal(await pressed('ArrowDown'), 'Send now');
    assert.match(await pressed('ArrowUp'), /^Export rejected/);
    assert.equal(await pressed('Escape'), 'More');
    assert.equal(await card('loyalty').getByRole('menu').count(), 0, 'closed');
    const unnamed = await page.locator('.instant-audience-tab').evaluate((root) => {
      const fields = [...(root as any).querySelectorAll('button, input, select')];
      return fields.filter((field) => field.textContent.trim() === '' && field.labels?.length !== 1).length;
    });
    assert.equal(unnamed, 0);
    const ids = await page
      .locator('.instant-audience-head')
      .evaluateAll((heads) => heads.map((one) => (one as any).getAttribute('aria-controls')));
    assert.equal(new Set(ids).size, ids.length);
  });

  it('gets nothing while closed, and at most one update a second while open', async () => {
    const count = async (ms: number): Promise<number> => {
      await page.evaluate(countUpdates);
      await page.waitForTimeout(ms);
      return page.evaluate<number>('window.instantAudienceUpdates');
    };
    await pause('shop');
    await postUsers(nodeRed, 'shop', 5000, 10);
    const open = await count(3_000);
    assert.ok(open >= 2 && open <= 4, `${open} updates in 3 s`);
    await page.evaluate("RED.sidebar.show('info')");
    // What was on its way still comes.
    await page.waitForTimeout(500);
    assert.equal(await count(1_600), 0);
    await page.evaluate("RED.sidebar.show('instant-audience')");
    await press('shop', 'Resume');
    await shows(figure('shop', 'pending'), '0');
  });

  it('lists the queue of an account that changed its member, to be moved or purged', async () => {
    const part = card('Queues that no account uses');
    await until(() => part.isVisible(), 40_000, 'the queue that is left');
    // Also while it is closed.
    await shows(part.locator('.instant-audience-note'), '5 pending');
    await head('Queues that no account uses').click();
    await shows(part.locator('li p').nth(0), /^loyalty: member \d+ at http:/);
    await shows(part.locator('li p').nth(1), /^Pending entries: 5,/);
    assert.equal(await part.getByRole('button', { name: /^Move to loyalty/ }).count(), 1);
    await part.getByRole('button', { name: /^Purge/ }).click();
    // The tab looks again when something was done to one of them.
    const broken = path.join(nodeRed.userDir, 'instant-audience', 'broken.example-9-12345678.sqlite');
    await writeFile(broken, 'no database, and too long to be an empty one'.repeat(50));
    await page.getByRole('button', { name: 'Purge it' }).click();
    await shows(part.locator('li p').nth(1), /^The queue file is damaged and stays unchanged\./);
    await until(async () => (await part.locator('li').count()) === 1, 20_000, 'the purged one gone');
    assert.equal(await part.locator('li').getByRole('button').count(), 0);
  });

  it('shows a late oldest entry, and tries a refused login again on request', async () => {
    const late = card('vault').getByText('The oldest entry has waited for 1 min');
    await late.waitFor({ timeout: 90_000 });
    assert.equal(await card('shop').getByText('The oldest entry').count(), 0);
    // Above the cards, since there are many.
    await page.getByRole('button', { name: 'vault: wrong login' }).waitFor();
    const state = card('vault').locator('.instant-audience-state');
    await shows(state, 'wrong login');
    const [first] = await card('vault').locator('.instant-audience-problem').allTextContents();
    assert.match(first!, /^The service refuses the username, password or key\. Correct it.*What to do$/);
    const whatToDo = card('vault').locator('.instant-audience-problem a').first();
    assert.match((await whatToDo.getAttribute('href')) ?? '', /docs\/troubleshooting\.html#status$/);
    await late.scrollIntoViewIfNeeded();
    await picture(page, `tab-late-${nodeRedVersion}`);
    const { port } = new URL(guarded.url);
    await guarded.close();
    guarded = await startSandbox({ member: 9, port: Number(port) });
    // A refused login is not tried again by itself, nor when only what is ready is to be sent.
    const [flushed] = await Promise.all([
      page.waitForResponse((response) => response.url().endsWith('/tab/flush')),
      choose('vault', 'Send now'),
    ]);
    assert.equal(flushed.status(), 200);
    await page.waitForTimeout(1200);
    await shows(figure('vault', 'Delivered'), '0');
    await choose('vault', 'Retry now');
    await shows(figure('vault', 'Delivered'), '3');
    await until(async () => !(await late.isVisible()), 5000, 'the warning goes');
    assert.equal(guarded.state().length, 3);
  });

  for (const [language, text, damaged] of [
    ['de', 'bereit', /^Die Warteschlangendatei ist beschädigt und .*-wal/],
    ['ja', '準備完了', /^キューファイルが破損しています。.*-wal/],
  ] as const) {
    it(`speaks ${language}`, async () => {
      const size = { width: 1400, height: 1200 };
      const other = await Editor.open(browser, nodeRed, size, language, language);
      await openTab(other.page);
      await other.page.locator('.instant-audience-state', { hasText: text }).first().waitFor();
      const problem = other.page.locator('.instant-audience-tab li > p', { hasText: damaged });
      await problem.waitFor({ state: 'attached' });
      const where = { root: '.instant-audience-tab', decoration: '.instant-audience-state .fa' };
      const { overflowing, raw } = await other.page.evaluate(looksInPage, where);
      assert.deepEqual([overflowing, raw], [[], []]);
      await picture(other.page, `tab-${nodeRedVersion}-${language}`);
      await other.page.close();
    });
  }

  it('opens in a browser whose language is no BCP 47 tag', async () => {
    const { page: other } = await Editor.open(browser, nodeRed, { width: 1400, height: 1200 }, 'en-US@posix');
    assert.equal(await other.evaluate('navigator.language'), 'en-US@posix');
    await openTab(other);
    await other.locator('.instant-audience-state').first().waitFor();
    await other.close();
  });
});

/** Counts what comes for the tab from now on. */
function countUpdates(): void {
  const { RED, window } = globalThis as any;
  window.instantAudienceUpdates = 0;
  if (window.instantAudienceCounts) return;
  window.instantAudienceCounts = true;
  RED.comms.subscribe('instant-audience/overview', () => window.instantAudienceUpdates++);
}

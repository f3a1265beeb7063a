// The forms in a real editor: what the account's answers, shows and refuses; all of them in light and dark, by keyboard, in a
// small window. The builder's picker and preview: builder.test.ts.
import { strict as assert } from 'node:assert';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { nodeRedVersion, type FlowNode, type NodeRed } from '../support/node-red';
import { findPostgres, freshPostgresDatabase, needService } from '../support/services';
import type { Editor } from './editor';
import { longHintsInPage, looksInPage } from './looks';
import { editorSuite } from './suite';

const rightPassword = 's3cr3t-word';
const packageName = '@instant-audience/node-red-xandr';
const examples = readdirSync(path.join(__dirname, '..', '..', 'examples'))
  .filter((file) => file.endsWith('.json'))
  .map((file) => path.basename(file, '.json'));
const place = { z: 'tab', y: 100 };

function flowsFor(url: string): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'forms' },
    { id: 'ca', type: 'tls-config', name: 'own CA' },
    {
      id: 'account',
      type: 'xandr-account',
      name: 'seat 7',
      environment: 'custom',
      authUrl: url,
      serviceUrl: url,
      member: '7',
    },
    {
      ...place,
      id: 'builder',
      type: 'xandr-segment-builder',
      x: 200,
      account: 'account',
      userId: 'payload.user',
      segments: [{ by: 'id', segment: '10001' }],
      wires: [['out'], []],
    },
    { ...place, id: 'out', type: 'xandr-instant-audience-out', x: 500, account: 'account', wires: [[], []] },
  ];
}

describe(`the forms in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let sandbox: Sandbox;
  let editor: Editor;
  let page: Page;

  before(async function () {
    sandbox = await startSandbox({ member: 7, users: { me: rightPassword } });
    suite.ends(() => sandbox.close());
    const credentials = { account: { username: 'me', password: rightPassword } };
    ({ nodeRed, editor, page } = await suite.share(this, { flows: flowsFor(sandbox.url), credentials }));
    await page.locator('.red-ui-flow-node-label', { hasText: '10001' }).waitFor();
  });

  const says = (): Locator => page.locator('#instant-audience-preview-says');

  describe('the account', () => {
    const answer = async (name = 'Test connection', id = 'instant-audience-test'): Promise<string> => {
      await page.getByRole('button', { name }).click();
      const result = page.locator(`#${id}-result[data-level]:not([data-level=""])`);
      await result.waitFor();
      return `${await result.getAttribute('data-level')}: ${(await result.innerText()).trim()}`;
    };
    const steps = async (): Promise<string[]> => {
      const lines = await page.locator('#instant-audience-test-result li').allInnerTexts();
      return lines.map((line) => line.trim());
    };

    const testDatabase = (): Promise<string> => answer('Test the database', 'instant-audience-test-database');

    it('tests the stored login without ever seeing the password', async () => {
      await editor.editConfig('account');
      assert.equal(await editor.field('Password').inputValue(), '__PWRD__');
      const asked = page.waitForRequest('**/instant-audience/account/test');
      assert.match(await answer(), /^good: Works: me can log in at 127\.0\.0\.1:\d+/);
      assert.deepEqual(await steps(), [
        'Login: works',
        'Audience endpoint: works',
        'Member: works',
        'Segment list: works',
      ]);
      const sent = await asked;
      assert.ok(!(sent.postData() ?? '').includes(rightPassword));
      assert.ok(!(await (await sent.response())!.text()).includes(rightPassword));
    });

    it('says what is wrong with a login that is not saved yet, each in a sentence', async () => {
      await editor.field('Password').fill('wrong');
      await page.locator('#instant-audience-test-result[data-level=""]').waitFor({ state: 'attached' });
      assert.match(await answer(), /^bad: Wrong username or password/);
      assert.deepEqual((await steps()).slice(0, 2), ['Login: see above', 'Audience endpoint: not tested']);
      sandbox.faults.set([{ kind: 'error', errorId: 'NOAUTH_EXPIRED', on: 'auth' }]);
      assert.match(await answer(), /^bad: Password expired/);
      sandbox.faults.clear();
      await editor.field('API URL').fill('http://127.0.0.1:1');
      assert.match(await answer(), /^bad: Host not reachable: 127\.0\.0\.1:1 refuses/);
      await editor.field('Member ID').fill('');
      assert.match(await answer(), /^bad: Member ID: needed outside the sandbox/);
    });

    it('says below a field what is wrong with it, and for a screen reader too', async () => {
      const member = editor.field('Member ID');
      const problem = page.locator('#instant-audience-problem-member');
      assert.match(await problem.innerText(), /^Member ID: needed/);
      assert.equal(await member.getAttribute('aria-invalid'), 'true');
      assert.match((await member.getAttribute('aria-describedby')) ?? '', /instant-audience-problem-member/);
      await member.fill('seven');
      assert.match(await problem.innerText(), /^Member ID: digits only/);
      await member.fill('7');
      await problem.waitFor({ state: 'hidden' });
      assert.equal(await member.getAttribute('aria-invalid'), null);
    });

    it('says what a limit means as it is changed', async () => {
      await page.locator('#instant-audience-account-tabs').getByText('Limits').click();
      const meaning = page.locator('#instant-audience-limits-meaning');
      assert.match(await meaning.innerText(), /about 86 million users a day/);
      await editor.field('Users per second').fill('10');
      assert.match(await meaning.innerText(), /860 thousand users a day/);
      assert.match(await page.locator('#instant-audience-limits-slow').innerText(), /about 5 users a second/);
      await editor.cancel();
    });

    it('folds the advanced limits, and unfolds them where one was changed or is wrong', async () => {
      const openLimits = async (): Promise<void> => {
        await editor.editConfig('account');
        await page.locator('#instant-audience-account-tabs').getByText('Limits', { exact: true }).click();
      };
      await openLimits();
      const perCall = page.locator('#node-config-input-usersPerPost');
      await perCall.waitFor({ state: 'hidden' });
      await page.locator('#instant-audience-advanced summary').click();
      await editor.field('Users per post').fill('none');
      const problem = page.locator('#instant-audience-problem-usersPerPost');
      await problem.filter({ hasText: /^Users per post: a whole number from 1 to/ }).waitFor();
      await editor.field('Users per post').fill('500');
      await problem.waitFor({ state: 'hidden' });
      await editor.done();
      assert.equal((await editor.saved('account')).usersPerPost, 500);
      await openLimits();
      await perCall.waitFor();
      await perCall.fill('1000');
      await editor.done();
      await openLimits();
      await perCall.waitFor({ state: 'hidden' });
      await editor.cancel();
    });

    it('offers to encrypt a queue on disk alone, and lets a tick elsewhere be cleared', async () => {
      await editor.editConfig('account');
      await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
      const encrypt = page.locator('#node-config-input-encryptIds');
      await encrypt.waitFor();
      for (const queue of ['memory', 'shared']) {
        await editor.field('Store queue').selectOption(queue);
        await encrypt.waitFor({ state: 'hidden' });
      }
      await editor.field('Store queue').selectOption('disk');
      await encrypt.check();
      await editor.field('Store queue').selectOption('shared');
      const problem = page.locator('#instant-audience-problem-encryptIds');
      await problem.filter({ hasText: /cannot be encrypted/ }).waitFor();
      await encrypt.uncheck();
      await encrypt.waitFor({ state: 'hidden' });
      await editor.cancel();
    });

    it('has TLS and proxy behind boxes: a saved choice ticks its box, and a cleared box saves none', async () => {
      const lists = ['tls', 'proxy'].map((name) => page.locator(`#node-config-input-${name}`));
      await editor.editConfig('account');
      for (const [index, box] of ['Use TLS', 'Use a proxy'].entries()) {
        assert.equal(await editor.field(box).isChecked(), false);
        await lists[index]!.waitFor({ state: 'hidden' });
      }
      await editor.field('Use TLS').check();
      await lists[0]!.selectOption('ca');
      await editor.done();
      assert.equal((await editor.saved('account')).tls, 'ca');
      await editor.editConfig('account');
      assert.equal(await editor.field('Use TLS').isChecked(), true);
      await editor.field('Use TLS').uncheck();
      await editor.field('Use TLS').check();
      assert.equal(await lists[0]!.inputValue(), 'ca', 'a box ticked again');
      await editor.field('Use TLS').uncheck();
      await lists[0]!.waitFor({ state: 'hidden' });
      await editor.done();
      assert.equal((await editor.saved('account')).tls, '');
    });

    it('asks for the database of a shared queue in fields, and says what is wrong with them', async () => {
      await editor.editConfig('account');
      await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
      const host = editor.field('Database host');
      await host.waitFor({ state: 'hidden' });
      await editor.field('Store queue').selectOption('shared');
      const problem = page.locator('#instant-audience-problem-databaseHost');
      await problem.filter({ hasText: /^Database host: needed/ }).waitFor();
      await host.fill('postgres://db.example/audience');
      await problem
        .filter({ hasText: /^Database host: enter the name or address of the host only/ })
        .waitFor();
      await host.fill('db.example');
      await problem.waitFor({ state: 'hidden' });
      const warning = page.locator('#instant-audience-database-clear', { hasText: /^User IDs travel/ });
      await warning.waitFor();
      assert.match(await testDatabase(), /^bad: Database name: needed/);
      await editor.field('Use TLS').check();
      await page.locator('#node-config-input-databaseTls').selectOption('ca');
      await warning.waitFor({ state: 'detached' });
      await host.fill('127.0.0.1');
      await editor.field('Port').fill('1');
      await editor.field('Database name').fill('audience');
      await editor.field('Database user').fill('me');
      await editor.field('Database password').fill(rightPassword);
      await editor.field('Use TLS').uncheck();
      assert.match(await testDatabase(), /^bad: Database not reachable: .* to 127\.0\.0\.1:1\./);
      await editor.done();
      const { databaseBy, databaseHost, databasePort, databaseName, databaseUser, databaseTls } =
        await editor.saved('account');
      assert.deepEqual(
        [databaseBy, databaseHost, databasePort, databaseName, databaseUser, databaseTls],
        ['fields', '127.0.0.1', 1, 'audience', 'me', ''],
      );
      await editor.editConfig('account');
      assert.equal(await page.locator('#node-config-input-databasePassword').inputValue(), rightPassword);
      await editor.cancel();
    });

    it('asks for the database of a shared queue by URL, and says what is wrong with it', async () => {
      await editor.editConfig('account');
      await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
      const url = editor.field('Database URL');
      await url.waitFor({ state: 'hidden' });
      await editor.field('Database address').selectOption('url');
      const problem = page.locator('#instant-audience-problem-databaseUrl');
      await problem.filter({ hasText: /^Database URL: needed/ }).waitFor();
      await editor.done();
      const isValid = (): Promise<boolean> => page.evaluate("RED.nodes.node('account').valid");
      assert.equal(await isValid(), false, 'a red triangle');
      await editor.editConfig('account');
      await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
      await url.fill('host/database');
      await problem.filter({ hasText: /^Database URL: enter an address that begins/ }).waitFor();
      assert.match(await testDatabase(), /^bad: Database URL: enter an address that begins/);
      await url.fill('postgres://me:s3cr3t-word@127.0.0.1:1/database');
      await problem.waitFor({ state: 'hidden' });
      assert.match(await testDatabase(), /^bad: Database not reachable: .* to 127\.0\.0\.1:1\./);
      const warning = page
        .locator('#instant-audience-database-clear')
        .filter({ hasText: /^User IDs travel/ });
      await url.fill('postgres://me:s3cr3t-word@db.example/database');
      await warning.waitFor();
      await url.fill('postgres://me:s3cr3t-word@db.example/database?sslmode=verify-full');
      await warning.waitFor({ state: 'detached' });
    });

    it('tests the database before it is saved, and makes nothing in it', async function () {
      const server = await findPostgres();
      needService(this, server, 'PostgreSQL');
      const database = await freshPostgresDatabase(
        server,
        `audience_forms_${nodeRedVersion.replaceAll('.', '_')}`,
      );
      try {
        await editor.field('Database URL').fill(database.url);
        const host = new URL(database.url).host;
        assert.equal(
          await testDatabase(),
          `good: Works: connected to ${host}. The first deploy of an account with this queue creates its tables.`,
        );
        await editor.done();
        assert.equal(await page.evaluate("RED.nodes.node('account').valid"), true);
        // What follows is about an account with its queue on disk.
        await editor.editConfig('account');
        await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
        await editor.field('Store queue').selectOption('disk');
        await editor.done();
      } finally {
        await database.drop();
        await server.stop();
      }
    });
  });

  describe('the out node', () => {
    it('says what its choices about late adds mean, and keeps them', async () => {
      await openForm(editor, 'out');
      const hint = page.locator('#instant-audience-late-hint');
      await hint.filter({ hasText: /^The time in the segment counts from the event/ }).waitFor();
      await editor.field('Late adds').selectOption('asIs');
      await hint.filter({ hasText: /^The time counts from when the service reads/ }).waitFor();
      await editor.field('Unknown fields').check();
      await editor.done();
      const { lateAdds, allowUnknownFields } = await editor.saved('out');
      assert.deepEqual([lateAdds, allowUnknownFields], ['asIs', true]);
    });
  });

  describe('all of them', () => {
    it('are whole and readable in light and dark, in a window of 1024 pixels, with hints of one line', async () => {
      await page.setViewportSize({ width: 1024, height: 800 });
      for (const id of ['builder', 'out', 'account']) {
        await page.evaluate(`RED.view.reveal('builder')`);
        await openForm(editor, id);
        await checkForm(editor, id);
        assert.deepEqual(await page.evaluate(longHintsInPage, '.instant-audience-form'), [], id);
        await checkMore(editor, id, (part) => checkForm(editor, `${id}-${part}`));
        await editor.cancel();
      }
    });

    it('can be filled in by keyboard: Tab reaches every field and button, and each has a name', async () => {
      for (const id of ['builder', 'out', 'account']) {
        await openForm(editor, id);
        assert.deepEqual(await page.evaluate(unnamedInPage), [], `${id}: fields without a name`);
        await checkTabOrder(page, id);
        if (id === 'builder') {
          await editor.openTab('Preview');
          await says().filter({ hasText: /\w/ }).waitFor();
          assert.deepEqual(await page.evaluate(unnamedInPage), [], 'fields of the preview without a name');
          await checkTabOrder(page, 'preview');
        }
        await editor.cancel();
      }
    });
  });

  describe('the examples', () => {
    for (const example of examples) {
      it(`${example}: comes in without a complaint about our nodes`, async () => {
        const where = `library/examples/flows/${packageName}/${encodeURIComponent(example)}`;
        const flow = await nodeRed.json(where);
        await page.evaluate(importInPage, flow);
        const ours = (await editor.complaints()).filter((one) => one.startsWith('xandr-'));
        assert.deepEqual(ours, []);
        assert.deepEqual(await page.evaluate(missingInPage, flow), []);
        await page.evaluate('RED.history.pop()');
      });
    }
  });
});

async function openForm(editor: Editor, id: string): Promise<void> {
  if (id === 'account') await editor.editConfig(id);
  else {
    await editor.page.evaluate(`RED.editor.edit(RED.nodes.node('${id}'))`);
    await editor.formOpened();
  }
}

/** What a form shows only after somebody did something in it. */
async function checkMore(editor: Editor, id: string, check: (part: string) => Promise<void>): Promise<void> {
  const { page } = editor;
  if (id === 'builder') {
    await page.getByRole('button', { name: 'Search the member' }).click();
    await page.getByRole('combobox', { name: 'Name, code or ID' }).fill('s');
    await page.locator('.instant-audience-found .instant-audience-off').waitFor();
    await check('picker');
    await page.keyboard.press('Escape');
    await editor.openTab('Preview');
    await page.getByRole('button', { name: 'Make an example' }).click();
    await page.locator('#instant-audience-preview-says').filter({ hasText: 'This would be sent' }).waitFor();
    // A button below the mouse has a colour of the editor's own.
    await page.mouse.move(5, 5);
    await check('preview');
    await page.locator('#instant-audience-message').fill('{"payload":{"user":"0"}}');
    await page.locator('#instant-audience-preview-problems li').waitFor();
    await page.evaluate("$('#instant-audience-preview-problems')[0].scrollIntoView({ block: 'center' })");
    await check('wrong');
    await page.getByRole('button', { name: 'Make an example' }).click();
  }
  if (id === 'out') {
    await editor.field('Property').fill('');
    await page.locator('#instant-audience-problem-input').waitFor();
    await check('wrong');
  }
  if (id === 'account') {
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.locator('#instant-audience-test-result[data-level="good"]').waitFor();
    await check('tested');
    await editor.field('Password').fill('');
    await page.getByRole('tab', { name: 'Limits' }).click();
    await editor.field('Users per second').fill('2000');
    await page.locator('#instant-audience-limits-above').waitFor();
    await page.locator('#instant-audience-advanced summary').click();
    await editor.field('Users per post').fill('0');
    await check('limits');
    await page.getByRole('tab', { name: 'Queue' }).click();
    await check('queue');
    await editor.field('Store queue').selectOption('shared');
    await check('shared');
    await editor.field('Database address').selectOption('url');
    await check('shared-url');
  }
}

/** Tab leads from each field or button to the next one. */
async function checkTabOrder(page: Page, id: string): Promise<void> {
  const stops = await page.evaluate(stopsInPage);
  assert.ok(stops.length > 3, stops.join());
  for (const [index, stop] of stops.slice(1).entries()) {
    await page.evaluate(`document.querySelector('[data-stop="${index}"]').focus()`);
    await page.keyboard.press('Tab');
    const reached = await page.evaluate<string>('document.activeElement.dataset.stop');
    assert.equal(reached, String(index + 1), `${id}: Tab leads from ${stops[index]!} to ${stop}`);
  }
}

/** Nothing sticks out, nothing is a key for a word, and texts stand out from what is behind them, in each theme. */
async function checkForm(editor: Editor, name: string): Promise<void> {
  const { page } = editor;
  for (const theme of ['dark', 'light'] as const) {
    await editor.setTheme(theme);
    const { overflowing, raw, faint } = await page.evaluate(looksInPage, {
      root: '.instant-audience-form',
      decoration: '',
    });
    assert.deepEqual(overflowing, [], `${name}: wider than the form`);
    assert.deepEqual(raw, [], `${name}: keys for words`);
    assert.deepEqual(faint, [], `${name} (${theme}): hard to read`);
  }
  assert.deepEqual(
    await page.evaluate(longHintsInPage, '.instant-audience-account'),
    [],
    `${name}: hints of several lines`,
  );
}

// ── In the page ───────────────────────────────────────────────────────────────────────────────────────────────

/** As from the clipboard, without the mouse that would place it. */
function importInPage(flow: object[]): void {
  const { RED } = globalThis as any;
  const { nodes } = RED.nodes.import(flow, { generateIds: false, addFlow: false });
  RED.history.push({ t: 'add', nodes: nodes.map(({ id }: any) => id), dirty: false });
}

function missingInPage(flow: { id: string; type: string }[]): string[] {
  const { RED } = globalThis as any;
  const saved = new Set(RED.nodes.createCompleteNodeSet().map(({ id }: any) => id));
  return flow.filter(({ id }) => !saved.has(id)).map(({ id, type }) => `${type} ${id}`);
}

function unnamedInPage(): string[] {
  const { document } = globalThis as any;
  const unnamed: string[] = [];
  for (const field of document.querySelectorAll(
    '.instant-audience-form input:not([type=hidden]), .instant-audience-form select, .instant-audience-form textarea, .instant-audience-form button, .instant-audience-form a',
  )) {
    if (field.offsetParent === null) continue;
    const labels = [...(field.labels ?? [])].map((label: any) => label.innerText).join('');
    const name = field.getAttribute('aria-label') ?? '';
    if (
      `${labels}${name}${field.tagName === 'BUTTON' || field.tagName === 'A' ? field.innerText : ''}`.trim() !==
      ''
    )
      continue;
    unnamed.push(field.outerHTML.slice(0, 150));
  }
  return unnamed;
}

/** Marks what the keyboard must reach, in order, by numbers; the texts are for whoever reads a failure. */
function stopsInPage(): string[] {
  const { document } = globalThis as any;
  const all = document.querySelectorAll(
    ['input:not([type=hidden])', 'select', 'textarea', 'button', 'a', 'pre', 'summary']
      .map((tag) => `.instant-audience-form ${tag}`)
      .join(', '),
  );
  // The button of a typed input that has one type only is no choice; a link that is off can still be reached.
  const isStop = (one: any): boolean =>
    one.offsetParent !== null && one.tabIndex >= 0 && (!one.disabled || one.tagName === 'A');
  return [...all].filter(isStop).map((one: any, index) => {
    one.dataset.stop = String(index);
    return `${one.id} ${one.getAttribute('aria-label')} ${one.innerText}`;
  });
}

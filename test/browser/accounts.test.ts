// Accounts in the editor: distinct names, deletion under a node that uses them, and wrong URLs.
import { strict as assert } from 'node:assert';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { picture } from '../support/browser';
import { nodeRedVersion, until, type FlowNode, type NodeRed } from '../support/node-red';
import type { Editor } from './editor';
import { accountFlow, openTab, postUsers, tab } from './sidebar-flows';
import { editorSuite } from './suite';

const longName = 'the account of the shop for kitchens, bathrooms and gardens in all of Europe';

describe(`accounts in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let sandbox: Sandbox;
  let editor: Editor;

  before(async function () {
    sandbox = await startSandbox({ member: 7 });
    suite.ends(() => sandbox.close());
    const custom = {
      name: longName,
      environment: 'custom',
      authUrl: sandbox.url,
      serviceUrl: `${sandbox.url}/no/such/place`,
      member: '7',
    };
    const flows: FlowNode[] = [
      tab,
      ...accountFlow('one', { name: '' }),
      ...accountFlow('two', { name: '' }, 1),
      ...accountFlow('long', custom, 2),
      ...accountFlow('shop', { ...custom, name: 'the shop', serviceUrl: `${sandbox.url}/nor/here` }, 3),
    ];
    const login = { username: 'me', password: 'secret-word' };
    const credentials = { 'account-long': login, 'account-shop': login };
    ({ nodeRed, editor } = await suite.open(this, { flows, credentials }));
  });

  it('have names of their own in the list of a form, also without one', async () => {
    await editor.edit('out-one');
    const names = await editor.field('Account').locator('option').allTextContents();
    await editor.cancel();
    assert.deepEqual(names.slice(0, 2).sort(), ['sandbox (-one)', 'sandbox (-two)']);
  });

  it('name a wrong URL in the tab, which breaks between its parts only', async () => {
    await postUsers(nodeRed, 'long', 0, 1);
    await openTab(editor.page);
    const card = editor.page.locator('.instant-audience-tab section').filter({ hasText: longName });
    const state = card.locator('.instant-audience-state');
    await until(async () => (await state.textContent())!.startsWith('wrong URL · '), 15_000, 'the state');
    const url = card.locator('.instant-audience-url').first();
    assert.equal(await url.textContent(), `${sandbox.url}/no/such/place/rt-segment`);
    const parts = await editor.page.locator('.instant-audience-url:visible > *').evaluateAll((all) =>
      all.map((one: any) => {
        const range = one.ownerDocument.createRange();
        range.selectNodeContents(one.firstChild);
        const lines = new Set([...range.getClientRects()].map(({ top }) => top)).size;
        return { text: one.textContent, lines };
      }),
    );
    assert.ok(parts.some(({ text }) => text === 'rt-segment'));
    assert.deepEqual(
      parts.filter(({ lines }) => lines > 1),
      [],
    );
  });

  it('with a corrected URL offer choices for queued entries, and move them after the deploy', async () => {
    const { page } = editor;
    await editor.editConfig('account-long');
    const place = page.locator('#instant-audience-queued');
    assert.equal(await place.isVisible(), false);
    // Whoever goes from the field straight to Update has to see it too.
    await editor.field('Audience URL').fill(sandbox.url);
    await place.waitFor();
    assert.match(
      await place.locator('p').innerText(),
      new RegExp(`^Queued entries for member 7 at ${sandbox.url}/no/such/place: 1\\.`),
    );
    await editor.field('Queued entries').selectOption('move');
    await picture(page, `form-queued-${nodeRedVersion}`);
    await page.locator('#node-config-dialog-ok:visible').click();
    await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
    await editor.deploy();
    // Nothing is said of entries that were kept; 4.1 has a button in the notification.
    await page
      .locator('.red-ui-notification', { hasText: /moved to the new queue: 1\.(?!.*Kept)/ })
      .waitFor();
    await until(() => sandbox.state().length === 1, 15_000, 'the entry');
  });

  it('with another kind of queue offer the possible choices, explain missing ones, and discard after the deploy', async () => {
    const { page } = editor;
    await postUsers(nodeRed, 'shop', 0, 2);
    await editor.editConfig('account-shop');
    const place = page.locator('#instant-audience-queued');
    await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
    const kind = editor.field('Store queue');
    await kind.selectOption('memory');
    await place.waitFor();
    const sentence = await place.locator('p').innerText();
    assert.match(sentence, /: 2\..* They cannot be moved, because a queue in memory does not survive/);
    const choices = editor.field('Queued entries');
    assert.deepEqual(await choices.locator('option').allTextContents(), ['keep in the old queue', 'discard']);
    await kind.selectOption('disk');
    await place.waitFor({ state: 'hidden' });
    await kind.selectOption('memory');
    await place.waitFor();
    await choices.selectOption('discard');
    await picture(page, `form-queued-memory-${nodeRedVersion}`);
    await page.locator('#node-config-dialog-ok:visible').click();
    await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
    await editor.deploy();
    await page.locator('.red-ui-notification', { hasText: 'Discarded queued entries: 2.' }).waitFor();
  });

  it('keep entries for the old address when that was chosen, say so, and name their queue as people do', async () => {
    const { page } = editor;
    const wrong = `${sandbox!.url}/nowhere`;
    const changeTo = async (url: string): Promise<void> => {
      await editor.editConfig('account-long');
      await editor.field('Audience URL').fill(url);
      if (url !== wrong) await editor.field('Queued entries').selectOption('keep');
      await page.locator('#node-config-dialog-ok:visible').click();
      await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
      await editor.deploy();
    };
    await changeTo(wrong);
    const status = editor.nodeOnCanvas('out-long').locator('.red-ui-flow-node-status-label');
    await postUsers(nodeRed!, 'long', 7, 1);
    // The form asks once for queued entries, so the entry must be in the queue.
    await status.filter({ hasText: /^wrong URL/ }).waitFor();
    await changeTo(sandbox!.url);
    await status.filter({ hasText: /^1 in old queue$/ }).waitFor();
    await openTab(page);
    const part = page
      .locator('.instant-audience-tab section')
      .filter({ hasText: 'Queues that no account uses' });
    // The old queue stays open for some seconds.
    await part.waitFor({ timeout: 60_000 });
    await part.locator('.instant-audience-head').click();
    const lines = part.locator('li p');
    assert.equal(await lines.first().innerText(), `${longName}: member 7 at ${wrong}`);
    assert.match(await lines.last().innerText(), /^File: http.*127\.0\.0\.1.*-7-[0-9a-f]{8}\.sqlite$/);
    await picture(page, `kept-for-old-address-${nodeRedVersion}`);
    await page.evaluate("RED.sidebar.show('debug')");
    const warning = /Entries kept in the old queue: 1\..*/;
    await page.locator('.red-ui-debug-msg', { hasText: warning }).last().waitFor();
    // The debug tab shortens a long text; the log has all of it.
    const logged = nodeRed.output.match(new RegExp(warning, 'g')) ?? [];
    assert.equal(logged.filter((line) => line.includes(wrong)).length, 1, logged.join('\n'));
    await openTab(page);
    await part.getByRole('button', { name: /^Move to/ }).click();
    await status.filter({ hasText: /^ready$/ }).waitFor();
  });

  it('that are deleted leave their nodes without one, and none is chosen for them', async () => {
    const { page } = editor;
    for (const id of ['account-two', 'account-long']) {
      await editor.editConfig(id);
      await page.locator('.red-ui-tray-toolbar button:visible', { hasText: 'Delete' }).click();
      await page.waitForFunction(`!RED.nodes.node('${id}')`);
      await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
    }
    await editor.edit('out-two');
    assert.equal(await editor.field('Account').inputValue(), '_ADD_');
    await editor.done();
    assert.equal((await editor.saved('out-two')).account, '');
  });
});

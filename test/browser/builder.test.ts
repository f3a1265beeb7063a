// A segment builder as somebody meets it in a real editor: what its form takes and finds, on a tab and in a subflow, what the
// browser's console has to say, and where its failures show.
import { strict as assert } from 'node:assert';
import type { Locator, Page } from 'playwright-core';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { nodeRedVersion, until, type FlowNode, type NodeRed } from '../support/node-red';
import type { Editor } from './editor';
import { editorSuite } from './suite';

const password = 's3cr3t-word';

function flowsFor(url: string): FlowNode[] {
  const custom = { environment: 'custom', authUrl: url, serviceUrl: url, member: '7' };
  const built = { type: 'xandr-segment-builder', userId: 'payload.user', segments: [{ segment: '10001' }] };
  const input = (id: string, y: number, to: string): FlowNode[] => [
    { id, type: 'http in', z: 'tab', x: 60, y, url: `/${id}`, method: 'post', wires: [[to, `${id} ok`]] },
    { id: `${id} ok`, type: 'http response', z: 'tab', x: 60, y: y + 40, statusCode: '', headers: {} },
  ];
  return [
    { id: 'tab', type: 'tab', label: 'builder' },
    { id: 'account', type: 'xandr-account', name: 'seat', ...custom },
    { ...built, id: 'builder', z: 'tab', x: 300, y: 100, account: 'account', wires: [['out'], []] },
    {
      id: 'out',
      type: 'xandr-instant-audience-out',
      z: 'tab',
      x: 560,
      y: 100,
      account: 'account',
      wires: [[], []],
    },
    ...input('event', 100, 'builder'),
    { id: 'sub', type: 'subflow', name: 'sub', in: [{ x: 40, y: 40, wires: [{ id: 'inner' }] }], out: [] },
    { id: 'inner account', type: 'xandr-account', z: 'sub', name: 'inner seat', ...custom },
    { ...built, id: 'inner', z: 'sub', x: 300, y: 60, account: 'inner account', wires: [[], []] },
    { id: 'instance', type: 'subflow:sub', z: 'tab', x: 300, y: 300, wires: [] },
    ...input('through', 300, 'instance'),
  ];
}

describe(`a segment builder in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let sandbox: Sandbox;
  let editor: Editor;
  let page: Page;
  /** Requests of ours that the browser reports in its console. */
  const failed: string[] = [];

  before(async function () {
    sandbox = await startSandbox({ member: 7, users: { me: password } });
    suite.ends(() => sandbox.close());
    const login = { username: 'me', password };
    const credentials = { account: login, 'inner account': login };
    ({ nodeRed, editor, page } = await suite.share(this, {
      flows: flowsFor(sandbox.url),
      credentials,
    }));
    page.on('response', (response) => {
      if (response.status() >= 400 && response.url().includes('instant-audience'))
        failed.push(`${response.status()} ${response.url()}`);
    });
  });
  afterEach(() => assert.deepEqual(failed.splice(0), []));

  const says = (): Locator => page.locator('#instant-audience-preview-says');
  const pick = (): Promise<void> => page.getByRole('button', { name: 'Search the member' }).click();
  const take = async (): Promise<void> => {
    await editor.openTab('Preview');
    await page.getByRole('button', { name: 'Use the last message' }).click();
  };
  const taken = async (): Promise<any> =>
    JSON.parse(await page.locator('#instant-audience-message').inputValue()).payload;

  describe('the segment picker', () => {
    const search = (): Locator => page.getByRole('combobox', { name: 'Name, code or ID' });
    const chosen = (): Locator => page.getByRole('option', { selected: true });

    it('is searched by name, code and id, and marks what is inactive', async () => {
      await editor.edit('builder');
      await pick();
      await page.getByText('Segments: 15.').waitFor();
      for (const [words, found] of [
        ['garden', 'Garden: viewed a product'],
        ['cart_leavers', 'Left a filled cart'],
        ['10005', 'Loyalty programme'],
      ] as const) {
        await search().fill(words);
        await chosen().filter({ hasText: found }).waitFor();
      }
      await search().fill('summer');
      await chosen()
        .filter({ hasText: /summer_sale_2019 · 10999\s*inactive/ })
        .waitFor();
      await search().fill('nothing of that name');
      await page.getByText('No match.').waitFor();
    });

    it('closes on Escape and gives the focus back, and the form stays open', async () => {
      await page.keyboard.press('Escape');
      await search().waitFor({ state: 'detached' });
      assert.equal(
        await page.evaluate('document.activeElement.className.includes("instant-audience-search")'),
        true,
      );
      assert.equal(await editor.field('Segment').inputValue(), '10001');
    });

    it('works by keyboard alone, for an id and for a code with its member', async () => {
      await page.keyboard.press('Enter');
      await page.getByText('Segments: 15.').waitFor();
      await page.keyboard.type('kitchen');
      // Each key takes the choice away; it comes back with the answer to the last one.
      await chosen().filter({ hasText: 'Kitchen' }).waitFor();
      await page.getByText('Segments: 2.').waitFor();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await search().waitFor({ state: 'detached' });
      assert.equal(await editor.field('Segment').inputValue(), '10001');
      await page.locator('.instant-audience-picked', { hasText: 'Kitchen: viewed a product' }).waitFor();
      await editor.field('Segment by').selectOption('code');
      await pick();
      await search().fill('buyers');
      await chosen().filter({ hasText: 'Bought something' }).waitFor();
      await page.keyboard.press('Enter');
      assert.equal(await editor.field('Segment').inputValue(), 'buyers');
      assert.equal(await editor.field('Member').inputValue(), '7');
    });

    it('opens at a name typed where an id belongs, and leaves the field as it was', async () => {
      await editor.field('Segment by').selectOption('id');
      await editor.field('Segment').fill('10002');
      await page.keyboard.press('Tab');
      await editor.field('Segment').focus();
      await page.keyboard.type('kitchen viewed');
      assert.equal(await search().inputValue(), 'kitchen viewed');
      await chosen().filter({ hasText: 'Kitchen: viewed' }).waitFor();
      assert.equal(await editor.field('Segment').inputValue(), '10002');
      await page.keyboard.press('Enter');
      await search().waitFor({ state: 'detached' });
      assert.equal(await editor.field('Segment').inputValue(), '10001');
      await editor.field('Segment').fill('${SEGMENT}');
      await editor.field('Segment by').selectOption('code');
      await editor.field('Segment').fill('kitchen');
      assert.equal(await search().count(), 0);
    });

    it('still takes a typed value, and forgets the name of what was picked before', async () => {
      await editor.field('Segment').fill('own_code');
      await page.locator('.instant-audience-picked').waitFor({ state: 'hidden' });
      await editor.cancel();
    });

    it('says what to do without an account, and searches through one that is not deployed', async () => {
      const added = await editor.drag('xandr-segment-builder', 300, 300);
      await editor.edit(added);
      await page.getByLabel('Account', { exact: true }).selectOption('_ADD_');
      await pick();
      await page.getByText('Choose an account above').waitFor();
      await page.keyboard.press('Escape');
      await page.evaluate(addConfig, { id: 'fresh', environment: 'production', member: '8' });
      await page.evaluate(addConfig, { id: 'play', environment: 'sandbox', member: '' });
      await page.evaluate(chooseAccount, 'fresh');
      await pick();
      await page.getByText('Username: needed outside the sandbox.').waitFor();
      await page.keyboard.press('Escape');
      await page.evaluate(chooseAccount, 'play');
      await pick();
      await page.getByText('Segments: 15.').waitFor();
      await page.keyboard.press('Escape');
      await page.evaluate(addConfig, {
        ...{ id: 'own', environment: 'custom', member: '7', authUrl: sandbox.url, serviceUrl: sandbox.url },
        credentials: { username: 'me', password },
      });
      await page.evaluate(chooseAccount, 'own');
      await pick();
      await page.getByText('Segments: 15.').waitFor();
      await editor.cancel();
      await page.evaluate(
        "RED.history.pop(); for (const id of ['fresh', 'play', 'own']) RED.nodes.remove(id)",
      );
    });

    it('searches with the account as the editor has it, and with its stored password', async () => {
      await editor.editConfig('account');
      await page.locator('#instant-audience-account-tabs').getByText('Queue').click();
      await editor.field('Warn after').fill('3');
      await editor.done();
      await editor.edit('builder');
      const asked = page.waitForRequest('**/instant-audience/account/segments');
      await pick();
      await page.getByText('Segments: 15.').waitFor();
      const { values } = (await asked).postDataJSON() as { values: Record<string, unknown> };
      assert.deepEqual([values.username, values.password, values.warnAfterMinutes], ['me', '__PWRD__', 3]);
      await editor.cancel();
    });
  });

  describe('the preview', () => {
    const message = (): Locator => page.locator('#instant-audience-message');
    const problems = async (): Promise<string[]> =>
      page.locator('#instant-audience-preview-problems li').allInnerTexts();
    const request = async (): Promise<any> => {
      const text = (await page.locator('#instant-audience-preview-json').textContent()) ?? '';
      return text === '' ? null : JSON.parse(text);
    };

    it('does not move its buttons after it opens', async () => {
      await editor.edit('builder');
      // Its example is taller than an empty field.
      await editor.field('Create from').selectOption('items');
      const opened = await page.evaluate(takeButtonTop, true);
      await says().filter({ hasText: 'This would be sent' }).waitFor();
      assert.equal(await page.evaluate(takeButtonTop, false), opened);
      await editor.cancel();
    });

    it('starts with an example that fits the form, and follows the form', async () => {
      await editor.edit('builder');
      await editor.openTab('Preview');
      await says().filter({ hasText: 'This would be sent.' }).waitFor();
      assert.deepEqual((await request()).rt_segment[0], {
        user_id: '12345678900987654321',
        seg_block: [{ seg_id: 10001, expiration: 43200 }],
      });
      await editor.openTab('Entry');
      await editor.field('Expires after').fill('2');
      await editor.field('Unit').selectOption('hours');
      await editor.openTab('Preview');
      await until(
        async () => (await request())?.rt_segment[0].seg_block[0].expiration === 120,
        5000,
        'two hours in the preview',
      );
    });

    it('says which field of a message is wrong, and why, while it is typed', async () => {
      await message().fill('{"payload":{"user":12345678900987654321}}');
      await says().filter({ hasText: 'This would not be sent' }).waitFor();
      assert.match((await problems()).join(), /^User ID: .* has lost its last digits; pass a string/);
      await message().fill('{"payload":{}}');
      await until(
        async () =>
          (await problems()).some((one) => one.startsWith('User ID: msg.payload.user has no value')),
        5000,
        'what the user id lacks',
      );
      await message().fill('{"payload":');
      await says().filter({ hasText: 'This is not JSON' }).waitFor();
      await message().fill('{"payload":{"user":"7"}}');
      await says().filter({ hasText: 'This would be sent.' }).waitFor();
    });

    it('doubts a platform id that looks like one of a device', async () => {
      const note = page.locator('#instant-audience-preview-note');
      await message().fill('{"payload":{"user":"1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13"}}');
      await note.filter({ hasText: 'looks like a device ID' }).waitFor();
      await message().fill('{"payload":{"user":"7"}}');
      await note.waitFor({ state: 'hidden' });
    });

    it('says what of the form is missing', async () => {
      await editor.openTab('Entry');
      await editor.field('User ID').fill('');
      const problem = page.locator('#instant-audience-problem-userId');
      await problem.filter({ hasText: 'User ID: enter a property' }).waitFor();
      await editor.openTab('Preview');
      await says().filter({ hasText: 'The node is not set up yet' }).waitFor();
      assert.match((await problems()).join(), /^User ID: enter a property/);
      await editor.openTab('Entry');
      await editor.field('User ID').fill('payload.user');
      await editor.openTab('Preview');
      await says().filter({ hasText: 'This would be sent.' }).waitFor();
    });

    it('asks the runtime for what only the runtime knows', async () => {
      const readUserId = async (type: string, value: string): Promise<void> => {
        await editor.openTab('Entry');
        const set = `.typedInput('type','${type}').typedInput('value','${value}')`;
        await page.evaluate(`$('#node-input-userId')${set}`);
        await editor.openTab('Preview');
      };
      await readUserId('jsonata', 'payload.user & "-x"');
      await until(
        async () => (await request())?.rt_segment[0].user_id === '7-x',
        5000,
        'the value of the expression',
      );
      await readUserId('flow', 'nobody');
      await until(
        async () => (await problems()).join().includes('flow.nobody has no value'),
        5000,
        'a flow variable that is not there',
      );
    });

    it('shows of a list which items are wrong, and sends the others', async () => {
      await editor.cancel();
      await editor.edit('builder');
      await editor.field('Create from').selectOption('items');
      await editor.openTab('Preview');
      await message().fill('{"payload":[{"user":"1"},{"user":"0"},{}]}');
      await says().filter({ hasText: '1 of 3 items would be sent; these would not:' }).waitFor();
      const told = await problems();
      assert.match(told[0]!, /^Item 1: User ID: 0 stands for/);
      assert.match(told[1]!, /^Item 2: User ID: item\.user has no value/);
      await editor.cancel();
    });
  });

  describe('the preview of several users', () => {
    it('packs calls by the limits of the chosen account', async () => {
      await editor.edit('builder');
      await editor.field('Create from').selectOption('items');
      await editor.openTab('Preview');
      const json = page.locator('#instant-audience-preview-json');
      const calls = async (): Promise<number> =>
        ((await json.textContent()) ?? '').split('rt_segment').length - 1;
      await page.locator('#instant-audience-message').fill('{"payload":[{"user":"1"},{"user":"2"}]}');
      await says().filter({ hasText: 'This would be sent' }).waitFor();
      await until(async () => (await calls()) === 1, 5000, 'both in one call');
      await page.evaluate("RED.nodes.node('account').usersPerPost = 1");
      await page.locator('#instant-audience-message').fill('{"payload":[{"user":"1"},{"user":"3"}]}');
      await until(async () => (await calls()) === 2, 5000, 'a call for each');
      await page.evaluate("RED.nodes.node('account').usersPerPost = 1000");
      await editor.cancel();
    });
  });

  // After the preview, which starts with an example while no message was used.
  describe('messages and failures', () => {
    it('gives its form the last message that passed, also one that passed before it was opened', async () => {
      await nodeRed.post('event', { user: '4711' });
      await editor.edit('builder');
      await take();
      await page.getByText('Using the message from').waitFor();
      assert.equal((await taken()).user, '4711');
      await editor.cancel();
    });

    it('keeps what is typed while it asks for the last message', async () => {
      const typing = Promise.withResolvers<undefined>();
      await page.route('**/last-message', async (route) => {
        const response = await route.fetch();
        await typing.promise;
        await route.fulfill({ response });
      });
      await editor.edit('builder');
      const asked = page.waitForRequest('**/last-message');
      const answered = page.waitForResponse('**/last-message');
      await take();
      await asked;
      await page.locator('#instant-audience-message').fill('{"payload":{"user":"typed"}}');
      typing.resolve(undefined);
      await (await answered).finished();
      await says().filter({ hasText: 'This would be sent' }).waitFor();
      assert.equal((await taken()).user, 'typed');
      await page.unroute('**/last-message');
      await editor.cancel();
    });

    it('logs nothing to the console while it is open and not deployed, and shows the next step', async () => {
      const added = await editor.drag('xandr-segment-builder', 300, 420);
      await editor.edit(added);
      await take();
      await page.getByText('No message can pass yet').waitFor();
      await editor.cancel();
      await page.evaluate('RED.history.pop()');
    });

    it('finds in a subflow the nodes and the login of its instances', async () => {
      await nodeRed.post('through', { user: 'inside' });
      await page.evaluate("RED.workspaces.show('sub')");
      await editor.edit('inner');
      await take();
      await page.getByText('Using the message from').waitFor();
      assert.equal((await taken()).user, 'inside');
      await editor.openTab('Entry');
      await pick();
      await page.getByText('Segments: 15.').waitFor();
      await page.keyboard.press('Escape');
      await editor.cancel();
      await page.evaluate("RED.editor.editConfig('', 'xandr-account', 'inner account')");
      await page.getByRole('button', { name: 'Test connection' }).click();
      const result = page.locator('#instant-audience-test-result[data-level]:not([data-level=""])');
      await result.waitFor();
      assert.equal(await result.getAttribute('data-level'), 'good', await result.innerText());
      await page.locator('#node-config-dialog-cancel').click();
      await page.evaluate("RED.workspaces.show('tab')");
    });

    it('shows its failures in its status, whole in the debug sidebar, and with the queue', async () => {
      await page.evaluate("RED.sidebar.show('debug')");
      await nodeRed.post('event', { user: '0' });
      const status = editor.nodeOnCanvas('builder').locator('.red-ui-flow-node-status-label');
      await status.filter({ hasText: '1 invalid' }).waitFor();
      const message = page.locator('.red-ui-debug-msg').last();
      const sentence = 'User ID: 0 stands for an opted-out user; leave it out';
      await until(
        async () => (await message.innerText()).includes(sentence),
        10_000,
        'the whole sentence in the debug sidebar',
      );
      await page.evaluate("RED.sidebar.show('instant-audience')");
      await page.locator('.instant-audience-tab').getByRole('button', { name: 'Details' }).first().click();
      const figure = page.locator('.instant-audience-tab dt:text-is("Invalid") + dd').first();
      await until(async () => (await figure.textContent()) === '1', 15_000, 'one invalid in the tab');
    });

    it('shows no status any more on a flow that is disabled', async () => {
      for (const enabled of [false, true]) {
        await page.evaluate(`RED.workspaces.${enabled ? 'enable' : 'disable'}('tab')`);
        await editor.deploy();
        const status = editor.nodeOnCanvas('out').locator('.red-ui-flow-node-status-label');
        await until(
          async () => ((await status.textContent()) ?? '') === (enabled ? 'ready' : ''),
          10_000,
          () => (enabled ? 'the status' : 'no status'),
        );
        assert.equal(
          (await editor.nodeOnCanvas('builder').locator('.red-ui-flow-node-status-label').textContent()) ??
            '',
          '',
        );
      }
    });
  });
});

// ── In the page ───────────────────────────────────────────────────────────────────────────────────────────────

/** Where the button is now, or at once after its tab is opened. */
function takeButtonTop(opens: boolean): number {
  const { document } = globalThis as any;
  if (opens) document.querySelector('a[href="#instant-audience-tab-preview"]').click();
  return document.getElementById('instant-audience-take').getBoundingClientRect().top;
}

function addConfig({ credentials, ...account }: { id: string; credentials?: object }): void {
  const { RED } = globalThis as any;
  RED.nodes.import([{ type: 'xandr-account', name: account.id, ...account }], { generateIds: false });
  Object.assign(RED.nodes.node(account.id), { credentials });
}

/** The list of accounts was made before these were there. */
function chooseAccount(id: string): void {
  const { $ } = globalThis as any;
  const list = $('#node-input-account');
  list.append($('<option>').val(id).text(id)).val(id).trigger('change');
}

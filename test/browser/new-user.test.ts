// The first accepted user, from an empty canvas and from the quick start, for a person who has read nothing; and the first run of
// an audience, for one who follows docs/keep-a-segment.md. Each drag, wire, form, Done, deploy and press is a step, and a look at
// the result counts extra; nothing is typed but the payload of the inject node.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { picture, reloadEditor } from '../support/browser';
import { nodeRedVersion, until, type NodeRed } from '../support/node-red';
import { readExample } from '../examples/support';
import { openTab } from './sidebar-flows';
import type { Editor } from './editor';
import { editorSuite } from './suite';

const user = '12345678900987654321';

describe(`a new user of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let editor: Editor;
  let steps: string[];
  let looks: string[];

  beforeEach(() => {
    steps = [];
    looks = [];
  });
  before(async function () {
    const tab = { id: 'tab', type: 'tab', label: 'try' };
    // Wide enough for the value of a message on one line.
    ({ nodeRed, editor } = await suite.open(this, {
      flows: [tab],
      size: { width: 1500, height: 900 },
    }));
  });

  const did = (step: string): void => void steps.push(step);
  const looked = (look: string): void => void looks.push(look);
  /** Node-RED 5 shows the debug messages below another tab. */
  const openDebug = async (): Promise<void> => {
    if (nodeRedVersion === '5') return;
    await editor.page.evaluate("RED.sidebar.show('debug')");
    looked('open the debug tab');
  };
  const members = async (): Promise<string[]> => {
    const segments = await nodeRed.json('instant-audience/sandbox/members?segment=10001');
    return segments.flatMap((segment: any) => segment.members.map((member: any) => member.user_id));
  };
  const debugMessage = () => editor.page.locator('.red-ui-debug-msg').last();
  const press = (id: string): Promise<void> =>
    editor.nodeOnCanvas(id).locator('.red-ui-flow-node-button-button').first().click();
  const finish = (most: number): void => {
    console.log(`      ${steps.length} steps: ${steps.join(', ')}`);
    console.log(`      ${looks.length} looks: ${looks.join(', ')}`);
    assert.ok(steps.length <= most, `${steps.length} steps instead of ${most}`);
  };

  it('sees an accepted user after 13 steps from an empty canvas', async () => {
    const { page } = editor;
    const inject = await editor.drag('inject', 120, 200);
    did('drag inject');
    const debug = await editor.drag('debug', 820, 200);
    did('drag debug');
    await editor.wire(inject, 0, debug);
    did('wire');
    const builder = await editor.drag('xandr-segment-builder', 340, 200, 'wire');
    did('drag segment builder onto the wire');
    const out = await editor.drag('xandr-instant-audience-out', 580, 200, 'wire');
    did('drag instant audience out onto the wire');
    for (const [from, to] of [
      [inject, builder],
      [builder, out],
      [out, debug],
    ] as const)
      assert.ok(((await editor.saved(from)).wires as string[][])[0]!.includes(to), `${from} leads to ${to}`);
    assert.deepEqual(await editor.complaints(), []);

    await openCoreForm(inject);
    did('open inject');
    const payload = JSON.stringify({ user, segment: 10001 });
    await page.evaluate(setPayloadInPage, payload);
    await closeCoreForm();
    did('Done');
    await openCoreForm(debug);
    did('open debug');
    await page.evaluate("$('#node-input-typed-complete').typedInput('type', 'full')");
    await closeCoreForm();
    did('Done');
    await editor.deploy();
    did('deploy');
    await press(inject);
    did('press');
    await openDebug();
    for (const [step, what] of [
      ['unfold the message', debugMessage().locator('.red-ui-debug-msg-object-header').first()],
      [
        'unfold audience',
        debugMessage()
          .locator('.red-ui-debug-msg-object-entry', { hasText: /^\W*audience/ })
          .first(),
      ],
    ] as const) {
      await what.click();
      looked(step);
    }
    await debugMessage().getByText('"accepted"').waitFor();
    await picture(page, `new-user-${nodeRedVersion}`);
    assert.deepEqual(await members(), [user]);
    finish(13);
  });

  it('sees a user accepted and removed after 4 steps from the import of the quick start', async () => {
    await nodeRed.deploy([{ id: 'tab', type: 'tab', label: 'try' }]);
    await reloadEditor(editor.page);
    const { page } = editor;
    await page.evaluate(
      (nodes) => (globalThis as any).RED.view.importNodes(nodes),
      readExample('quick start'),
    );
    await page.locator('#red-ui-workspace-tabs').getByText('quick start').click();
    const [viewed, bought] = readExample('quick start').filter(({ type }) => type === 'inject');
    assert.deepEqual(await editor.complaints(), []);
    await editor.deploy();
    did('deploy');
    await press(viewed!.id);
    did('press viewed');
    await openDebug();
    await debugMessage().getByText('"accepted"').waitFor();
    await until(async () => (await members()).includes(user), 10_000, 'the viewer');
    await openTab(page);
    looked('open the tab Audience');
    await page.locator('.instant-audience-tab').getByText(user).waitFor();
    await picture(page, `quick-start-${nodeRedVersion}`);
    await press(bought!.id);
    did('press bought');
    await until(async () => !(await members()).includes(user), 10_000, 'the buyer out');
    finish(4);
  });

  it('keeps a segment, and accepts a refused run, after 22 steps by the words of docs/keep-a-segment.md', async () => {
    await nodeRed.deploy([{ id: 'tab', type: 'tab', label: 'try' }]);
    await reloadEditor(editor.page);
    const { page } = editor;
    const text = readFileSync(
      path.join(__dirname, '..', '..', 'docs', 'keep-a-segment.md'),
      'utf8',
    ).replaceAll(/\s+/g, ' ');
    /** A word of the editor, as the page has it. */
    const said = (word: string): string => {
      assert.ok(new RegExp(`(\\*\\*|_|\`)${word}(\\*\\*|_|\`)`).test(text), `the page says ${word}`);
      return word;
    };
    const [rows] = /\[\{"id".*?\}\]/.exec(text)!;
    const inject = await editor.drag(said('inject'), 120, 200);
    const sync = await editor.drag('xandr-audience-sync', 340, 200);
    const debug = await editor.drag(said('debug'), 600, 200);
    assert.equal(await editor.labelOf(sync), said('audience sync'));
    for (const each of ['inject', 'audience sync', 'debug']) did(`drag ${each}`);
    await editor.wire(inject, 0, sync);
    await editor.wire(sync, 0, debug);
    await editor.wire(sync, 1, debug);
    for (const each of ['inject', 'output 1', 'output 2']) did(`wire ${each}`);
    const fillIn = async (payload: string): Promise<void> => {
      await openCoreForm(inject);
      did('open inject');
      await page.evaluate(setPayloadInPage, payload);
      await closeCoreForm();
      did('Done');
    };
    await fillIn(rows);
    await editor.edit(sync);
    did('open audience sync');
    await editor.field(said('Segment')).waitFor();
    await page.getByRole('button', { name: 'Search the member’s segments' }).click();
    did('magnifying glass');
    await page.locator('.instant-audience-found li').first().click();
    did('choose a segment');
    const segment = await editor.field('Segment').inputValue();
    for (const label of ['User ID', 'ID type', 'Expires after', 'Most removals'])
      await page
        .locator('.instant-audience-form label', { hasText: said(label) })
        .first()
        .waitFor();
    assert.equal(await page.locator('#node-input-maxRemovals').inputValue(), '20');
    await editor.done();
    did('Done');
    assert.deepEqual(await editor.complaints(), []);
    const deployAndPress = async (): Promise<void> => {
      await editor.deploy();
      did('deploy');
      await press(inject);
      did('press');
    };
    await deployAndPress();
    await openDebug();
    const unfold = async (): Promise<void> => {
      await debugMessage().locator('.red-ui-debug-msg-object-header').first().click();
      looked('unfold the report');
    };
    await debugMessage().locator('.red-ui-debug-msg-object-header').first().waitFor();
    await unfold();
    await debugMessage()
      .getByText(/^\s*added: 3\s*$/)
      .waitFor();
    said('added: 3');
    const users = async (): Promise<number> =>
      (await nodeRed.json(`instant-audience/sandbox/members?segment=${segment}`)).flatMap(
        (one: any) => one.members,
      ).length;
    assert.equal(await users(), 3);
    await fillIn(JSON.stringify((JSON.parse(rows) as unknown[]).slice(1)));
    const before = await page.locator('.red-ui-debug-msg').count();
    await deployAndPress();
    await until(async () => (await page.locator('.red-ui-debug-msg').count()) > before, 10_000, 'a refusal');
    await unfold();
    await debugMessage().getByText(said('refused')).locator('visible=true').first().waitFor();
    assert.equal(await users(), 3);
    await openTab(page);
    did('open the tab Audience');
    const card = page.locator('.instant-audience-tab');
    // The first card of a tab is open from the start, but another queue may have been the first.
    const head = card.locator('.instant-audience-head', { hasText: 'sandbox' }).first();
    if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
    did('open the card');
    await card.getByRole('button', { name: said('Accept refused run …') }).click();
    did('accept');
    await page.getByRole('button', { name: said('Apply it') }).click();
    did('Apply it');
    await until(async () => (await users()) === 2, 10_000, 'the user out');
    await picture(page, `keep-a-segment-${nodeRedVersion}`);
    finish(22);
  });

  /** A form that is not ours. */
  async function openCoreForm(id: string): Promise<void> {
    await editor.page.evaluate(`RED.view.select('${id}'); RED.view.focus()`);
    await editor.page.keyboard.press('Enter');
    await editor.page.locator('#node-dialog-ok:visible').waitFor();
  }

  async function closeCoreForm(): Promise<void> {
    await editor.page.locator('#node-dialog-ok:visible').click();
    await editor.page.locator('.red-ui-tray').waitFor({ state: 'detached' });
  }
});

/** As choosing JSON and typing it does. */
function setPayloadInPage(payload: string): void {
  const { $ } = globalThis as any;
  const field = $('.node-input-prop-property-value').first();
  field.typedInput('type', 'json');
  field.typedInput('value', payload);
}

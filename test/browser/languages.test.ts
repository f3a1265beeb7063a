// The editor in German and in Japanese: forms, palette, help, answers, sentences and status say nothing in English.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { sampleSegments } from '../../src/sandbox/catalogue';
import { nodeRedVersion, type FlowNode, type NodeRed } from '../support/node-red';
import type { Editor } from './editor';
import { longHintsInPage } from './looks';
import { editorSuite } from './suite';

interface Words {
  [key: string]: string | Words;
}

const nodes = [
  'account',
  'instant-audience-out',
  'segment-builder',
  'audience-sync',
  'audience-usage',
] as const;
type Name = (typeof nodes)[number];

const place = { z: 'tab', y: 100 };
const flows: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'x' },
  { id: 'account', type: 'xandr-account', environment: 'sandbox' },
  {
    ...place,
    id: 'builder',
    type: 'xandr-segment-builder',
    x: 300,
    account: 'account',
    userId: 'payload.user',
    segments: [{ by: 'id', segment: '10001' }],
    wires: [['out'], ['ok']],
  },
  {
    ...place,
    id: 'out',
    type: 'xandr-instant-audience-out',
    x: 600,
    account: 'account',
    wires: [['ok'], ['ok']],
  },
  {
    ...place,
    y: 200,
    id: 'usage',
    type: 'xandr-audience-usage',
    x: 300,
    account: 'account',
    wires: [[], []],
  },
  {
    ...place,
    y: 250,
    id: 'sync',
    type: 'xandr-audience-sync',
    x: 300,
    account: 'account',
    segment: '10002',
    wires: [[], []],
  },
  { ...place, id: 'event', type: 'http in', x: 80, url: '/event', method: 'post', wires: [['builder']] },
  { ...place, id: 'ok', type: 'http response', x: 800, statusCode: '', headers: {} },
  { ...place, y: 300, id: 'status', type: 'status', x: 300, scope: ['out'], wires: [['log']] },
  {
    ...place,
    y: 300,
    id: 'log',
    type: 'debug',
    x: 600,
    active: true,
    tosidebar: false,
    console: true,
    complete: 'status.text',
    targetType: 'msg',
    wires: [],
  },
];

function wordsOf(name: Name, language: string): Words {
  const file = path.join(__dirname, '..', '..', 'nodes', name, 'locales', language, `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Words;
}

function flat(words: Words, before = ''): [string, string][] {
  return Object.entries(words).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[before + key, value]] : flat(value, `${before}${key}.`),
  );
}

const markup = /<[^>]+>/g;

/** Patterns of the English texts that the language says in another way; a placeholder may be anything. */
function englishPatterns(language: string): string[] {
  return nodes.flatMap((name) => {
    const translated = new Map(flat(wordsOf(name, language)));
    const different = flat(wordsOf(name, 'en-US')).filter(([key, text]) => translated.get(key) !== text);
    return different
      .map(([, text]) => text.replace(markup, '').trim())
      .filter((text) => /[a-z]{2}/i.test(text.replace(/__\w+?__/g, '')))
      .map((text) => {
        const parts = text.split(/__\w+?__/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
        return `^${parts.join('.+')}$`;
      });
  });
}

/** One text of the language, with its placeholders filled in. */
function said(
  name: Name,
  language: string,
  key: string,
  params: Record<string, string | number> = {},
): string {
  const text = new Map(flat(wordsOf(name, language))).get(key);
  assert.ok(text !== undefined, key);
  return text.replace(/__(\w+?)__/g, (_all, param: string) => String(params[param] ?? ''));
}

for (const language of ['de', 'ja']) {
  describe(`the editor of Node-RED ${nodeRedVersion} in ${language}`, function () {
    this.timeout(120_000);
    const suite = editorSuite();
    let nodeRed: NodeRed;
    let editor: Editor;
    let page: Page;
    const english = englishPatterns(language);

    before(async function () {
      ({ nodeRed, editor, page } = await suite.open(this, {
        flows,
        settings: { lang: language },
        size: { width: 1400, height: 1100 },
        locale: language,
      }));
      await editor.nodeOnCanvas('builder').waitFor();
    });

    const word = (name: Name, key: string, params?: Record<string, string | number>): string =>
      said(name, language, key, params);

    const checkHints = async (what: string): Promise<void> =>
      assert.deepEqual(
        await page.evaluate(longHintsInPage, '.instant-audience-form'),
        [],
        `${what}: hints of several lines`,
      );

    /** Every text and name that a user of the form sees, reads on hovering or hears. */
    const checkForm = async (what: string): Promise<void> => {
      const texts = await page.evaluate(textsInPage, '.red-ui-tray');
      assert.ok(texts.length > 10, texts.join());
      const raw = texts.filter(
        (text) => /^[\w-]+(\.[\w-]+)+$/.test(text) && !/^(msg|payload|item)\b/.test(text),
      );
      assert.deepEqual(raw, [], `${what}: keys for words`);
      const left = texts.filter((text) => english.some((pattern) => new RegExp(pattern, 's').test(text)));
      assert.deepEqual(left, [], `${what}: English`);
      assert.deepEqual(await page.evaluate(cutInPage), [], `${what}: cut off`);
      if (what.startsWith('account')) await checkHints(what);
    };

    it('is in that language, palette and help too', async () => {
      assert.equal(await page.evaluate('RED.i18n.lang()'), language);
      const category = page.locator('#red-ui-palette-container-xandr_audience .red-ui-palette-header');
      assert.equal(
        (await category.innerText()).trim(),
        word('segment-builder', 'palette.label.xandr_audience'),
      );
      for (const name of nodes) {
        await page.evaluate(`RED.sidebar.help.show('xandr-${name}', true)`);
        const file = path.join(__dirname, '..', '..', 'nodes', name, 'help', `${language}.md`);
        const heading = /^### (.+)$/m.exec(readFileSync(file, 'utf8'))![1]!;
        await page.locator('.red-ui-help h3', { hasText: heading }).first().waitFor();
      }
    });

    it('has the builder form in it, with a sentence for what is wrong, and the preview', async () => {
      await editor.edit('builder');
      await checkForm('builder');
      await checkHints('builder');
      const openTab = (name: 'entry' | 'preview'): Promise<void> =>
        editor.openTab(word('segment-builder', `segment-builder.tab.${name}`));
      await openTab('preview');
      const says = page.locator('#instant-audience-preview-says');
      await says
        .filter({
          hasText: word('segment-builder', 'segment-builder.preview.good', { users: 1, segments: 1 }),
        })
        .waitFor();
      await checkForm('builder-preview');
      await openTab('entry');
      const userId = word('segment-builder', 'segment-builder.label.userId');
      await editor.field(userId).fill('');
      await page
        .locator('#instant-audience-problem-userId')
        .filter({
          hasText: word('segment-builder', 'segment-builder.validate.required', { field: userId }),
        })
        .waitFor();
      await openTab('preview');
      await says.filter({ hasText: word('segment-builder', 'segment-builder.preview.notSetUp') }).waitFor();
      await openTab('entry');
      const action = editor.field(word('segment-builder', 'segment-builder.label.action'));
      await action.selectOption('property');
      await editor.field(word('segment-builder', 'segment-builder.label.by')).selectOption('code');
      await page.locator('#instant-audience-domain-kind').selectOption('property');
      await checkForm('builder-other');
      await page.locator('.instant-audience-search').click();
      await page
        .getByText(
          word('segment-builder', 'segment-builder.picker.all', { total: sampleSegments(7).length + 1 }),
        )
        .first()
        .waitFor();
      await checkForm('builder-picker');
      await editor.cancel();
    });

    it('has the out form in it, with a sentence for what is wrong', async () => {
      await editor.edit('out');
      await checkForm('instant-audience-out');
      await checkHints('instant-audience-out');
      await editor.field(word('instant-audience-out', 'label.input')).fill('');
      await page
        .locator('#instant-audience-problem-input')
        .filter({ hasText: word('instant-audience-out', 'invalid.input_missing') })
        .waitFor();
      await editor.field(word('instant-audience-out', 'label.completeOn')).selectOption('queued');
      await checkForm('out-other');
      await editor.cancel();
    });

    it('has the sync form in it', async () => {
      await editor.edit('sync');
      await checkForm('audience-sync');
      await editor.cancel();
    });

    it('has the usage form in it, with a sentence for what is wrong', async () => {
      await editor.edit('usage');
      await checkForm('audience-usage');
      await checkHints('audience-usage');
      await editor.field(word('audience-usage', 'label.range')).selectOption('custom');
      const problem = page.locator('#instant-audience-problem-from');
      await problem.filter({ hasText: word('audience-usage', 'invalid.from_missing') }).waitFor();
      await editor.field(word('audience-usage', 'label.schedule')).selectOption('hourly');
      await editor.field(word('audience-usage', 'label.detail')).selectOption('aggregated');
      const from = word('audience-usage', 'label.from');
      await editor.field(from).fill('payload.from');
      await problem
        .filter({ hasText: word('audience-usage', 'invalid.time_of_message', { field: from }) })
        .waitFor();
      await checkForm('usage-other');
      await editor.cancel();
    });

    it('has the account form in it, with an answer to the test of the connection', async () => {
      await editor.editConfig('account');
      await page.getByRole('button', { name: word('account', 'test.button') }).click();
      const result = page.locator('#instant-audience-test-result');
      await result.filter({ hasText: word('account', 'test.sandboxWorks') }).waitFor();
      await checkForm('account');
      const tabs = page.locator('#instant-audience-account-tabs');
      for (const tab of ['limits', 'queue'] as const) {
        await tabs.getByText(word('account', `tab.${tab}`), { exact: true }).click();
        await page.locator(`#instant-audience-tab-${tab}`).waitFor();
        await checkForm(`account-${tab}`);
      }
      const label = (key: string): Locator => editor.field(word('account', `label.${key}`));
      await label('queue').selectOption('shared');
      await checkForm('account-shared');
      await label('databaseBy').selectOption('url');
      await checkForm('account-shared-url');
      await tabs.getByText(word('account', 'tab.connection'), { exact: true }).click();
      await editor.field(word('account', 'label.environment')).selectOption('custom');
      await page
        .locator('#instant-audience-problem-member')
        .filter({ hasText: word('account', 'error.member_missing') })
        .waitFor();
      await checkForm('account-custom');
      await editor.field(word('account', 'label.authMethod')).selectOption('jwt');
      await checkForm('account-key');
      await editor.cancel();
    });

    it('accepts an event, and shows it in the status', async () => {
      const comms = await nodeRed.comms();
      const { status, body } = await nodeRed.post('event', { user: '4711' });
      assert.equal(status, 200, JSON.stringify(body));
      // A status node gets the text, not a key.
      const delivered = word('instant-audience-out', 'status.delivered', { number: 1 });
      await nodeRed.logged(new RegExp(word('instant-audience-out', 'status.sandbox', { status: delivered })));
      const members = await nodeRed.json('instant-audience/sandbox/members?segment=10001');
      assert.equal(members[0].members[0].user_id, '4711');
      const shown = editor.nodeOnCanvas('out').locator('.red-ui-flow-node-status-label');
      await shown.filter({ hasText: word('instant-audience-out', 'status.idle') }).waitFor();
      const refused = await nodeRed.post('event', { user: '0' });
      assert.equal(refused.status, 200);
      comms.close();
    });
  });
}

// ── In the page ───────────────────────────────────────────────────────────────────────────────────────────────

function textsInPage(where: string): string[] {
  const { document } = globalThis as any;
  const trays = document.querySelectorAll(where);
  const found: string[] = [];
  const add = (text: string | null): void => {
    const trimmed = (text ?? '').replace(/\s+/g, ' ').trim();
    if (trimmed !== '') found.push(trimmed);
  };
  for (const element of trays[trays.length - 1].querySelectorAll('.red-ui-tray-body *')) {
    if (element.offsetParent === null && element.tagName !== 'OPTION') continue;
    for (const name of ['title', 'placeholder', 'aria-label', 'aria-description'])
      add(element.getAttribute(name));
    if (element.tagName === 'PRE' || element.tagName === 'TEXTAREA' || element.tagName === 'STYLE') continue;
    const own = [...element.childNodes].filter((node: any) => node.nodeType === 3);
    add(own.map((node: any) => node.data).join(''));
  }
  return found;
}

/** Lists whose chosen text does not fit, and texts that are wider than their place. */
function cutInPage(): string[] {
  const { document, getComputedStyle } = globalThis as any;
  const canvas = document.createElement('canvas').getContext('2d');
  const arrowPx = 16;
  const cut: string[] = [];
  for (const element of document.querySelectorAll('.instant-audience-form *')) {
    if (element.offsetParent === null) continue;
    const style = getComputedStyle(element);
    // “Add new tls-config …”, with which a list of the editor's own begins.
    if (element.value === '_ADD_') continue;
    if (element.tagName === 'SELECT') {
      canvas.font = `${style.fontSize} ${style.fontFamily}`;
      const text = element.selectedOptions[0]?.text ?? '';
      const room =
        element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrowPx;
      if (canvas.measureText(text).width > room) cut.push(`${element.id}: ${text}`);
    } else if (
      element.tagName === 'LABEL' &&
      // Only a screen reader has it.
      !element.classList.contains('instant-audience-unseen') &&
      element.scrollWidth - element.clientWidth > 1
    ) {
      cut.push(`label: ${element.innerText}`);
    }
  }
  return cut;
}

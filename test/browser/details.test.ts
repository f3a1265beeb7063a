// What the forms offer beside their fields: rows to drag, types of values, tooltips, tabs by keyboard, red triangles,
// and help with its picture.
import { strict as assert } from 'node:assert';
import type { Locator, Page } from 'playwright-core';
import { picture } from '../support/browser';
import { nodeRedVersion, until, type FlowNode } from '../support/node-red';
import { middleOf, type Editor } from './editor';
import { editorSuite } from './suite';

const flows: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'details' },
  {
    id: 'builder',
    type: 'xandr-segment-builder',
    z: 'tab',
    x: 200,
    y: 100,
    userId: 'payload.user',
    segments: [
      { by: 'id', segment: '10001' },
      { by: 'id', segment: '10002' },
    ],
    wires: [[], []],
  },
  { id: 'out', type: 'xandr-instant-audience-out', z: 'tab', x: 500, y: 100, account: '', wires: [[], []] },
  { id: 'account', type: 'xandr-account', environment: 'sandbox' },
];

describe(`the details of the forms in Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let editor: Editor;
  let page: Page;

  before(async function () {
    ({ editor, page } = await suite.share(this, { flows, size: { width: 1400, height: 1100 } }));
    await editor.nodeOnCanvas('builder').waitFor();
  });

  const rows = (): Locator => page.locator('#instant-audience-segments > li');
  const rowValues = (): Promise<string[]> =>
    page.evaluate("$('.instant-audience-of-segment').toArray().map((one) => $(one).typedInput('value'))");

  it('add, drag and remove rows of segments, and save them in their order', async () => {
    await editor.edit('builder');
    assert.deepEqual(await rowValues(), ['10001', '10002']);
    await page.getByText('add segment').click();
    await rows().nth(2).getByLabel('Segment', { exact: true }).locator('visible=true').fill('10003');
    const handle = await middleOf(rows().nth(2).locator('.red-ui-editableList-item-handle'));
    const first = (await rows().nth(0).boundingBox())!;
    await page.mouse.move(handle.x, handle.y);
    await page.mouse.down();
    await page.mouse.move(handle.x, handle.y - 20, { steps: 3 });
    await page.mouse.move(handle.x, first.y + 5, { steps: 10 });
    await page.mouse.up();
    await until(
      async () => (await rowValues()).join() === '10003,10001,10002',
      5000,
      'the third row in the first place',
    );
    await rows().nth(1).locator('.red-ui-editableList-item-remove').click();
    await until(async () => (await rowValues()).join() === '10003,10002', 5000, 'the second row removed');
    await editor.done();
    const { segments } = (await editor.saved('builder')) as unknown as { segments: { segment: string }[] };
    assert.deepEqual(
      segments.map(({ segment }) => segment),
      ['10003', '10002'],
    );
  });

  it('offer the types of value that the node reads, and a field of the item where there are items', async () => {
    await editor.edit('builder');
    const types = (selector: string): Promise<string[]> =>
      page.evaluate(`$('${selector}').data('noderedTypedInput').typeList.map((type) => type.value)`);
    assert.deepEqual(await types('#node-input-userId'), ['str', 'msg', 'flow', 'global', 'jsonata', 'env']);
    await editor.field('Create from').selectOption('items');
    assert.ok((await types('#node-input-userId')).includes('item'));
    assert.ok((await types('#node-input-eventTime')).includes('item'));
    assert.deepEqual(await types('.instant-audience-of-segment'), [
      'num',
      'item',
      'msg',
      'flow',
      'global',
      'jsonata',
      'env',
    ]);
    const button = page.getByRole('button', { name: 'Type of User ID' });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.locator('.red-ui-typedInput-options:visible').waitFor();
    await page.keyboard.press('Escape');
    await editor.cancel();
  });

  it('show what an empty property means instead of an empty field, and save it empty', async () => {
    const typeOf = (selector: string): Promise<string> =>
      page.evaluate(`$('${selector}').first().next().find('.red-ui-typedInput-type-label').text()`);
    const shown = async (): Promise<string[]> => [
      await typeOf('#node-input-eventTime'),
      await typeOf('.instant-audience-of-value'),
    ];
    const saved = async (): Promise<unknown[]> => {
      const { eventTime, eventTimeType, segments } = (await editor.saved('builder')) as any;
      return [eventTime, eventTimeType, segments[0].value, segments[0].valueType];
    };
    const set = (selector: string, type: string, value: string): Promise<void> =>
      page.evaluate(`$('${selector}').first().typedInput('type', '${type}').typedInput('value', '${value}')`);
    await editor.edit('builder');
    assert.deepEqual(await shown(), ['arrival time', 'not sent']);
    await editor.done();
    assert.deepEqual(await saved(), ['', 'msg', '', 'num']);
    await editor.edit('builder');
    await set('#node-input-eventTime', 'msg', 'payload.at');
    await set('.instant-audience-of-value', 'msg', 'payload.value');
    await editor.done();
    assert.deepEqual(await saved(), ['payload.at', 'msg', 'payload.value', 'msg']);
    await editor.edit('builder');
    assert.deepEqual(await shown(), ['msg.', 'msg.']);
    await set('#node-input-eventTime', 'notSet', '');
    await set('.instant-audience-of-value', 'notSet', '');
    await editor.done();
    assert.deepEqual(await saved(), ['', 'msg', '', 'num']);
  });

  it('take a time as a number with a unit, never, and the default of the member', async () => {
    await editor.edit('builder');
    const unit = rows().nth(0).getByLabel('Unit');
    assert.deepEqual(
      (await unit.locator('option').allInnerTexts()).map((text) => text.trim()),
      ['minutes', 'hours', 'days', 'never', 'member’s default'],
    );
    const request = async (): Promise<any> =>
      JSON.parse(await page.evaluate("$('#instant-audience-preview-json').text() || 'null'"));
    for (const [choice, sent] of [
      ['never', 0],
      ['default', undefined],
      ['hours', 1800],
    ] as const) {
      await editor.openTab('Entry');
      await unit.selectOption(choice);
      await editor.openTab('Preview');
      await until(
        async () => (await request())?.rt_segment[0].seg_block[0].expiration === sent,
        5000,
        `${choice} in the preview`,
      );
    }
    await editor.cancel();
  });

  it('explain the words of the service in tooltips, also to a screen reader', async () => {
    await editor.edit('builder');
    for (const label of ['ID type', 'Segment by', 'Expires after', 'Value']) {
      const title = page.locator('.instant-audience-form label[title]', { hasText: label }).first();
      assert.match((await title.getAttribute('title')) ?? '', /\w+ \w+ \w+/, label);
    }
    const described = await page.locator('#instant-audience-domain-kind').getAttribute('aria-description');
    assert.match(described ?? '', /domain/);
    await editor.cancel();
  });

  it('show where the keyboard is, at every stop', async () => {
    await editor.edit('builder');
    assert.deepEqual(await page.evaluate(unmarkedInPage), []);
    await editor.openTab('Preview');
    await page.locator('#instant-audience-preview-json').waitFor();
    assert.deepEqual(await page.evaluate(unmarkedInPage), []);
    await editor.cancel();
  });

  it('show the problem in the red triangle, and name the node in the deploy dialogue', async () => {
    assert.match((await editor.complaints()).join(), /out: Account: choose one, or add one/);
    const triangle = editor.nodeOnCanvas('out').locator('.red-ui-flow-node-error').first();
    await triangle.hover();
    await page.locator('.red-ui-flow-port-tooltip', { hasText: 'Account: choose one, or add one' }).waitFor();
    await page.mouse.move(5, 5);
    await page.locator('#red-ui-header-button-deploy').click();
    const dialogue = page.locator('.red-ui-notification', { hasText: 'not properly configured' });
    await dialogue.waitFor();
    assert.match(await dialogue.innerText(), /instant audience out/);
    await dialogue.getByRole('button', { name: 'Cancel' }).click();
    await dialogue.waitFor({ state: 'detached' });
  });

  it('open the tabs of the account by keyboard, and at two quick clicks', async () => {
    await editor.editConfig('account');
    const tab = (name: string): Locator => page.getByRole('tab', { name });
    await tab('Limits').focus();
    await page.keyboard.press('Enter');
    await page.locator('#instant-audience-tab-limits').waitFor();
    assert.equal(await tab('Limits').getAttribute('aria-selected'), 'true');
    assert.equal(await tab('Queue').getAttribute('aria-selected'), 'false');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('#instant-audience-tab-queue').waitFor();
    await page.evaluate(
      "$('#instant-audience-account-tabs a').slice(0, 2).each(function () { for (const name of ['mousedown', 'mouseup', 'click']) this.dispatchEvent(new MouseEvent(name, { bubbles: true, cancelable: true })) })",
    );
    await page.locator('#instant-audience-tab-limits').waitFor();
    await editor.cancel();
  });

  it('show in the help of each node a picture of its form', async () => {
    for (const name of [
      'account',
      'segment-builder',
      'instant-audience-out',
      'audience-sync',
      'audience-usage',
    ]) {
      await page.evaluate(`RED.sidebar.help.show('xandr-${name}', true)`);
      const image = page.locator(`.red-ui-help img[src$="form-${name}-en-US.webp"]`);
      await image.waitFor();
      await until(
        () => image.evaluate((one: any) => one.complete && one.naturalWidth > 300),
        5000,
        `the picture of ${name}`,
      );
      const [box, around] = [await image.boundingBox(), await page.locator('#red-ui-sidebar').boundingBox()];
      assert.ok(box!.x + box!.width <= around!.x + around!.width, 'wider than the sidebar');
      assert.ok(((await image.getAttribute('alt')) ?? '').length > 10);
      await picture(page, `help-${name}-${nodeRedVersion}`);
    }
  });
});

// ── In the page ───────────────────────────────────────────────────────────────────────────────────────────────

/** Fields and buttons that look the same with the focus as without it. */
function unmarkedInPage(): string[] {
  const { document, getComputedStyle } = globalThis as any;
  const form = document.querySelector('.instant-audience-form');
  const look = (element: any): string => {
    const seen = [element, element.closest('.red-ui-typedInput-container') ?? element];
    return seen
      .map((one: any) => getComputedStyle(one))
      .map(
        (style: any) =>
          `${style.outlineStyle} ${style.outlineWidth} ${style.outlineColor} ${style.borderColor}`,
      )
      .join();
  };
  const unmarked: string[] = [];
  for (const element of form.querySelectorAll('input:not([type=hidden]), select, textarea, button, a, pre')) {
    if (element.offsetParent === null || element.tabIndex < 0 || element.disabled) continue;
    document.activeElement.blur();
    const before = look(element);
    element.focus({ focusVisible: true });
    if (look(element) === before) unmarked.push(element.outerHTML.slice(0, 120));
  }
  return unmarked;
}

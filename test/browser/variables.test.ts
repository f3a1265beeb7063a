// Forms of nodes whose properties are `${NAME}`: opening one and pressing Done keeps every variable, and shows it.
import { strict as assert } from 'node:assert';
import type { Locator, Page } from 'playwright-core';
import { nodeRedVersion, until, type FlowNode } from '../support/node-red';
import type { Editor } from './editor';
import { editorSuite } from './suite';

const env = {
  IA_ACCOUNT: 'account',
  IA_ACTION: 'add',
  IA_ALLOW: 'true',
  IA_BY: 'code',
  IA_CODE: 'kitchen',
  IA_DETAIL: 'hourly',
  IA_DONE: 'queued',
  IA_DRY: 'TRUE',
  IA_ENVIRONMENT: 'sandbox',
  IA_MEMBER: '7',
  IA_METHOD: 'password',
  IA_NO: 'no',
  IA_NONE: '',
  IA_POSTS: '50',
  IA_QUEUE: 'memory',
  IA_RANGE: 'hour',
  IA_SCHEDULE: 'message',
  IA_SOURCE: 'message',
  IA_TYPE: 'msg',
  IA_UNIT: 'hours',
  IA_NEW_SEGMENTS: 'ignore',
};
const place = { z: 'tab', y: 100, account: '${IA_ACCOUNT}' };
const flows: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'variables' },
  {
    id: 'account',
    type: 'xandr-account',
    name: 'by variables',
    environment: '${IA_ENVIRONMENT}',
    authMethod: '${IA_METHOD}',
    queue: '${IA_QUEUE}',
    encryptIds: '${IA_NO}',
    postsPerSecond: '${IA_POSTS}',
    tls: '${IA_NONE}',
    proxy: '${IA_NONE}',
    databaseTls: '${IA_NONE}',
  },
  {
    ...place,
    id: 'builder',
    type: 'xandr-segment-builder',
    x: 200,
    source: '${IA_SOURCE}',
    userId: 'payload.user',
    userIdType: '${IA_TYPE}',
    domain: 'crm',
    allowCustomDomain: '${IA_ALLOW}',
    action: '${IA_ACTION}',
    segments: [
      {
        by: '${IA_BY}',
        segment: '${IA_CODE}',
        segmentType: 'str',
        member: '${IA_MEMBER}',
        memberType: 'num',
        value: '',
        valueType: 'num',
        expiration: '2',
        expirationType: 'num',
        expirationUnit: '${IA_UNIT}',
      },
    ],
    wires: [['out'], []],
  },
  {
    ...place,
    id: 'out',
    type: 'xandr-instant-audience-out',
    x: 500,
    inputType: '${IA_TYPE}',
    completeOn: '${IA_DONE}',
    youngSegments: '${IA_NEW_SEGMENTS}',
    allowUnknownFields: '${IA_NO}',
    dryRun: '${IA_DRY}',
    wires: [[], []],
  },
  {
    ...place,
    id: 'usage',
    type: 'xandr-audience-usage',
    x: 500,
    y: 200,
    schedule: '${IA_SCHEDULE}',
    range: '${IA_RANGE}',
    detail: '${IA_DETAIL}',
    wires: [[], []],
  },
];

describe(`forms with variables in the editor of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let editor: Editor;
  let page: Page;

  before(async function () {
    ({ editor, page } = await suite.open(this, { flows, env }));
    await page.locator('.red-ui-flow-node-label', { hasText: 'dry run if ${IA_DRY}' }).waitFor();
  });

  it('are valid, since only the runtime has the values', async () => {
    assert.deepEqual(await editor.complaints(), []);
  });

  it('builds what the preview shows, with the values of the variables', async () => {
    await editor.edit('builder');
    await editor.openTab('Preview');
    await page.locator('#instant-audience-message').fill('{"payload":{"user":"7"}}');
    const json = page.locator('#instant-audience-preview-json');
    const preview = page.locator('.instant-audience-preview');
    let said = '';
    await until(
      async () => (said = (await preview.innerText()).trim()).includes('kitchen'),
      8000,
      () => `the code in the preview, which says ${said}`,
    );
    assert.deepEqual(JSON.parse((await json.textContent())!).rt_segment, [
      { user_id: '7', domain: 'crm', seg_block: [{ seg_code: 'kitchen', member_id: 7, expiration: 120 }] },
    ]);
    await editor.cancel();
  });

  const shown: Record<string, readonly string[]> = {
    account: [
      'environment',
      'authMethod',
      'queue',
      'encryptIds',
      'postsPerSecond',
      'tls',
      'proxy',
      'databaseTls',
    ],
    builder: ['account', 'source', 'userIdType', 'allowCustomDomain', 'action'],
    out: ['account', 'inputType', 'completeOn', 'youngSegments', 'allowUnknownFields', 'dryRun'],
    usage: ['account', 'schedule', 'range', 'detail'],
  };
  for (const [id, names] of Object.entries(shown)) {
    it(`shows the variables of the ${id} and keeps them at Done`, async () => {
      const before = await editor.saved(id);
      await (id === 'account' ? editor.editConfig(id) : editor.edit(id));
      const prefix = id === 'account' ? 'node-config-input' : 'node-input';
      for (const name of names)
        assert.equal(await page.locator(`#${prefix}-${name}`).inputValue(), before[name], name);
      if (id === 'out') {
        const row = page.locator('.form-row', { has: page.locator('#node-input-dryRun') });
        const [list, words] = [row.locator('select'), row.locator('.instant-audience-check')];
        const leftOf = async (place: Locator): Promise<number> =>
          place.evaluate((one: any) => {
            const range = one.ownerDocument.createRange();
            range.selectNodeContents(one);
            return (one.tagName === 'SELECT' ? one : range).getBoundingClientRect().left;
          });
        assert.equal(await leftOf(words), await leftOf(list), 'the words are below the list');
      }
      if (id === 'builder') {
        assert.equal(await page.locator('.instant-audience-by').inputValue(), '${IA_BY}');
        assert.equal(await page.locator('.instant-audience-unit').inputValue(), '${IA_UNIT}');
      }
      await editor.done();
      // Of an account whose form was open, the editor knows that it has no credentials.
      const { credentials: _, ...after } = await editor.saved(id);
      assert.deepEqual(after, before);
    });
  }

  it('lets a box that held a variable be set to true or false', async () => {
    await editor.edit('out');
    await editor.field('Dry run').selectOption('false');
    await editor.done();
    assert.equal((await editor.saved('out')).dryRun, 'false');
    assert.equal(await editor.labelOf('out').then((label) => label.includes('dry run')), false);
  });
});

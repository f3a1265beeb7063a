// The first accepted user, from two core nodes of Node-RED, for a person who has read nothing.
import { strict as assert } from 'node:assert';
import { picture } from '../support/browser';
import { nodeRedVersion, until, type FlowNode, type NodeRed } from '../support/node-red';
import { editorSuite, type Editor } from './editor';

const user = '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13';
const place = { z: 'tab', wires: [[]] };
const flows: FlowNode[] = [
  { id: 'tab', type: 'tab', label: 'try' },
  {
    ...place,
    id: 'event',
    type: 'inject',
    name: 'event',
    props: [{ p: 'payload' }],
    payload: JSON.stringify({ user }),
    payloadType: 'json',
    repeat: '',
    crontab: '',
    once: false,
    onceDelay: 0.1,
    topic: '',
    x: 120,
    y: 100,
  },
  { ...place, id: 'debug', type: 'debug', name: 'result', active: true, complete: 'true', x: 760, y: 80 },
];

describe(`a new user of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let nodeRed: NodeRed;
  let editor: Editor;
  let builder: string;
  let out: string;
  const steps: string[] = [];
  const did = (step: string): void => void steps.push(step);

  before(async function () {
    ({ nodeRed, editor } = await suite.open(this, { flows }));
    await editor.page.locator('.red-ui-flow-node-label', { hasText: 'event' }).waitFor();
  });
  after(() => console.log(`      ${steps.length} steps: ${steps.join(', ')}`));

  it('drags the nodes in and wires them', async () => {
    builder = await editor.drag('xandr-segment-builder', 320, 100);
    did('drags the builder');
    out = await editor.drag('xandr-instant-audience-out', 560, 100);
    did('drags the out node');
    for (const [from, to] of [
      ['event', builder],
      [builder, out],
      [out, 'debug'],
    ] as const) {
      await editor.wire(from, 0, to);
      did('draws a wire');
    }
    assert.equal(await editor.labelOf(builder), 'segment builder');
  });

  it('sees the remaining steps in the red triangles', async () => {
    const complaints = (await editor.complaints()).join('\n');
    assert.match(complaints, /segment-builder: User id: enter a property.*Segment 1: enter the segment/);
    assert.match(
      complaints,
      /out: Account: choose one, or add one; the sandbox works with nothing filled in/,
    );
  });

  it('adds a sandbox account from the builder and tests it, and the out node uses it too', async () => {
    const { page } = editor;
    await editor.edit(builder);
    did('opens the builder');
    await page.locator('#node-input-btn-account-add').click();
    did('adds an account');
    await page.locator('.instant-audience-account:visible').waitFor();
    await editor.formOpened();
    await page.getByRole('button', { name: 'Test connection' }).click();
    did('tests the connection');
    const result = page.locator('#instant-audience-test-result');
    await result.filter({ hasText: /^\s*Works/ }).waitFor();
    assert.equal(await result.getAttribute('data-level'), 'good');
    await editor.done();
    did('leaves the account as it is');
    assert.equal(await page.locator('#node-input-account option:checked').innerText(), 'sandbox');
    await until(async () => Boolean((await editor.saved(out)).account), 5000, 'the account in the out node');
  });

  it('fills in the builder: the user id, the kind of id, and a segment found by its name', async () => {
    const { page } = editor;
    await editor.field('User id').fill('payload.user');
    did('types the user id');
    await editor.field('ID type').selectOption('idfa');
    did('chooses the kind of id');
    await page.locator('#instant-audience-example', { hasText: '1ba98a6c-' }).waitFor();
    await page.getByRole('button', { name: 'Search the member' }).click();
    did('searches the segments');
    await page.getByRole('combobox', { name: 'Name, code or id' }).fill('kitchen viewed');
    await page.getByRole('option', { name: /^Kitchen: viewed a product/, selected: true }).waitFor();
    await page.keyboard.press('Enter');
    did('picks one');
    assert.equal(await editor.field('Segment').inputValue(), '10001');
    await editor.openTab('Preview');
    await page
      .locator('#instant-audience-preview-says', { hasText: 'This would be sent. Users: 1, segments: 1' })
      .waitFor();
    const request = JSON.parse(await page.locator('#instant-audience-preview-json').innerText());
    assert.deepEqual(request, {
      rt_segment: [{ user_id: user, domain: 'idfa', seg_block: [{ seg_id: 10001, expiration: 43200 }] }],
    });
    await picture(page, `new-user-builder-${nodeRedVersion}`);
    await editor.done();
    did('done');
    assert.equal(await editor.labelOf(builder), 'Kitchen: viewed a product · 30 d');
  });

  it('deploys without a complaint', async () => {
    assert.deepEqual(await editor.complaints(), []);
    await editor.deploy();
    did('deploys');
    await nodeRed.logged(/Started (modified )?(flows|nodes)[\s\S]*Started (modified )?(flows|nodes)/);
  });

  it('sends an event with the inject button, and sees it accepted', async () => {
    const comms = await nodeRed.comms();
    await editor.nodeOnCanvas('event').locator('.red-ui-flow-node-button-button').first().click();
    did('clicks inject');
    await until(() => comms.on('debug').length > 0, 10_000, 'a debug message');
    comms.close();
    assert.equal(JSON.parse(comms.on('debug')[0].msg).audience.status, 'accepted');
    const segments = await nodeRed.json('instant-audience/sandbox/members?segment=10001');
    assert.equal(segments[0].members[0].user_id, user);
    await picture(editor.page, `new-user-done-${nodeRedVersion}`);
    editor.assertNoErrors();
  });
});

// Who may ask what: with a login in front of the editor, reading is not testing, taking messages, or evaluating.
import { strict as assert } from 'node:assert';
import { NodeRed } from '../support/node-red';

describe('the routes of the forms, with a login in front of the editor', function () {
  this.timeout(120_000);
  let nodeRed: NodeRed;

  const start = (permissions: string): Promise<NodeRed> =>
    NodeRed.start({
      version: '5',
      flows: [],
      settings: { adminAuth: { type: 'credentials', users: [], default: { permissions } } },
    });
  const acting: readonly (readonly [string, object])[] = [
    ['instant-audience/account/test', { id: 'a', values: { environment: 'sandbox' } }],
    ['instant-audience/account/test-database', { id: 'a', values: {} }],
    ['instant-audience/builder/b/last-message', {}],
    ['instant-audience/builder/b/evaluate', { message: {}, inputs: [] }],
  ];
  afterEach(() => nodeRed.stop());

  it('let somebody who may only read list segments, and nothing else', async () => {
    nodeRed = await start('read');
    const page = await nodeRed.json('instant-audience/account/a/segments?environment=sandbox');
    assert.equal(page.total, 15);
    for (const [where, body] of acting) assert.equal((await nodeRed.post(where, body)).status, 401, where);
  });

  it('need the right to deploy beside our own, since they can reach what a deploy can', async () => {
    nodeRed = await start('instant-audience.write');
    for (const [where, body] of acting) assert.equal((await nodeRed.post(where, body)).status, 401, where);
  });

  it('answer somebody who may do everything, but not a form of another site', async () => {
    nodeRed = await start('*');
    const [test, database, last, evaluated] = await Promise.all(
      acting.map(([where, body]) => nodeRed.post(where, body)),
    );
    assert.equal(test!.body.result, 'sandboxWorks');
    assert.equal(database!.body.problem.key, 'error.database_url_missing');
    assert.deepEqual([last!.status, last!.body], [404, { code: 'notDeployed' }]);
    assert.deepEqual(evaluated!.body, { replies: [] });
    const text = {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{"id":"a","values":{}}',
    };
    for (const route of ['test', 'test-database'])
      assert.equal((await nodeRed.fetch(`instant-audience/account/${route}`, text)).status, 400);
  });
});

describe('the routes of the tab Audience, with a login in front of the editor', function () {
  this.timeout(120_000);
  let nodeRed: NodeRed;

  const start = (permissions: string, settings: object = {}): Promise<NodeRed> =>
    NodeRed.start({
      version: '5',
      flows: [],
      settings: { adminAuth: { type: 'credentials', users: [], default: { permissions } }, ...settings },
    });
  const acting = ['pause', 'resume', 'flush', 'retry', 'purge', 'purgeLeft', 'erase'];
  afterEach(() => nodeRed.stop());

  it('let somebody who may only read look, and do nothing', async () => {
    nodeRed = await start('read');
    assert.equal(typeof (await nodeRed.post('instant-audience/tab/watch', {})).body.ticket, 'string');
    for (const action of acting) {
      const { status } = await nodeRed.post(`instant-audience/tab/${action}`, { queue: 'q', user: '1' });
      assert.equal(status, 401, action);
    }
    // What was rejected names users.
    for (const where of ['rejected?queue=q', 'left?file=f'])
      assert.equal((await nodeRed.fetch(`instant-audience/tab/${where}`)).status, 401, where);
    assert.equal((await nodeRed.fetch('instant-audience/metrics')).status, 404);
  });

  it('let somebody who may write act, but not look, and no form of another site', async () => {
    nodeRed = await start('instant-audience.write', { instantAudience: { metrics: true } });
    assert.equal((await nodeRed.post('instant-audience/tab/watch', {})).status, 401);
    assert.equal((await nodeRed.fetch('instant-audience/metrics')).status, 401);
    assert.equal((await nodeRed.post('instant-audience/tab/pause', { queue: 'q' })).status, 404);
    assert.equal((await nodeRed.post('instant-audience/tab/erase', { user: '12345' })).status, 200);
    const text = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"user":"12345"}' };
    assert.equal((await nodeRed.fetch('instant-audience/tab/erase', text)).status, 400);
  });

  it('give metrics where the settings ask for them', async () => {
    nodeRed = await start('read', { instantAudience: { metrics: true } });
    const reply = await nodeRed.fetch('instant-audience/metrics');
    assert.equal(reply.status, 200);
    assert.match(
      reply.headers.get('content-type') ?? '',
      /^text\/plain;(?=.*version=0\.0\.4).*charset=utf-8/,
    );
    assert.match(await reply.text(), /^# TYPE instant_audience_queue_entries gauge$/m);
  });
});

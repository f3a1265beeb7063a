// Who may ask what, with a login in front of the editor: reading is not testing, taking messages, evaluating or acting.
import { strict as assert } from 'node:assert';
import { NodeRed } from '../support/node-red';

/** Of the forms: with values, so that none is refused for what is in it. */
const forms: readonly (readonly [string, object])[] = [
  ['instant-audience/account/test', { id: 'a', values: { environment: 'sandbox' } }],
  ['instant-audience/account/test-database', { id: 'a', values: {} }],
  ['instant-audience/builder/b/last-message', {}],
  ['instant-audience/builder/b/evaluate', { message: {}, inputs: [] }],
  ['instant-audience/account/queued', { id: 'a', values: { environment: 'sandbox' } }],
];
const actions = ['pause', 'resume', 'flush', 'retry', 'purge', 'purgeLeft', 'moveLeft', 'erase'];

/** For everybody, without a login, what a user with these permissions may do. */
function someoneWith(permissions: string, settings: Record<string, unknown> = {}): Promise<NodeRed> {
  return NodeRed.start({
    flows: [],
    settings: { adminAuth: { type: 'credentials', users: [], default: { permissions } }, ...settings },
  });
}

/** What a form of another site could send. */
function asText(nodeRed: NodeRed, where: string, body: string): Promise<Response> {
  return nodeRed.fetch(where, { method: 'POST', headers: { 'content-type': 'text/plain' }, body });
}

describe('somebody who may only read', function () {
  this.timeout(120_000);
  let nodeRed: NodeRed | undefined;
  const post = async (where: string, body: object): Promise<number> =>
    (await nodeRed!.post(where, body)).status;

  before(async () => (nodeRed = await someoneWith('read', { instantAudience: { metrics: true } })));
  after(() => nodeRed?.stop());

  it('lists segments in a form, and does nothing else there', async () => {
    const page = await nodeRed!.json('instant-audience/account/a/segments?environment=sandbox');
    assert.equal(page.total, 15);
    for (const [where, body] of forms) assert.equal(await post(where, body), 401, where);
  });

  it('looks at the tab Audience, and does nothing there', async () => {
    assert.equal(typeof (await nodeRed!.post('instant-audience/tab/watch', {})).body.ticket, 'string');
    for (const action of actions)
      assert.equal(await post(`instant-audience/tab/${action}`, { queue: 'q', user: '1' }), 401, action);
    // What was rejected names users.
    for (const where of ['rejected?queue=q', 'left?file=f'])
      assert.equal((await nodeRed!.fetch(`instant-audience/tab/${where}`)).status, 401, where);
  });

  it('reads the metrics where the settings ask for them', async () => {
    const reply = await nodeRed!.fetch('instant-audience/metrics');
    assert.equal(reply.status, 200);
    assert.match(
      reply.headers.get('content-type') ?? '',
      /^text\/plain;(?=.*version=0\.0\.4).*charset=utf-8/,
    );
    assert.match(await reply.text(), /^# TYPE instant_audience_queue_entries gauge$/m);
  });
});

describe('somebody who may write of Instant Audience only', function () {
  this.timeout(120_000);
  let nodeRed: NodeRed | undefined;

  before(
    async () =>
      (nodeRed = await someoneWith('instant-audience.write', { instantAudience: { metrics: true } })),
  );
  after(() => nodeRed?.stop());

  it('needs the right to deploy for the forms, since they can reach what a deploy can', async () => {
    for (const [where, body] of forms) assert.equal((await nodeRed!.post(where, body)).status, 401, where);
  });

  it('acts in the tab Audience, but does not look, and no form of another site acts', async () => {
    assert.equal((await nodeRed!.post('instant-audience/tab/watch', {})).status, 401);
    assert.equal((await nodeRed!.fetch('instant-audience/metrics')).status, 401);
    assert.equal((await nodeRed!.post('instant-audience/tab/pause', { queue: 'q' })).status, 404);
    assert.equal((await nodeRed!.post('instant-audience/tab/erase', { user: '12345' })).status, 200);
    assert.equal((await asText(nodeRed!, 'instant-audience/tab/erase', '{"user":"12345"}')).status, 400);
  });
});

describe('somebody who may do everything', function () {
  this.timeout(120_000);
  let nodeRed: NodeRed | undefined;

  before(async () => (nodeRed = await someoneWith('*', { lang: 'de' })));
  after(() => nodeRed?.stop());

  it('is answered by the forms, but a form of another site is not', async () => {
    const [test, database, last, evaluated] = await Promise.all(
      forms.map(([where, body]) => nodeRed!.post(where, body)),
    );
    assert.equal(test!.body.result, 'sandboxWorks');
    assert.equal(database!.body.problem.key, 'error.database_url_missing');
    assert.deepEqual([last!.status, last!.body], [200, { code: 'notDeployed' }]);
    assert.deepEqual(evaluated!.body, { replies: [] });
    for (const route of ['test', 'test-database']) {
      const reply = await asText(nodeRed!, `instant-audience/account/${route}`, '{"id":"a","values":{}}');
      assert.equal(reply.status, 400, route);
    }
  });

  it('gets no metrics where nobody asks for them, and reads in Node-RED’s language how to get them', async () => {
    const reply = await nodeRed!.fetch('instant-audience/metrics');
    assert.equal(reply.status, 404);
    assert.match(
      await reply.text(),
      /^Ausgeschaltet: Setzen Sie instantAudience: \{ metrics: true \} in settings\.js/,
    );
  });
});

// What may be posted to the admin routes: a status and a code for each of it, no throw, no secret, no file but ours.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { isObject } from '../../src/entry/check';
import helper from 'node-red-node-test-helper';

import { AccountForms, type Answer } from '../../nodes/account/forms/admin';
import { engines, sandbox as shared } from '../../nodes/account/process-wide';
import { queueFile, queueFolder } from '../../nodes/account/queue/queue-file';
import { evaluate, lastMessage } from '../../nodes/segment-builder/admin';
import { Actions, actions as actionNames } from '../../nodes/sidebar/actions';
import { OrphanedQueues } from '../../nodes/account/queue/orphaned-queues';
import { Orphaned } from '../../nodes/sidebar/orphaned';
import { Registry } from '../../src/delivery/registry';
import { openLog } from '../../src/queue/sqlite/sqlite-log';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import {
  customAccount,
  entry,
  Flow,
  load,
  login,
  unload,
  until,
  usedQueue,
  useNodeRed,
} from '../nodes/out-flow';
import { newRows } from '../queue/rows';
import { fuzz, fuzzAsync, timeoutMs } from './cases';
import { mutated, wildJson, wildText } from './wild';

const secret = 'a-stored-s3cret';
const nowhere = 'http://127.0.0.1:9';

function isAnswer({ status, body }: Answer): void {
  assert.ok(status >= 200 && status <= 599, String(status));
  const text = JSON.stringify(body);
  assert.ok(text.length < 200_000 && !text.includes(secret), text.slice(0, 300));
}

/** Nothing may leave this machine: production is asked for by nobody here, and every address is one of its own. */
function harmless(body: unknown): unknown {
  if (!isObject(body) || !isObject(body.values)) return body;
  const { environment } = body.values;
  const safe = environment === 'production' ? 'custom' : environment;
  const here = (url: unknown): unknown =>
    url === undefined || (typeof url === 'string' && /^\s*https?:/.test(url)) ? nowhere : url;
  const { authUrl, serviceUrl } = body.values;
  return {
    ...body,
    values: { ...body.values, environment: safe, authUrl: here(authUrl), serviceUrl: here(serviceUrl) },
  };
}

describe('admin requests of any form', function () {
  this.timeout(timeoutMs);
  useNodeRed();
  let sandbox: Sandbox;
  let folder: string;
  const flow = new Flow();
  const RED = (): any => (helper as any)._RED;
  /** As JSON brings it, with `[object Object]` as a key of its own. */
  const asJson = (value: unknown): unknown => {
    try {
      return JSON.parse(JSON.stringify(value)) as unknown;
    } catch {
      return null;
    }
  };

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'instant-audience-fuzz-'));
    sandbox = await startSandbox({ users: { me: secret } });
  });
  after(async () => {
    await sandbox.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await load([customAccount(sandbox.url, { queue: 'memory' }), ...flow.nodes()], login(secret), flow);
    await until(() => engines.list().length > 0, 'the engine is there');
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
  });

  it('to the test of an account and its list of segments are answered', async () => {
    const usual = [
      {
        id: 'account',
        values: {
          environment: 'custom',
          authUrl: nowhere,
          serviceUrl: nowhere,
          member: '7',
          authMethod: 'password',
          username: 'me',
          password: '__PWRD__',
        },
      },
      {
        id: 'account',
        values: {
          environment: 'custom',
          authUrl: nowhere,
          serviceUrl: nowhere,
          member: '7',
          authMethod: 'jwt',
          username: 'me',
          keyName: 'k',
          privateKey: '__PWRD__',
        },
      },
      {
        id: 'account',
        values: { databaseBy: 'url', databaseUrl: 'postgres://me:p%40@nowhere/db?host=a', databaseTls: '' },
      },
      {
        id: 'account',
        values: { databaseHost: 'nowhere', databaseName: 'db', databasePassword: '__PWRD__' },
      },
    ];
    // Its own: what it uses up of the ten logins in five minutes, other tests would lack.
    const forms = new AccountForms(RED(), new Registry(), shared, () =>
      Promise.resolve({ kind: 'works', host: '', isNew: true, waiting: 0, sender: null }),
    );
    const query = fc.dictionary(
      fc.constantFrom('search', 'start', 'node', '__proto__'),
      fc.oneof(wildText, wildJson),
    );
    await fuzzAsync(fc.tuple(mutated(usual, wildJson), wildText, query), 250, async ([body, id, asked]) => {
      isAnswer(await forms.test(harmless(asJson(body))));
      isAnswer(await forms.testDatabase(asJson(body)));
      isAnswer(await forms.formSegments(harmless(asJson(body))));
      isAnswer(await forms.segments(id, asked));
    });
  });

  it('to the preview of a builder are answered', async () => {
    const types = fc.constantFrom('flow', 'global', 'env', 'jsonata', 'msg', '__proto__', '');
    const input = fc.record({
      value: fc.oneof(
        wildText,
        fc.constantFrom('$sum(payload)', 'payload[0].**', '$eval("1")', 'a[msg.topic]', '#:(x)::y'),
      ),
      type: types,
      item: wildJson,
    });
    const usual = [{ message: { payload: [1, 2] }, inputs: [{ value: 'payload', type: 'jsonata' }] }];
    const body = fc.oneof(
      mutated(usual, wildJson),
      fc.record({ message: fc.constant({ payload: 1 }), inputs: fc.array(input, { maxLength: 4 }) }),
    );
    await fuzzAsync(
      fc.tuple(body, fc.constantFrom('builder', 'nobody', '__proto__')),
      300,
      async ([asked, id]) => {
        isAnswer(await evaluate(RED(), id, asJson(asked)));
        assert.equal(typeof lastMessage(id), 'object');
      },
    );
  });

  it('to the actions of the tab are answered, and a queue is purged only by what was given for it', async () => {
    await flow.send({ payload: entry(1) });
    mkdirSync(queueFolder(folder), { recursive: true });
    const file = queueFile(folder, 'https://left.example', '7');
    const log = openLog(file);
    log.commit({ append: newRows(1, 5) });
    log.close();
    const left = new OrphanedQueues(folder, () => engines.list());
    const actions = new Actions(engines, new Orphaned(engines, left), () => undefined);
    const { key, engine } = usedQueue();
    const usual = [
      { queue: key },
      { queue: key, confirm: 'f'.repeat(32) },
      { queue: path.basename(file), confirm: '' },
      { user: 'nobody', domain: 'idfa' },
      { queue: `../${path.basename(file)}` },
    ];
    await fuzzAsync(
      fc.tuple(fc.constantFrom(...actionNames), mutated(usual, wildJson)),
      400,
      async ([action, body]) => {
        const answer = await actions.act(action, asJson(body));
        isAnswer(answer);
        assert.ok(
          !('code' in answer.body && answer.body.code === 'purged'),
          'purged without having been asked twice',
        );
        actions.rejected(isObject(body) ? body.queue : body);
        engine.resume();
      },
    );
    const again = openLog(file);
    assert.equal(again.takeOver(true).waiting, 5);
    again.close();
  });

  it('name no file but a queue that is left', () => {
    mkdirSync(queueFolder(folder), { recursive: true });
    const other = path.join(folder, 'settings.js');
    writeFileSync(other, 'secret');
    const file = path.basename(queueFile(folder, 'https://left.example', '8'));
    writeFileSync(path.join(queueFolder(folder), file), 'no queue');
    const left = new OrphanedQueues(folder, () => []);
    const names = fc.oneof(
      wildText,
      wildJson,
      fc
        .tuple(
          fc.constantFrom('..', '.', '/', '\\', '', '%2e%2e'),
          fc.constantFrom('/', '\\', ''),
          fc.constantFrom(file, 'settings.js', ''),
        )
        .map((parts) => parts.join('')),
    );
    fuzz(names, 1_000, (name) => {
      const found = left.pathOf(name);
      assert.ok(found === null || path.dirname(found) === queueFolder(folder), String(found));
      assert.ok(found === null || name === path.basename(found), String(found));
    });
    assert.equal(readFileSync(other, 'utf8'), 'secret');
  });
});

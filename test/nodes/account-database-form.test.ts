// The test of the database in the account's form: what is asked, and the words of each result.
import assert from 'node:assert/strict';
import { accountForms, checkWords, rightPassword } from './account-forms';
import { customAccount, load, wordsOf } from './out-flow';

describe('the test of the database in the form of an account', () => {
  const its = accountForms();
  const password = 's3cr3t/word';
  const databaseUrl = `postgres://me:${encodeURIComponent(password)}@db.example:6543/My-Queue`;
  const host = 'db.example:6543';
  const sandboxQueue = { origin: 'sandbox', member: '1', tls: null };
  const testDatabase = async (values: object, id = 'account'): Promise<any> => {
    const { status, body } = await its.forms.testDatabase({ id, values: { databaseBy: 'url', ...values } });
    assert.equal(status, 200);
    const text = JSON.stringify(body);
    assert.ok(!text.includes(password) && !text.includes(encodeURIComponent(password)), text);
    checkWords(body);
    return body;
  };
  const works = { kind: 'works', host, isNew: false, waiting: 7, sender: null } as const;
  beforeEach(() => {
    its.asked = [];
    its.found = { ...works, sender: 'node-2' };
  });

  it('reports the number of queued entries and the active instance', async () => {
    const secure = `${databaseUrl}?sslmode=verify-full`;
    assert.deepEqual(await testDatabase({ databaseUrl: secure }), {
      result: 'database.worksSender',
      level: 'good',
      params: { host, waiting: 7, sender: 'node-2' },
    });
    assert.deepEqual(its.asked, [{ url: secure, ...sandboxQueue }]);
    its.found = works;
    assert.equal((await testDatabase({ databaseUrl })).result, 'database.works');
    its.found = { ...works, isNew: true };
    assert.equal((await testDatabase({ databaseUrl })).result, 'database.worksNew');
  });

  it('warns when it works and user ids would travel unencrypted', async () => {
    const { result, level, also } = await testDatabase({ databaseUrl });
    assert.deepEqual([result, level, also], ['database.worksSender', 'warning', 'account.databaseInClear']);
    assert.ok(wordsOf('account').account.databaseInClear);
  });

  it('asks for the queue of the member in the form, before its login is filled in', async () => {
    const custom = { environment: 'custom', serviceUrl: 'http://gate:80/x/', member: ' 7 ' };
    await testDatabase({ ...custom, databaseUrl });
    assert.deepEqual(its.asked, [{ url: databaseUrl, origin: 'http://gate/x', member: '7', tls: null }]);
    const without = await testDatabase({ ...custom, databaseUrl, member: '' });
    assert.equal(without.problem.key, 'error.member_missing');
  });

  for (const [code, result] of [
    ['unknownHost', 'unknownHost'],
    ['unreachable', 'unreachable'],
    ['login', 'login'],
    ['noDatabase', 'noDatabase'],
    ['tls', 'tls'],
    ['standby', 'standby'],
    ['newer_version', 'newer'],
    ['busy', 'busy'],
    ['url', 'url'],
    ['full', 'failed'],
    ['damaged', 'failed'],
  ] as const) {
    it(`tells ${code} as ${result}`, async () => {
      its.found = { kind: 'failed', host, code, reason: 'why' };
      assert.equal((await testDatabase({ databaseUrl })).result, `database.${result}`);
    });
  }

  it('reports a missing permission with a statement that can be run as it is', async () => {
    const names = { user: 'me', database: 'My-"Queue', schema: 'instant_audience_7_1' };
    its.found = { kind: 'failed', host, code: 'rights', ...names };
    assert.deepEqual((await testDatabase({ databaseUrl })).params, {
      database: '"My-""Queue"',
      user: 'me',
    });
    its.found = { kind: 'failed', host, code: 'schemaRights', ...names };
    assert.deepEqual((await testDatabase({ databaseUrl })).params, {
      schema: 'instant_audience_7_1',
      user: 'me',
    });
  });

  it('reports missing and wrong values with the form’s own sentences', async () => {
    const problem = async (values: object): Promise<string> => (await testDatabase(values)).problem.key;
    assert.equal(await problem({}), 'error.database_url_missing');
    assert.equal(await problem({ databaseUrl: 'host/db' }), 'error.database_url_invalid');
    assert.equal(await problem({ databaseUrl: '${NOT_SET_ANYWHERE}' }), 'error.variable_unset');
    assert.equal(await problem({ databaseUrl, databaseTls: 'gone' }), 'error.database_tls_missing');
    assert.deepEqual(its.asked, []);
  });

  it('uses the stored URL where the form shows that there is one, and that of a variable', async () => {
    const url = await its.start();
    const credentials = { account: { username: 'me', password: rightPassword, databaseUrl } };
    await load([customAccount(url)], credentials);
    await testDatabase({ databaseUrl: '__PWRD__' });
    const other = await testDatabase({ databaseUrl: '__PWRD__' }, 'not deployed');
    assert.equal(other.problem.key, 'error.database_url_missing');
    process.env.FORMS_TEST_DATABASE = 'postgres://there/db';
    try {
      await testDatabase({ databaseUrl: '${FORMS_TEST_DATABASE}' });
    } finally {
      delete process.env.FORMS_TEST_DATABASE;
    }
    assert.deepEqual(
      its.asked.map((queue) => queue.url),
      [databaseUrl, 'postgres://there/db'],
    );
  });

  it('asks with the fields, and with the stored password where the form shows that there is one', async () => {
    const url = await its.start();
    const credentials = { account: { username: 'me', password: rightPassword, databasePassword: password } };
    await load([customAccount(url)], credentials);
    process.env.FORMS_TEST_HOST = 'db.example';
    const fields = { databaseBy: 'fields', databaseHost: '${FORMS_TEST_HOST}', databaseName: 'My-Queue' };
    try {
      await testDatabase({
        ...fields,
        ...{ databasePort: '6543', databaseUser: 'me', databasePassword: '__PWRD__' },
      });
    } finally {
      delete process.env.FORMS_TEST_HOST;
    }
    assert.deepEqual(
      its.asked.map((queue) => queue.url),
      [databaseUrl],
    );
    assert.equal((await testDatabase({ databaseBy: 'fields' })).problem.key, 'error.database_host_missing');
    assert.equal((await testDatabase(fields)).problem.key, 'error.variable_unset');
  });

  it('refuses an invalid request', async () => {
    for (const body of [null, 'x', {}, { id: 1, values: {} }, { id: 'a', values: [] }]) {
      assert.equal((await its.forms.testDatabase(body)).status, 400);
    }
  });
});

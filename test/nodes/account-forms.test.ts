// Admin routes for the account form: the connection test with every failure, and the segments.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import helper from 'node-red-node-test-helper';
import { AccountForms, type Answer } from '../../nodes/account/admin';
import { ofFailure } from '../../nodes/account/connection-test';
import { engines, sandbox as shared } from '../../nodes/account/process-wide';
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox';
import type { DatabaseTest, TestedDatabase } from '../../src/queue-postgres/postgres-test';
import { readNetworkError } from '../../src/service/http/network-errors';
import { httpServer, httpsServer, listen, type Running } from '../service/loopback';
import { customAccount, entry, Flow, load, login, sleep, unload, useNodeRed, wordsOf } from './out-flow';

const rightPassword = 's3cr3t-word';
const { privateKey: pem } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});

/** The nodes in a subflow, and one instance of it with this environment. */
function inSubflow(nodes: readonly object[], env: readonly object[] = []): object[] {
  return [
    { id: 'sub', type: 'subflow', name: 'sub', in: [], out: [] },
    ...nodes.map((node) => ({ ...node, z: 'sub' })),
    { id: 'instance', z: 'flow', x: 0, y: 0, type: 'subflow:sub', env, wires: [] },
  ];
}

describe("an account's forms", () => {
  let sandbox: Sandbox | null = null;
  let server: Running | null = null;
  let forms: AccountForms;
  /** What the store was asked, and what it says. */
  let asked: TestedDatabase[] = [];
  let found: DatabaseTest;

  useNodeRed();
  beforeEach(() => {
    forms = new AccountForms((helper as any)._RED, engines, shared, (tested) => {
      asked.push(tested);
      return Promise.resolve(found);
    });
  });
  afterEach(async () => {
    await unload();
    await engines.closeParked();
    await sandbox?.close();
    await server?.close();
    sandbox = server = null;
  });

  const start = async (options: SandboxOptions = {}): Promise<string> => {
    sandbox = await startSandbox({ users: { me: rightPassword }, member: 7, ...options });
    return sandbox.url;
  };
  /** What the form sends. */
  const valuesOf = (url: string, changes: object = {}): object => ({
    environment: 'custom',
    authUrl: url,
    serviceUrl: url,
    member: '7',
    authMethod: 'password',
    username: 'me',
    password: rightPassword,
    keyName: '',
    privateKey: '',
    tls: '',
    proxy: '',
    ...changes,
  });
  const test = async (values: object, id = 'account'): Promise<any> => {
    const { status, body } = await forms.test({ id, values });
    assert.equal(status, 200);
    const text = JSON.stringify(body);
    assert.ok(!text.includes(rightPassword) && !text.includes('PRIVATE'), `a secret went back: ${text}`);
    checkWords(body);
    return body;
  };

  describe('the test of the connection', () => {
    it('works with nothing filled in for the sandbox', async () => {
      const { result, level } = await test({ environment: 'sandbox', username: '', password: '' });
      assert.deepEqual([result, level], ['sandboxWorks', 'good']);
    });

    it('works with the right password, and names user and host', async () => {
      const url = await start();
      const body = await test(valuesOf(url));
      const { host } = new URL(url);
      const good = { result: 'works', level: 'good' };
      assert.deepEqual(body, {
        ...good,
        params: { username: 'me', host },
        steps: [
          { ...good, step: 'login', params: { username: 'me', host } },
          { ...good, step: 'endpoint', params: { host } },
          { ...good, step: 'member', params: { member: '7' } },
          { ...good, step: 'segments', params: {} },
        ],
      });
    });

    it('works with a signed key, and reports a refused one', async () => {
      const jwt = { authMethod: 'jwt', keyName: 'k', privateKey: pem };
      assert.equal((await test(valuesOf(await start(), jwt))).result, 'works');
      await sandbox!.close();
      const { publicKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'pem' },
      });
      const url = await start({ keys: { k: publicKey } });
      assert.equal((await test(valuesOf(url, jwt))).result, 'wrongKey');
    });

    it('reports a wrong password', async () => {
      const { result, level } = await test(valuesOf(await start(), { password: 'wrong' }));
      assert.deepEqual([result, level], ['wrongPassword', 'bad']);
    });

    for (const [errorId, expected] of [
      ['NOAUTH_EXPIRED', 'passwordExpired'],
      ['NOAUTH_DISABLED', 'disabled'],
      ['UNAUTH', 'notAllowed'],
      ['SYSTEM', 'trouble'],
    ] as const) {
      it(`tells ${errorId} as ${expected}`, async () => {
        const url = await start({ faults: [{ kind: 'error', errorId, on: 'auth' }] });
        assert.equal((await test(valuesOf(url))).result, expected);
      });
    }

    it('reports a login that the audience host does not allow or accept', async () => {
      const url = await start({ faults: [{ kind: 'error', errorId: 'UNAUTH', on: 'usage' }] });
      assert.equal((await test(valuesOf(url))).result, 'notAllowed');
      sandbox!.faults.set([{ kind: 'error', errorId: 'NOAUTH', on: 'usage' }]);
      assert.equal((await test(valuesOf(url))).result, 'tokenRefused');
    });

    /** Each question that was asked, and what it came to. */
    const stepsOf = ({ steps }: any): string[] => steps.map(({ step, result }: any) => `${step} ${result}`);

    it('reports a refused member separately from the working login and host', async () => {
      const url = await start();
      for (const fault of [
        { errorId: 'SYNTAX' },
        { errorId: 'INTEGRITY', status: 400 },
        { errorId: 'UNAUTH', count: 1 },
      ] as const) {
        sandbox!.faults.set([{ kind: 'error', on: 'usage', ...fault }]);
        const body = await test(valuesOf(url));
        assert.deepEqual([body.result, body.level], ['memberRefused', 'bad']);
        assert.deepEqual(body.params, { member: '7', host: new URL(url).host });
        const expected = ['login works', 'endpoint works', 'member memberRefused', 'segments works'];
        assert.deepEqual(stepsOf(body), expected);
      }
    });

    it('asks for the member in the form, and notices an answer for another', async () => {
      const asked: string[] = [];
      server = await listen(
        httpServer(({ url }, response) => {
          asked.push(url);
          const usage = { status: 'OK', report: { member_id: 12 } };
          const token = { status: 'OK', token: 'hbapi:1' };
          response.end(JSON.stringify({ response: url.includes('auth') ? token : usage }));
        }),
      );
      const body = await test(valuesOf(`http://127.0.0.1:${server.port}`));
      assert.deepEqual([body.result, body.params], ['memberOther', { member: '7', other: 12 }]);
      assert.deepEqual(stepsOf(body).slice(1, 3), ['endpoint works', 'member memberOther']);
      assert.ok(asked.some((each) => each.includes('rt-segment-processed?member_id=7&')));
    });

    it('continues without the list of segments, and explains its use', async () => {
      const url = await start({ faults: [{ kind: 'error', errorId: 'UNAUTH', on: 'segments' }] });
      const refused = await test(valuesOf(url));
      assert.deepEqual([refused.result, refused.level], ['segmentsFailed', 'warning']);
      assert.equal(refused.params.code, 'UNAUTH');
      assert.deepEqual(stepsOf(refused).slice(0, 3), ['login works', 'endpoint works', 'member works']);
      sandbox!.faults.clear();
      const others = await test(valuesOf(url, { member: '99' }));
      assert.deepEqual(
        [others.result, others.level, others.params],
        ['segmentsOfOthers', 'warning', { member: '99' }],
      );
    });

    it('runs each possible step, whatever the result of the one before', async () => {
      const url = await start({ faults: [{ kind: 'error', errorId: 'NOAUTH', on: 'usage' }] });
      assert.deepEqual(stepsOf(await test(valuesOf(url))), [
        'login works',
        'endpoint tokenRefused',
        'segments works',
      ]);
      assert.deepEqual(stepsOf(await test(valuesOf(url, { password: 'wrong' }))), ['login wrongPassword']);
    });

    it('reports which of the two hosts cannot be reached', async () => {
      const url = await start();
      const closed = await listen(httpServer(() => undefined));
      await closed.close();
      const nobody = `http://127.0.0.1:${closed.port}`;
      const login = await test(valuesOf(url, { authUrl: nobody }));
      assert.deepEqual([login.result, login.params.host], ['nothingListens', `127.0.0.1:${closed.port}`]);
      const posts = await test(valuesOf(url, { serviceUrl: nobody }));
      assert.deepEqual([posts.result, posts.params.host], ['nothingListens', `127.0.0.1:${closed.port}`]);
      const unknown = await test(valuesOf(url, { authUrl: 'http://nowhere.invalid' }));
      assert.deepEqual([unknown.result, unknown.params.host], ['unknownHost', 'nowhere.invalid']);
    });

    it('reports a certificate for another host, and an untrusted one', async () => {
      server = await listen(httpsServer('localhost', (_seen, response) => response.end()));
      const untrusted = await test(valuesOf(`https://localhost:${server.port}`));
      assert.equal(untrusted.result, 'certificate');
      assert.match(untrusted.params.code, /^[A-Z_]+$/);
      // As the client tells it, whose own tests have the certificates for that.
      const elsewhere = readNetworkError({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'connecting', 'host');
      assert.equal(ofFailure(elsewhere, 'host').result, 'certificateHost');
    });

    it('reports an address of another server', async () => {
      server = await listen(httpServer((_seen, response) => response.end('<html>welcome</html>')));
      assert.equal((await test(valuesOf(`http://127.0.0.1:${server.port}`))).result, 'address');
      await server.close();
      server = await listen(httpServer((_seen, response) => response.writeHead(404).end()));
      const url = `http://127.0.0.1:${server.port}/no/such/place`;
      const { result, params } = await test(valuesOf(url));
      assert.deepEqual([result, params.url], ['address', url]);
    });

    /** A service whose clock differs from ours, and that lets everybody in, or nobody. */
    const otherClock = async (offMinutes: number, letsIn: boolean): Promise<string> => {
      server = await listen(
        httpServer(({ url }, response) => {
          response.setHeader('date', new Date(Date.now() + offMinutes * 60_000).toUTCString());
          const refused = { response: { error_id: 'NOAUTH', error: 'no' } };
          const token = { response: { status: 'OK', token: 'hbapi:1' } };
          const usage = { response: { status: 'OK', report: {} } };
          const isLogin = url.includes('auth');
          response.end(JSON.stringify(isLogin ? (letsIn ? token : refused) : usage));
        }),
      );
      return `http://127.0.0.1:${server.port}`;
    };

    it('reports a wrong clock, whether a signed login is refused or works', async () => {
      const jwt = { authMethod: 'jwt', keyName: 'k', privateKey: pem };
      const behind = await test(valuesOf(await otherClock(90, false), jwt));
      assert.deepEqual([behind.result, behind.params.minutes], ['clockBehindRefused', 90]);
      await server!.close();
      const ahead = await test(valuesOf(await otherClock(-7, true)));
      assert.deepEqual([ahead.result, ahead.level, ahead.params.minutes], ['clockAheadWorks', 'warning', 7]);
      await server!.close();
      assert.equal((await test(valuesOf(await otherClock(4, true)))).result, 'works');
    });

    it('reports missing and wrong values with the form’s own sentences', async () => {
      const problem = async (changes: object): Promise<string> =>
        (await test(valuesOf('http://127.0.0.1:1', changes))).problem.key;
      assert.equal(await problem({ member: '' }), 'error.member_missing');
      assert.equal(await problem({ password: '' }), 'error.password_missing');
      assert.equal(await problem({ authUrl: 'nonsense' }), 'error.auth_url_invalid');
      assert.equal(await problem({ tls: 'gone' }), 'error.tls_missing');
      assert.equal(await problem({ password: '${NOT_SET_ANYWHERE}' }), 'error.variable_unset');
      assert.equal(await problem({ authMethod: 'jwt', keyName: 'k', privateKey: 'x' }), 'error.key_invalid');
    });

    it('takes the value of an environment variable', async () => {
      process.env.FORMS_TEST_PASSWORD = rightPassword;
      try {
        const values = valuesOf(await start(), { password: '${FORMS_TEST_PASSWORD}' });
        assert.equal((await test(values)).result, 'works');
      } finally {
        delete process.env.FORMS_TEST_PASSWORD;
      }
    });

    it('uses the stored password where the form shows that there is one', async () => {
      const url = await start();
      await load([customAccount(url)], login(rightPassword));
      assert.equal((await test(valuesOf(url, { password: '__PWRD__' }))).result, 'works');
      const other = await test(valuesOf(url, { password: '__PWRD__' }), 'not deployed');
      assert.equal(other.problem.key, 'error.password_missing');
    });

    it('uses the stored password of an account in a subflow', async () => {
      const url = await start();
      await load(inSubflow([customAccount(url)]), login(rightPassword));
      assert.equal((await test(valuesOf(url, { password: '__PWRD__' }))).result, 'works');
    });

    it('uses the login of the running account, so that testing costs none of the ten', async () => {
      const url = await start();
      const out = new Flow();
      await load([customAccount(url), ...out.nodes()], login(rightPassword), out);
      await out.send({ payload: entry(1) });
      for (let time = 0; time < 12; time++) {
        assert.equal((await test(valuesOf(url, { password: '__PWRD__' }))).result, 'works');
      }
      assert.equal(sandbox!.peaks().totals.authentications, 1);
      assert.equal((await test(valuesOf(url, { password: 'another' }))).result, 'wrongPassword');
      sandbox!.faults.killTokens();
      assert.equal((await test(valuesOf(url))).result, 'works', 'a token that died is replaced');
    });

    it('counts among the ten in five minutes, also with a password that is not saved', async () => {
      const url = await start({ users: { me: rightPassword } });
      for (let n = 0; n < 10; n += 1) assert.equal((await test(valuesOf(url))).result, 'works');
      const held = await test(valuesOf(url, { password: 'another' }));
      assert.equal(held.result, 'loginLimit');
      // The service would say less than five minutes: it was not asked.
      assert.ok(held.params.seconds > 300, String(held.params.seconds));
    });

    it('reports exhausted logins, and the time of the next try', async () => {
      const values = valuesOf(await start({ authLimit: 1 }));
      assert.equal((await test(values)).result, 'works');
      const { result, level, params } = await test(values);
      assert.deepEqual([result, level], ['loginLimit', 'warning']);
      assert.ok(params.seconds >= 1);
    });

    it('refuses an invalid request', async () => {
      for (const body of [null, 'x', {}, { id: 1, values: {} }, { id: 'a', values: [] }]) {
        assert.equal((await forms.test(body)).status, 400);
      }
      assert.equal((await test({ environment: 5, member: {} })).result, 'sandboxWorks', 'no text, no value');
    });
  });

  describe('the test of the database', () => {
    const password = 's3cr3t/word';
    const databaseUrl = `postgres://me:${encodeURIComponent(password)}@db.example:6543/My-Queue`;
    const host = 'db.example:6543';
    const sandboxQueue = { origin: 'sandbox', member: '1', tls: null };
    const testDatabase = async (values: object, id = 'account'): Promise<any> => {
      const { status, body } = await forms.testDatabase({ id, values });
      assert.equal(status, 200);
      const text = JSON.stringify(body);
      assert.ok(!text.includes(password) && !text.includes(encodeURIComponent(password)), text);
      checkWords(body);
      return body;
    };
    const works = { kind: 'works', host, isNew: false, waiting: 7, sender: null } as const;
    beforeEach(() => {
      asked = [];
      found = { ...works, sender: 'node-2' };
    });

    it('reports the number of queued entries and the active instance', async () => {
      const secure = `${databaseUrl}?sslmode=verify-full`;
      assert.deepEqual(await testDatabase({ databaseUrl: secure }), {
        result: 'database.worksSender',
        level: 'good',
        params: { host, waiting: 7, sender: 'node-2' },
      });
      assert.deepEqual(asked, [{ url: secure, ...sandboxQueue }]);
      found = works;
      assert.equal((await testDatabase({ databaseUrl })).result, 'database.works');
      found = { ...works, isNew: true };
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
      assert.deepEqual(asked, [{ url: databaseUrl, origin: 'http://gate/x', member: '7', tls: null }]);
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
        found = { kind: 'failed', host, code, reason: 'why' };
        assert.equal((await testDatabase({ databaseUrl })).result, `database.${result}`);
      });
    }

    it('reports a missing permission with a statement that can be run as it is', async () => {
      const names = { user: 'me', database: 'My-"Queue', schema: 'instant_audience_7_1' };
      found = { kind: 'failed', host, code: 'rights', ...names };
      assert.deepEqual((await testDatabase({ databaseUrl })).params, {
        database: '"My-""Queue"',
        user: 'me',
      });
      found = { kind: 'failed', host, code: 'schemaRights', ...names };
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
      assert.deepEqual(asked, []);
    });

    it('uses the stored URL where the form shows that there is one, and that of a variable', async () => {
      const url = await start();
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
        asked.map((queue) => queue.url),
        [databaseUrl, 'postgres://there/db'],
      );
    });

    it('refuses an invalid request', async () => {
      for (const body of [null, 'x', {}, { id: 1, values: {} }, { id: 'a', values: [] }]) {
        assert.equal((await forms.testDatabase(body)).status, 400);
      }
    });
  });

  describe('the list of segments', () => {
    const page = async (id: string, query: Record<string, string> = {}): Promise<any> => {
      const answer: Answer = await forms.segments(id, query);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return answer.body;
    };
    const names = ({ segments }: any): string[] => segments.map((segment: any) => segment.shortName);
    const many = (count: number): any[] =>
      Array.from({ length: count }, (_, index) => ({
        id: 20_000 + index,
        code: `code_${index}`,
        short_name: `Name ${String(index).padStart(5, '0')}`,
        state: index % 100 === 99 ? 'inactive' : 'active',
        member_id: 7,
        expire_minutes: 0,
        last_modified: '2026-01-01 00:00:00',
      }));

    it('has the samples of the sandbox, also for an account that is not deployed', async () => {
      const all = await page('new', { environment: 'sandbox' });
      assert.equal(all.total, 15);
      assert.equal(all.next, null);
      assert.ok(names(all).includes('Kitchen: viewed a product'));
      const last = all.segments.at(-1);
      assert.deepEqual([last.state, last.code], ['inactive', 'summer_sale_2019']);
      assert.equal(shared.current() !== null, true);
    });

    it('is searched by name, code and id, by all the words of the search', async () => {
      const found = async (search: string): Promise<string[]> =>
        names(await page('new', { environment: 'sandbox', search }));
      assert.deepEqual(await found('kitchen'), ['Kitchen: bought a product', 'Kitchen: viewed a product']);
      assert.deepEqual(await found(' VIEWED  kitchen '), ['Kitchen: viewed a product']);
      assert.deepEqual(await found('cart_leavers'), ['Left a filled cart']);
      assert.deepEqual(await found('10005'), ['Loyalty programme']);
      assert.deepEqual(await found('1000').then((all) => all.length), 9);
      assert.deepEqual(await found('nothing like it'), []);
    });

    it('reports an account that is not deployed', async () => {
      const { status, body } = await forms.segments('new', {});
      assert.deepEqual([status, (body as any).result], [200, 'notDeployed']);
    });

    it('is read through an account in a subflow, with the values of its instance', async () => {
      const url = await start();
      const account = customAccount('${URL}');
      const flow = inSubflow([account], [{ name: 'URL', value: url, type: 'str' }]);
      await load(flow, login(rightPassword));
      assert.equal((await page('account')).total, 15);
    });

    it('is read through the account that a variable of the flow names for the builder', async () => {
      const url = await start();
      const builder = {
        id: 'builder',
        type: 'xandr-segment-builder',
        account: '${ACC}',
        userId: 'payload.user',
        segments: [{ segment: '10001' }],
        ...{ x: 0, y: 0, wires: [] },
      };
      const flow = inSubflow([builder], [{ name: 'ACC', value: 'account', type: 'str' }]);
      await load([customAccount(url), ...flow], login(rightPassword));
      assert.equal((await page('${ACC}', { node: 'builder' })).total, 15);
      assert.equal((await page('${ACC}', { node: 'account' })).result, 'notDeployed');
    });

    it('is read through the login of a deployed account, once for a while', async () => {
      const url = await start({ segments: many(1234) });
      await load([customAccount(url)], login(rightPassword));
      const first = await page('account');
      assert.equal(first.segments.length, 50);
      assert.equal(first.total, 1234);
      // The whole list comes behind the first answer; before that, the service is searched for at most 500.
      const beyond = { search: 'name', start: '600' };
      while ((await page('account', beyond)).segments.length === 0) await sleep(20);
      let all = await page('account', { search: 'name' });
      const seen = names(all);
      while (all.next !== null) {
        all = await page('account', { search: 'name', start: String(all.next) });
        seen.push(...names(all));
      }
      assert.equal(new Set(seen).size, 1234);
      assert.deepEqual(names(await page('account', { search: '20777' })), ['Name 00777']);
      assert.equal(sandbox!.peaks().totals.authentications, 1, 'one login for all of it');
    });

    it('uses the running account’s login, and gets over a token that died', async () => {
      const url = await start();
      const out = new Flow();
      await load([customAccount(url), ...out.nodes()], login(rightPassword), out);
      await out.send({ payload: entry(1) });
      sandbox!.faults.killTokens();
      assert.equal((await page('account')).total, 15);
      assert.equal(sandbox!.peaks().totals.authentications, 2);
    });

    it('give the reason for a missing list, in the words of the test', async () => {
      const url = await start();
      await load([customAccount(url)], login('wrong'));
      const refused = await forms.segments('account', {});
      assert.deepEqual([refused.status, (refused.body as any).result], [502, 'wrongPassword']);
      checkWords(refused.body);
      await unload();
      await load([customAccount(url, { member: '' })], login(rightPassword));
      const incomplete = await forms.segments('account', {});
      assert.deepEqual(
        [incomplete.status, (incomplete.body as any).problem.key],
        [409, 'error.member_missing'],
      );
    });
  });
});

/** The sentence is there, and every placeholder has its value. */
function checkWords({ result, params, problem, steps = [] }: any): void {
  const words = wordsOf('account');
  for (const step of steps) {
    assert.ok(words.testStep[step.step], step.step);
    if (step.level !== 'good') checkWords({ result: step.result, params: step.params });
  }
  if (problem !== undefined) {
    const [group, name] = problem.key.split('.');
    assert.ok(words[group][name], problem.key);
    return;
  }
  const sentence = result.split('.').reduce((group: any, key: string) => group?.[key], words.test);
  assert.ok(sentence, `no word for ${result}`);
  for (const [, name] of sentence.matchAll(/__(\w+?)__/g))
    assert.ok(params[name] !== undefined, `${result}: ${name}`);
}

describe('the results of the tests', () => {
  it('have a word each, and no word is left over', () => {
    const sources = ['connection-test.ts', 'database-test.ts', 'admin.ts', 'editor/test-button.ts'].map(
      (file) => readFileSync(path.join(__dirname, '..', '..', 'nodes', 'account', file), 'utf8'),
    );
    const used = new Set(
      sources.flatMap((source) => [...source.matchAll(/'(?:database\.)?(\w+)'/g)].map(([, word]) => word!)),
    );
    for (const then of ['Works', 'Refused'])
      for (const side of ['Ahead', 'Behind']) used.add(`clock${side}${then}`);
    const { database, ...test } = wordsOf('account').test;
    const words = Object.keys({ ...test, ...database }).filter(
      (word) => !['button', 'asking'].includes(word),
    );
    assert.deepEqual(
      words.filter((word) => !used.has(word)),
      [],
    );
  });
});

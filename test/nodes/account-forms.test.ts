// The test of the connection in the account's form, with every failure, and its words.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ofFailure } from '../../nodes/account/forms/connection-test';
import { readNetworkError } from '../../src/service/http/network-errors';
import { httpServer, httpsServer, listen } from '../service/loopback';
import { accountForms, checkWords, inSubflow, rightPassword } from './account-forms';
import { customAccount, entry, Flow, load, login, wordsOf } from './out-flow';

const { privateKey: pem } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});

describe('the test of the connection in the form of an account', () => {
  const its = accountForms();
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
    const { status, body } = await its.forms.test({ id, values });
    assert.equal(status, 200);
    const text = JSON.stringify(body);
    assert.ok(!text.includes(rightPassword) && !text.includes('PRIVATE'), `a secret went back: ${text}`);
    checkWords(body);
    return body;
  };

  it('works with nothing filled in for the sandbox', async () => {
    const { result, level } = await test({ environment: 'sandbox', username: '', password: '' });
    assert.deepEqual([result, level], ['sandboxWorks', 'good']);
  });

  it('works with the right password, and names user and host', async () => {
    const url = await its.start();
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
    assert.equal((await test(valuesOf(await its.start(), jwt))).result, 'works');
    await its.sandbox!.close();
    const { publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const url = await its.start({ keys: { k: publicKey } });
    assert.equal((await test(valuesOf(url, jwt))).result, 'wrongKey');
  });

  it('reports a wrong password', async () => {
    const { result, level } = await test(valuesOf(await its.start(), { password: 'wrong' }));
    assert.deepEqual([result, level], ['wrongPassword', 'bad']);
  });

  for (const [errorId, expected] of [
    ['NOAUTH_EXPIRED', 'passwordExpired'],
    ['NOAUTH_DISABLED', 'disabled'],
    ['UNAUTH', 'notAllowed'],
    ['SYSTEM', 'trouble'],
  ] as const) {
    it(`tells ${errorId} as ${expected}`, async () => {
      const url = await its.start({ faults: [{ kind: 'error', errorId, on: 'auth' }] });
      assert.equal((await test(valuesOf(url))).result, expected);
    });
  }

  it('reports a login that the audience host does not allow or accept', async () => {
    const url = await its.start({ faults: [{ kind: 'error', errorId: 'UNAUTH', on: 'usage' }] });
    assert.equal((await test(valuesOf(url))).result, 'notAllowed');
    its.sandbox!.faults.set([{ kind: 'error', errorId: 'NOAUTH', on: 'usage' }]);
    assert.equal((await test(valuesOf(url))).result, 'tokenRefused');
  });

  /** Each question that was asked, and what it came to. */
  const stepsOf = ({ steps }: any): string[] => steps.map(({ step, result }: any) => `${step} ${result}`);

  it('reports a refused member separately from the working login and host', async () => {
    const url = await its.start();
    for (const fault of [
      { errorId: 'SYNTAX' },
      { errorId: 'INTEGRITY', status: 400 },
      { errorId: 'UNAUTH', count: 1 },
    ] as const) {
      its.sandbox!.faults.set([{ kind: 'error', on: 'usage', ...fault }]);
      const body = await test(valuesOf(url));
      assert.deepEqual([body.result, body.level], ['memberRefused', 'bad']);
      assert.deepEqual(body.params, { member: '7', host: new URL(url).host });
      const expected = ['login works', 'endpoint works', 'member memberRefused', 'segments works'];
      assert.deepEqual(stepsOf(body), expected);
    }
  });

  it('asks for the member in the form, and notices an answer for another', async () => {
    const asked: string[] = [];
    its.server = await listen(
      httpServer(({ url }, response) => {
        asked.push(url);
        const usage = { status: 'OK', report: { member_id: 12 } };
        const token = { status: 'OK', token: 'hbapi:1' };
        response.end(JSON.stringify({ response: url.includes('auth') ? token : usage }));
      }),
    );
    const body = await test(valuesOf(`http://127.0.0.1:${its.server.port}`));
    assert.deepEqual([body.result, body.params], ['memberOther', { member: '7', other: 12 }]);
    assert.deepEqual(stepsOf(body).slice(1, 3), ['endpoint works', 'member memberOther']);
    assert.ok(asked.some((each) => each.includes('rt-segment-processed?member_id=7&')));
  });

  it('continues without the list of segments, and explains its use', async () => {
    const url = await its.start({ faults: [{ kind: 'error', errorId: 'UNAUTH', on: 'segments' }] });
    const refused = await test(valuesOf(url));
    assert.deepEqual([refused.result, refused.level], ['segmentsFailed', 'warning']);
    assert.equal(refused.params.code, 'UNAUTH');
    assert.deepEqual(stepsOf(refused).slice(0, 3), ['login works', 'endpoint works', 'member works']);
    its.sandbox!.faults.clear();
    const others = await test(valuesOf(url, { member: '99' }));
    assert.deepEqual(
      [others.result, others.level, others.params],
      ['segmentsOfOthers', 'warning', { member: '99' }],
    );
  });

  it('runs each possible step, whatever the result of the one before', async () => {
    const url = await its.start({ faults: [{ kind: 'error', errorId: 'NOAUTH', on: 'usage' }] });
    assert.deepEqual(stepsOf(await test(valuesOf(url))), [
      'login works',
      'endpoint tokenRefused',
      'segments works',
    ]);
    assert.deepEqual(stepsOf(await test(valuesOf(url, { password: 'wrong' }))), ['login wrongPassword']);
  });

  it('reports which of the two hosts cannot be reached', async () => {
    const url = await its.start();
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
    its.server = await listen(httpsServer('localhost', (_seen, response) => response.end()));
    const untrusted = await test(valuesOf(`https://localhost:${its.server.port}`));
    assert.equal(untrusted.result, 'certificate');
    assert.match(untrusted.params.code, /^[A-Z_]+$/);
    // As the client tells it, whose own tests have the certificates for that.
    const elsewhere = readNetworkError({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'connecting', 'host');
    assert.equal(ofFailure(elsewhere, 'host').result, 'certificateHost');
  });

  it('reports an address of another server', async () => {
    its.server = await listen(httpServer((_seen, response) => response.end('<html>welcome</html>')));
    assert.equal((await test(valuesOf(`http://127.0.0.1:${its.server.port}`))).result, 'address');
    await its.server.close();
    its.server = await listen(httpServer((_seen, response) => response.writeHead(404).end()));
    const url = `http://127.0.0.1:${its.server.port}/no/such/place`;
    const { result, params } = await test(valuesOf(url));
    assert.deepEqual([result, params.url], ['address', url]);
  });

  /** A service whose clock differs from ours, and that lets everybody in, or nobody. */
  const otherClock = async (offMinutes: number, letsIn: boolean): Promise<string> => {
    its.server = await listen(
      httpServer(({ url }, response) => {
        response.setHeader('date', new Date(Date.now() + offMinutes * 60_000).toUTCString());
        const refused = { response: { error_id: 'NOAUTH', error: 'no' } };
        const token = { response: { status: 'OK', token: 'hbapi:1' } };
        const usage = { response: { status: 'OK', report: {} } };
        const isLogin = url.includes('auth');
        response.end(JSON.stringify(isLogin ? (letsIn ? token : refused) : usage));
      }),
    );
    return `http://127.0.0.1:${its.server.port}`;
  };

  it('reports a wrong clock, whether a signed login is refused or works', async () => {
    const jwt = { authMethod: 'jwt', keyName: 'k', privateKey: pem };
    const behind = await test(valuesOf(await otherClock(90, false), jwt));
    assert.deepEqual([behind.result, behind.params.minutes], ['clockBehindRefused', 90]);
    await its.server!.close();
    const ahead = await test(valuesOf(await otherClock(-7, true)));
    assert.deepEqual([ahead.result, ahead.level, ahead.params.minutes], ['clockAheadWorks', 'warning', 7]);
    await its.server!.close();
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
      const values = valuesOf(await its.start(), { password: '${FORMS_TEST_PASSWORD}' });
      assert.equal((await test(values)).result, 'works');
    } finally {
      delete process.env.FORMS_TEST_PASSWORD;
    }
  });

  it('uses the stored password where the form shows that there is one', async () => {
    const url = await its.start();
    await load([customAccount(url)], login(rightPassword));
    assert.equal((await test(valuesOf(url, { password: '__PWRD__' }))).result, 'works');
    const other = await test(valuesOf(url, { password: '__PWRD__' }), 'not deployed');
    assert.equal(other.problem.key, 'error.password_missing');
  });

  it('uses the stored password of an account in a subflow', async () => {
    const url = await its.start();
    await load(inSubflow([customAccount(url)]), login(rightPassword));
    assert.equal((await test(valuesOf(url, { password: '__PWRD__' }))).result, 'works');
  });

  it('uses the login of the running account, so that testing costs none of the ten', async () => {
    const url = await its.start();
    const out = new Flow();
    await load([customAccount(url), ...out.nodes()], login(rightPassword), out);
    await out.send({ payload: entry(1) });
    for (let time = 0; time < 12; time++) {
      assert.equal((await test(valuesOf(url, { password: '__PWRD__' }))).result, 'works');
    }
    assert.equal(its.sandbox!.peaks().totals.authentications, 1);
    assert.equal((await test(valuesOf(url, { password: 'another' }))).result, 'wrongPassword');
    its.sandbox!.faults.killTokens();
    assert.equal((await test(valuesOf(url))).result, 'works', 'a token that died is replaced');
  });

  it('counts among the ten in five minutes, also with a password that is not saved', async () => {
    const url = await its.start({ users: { me: rightPassword } });
    for (let n = 0; n < 10; n += 1) assert.equal((await test(valuesOf(url))).result, 'works');
    const held = await test(valuesOf(url, { password: 'another' }));
    assert.equal(held.result, 'loginLimit');
    // The service would say less than five minutes: it was not asked.
    assert.ok(held.params.seconds > 300, String(held.params.seconds));
  });

  it('reports exhausted logins, and the time of the next try', async () => {
    const values = valuesOf(await its.start({ authLimit: 1 }));
    assert.equal((await test(values)).result, 'works');
    const { result, level, params } = await test(values);
    assert.deepEqual([result, level], ['loginLimit', 'warning']);
    assert.ok(params.seconds >= 1);
  });

  it('refuses an invalid request', async () => {
    for (const body of [null, 'x', {}, { id: 1, values: {} }, { id: 'a', values: [] }]) {
      assert.equal((await its.forms.test(body)).status, 400);
    }
    assert.equal((await test({ environment: [], member: {} })).result, 'sandboxWorks', 'no value');
  });
});

describe('the results of the tests', () => {
  it('have a word each, and no word is left over', () => {
    const files = [
      'forms/connection-test.ts',
      'forms/database-test.ts',
      'forms/admin.ts',
      'editor/test-button.ts',
    ];
    const sources = files.map((file) =>
      readFileSync(path.join(__dirname, '..', '..', 'nodes', 'account', file), 'utf8'),
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

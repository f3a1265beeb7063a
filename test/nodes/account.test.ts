// Accounts in Node-RED: their problems in the status of out nodes, logins, sharing, and the sandbox.
import assert from 'node:assert/strict';
import helper from 'node-red-node-test-helper';
import { engines, sandbox as shared } from '../../nodes/account/process-wide';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox';
import { sandbox as sharedSandbox } from '../../nodes/account/process-wide';
import { login as sandboxLogin, post } from '../sandbox/helpers';
import { fixture, httpsServer, listen, type Running } from '../service/loopback';
import {
  customAccount,
  deploy,
  entry,
  Flow,
  load,
  logged,
  login,
  unload,
  until,
  useNodeRed,
} from './out-flow';

const rightPassword = 's3cr3t-word';
const notReallyAKey = '-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBg\n-----END PRIVATE KEY-----';

interface Wrong {
  readonly name: string;
  readonly account?: object | null;
  readonly credentials?: object;
  /** Of the out node. */
  readonly out?: object;
  readonly status: string;
  readonly told: RegExp;
}

const wrongAccounts: readonly Wrong[] = [
  { name: 'none', account: null, out: { account: '' }, status: 'no account', told: /^No account is chosen/ },
  {
    name: 'gone',
    account: null,
    status: 'no active account',
    told: /^The account of this node is disabled or does not exist any more/,
  },
  {
    name: 'disabled',
    account: { d: true },
    status: 'no active account',
    told: /^The account of this node is disabled/,
  },
  {
    name: 'another type',
    account: { type: 'tls-config' },
    status: 'no active account',
    told: /^The account of this node/,
  },
  { name: 'no member', account: { member: '' }, status: 'member missing', told: /Member ID: needed/ },
  { name: 'no user', credentials: {}, status: 'login missing', told: /Username: needed/ },
  {
    name: 'no key at all in the key',
    account: { authMethod: 'jwt', keyName: 'k' },
    credentials: { username: 'me', privateKey: 'hello' },
    status: 'key invalid',
    told: /Private key: this is not an RSA private key in PEM form/,
  },
  {
    name: 'no address',
    account: { serviceUrl: 'streaming data' },
    status: 'account not usable',
    told: /Audience URL: enter an address that begins with/,
  },
  {
    name: 'encryption with a shared queue, with a blank behind it',
    account: { queue: 'shared ', databaseBy: 'url', encryptIds: true },
    credentials: { ...(login() as any).account, databaseUrl: 'postgres://u:p@there/db' },
    status: 'cannot encrypt',
    told: /a queue in a shared database cannot be encrypted/,
  },
  {
    name: 'a variable that is not set',
    account: { member: '${NOT_SET_ANYWHERE}' },
    status: 'account not usable',
    told: /member is read from the environment variable NOT_SET_ANYWHERE, which is not set/,
  },
  {
    name: 'a TLS configuration that is gone',
    account: { tls: 'gone' },
    status: 'account not usable',
    told: /TLS configuration: the chosen configuration is disabled, not deployed/,
  },
  {
    name: 'a proxy that is disabled',
    account: { proxy: 'a disabled proxy' },
    status: 'account not usable',
    told: /Proxy configuration: the chosen configuration/,
  },
];

describe('an account that is wrong', () => {
  useNodeRed();
  const flows = wrongAccounts.map((_, at) => new Flow(`out ${at}`));

  before(async () => {
    const nodes: object[] = [
      { id: 'a disabled proxy', type: 'http proxy', url: 'http://127.0.0.1:9', d: true },
    ];
    const credentials: Record<string, object> = {};
    wrongAccounts.forEach(({ account, credentials: its, out }, at) => {
      const id = `account ${at}`;
      if (account !== null) nodes.push(customAccount('http://127.0.0.1:9', { id, ...account }));
      credentials[id] = its ?? (login() as any).account;
      nodes.push(...flows[at]!.nodes({ account: id, ...out }));
    });
    await load(nodes, credentials, ...flows);
  });
  after(unload);

  wrongAccounts.forEach(({ name, status, told }, at) => {
    it(`(${name}) shows in the status, and every message is told`, async () => {
      const flow = flows[at]!;
      await flow.send({ payload: entry(1) }, { control: 'flush' });
      assert.equal(flow.errors.length, 2);
      assert.match(flow.error.replace(/^Account: /, ''), told);
      await until(() => flow.status === status, status);
      assert.deepEqual([flow.shown.at(-1)!.fill, flow.shown.at(-1)!.shape], ['red', 'ring']);
    });
  });
});

describe('accounts of one member', () => {
  useNodeRed();
  let sandbox: Sandbox;
  const one = new Flow('one');
  const other = new Flow('other');
  const both = (first: object, second: object): object[] => [
    customAccount(sandbox.url, { id: 'first', name: 'First', ...first }),
    customAccount(sandbox.url, { id: 'second', name: 'Second', ...second }),
    ...one.nodes({ account: 'first' }),
    ...other.nodes({ account: 'second' }),
  ];
  const logins = { ...login('any', 'first'), ...login('any', 'second') };

  beforeEach(async () => {
    sandbox = await startSandbox();
  });
  afterEach(async () => {
    await unload();
    await sandbox.close();
    for (const flow of [one, other]) flow.forget();
  });

  it('with queues in different places disagree, until a deploy settles it', async () => {
    await load(both({}, { queue: 'memory' }), logins, one, other);
    await other.send({ payload: entry(1) });
    assert.match(other.error, /The accounts Second and First serve the same member, but store their queues/);
    await until(() => other.status === 'accounts conflict', 'accounts conflict');
    await deploy(both({}, {}), 'nodes', one, other);
    await other.send({ payload: entry(1) });
    assert.equal(other.accepted.length, 1);
  });

  it('in the sandbox, are let through by it as far as they are set', async () => {
    const account = { type: 'xandr-account', environment: 'sandbox', usersPerPost: 2 };
    await load([{ ...account, id: 'first' }, ...one.nodes({ account: 'first' })], {}, one);
    await one.send({ payload: [entry(1), entry(2), entry(3)] });
    assert.equal(one.accepted[0].audience.accepted, 3);
    const shared = (await sharedSandbox.current())!;
    assert.equal(shared.peaks().worst.usersPerCall, 2);
    // Somebody else's call of more users meets the account's limit.
    const token = await sandboxLogin(shared.url);
    const { json } = await post(shared.url, token, entry(4), entry(5), entry(6));
    assert.equal(json.response.message.users_in_request, 2);
    shared.reset();
    await unload();
    await sharedSandbox.stopUnused();
  });
});

describe('a login that the service refuses', () => {
  useNodeRed();
  let sandbox: Sandbox;
  let expired: Sandbox;
  let elsewhere: Running;
  const names = ['wrong', 'expired', 'unreachable', 'certificate', 'key'] as const;
  const flows = Object.fromEntries(names.map((name) => [name, new Flow(name)])) as Record<
    (typeof names)[number],
    Flow
  >;
  const accounts = (changes: Partial<Record<(typeof names)[number], object>> = {}): object[] => {
    const urls: Record<(typeof names)[number], string> = {
      wrong: sandbox.url,
      expired: expired.url,
      unreachable: 'http://127.0.0.1:9',
      certificate: `https://localhost:${elsewhere.port}`,
      key: sandbox.url,
    };
    return [
      { id: 'trust', type: 'tls-config', verifyservercert: true },
      ...names.flatMap((name, at) => [
        customAccount(urls[name], {
          id: `account ${name}`,
          member: String(at + 1),
          ...(name === 'certificate' && { tls: 'trust' }),
          ...(name === 'key' && { authMethod: 'jwt', keyName: 'mine' }),
          ...changes[name],
        }),
        ...flows[name].nodes({ account: `account ${name}` }),
      ]),
    ];
  };
  const secrets = [rightPassword, 'wr0ng-one', 'MIIBVAIBADANBg'];

  before(async () => {
    sandbox = await startSandbox({ users: { me: rightPassword } });
    expired = await startSandbox({ faults: [{ kind: 'error', errorId: 'NOAUTH_EXPIRED', on: 'auth' }] });
    elsewhere = await listen(
      httpsServer('elsewhere', (_, response) => response.end()),
      'localhost',
    );
    const credentials = Object.fromEntries(
      names.map((name) => [`account ${name}`, { username: 'me', password: 'wr0ng-one' }]),
    );
    const more = {
      trust: { cadata: fixture('elsewhere-cert.pem') },
      'account key': { username: 'me', privateKey: notReallyAKey },
    };
    await load(accounts(), { ...credentials, ...more }, ...Object.values(flows));
  });
  after(async () => {
    await unload();
    await Promise.all([sandbox.close(), expired.close(), elsewhere.close()]);
  });

  it('shows in the status, in a line of the log, and keeps every message', async () => {
    for (const name of names) flows[name].give({ payload: entry(1) }, { payload: entry(2) });
    const told: Record<(typeof names)[number], [status: string, fill: string, log: RegExp]> = {
      wrong: [
        'wrong login',
        'red',
        /The service refused the login: check username and password.*\. See the documentation: Troubleshooting, Status\.$/,
      ],
      expired: [
        'password expired',
        'red',
        /The password has expired: set a new one.*\. See the documentation: Troubleshooting, Status\.$/,
      ],
      unreachable: ['service unreachable', 'yellow', /127\.0\.0\.1:9 refuses the connection/],
      certificate: ['check certificate', 'red', /the certificate of localhost:\d+ is for another hostname/],
      key: ['key invalid', 'red', /The private key is damaged or incomplete/],
    };
    for (const name of names) {
      const [status, fill, log] = told[name];
      const flow = flows[name];
      await until(() => flow.status === status, `${name}: ${status} instead of ${flow.status}`);
      assert.equal(flow.shown.at(-1)!.fill, fill);
      assert.equal(logged().filter((line) => log.test(line)).length, 1, name);
      assert.equal(flow.ends, 0);
    }
  });

  it('loses nothing when the credentials are corrected by a deploy', async () => {
    expired.faults.clear();
    const corrected = { credentials: { username: 'me', password: rightPassword } };
    await deploy(accounts({ wrong: corrected, expired: corrected }), 'nodes', ...Object.values(flows));
    for (const flow of [flows.wrong, flows.expired]) {
      // The messages ended when their node closed; their entries leave the new one.
      assert.deepEqual([flow.completed.length, flow.errors.length], [2, 0]);
      await until(() => flow.accepted.length > 0, 'recovered');
      const [{ payload, audience }] = flow.accepted;
      assert.deepEqual(payload, [entry(1), entry(2)]);
      assert.deepEqual([audience.status, audience.recovered, audience.accepted], ['accepted', true, 2]);
      await until(() => flow.status === 'ready', 'ready');
      await flow.send({ payload: entry(3) });
    }
    assert.equal(sandbox.state().length, 3);
    assert.equal(expired.state().length, 3);
  });

  it('shows no secret anywhere', () => {
    const shown = logged();
    for (const flow of Object.values(flows))
      shown.push(...flow.errors, ...flow.shown.map(({ text }) => text));
    for (const flow of Object.values(flows)) shown.push(JSON.stringify(flow.accepted));
    for (const secret of secrets) assert.ok(!shown.some((text) => text.includes(secret)), secret);
    assert.ok(!shown.some((text) => /hbapi:|authn:/.test(text)));
  });
});

describe('an account from a file', () => {
  useNodeRed();
  afterEach(unload);

  it('needs nothing but its type; the sandbox starts with its first user, and outlives a deploy', async () => {
    const flow = new Flow();
    assert.equal(shared.current(), null);
    const nodes = [{ id: 'account', type: 'xandr-account' }, ...flow.nodes()];
    await load(nodes, {}, flow);
    await flow.send({ payload: entry(1) });
    const live = await shared.current()!;
    assert.ok(
      logged().some((line) => /^Sandbox: .* never reach the service/.test(line) && line.includes(live.url)),
    );
    await until(() => flow.status === 'ready · sandbox', 'that it is a sandbox');
    const { body } = await (helper as any).request().get('/instant-audience/sandbox/members?segment=10001');
    assert.deepEqual([body[0].segment, body[0].count, body[0].members.length], ['10001', 1, 1]);
    assert.equal(
      (await (helper as any).request().get('/instant-audience/sandbox/members?user=nobody')).body.length,
      0,
    );
    await deploy(nodes, 'full', flow);
    await flow.send({ payload: entry(2) });
    assert.equal(await shared.current(), live);
    assert.equal(live.peaks().totals.authentications, 1);
    assert.equal(live.state().length, 2);
  });

  it('takes ${ENV}, and numbers where the form saves texts', async () => {
    const sandbox = await startSandbox({ users: { me: 'from there' } });
    Object.assign(process.env, {
      IA_URL: sandbox.url,
      IA_MEMBER: '12',
      IA_WORD: 'from there',
      IA_ROUTE: 'memory',
    });
    const flow = new Flow();
    const account = {
      ...customAccount('${IA_URL}', { member: 12, postsPerSecond: 100, queue: '${IA_ROUTE}' }),
      warnAfterMinutes: null,
    };
    try {
      await load([account, ...flow.nodes()], login('${IA_WORD}'), flow);
      await flow.send({ payload: entry(1) });
      assert.equal(flow.accepted.length, 1);
      await until(() => flow.status?.includes('in memory') === true, 'in memory');
    } finally {
      await unload();
      await sandbox.close();
      for (const name of ['IA_URL', 'IA_MEMBER', 'IA_WORD', 'IA_ROUTE'])
        Reflect.deleteProperty(process.env, name);
    }
  });

  it('answers 404 about the sandbox when no account uses it', async () => {
    await engines.closeParked();
    await shared.stopUnused();
    await load([], {});
    const { status, body } = await (helper as any).request().get('/instant-audience/sandbox/members');
    assert.equal(status, 404);
    assert.match(body.error, /no account in the running flows uses it/);
  });
});

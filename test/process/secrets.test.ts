// Secrets stay secret: with a service and a proxy that echo everything, none appears in any output.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { httpServer, listen, proxyServer, type Running, type Seen } from '../service/loopback';
import { NodeRed, packedPackage, until, type CommsLog, type FlowNode } from '../support/node-red';

const awkward = '"<&\\/%+é ';
/** Found in any form that text takes on its way, since it is plain itself. */
const coreOf = (what: string, kind: string): string => `C0RE${what}${kind.replace(/\W/g, '')}Z`;
const passwordOf = (kind: string): string => `${awkward}${coreOf('word', kind)}`;
/** Printable, as a header needs it. */
const tokenOf = (kind: string): string => `"<&\\/%+${coreOf('token', kind)}`;
const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const proxyWord = `${awkward.trim()}${coreOf('proxy', '')}`;
const databaseUrl = `postgres://me:${coreOf('database', '')}@127.0.0.1:9/none`;

const html = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** All that was sent, in many forms; its beginning shows that the service's words came through at all. */
function echo({ method, url, headers, body }: Seen): string {
  const { authorization = '' } = headers;
  const password = body.includes('"password"') ? (JSON.parse(body).auth.password as string) : '';
  const secrets = [authorization, password].filter((text) => text !== '');
  const forms = secrets.flatMap((text) => [text, encodeURIComponent(text), html(text), JSON.stringify(text)]);
  return `you said ${forms.join(' ')} ${method} ${url} ${body} ${JSON.stringify(headers)}`;
}

type Reply = (said: string, secret: string, response: http.ServerResponse) => void;
const json =
  (status: number, body: (said: string, secret: string) => unknown): Reply =>
  (said, secret, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body(said, secret)));
  };
const page =
  (status: number, headers: http.OutgoingHttpHeaders = {}): Reply =>
  (said, _secret, response) => {
    response.writeHead(status, { 'content-type': 'text/html', ...headers });
    response.end(`<html><p>${said}</p></html>`);
  };
const refused = (errorId: string): Reply =>
  json(200, (error) => ({ response: { status: 'ERROR', error_id: errorId, error } }));

/** Each is what one account meets at the login, or at posts and reads after it. */
const refusals: Readonly<Record<string, Reply>> = {
  noauth: refused('NOAUTH'),
  syntax: refused('SYNTAX'),
  system: refused('SYSTEM'),
  limit: refused('LIMIT'),
  unauth: refused('UNAUTH'),
  unknown: refused('MOON'),
  'odd-code': json(400, (said, secret) => ({
    response: { error_id: secret, error_code: said, error: said },
  })),
  warnings: json(200, (said, secret) => ({
    response: {
      status: 'OK',
      token: '',
      warnings: [said, { message: said }, { message: secret, entity: { user_id: secret } }, { said }],
      segments: [{ id: 1, short_name: secret, code: said }],
      rt_segment_processed: [{ said }],
    },
  })),
  400: page(400),
  401: page(401),
  403: page(403),
  407: page(407),
  413: page(413),
  429: page(429, { 'retry-after': '1' }),
  500: page(500),
  502: page(502),
  302: (said, secret, response) =>
    page(302, { location: `/elsewhere?${encodeURIComponent(secret)}` })(said, secret, response),
};
const kinds = Object.keys(refusals);
/** By the step that is refused. `key` logs in with a signed key. */
const accounts = ['word', 'key', 'post'].flatMap((step) => kinds.map((kind) => `${step}-${kind}`));

describe('secrets', function () {
  this.timeout(180_000);
  let service: Running;
  let proxy: Running;
  let closedProxy: Running;
  let nodeRed: NodeRed;
  let comms: CommsLog;
  const askedFor = new Set<string>();
  const signed = new Set<string>();
  /** By where it was found: all that anybody may get to see. */
  const shown: [where: string, text: string][] = [];

  const answer = (seen: Seen, response: http.ServerResponse): void => {
    const [, account = '', ...rest] = new URL(seen.url, 'http://x').pathname.split('/');
    const [step, ...words] = account.split('-');
    const isLogin = rest.includes('auth');
    if (rest.includes('jwt')) signed.add(seen.body);
    const secret = isLogin ? (rest.includes('jwt') ? seen.body : passwordOf(account)) : tokenOf(account);
    const refusal = refusals[words.join('-')];
    if (refusal === undefined || (isLogin && step === 'post')) {
      json(200, () => ({ response: { status: 'OK', token: tokenOf(account) } }))('', '', response);
      if (refusal === undefined && !isLogin) askedFor.add(account);
      return;
    }
    askedFor.add(account);
    refusal(echo(seen), secret, response);
  };

  const flows = (): FlowNode[] => {
    const place = { z: 'tab', x: 100, y: 100 };
    const all = [...accounts, 'post-through', 'word-unproxied'];
    const debug = (id: string): FlowNode => ({
      ...{ ...place, id, type: 'debug', active: true, tosidebar: true, console: true, tostatus: false },
      ...{ complete: 'true', targetType: 'full', wires: [] },
    });
    return [
      { id: 'tab', type: 'tab', label: 'secrets' },
      ...[proxy, closedProxy].map(({ port }, at) => ({
        ...{ id: `proxy-${at}`, type: 'http proxy', url: `http://127.0.0.1:${port}`, noproxy: [] },
        credentials: { username: 'jo', password: proxyWord },
      })),
      { ...place, id: 'in', type: 'http in', url: '/go', method: 'post', wires: [['go', 'fine']] },
      { ...place, id: 'fine', type: 'http response', statusCode: '', headers: {}, wires: [] },
      {
        ...{ ...place, id: 'go', type: 'change' },
        rules: ['req', 'res'].map((p) => ({ t: 'delete', p, pt: 'msg' })),
        wires: [all.flatMap((id) => [`out-${id}`, `usage-${id}`])],
      },
      { ...place, id: 'caught', type: 'catch', scope: null, uncaught: false, wires: [['debug']] },
      { ...place, id: 'statuses', type: 'status', scope: null, wires: [['debug']] },
      debug('debug'),
      ...all.flatMap((id, at): FlowNode[] => [
        {
          ...{
            id,
            type: 'xandr-account',
            name: `account ${id}`,
            environment: 'custom',
            member: String(at + 1),
          },
          ...{ authUrl: `http://127.0.0.1:${service.port}/${id}`, keyName: 'mine' },
          serviceUrl: `http://127.0.0.1:${service.port}/${id}`,
          authMethod: id.startsWith('key') ? 'jwt' : 'password',
          ...(id === 'post-through' && { proxy: 'proxy-0' }),
          ...(id === 'word-unproxied' && { proxy: 'proxy-1' }),
          credentials: {
            ...{ username: `user-${id}`, password: passwordOf(id), privateKey },
            ...{ databaseUrl, databasePassword: coreOf('database', '') },
          },
        },
        {
          ...place,
          id: `out-${id}`,
          type: 'xandr-instant-audience-out',
          account: id,
          wires: [['debug'], ['debug']],
        },
        { ...place, id: `usage-${id}`, type: 'xandr-audience-usage', account: id, wires: [['debug']] },
      ]),
    ];
  };

  before(async () => {
    service = await listen(httpServer(answer));
    const asked: http.IncomingHttpHeaders[] = [];
    proxy = await listen(proxyServer(asked, () => null));
    closedProxy = await listen(echoingProxy());
    await packedPackage();
    // The least careful that a system can be about the files that its programs make.
    const umask = process.umask(0);
    const starting = NodeRed.start({
      flows: [],
      settings: {
        credentialSecret: 'of the test',
        logging: { console: { level: 'trace', metrics: true, audit: true } },
        instantAudience: { metrics: true },
      },
    });
    nodeRed = await starting.finally(() => process.umask(umask));
    comms = await nodeRed.comms();
    await nodeRed.deploy(flows());
    const entry = { user_id: '4711', seg_block: [{ seg_id: 10001, expiration: 60 }] };
    for (let n = 0; n < 3; n += 1) await nodeRed.post('go', { ...entry, user_id: String(4711 + n) });
    const missing = (): string[] => accounts.filter((id) => !askedFor.has(id));
    await until(
      () => missing().length === 0 && askedFor.has('post-through'),
      30_000,
      () => `calls of ${missing().join(', ')}; log:\n${nodeRed.output}`,
    );
    assert.ok(
      Buffer.from(asked[0]!['proxy-authorization']!.slice(6), 'base64').toString().includes(proxyWord),
    );
    await look();
  });
  after(async () => {
    comms.close();
    await nodeRed.stop();
    await Promise.all([service.close(), proxy.close(), closedProxy.close()]);
  });

  /** Through every window that there is. */
  async function look(): Promise<void> {
    const { ticket } = (await nodeRed.post('instant-audience/tab/watch', {})).body as {
      ticket: string;
    };
    const socket = new WebSocket(new URL('comms', nodeRed.url).href.replace('http', 'ws'));
    let queues: readonly { key: string }[] = [];
    socket.addEventListener('message', ({ data }) => {
      shown.push(['the tab', String(data)]);
      for (const { topic, data: said } of [JSON.parse(String(data))].flat())
        if (topic === 'instant-audience/overview') queues = said.queues;
    });
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    socket.send(JSON.stringify({ topic: 'instant-audience/watch', data: { ticket } }));
    await until(() => queues.length >= accounts.length, 10_000, 'the figures of the tab');
    const get = async (where: string): Promise<void> => {
      const reply = await nodeRed.fetch(where, { headers: { accept: 'application/json' } });
      shown.push([where, `${JSON.stringify([...reply.headers])} ${await reply.text()}`]);
    };
    const general = ['flows', 'flow/tab', 'nodes', 'settings', 'settings/user', 'diagnostics', 'flows/state'];
    for (const where of [...general, 'context/global', 'context/flow/tab', 'instant-audience/metrics'])
      await get(where);
    for (const { key } of queues) await get(`instant-audience/tab/rejected?queue=${encodeURIComponent(key)}`);
    for (const id of [...accounts, 'post-through', 'word-unproxied']) {
      await get(`credentials/xandr-account/${id}`);
      await get(`instant-audience/account/${id}/segments`);
      const [{ credentials: _, ...values }] = flows().filter((node) => node.id === id) as [FlowNode];
      const stored = { username: `user-${id}`, password: '__PWRD__', privateKey: '__PWRD__' };
      const tested = await nodeRed.post('instant-audience/account/test', {
        id,
        values: { ...values, ...stored },
      });
      shown.push([`the test of ${id}`, JSON.stringify(tested)]);
    }
    for (const at of [0, 1]) await get(`credentials/http%20proxy/proxy-${at}`);
    await sleep(2_000);
    socket.close();
    shown.push(['the log', nodeRed.output], ['the editor', JSON.stringify(comms.received)]);
    for (const file of await filesIn(nodeRed.userDir)) {
      const bytes = await readFile(path.join(nodeRed.userDir, file)).catch(whenGone);
      shown.push([file, bytes.toString('latin1')]);
    }
  }

  function assertNowhere(secret: string): void {
    const places = shown.filter(([, text]) => text.includes(secret));
    const around = places.map(([where, text]) => {
      const at = text.indexOf(secret);
      return `${where}: ${text.slice(Math.max(0, at - 200), at + 100)}`;
    });
    assert.deepEqual(around, [], `${secret} is shown`);
  }

  it('were repeated to us, and the words around them came through', () => {
    const log = shown.find(([where]) => where === 'the log')![1];
    assert.ok((log.match(/you said/g) ?? []).length > 20, log);
    assert.ok(shown.some(([where, text]) => where === 'the editor' && text.includes('you said')));
    assert.ok(shown.some(([where]) => where.startsWith('instant-audience/') && where.endsWith('.sqlite')));
    assert.ok(shown.some(([where]) => where === 'flows_cred.json'));
    assert.ok(signed.size > 0);
  });

  it('are nowhere: passwords', () => {
    for (const id of [...accounts, 'post-through', 'word-unproxied']) assertNowhere(coreOf('word', id));
  });

  it('are nowhere: tokens', () => {
    for (const id of [...accounts, 'post-through']) assertNowhere(coreOf('token', id));
  });

  it('are nowhere: private keys and what was signed with them', () => {
    for (const line of privateKey.split('\n').filter((text) => text.length > 40)) assertNowhere(line);
    for (const jwt of signed) assertNowhere(jwt.split('.')[2]!.slice(0, 40));
  });

  it("are nowhere: a proxy's login and a database's address", () => {
    assertNowhere(coreOf('proxy', ''));
    const basic = Buffer.from(`jo:${proxyWord}`).toString('base64');
    assertNowhere(basic.slice(0, 24));
    assertNowhere(coreOf('database', ''));
  });

  it('and users are in files that only the owner of the process may read', async () => {
    if (process.platform === 'win32') return;
    const folder = path.join(nodeRed.userDir, 'instant-audience');
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    const names = await readdir(folder);
    assert.ok(names.length >= accounts.length);
    for (const name of names) assert.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600, name);
  });
});

/** Refuses every tunnel, and repeats the login in its reply. */
function echoingProxy(): http.Server {
  const server = http.createServer();
  server.on('connect', ({ headers }: http.IncomingMessage, client: NodeJS.WritableStream) => {
    const login = Buffer.from((headers['proxy-authorization'] ?? '').slice(6), 'base64').toString();
    const body = `you said ${login} ${JSON.stringify(headers)}`;
    const head = `HTTP/1.1 407 ${login}\r\nproxy-authenticate: Basic realm="you"\r\n`;
    client.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  });
  return server;
}

/** All that Node-RED has written; not the packages, nor the settings file of the test. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('node_modules') && file !== 'settings.js');
}

/** SQLite takes its `-wal` away when a queue is closed, also between our look at the folder and at the file. */
function whenGone(error: NodeJS.ErrnoException): Buffer {
  if (error.code === 'ENOENT') return Buffer.alloc(0);
  throw error;
}

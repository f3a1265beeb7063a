// Admin routes for the forms: tests of an account's login and database, and the segments of its member; and the members
// of the sandbox's segments.

import { createHash } from 'node:crypto';
import type { NodeAPI } from 'node-red';
import { isObject, shortenThrown } from '../../../src/entry/index';
import type { Registry } from '../../../src/delivery/index';
import type { MembersQuery, Sandbox, SharedSandbox } from '../../../src/sandbox/index';
import {
  ServiceClient,
  type ServiceClientOptions,
  sameLogin,
  type Login,
  type LoginCount,
  type ReadOutcome,
  readWithToken,
  type SegmentList,
  type SegmentQuery,
  TokenKeeper,
} from '../../../src/service/index';
import { systemClock } from '../../../src/clock';
import { deployedNode, formValues, queuePlace } from './admin-settings';
import type { Problem } from '../account-api';
import { connectionOf } from '../connection/connection';
import { ofFailure, testConnection, type TestResult } from './connection-test';
import { databaseConnection, isInClear } from '../connection/database';
import { databaseResult, type TestDatabase } from './database-test';
import { deployedNodes } from '../../shared/deployed';
import { builderType, type BuilderNode } from '../../segment-builder/builder-node';
import { choicesOf, isAt, leftBy, queryOf } from '../queue/left-entries';
import { SegmentDirectory, type ReadSegments } from './segment-directory';
import { plainText, variableIn, type Saved } from '../../shared/saved';
import { readSettings, readSharedQueue, type AccountSettings } from '../settings';

/** Answer of a route. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A client for a form's questions. */
interface Way {
  readonly connection: ServiceClientOptions;
  readonly client: ServiceClient;
}

/** A login that no out node uses, with the token that the picker got for it. */
interface OwnLogin {
  login: Login;
  readonly keeper: TokenKeeper;
  /** The last one that was asked over; the sandbox may have moved to another port. */
  connection: ServiceClientOptions;
}

const mostOwnLogins = 10;

/** Registers the routes; call it once. */
export function serveAccountForms(
  RED: NodeAPI,
  engines: Registry,
  sandbox: SharedSandbox,
  testDatabase: TestDatabase,
): void {
  const forms = new AccountForms(RED, engines, sandbox, testDatabase);
  // A test sends the stored password to the address in the form. Whoever may deploy can do that anyway; nobody else.
  const mayTest = [
    RED.auth.needsPermission('instant-audience.write'),
    RED.auth.needsPermission('flows.write'),
  ];
  const post = (route: string, answerTo: (body: unknown) => Answer | Promise<Answer>): void => {
    RED.httpAdmin.post(`/instant-audience/account/${route}`, ...mayTest, (request, response) => {
      const answer = Promise.resolve(answerTo(jsonIn(request)));
      // A rejection that nobody handles would end Node-RED.
      answer
        .then(({ status, body }) => response.status(status).json(body))
        .catch(() => response.sendStatus(500));
    });
  };
  post('test', (body) => forms.test(body));
  post('test-database', (body) => forms.testDatabase(body));
  post('queued', (body) => forms.queued(body));
  post('segments', (body) => forms.formSegments(body));
  const mayRead = RED.auth.needsPermission('instant-audience.read');
  RED.httpAdmin.get('/instant-audience/account/:id/segments', mayRead, (request, response) => {
    const { id } = request.params as { id: string };
    void forms.segments(id, request.query).then(({ status, body }) => response.status(status).json(body));
  });
  serveSandboxMembers(RED, sandbox);
}

/** `?segment=` lists the members of one segment, `?user=` the segments of one user; neither only counts. */
function serveSandboxMembers(RED: NodeAPI, sandbox: SharedSandbox): void {
  const mayRead = RED.auth.needsPermission('instant-audience.read');
  RED.httpAdmin.get('/instant-audience/sandbox/members', mayRead, (request, response) => {
    const running = sandbox.current();
    if (running === null) {
      response.status(404).json({ error: RED._('account.sandboxStopped') });
      return;
    }
    const answer = (live: Sandbox): void => void response.json(live.members(membersQuery(request.query)));
    running.then(answer).catch((error: unknown) => {
      response.status(503).json({ error: shortenThrown(error) });
    });
  });
}

function membersQuery(query: Readonly<Record<string, unknown>>): MembersQuery {
  const { segment, user } = query;
  return {
    ...(typeof segment === 'string' && segment !== '' && { segment }),
    ...(typeof user === 'string' && user !== '' && { user }),
  };
}

/** A form of another site could send text, but not JSON, without the browser asking first. */
function jsonIn(request: { is(type: string): unknown; readonly body?: unknown }): unknown {
  return typeof request.is('json') === 'string' ? request.body : null;
}

/** The routes without HTTP. None of them rejects. */
export class AccountForms {
  readonly #directory = new SegmentDirectory(() => systemClock.monoMs());
  readonly #ownLogins = new Map<string, OwnLogin>();

  constructor(
    private readonly RED: NodeAPI,
    private readonly engines: Registry,
    private readonly sandbox: SharedSandbox,
    private readonly databaseTest: TestDatabase,
  ) {}

  /** @param body `{id, values}`: the account's node id, and what the fields of its form hold */
  test(body: unknown): Promise<Answer> {
    return this.#answer(body, async (saved, id) => {
      const settings = readSettings(saved);
      return 'key' in settings ? incomplete(settings) : this.#test(id, settings);
    });
  }

  /** The same for the database of a shared queue, whatever login is in the form. */
  testDatabase(body: unknown): Promise<Answer> {
    return this.#answer(body, async (saved) => {
      const queue = readSharedQueue(saved);
      if ('key' in queue) return incomplete(queue);
      const { origin, member, database } = queue;
      const connection = databaseConnection(this.RED, database);
      if ('key' in connection) return incomplete(connection);
      const test = await this.databaseTest({ ...connection, origin, member });
      return databaseResult(test, isInClear(connection));
    });
  }

  /** Number of entries in the deployed queue if the form names another one, and the choices for them. */
  queued(body: unknown): Answer {
    const form = this.#formIn(body);
    if (form === null) return { status: 400, body: {} };
    const { id, saved } = form;
    const info = this.engines.list().find(({ accounts }) => accounts.some((account) => account.id === id));
    const place = queuePlace(saved);
    if (info === undefined || 'key' in place || isAt(info, place))
      return { status: 200, body: { waiting: 0 } };
    const { origin, member } = info;
    const query = queryOf(this.RED.settings.userDir ?? '.', info);
    const waiting = leftBy(id, info);
    return { status: 200, body: { waiting, origin, member, query, ...choicesOf(info, place) } };
  }

  async #answer(body: unknown, ask: (saved: Saved, id: string) => Promise<TestResult>): Promise<Answer> {
    try {
      const form = this.#formIn(body);
      if (form === null) return { status: 400, body: badRequest };
      return { status: 200, body: await ask(form.saved, form.id) };
    } catch (error) {
      return { status: 200, body: unexpected(error) };
    }
  }

  #formIn(body: unknown): { readonly id: string; readonly saved: Saved } | null {
    if (!isObject(body) || typeof body.id !== 'string' || !isObject(body.values)) return null;
    return { id: body.id, saved: formValues(this.RED, body.id, body.values) };
  }

  /**
   * @param account its node id, or the variable that names it
   * @param query `search`, `start`, and `node`: the builder that asks
   */
  async segments(account: string, query: Saved): Promise<Answer> {
    const id = variableIn(account) === null ? account : accountOfBuilder(query.node);
    const settings = deployedNode(id)?.settings ?? null;
    // Not 404: the browser would report an error for what the form says in a sentence.
    if (settings === null) return { status: 200, body: { result: 'notDeployed', level: 'bad', params: {} } };
    return this.#segments(id, settings, query);
  }

  /** Of an account as the editor has it; with `search` and `start` in the body. */
  async formSegments(body: unknown): Promise<Answer> {
    const form = this.#formIn(body);
    if (form === null) return { status: 400, body: badRequest };
    return this.#segments(form.id, readSettings(form.saved), body as Saved);
  }

  async #segments(id: string, settings: AccountSettings | Problem, query: Saved): Promise<Answer> {
    if ('key' in settings) return { status: 200, body: incomplete(settings) };
    const search = plainText(query.search) ?? '';
    const start = Number(plainText(query.start) ?? '');
    try {
      const from = Number.isSafeInteger(start) && start > 0 ? start : 0;
      return await this.#search(id, settings, search.slice(0, 200), from);
    } catch (error) {
      return { status: 502, body: unexpected(error) };
    }
  }

  #test(id: string, settings: AccountSettings): Promise<TestResult> {
    return this.#withClient(settings, async (way) => {
      const { authUrl, serviceUrl } = way.connection;
      const { login, member } = settings;
      const { client, keeper = null } = this.#running(id, settings) ?? way;
      const logins = this.#loginCount(settings);
      const subject = { client, login, member, authUrl, serviceUrl, keeper, logins, wallMs: Date.now() };
      const tested = await testConnection(subject);
      return settings.isSandbox && tested.result === 'works' ? { ...tested, result: 'sandboxWorks' } : tested;
    });
  }

  async #search(id: string, settings: AccountSettings, search: string, start: number): Promise<Answer> {
    const read: ReadSegments = (query) => this.#read(id, settings, query);
    const outcome = await this.#directory.search(keyOf(settings), read, search, start);
    if (outcome.kind === 'page') return { status: 200, body: outcome.page };
    return { status: 502, body: ofFailure(outcome, settings.authUrl) };
  }

  /** One read with a token of the running account, or one that is kept for the forms. */
  async #read(id: string, settings: AccountSettings, query: SegmentQuery): Promise<ReadOutcome<SegmentList>> {
    const outcome = await this.#withClient(settings, (way) => {
      // The running account's client counts this among the member's calls in flight.
      const { client, keeper = this.#ownLogin(settings, way) } = this.#running(id, settings) ?? way;
      return readWithToken(keeper, (token) => client.segments(query, token));
    }).catch(unexpected);
    return 'result' in outcome ? { kind: 'configuration', code: outcome.result, message: '' } : outcome;
  }

  /** The engine's connection, when the settings are those with which the account runs. */
  #running(id: string, settings: AccountSettings): { client: ServiceClient; keeper: TokenKeeper } | null {
    const node = deployedNode(id);
    const running = node === null ? null : this.engines.connectionOf(node.id);
    if (node === null || running === null || 'key' in node.settings) return null;
    const deployed = node.settings;
    const isSame = keyOf(deployed) === keyOf(settings) && sameLogin(running.login, settings.login);
    return isSame ? running : null;
  }

  /** With the logins of running accounts that have the same user name, whatever their password. */
  #loginCount({ authOrigin, login }: AccountSettings): LoginCount {
    return this.engines.loginCount(authOrigin, login.username);
  }

  /** For reads: a token of the login in these settings. */
  #ownLogin(settings: AccountSettings, { connection }: Way): TokenKeeper {
    const { login } = settings;
    const key = userKeyOf(settings);
    const own = this.#ownLogins.get(key) ?? this.#newLogin(settings, connection);
    // A keeper takes this for a sign that a refusal may be over, so only for another login.
    if (!sameLogin(own.login, login)) own.keeper.replaceLogin(login);
    Object.assign(own, { login, connection });
    if (!this.#ownLogins.has(key) && this.#ownLogins.size >= mostOwnLogins)
      this.#ownLogins.delete(this.#ownLogins.keys().next().value!);
    this.#ownLogins.set(key, own);
    return own.keeper;
  }

  #newLogin(settings: AccountSettings, connection: ServiceClientOptions): OwnLogin {
    const { login } = settings;
    const keeper = new TokenKeeper({
      login,
      authenticate: (its) => withClient(own.connection, (client) => client.authenticate(its)),
      clock: systemClock,
      random: Math.random,
      logins: this.#loginCount(settings),
      loginStore: null,
    });
    const own: OwnLogin = { login, keeper, connection };
    return own;
  }

  /** Joins the sandbox where it is meant, and leaves it afterwards. */
  async #withClient<T>(
    settings: AccountSettings,
    ask: (way: Way & { readonly keeper?: undefined }) => Promise<T>,
  ): Promise<T | TestResult> {
    const { sandbox } = this;
    const url = settings.isSandbox ? (await sandbox.join()).url : null;
    try {
      const connection = connectionOf(this.RED, settings, url);
      if ('key' in connection) return incomplete(connection);
      return await withClient(connection, (client) => ask({ connection, client }));
    } finally {
      if (url !== null) sandbox.leave();
    }
  }
}

async function withClient<T>(
  connection: ServiceClientOptions,
  ask: (client: ServiceClient) => Promise<T>,
): Promise<T> {
  const client = new ServiceClient(connection);
  try {
    return await ask(client);
  } finally {
    void client.close().catch(() => undefined);
  }
}

/** Everything that decides where a call goes and as whom, as a digest: it stands for a password too. */
function keyOf(settings: AccountSettings): string {
  const { isSandbox, origin, authUrl, serviceUrl, member, login, tls, proxy } = settings;
  const all = isSandbox ? ['sandbox'] : [origin, authUrl, serviceUrl, member, login, tls, proxy];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex');
}

/** Everything but password and key: who is counted, and over which connection. */
function userKeyOf(settings: AccountSettings): string {
  const { isSandbox, origin, authUrl, serviceUrl, member, login, tls, proxy } = settings;
  const who = [login.method, login.username];
  return JSON.stringify(isSandbox ? ['sandbox'] : [origin, authUrl, serviceUrl, member, who, tls, proxy]);
}

/** The account that a deployed builder has behind its variable. */
function accountOfBuilder(builder: unknown): string {
  return typeof builder === 'string'
    ? (deployedNodes<BuilderNode>(builderType, builder)[0]?.accountId ?? '')
    : '';
}

const badRequest: TestResult = { result: 'badRequest', level: 'bad', params: {} };

/** A property that is wrong in itself; its sentence is the form's own. */
function incomplete(problem: Problem): TestResult & { readonly problem: Problem } {
  return { result: 'incomplete', level: 'bad', params: {}, problem };
}

function unexpected(error: unknown): TestResult {
  return { result: 'unexpected', level: 'bad', params: { reason: shortenThrown(error) } };
}

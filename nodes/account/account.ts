// Runtime of the account node: owns the member's engine for its users, and starts the sandbox.

import { createHash } from 'node:crypto';
import type { Node, NodeAPI, NodeConstructor, NodeDef } from 'node-red';
import { printable, shortenThrown } from '../../src/entry/index';
import {
  QueueKindsDiffer,
  type LeaseRequest,
  outcomesWithout,
  documentedRequestLimits,
  type SharedRequest,
} from '../../src/delivery/index';
import { type QueueStore, SqliteStore } from '../../src/queue/index';
import { queuesOf, PostgresLog, testDatabase } from '../../src/queue-postgres/index';
import type { SandboxSettings } from '../../src/sandbox/index';
import { ServiceClient, type ServiceClientOptions } from '../../src/service/index';
import { distinctName, type NamedAccount } from '../shared/account-names';
import { nowDeployed } from '../shared/deployed';
import { withSection } from '../shared/docs';
import { figuresOf } from '../shared/figures';
import type { Saved } from '../shared/saved';
import type { Account, AccountNode } from './account-api';
import { serveAccountForms } from './forms/admin';
import type { Problem } from './account-api';
import { connectionOf } from './connection/connection';
import {
  databaseConnection,
  identityOf,
  isInClear,
  sharedQueueKey,
  type DatabaseConnection,
} from './connection/database';
import { Holder, type Hold } from './holder';
import type { Behind } from './queue/orphaned-queues';
import { instanceName } from './queue/instance-name';
import { isAt, leftBy } from './queue/left-entries';
import { engines, leftDatabases, orphanedQueuesOf, sandbox } from './process-wide';
import { queueFile, bufferFile } from './queue/queue-file';
import { queueSecrets } from './queue/queue-secret';
import { readSettings, readSharedQueue, type AccountSettings } from './settings';

type AccountDef = NodeDef & Saved;

export = (RED: NodeAPI): void => {
  function AccountConstructor(this: AccountNode, config: AccountDef): void {
    RED.nodes.createNode(this, config);
    nowDeployed(this);
    const account = accountOf(RED, this, config);
    Object.defineProperties(this, Object.getOwnPropertyDescriptors(account));
  }

  RED.nodes.registerType('xandr-account', AccountConstructor as NodeConstructor<Node, AccountDef, object>, {
    credentials: {
      username: { type: 'text' },
      password: { type: 'password' },
      privateKey: { type: 'password' },
      databaseUrl: { type: 'password' },
      databasePassword: { type: 'password' },
    },
  });

  serveAccountForms(RED, engines, sandbox, testDatabase);
};

function accountOf(
  RED: NodeAPI,
  node: AccountNode,
  config: AccountDef,
): Account & { readonly settings: AccountSettings | Problem } {
  const name = distinctName({ id: node.id, name: nameOf(config) }, namedAccounts(RED));
  // Node-RED has put the values of `${ENV}` in place, in the credentials too.
  const saved = { ...config, ...node.credentials };
  const settings = readSettings(saved);
  const open = (isWanted: () => boolean): Promise<Hold | Problem | null> =>
    'key' in settings
      ? Promise.resolve(settings)
      : openHold(RED, node, name, settings, {
          databaseBefore: databaseBefore(RED, saved),
          isWanted,
          again: () => void holder.openAgain(),
        });
  const holder = new Holder(open, (error) => node.error(shortenThrown(error)));
  node.on('close', (done: () => void) => {
    void holder.close().then(done, done);
  });
  return {
    join: (user, listener) => holder.join(user, listener),
    leave: (user, returns, unreported) => holder.leave(user, returns, unreported),
    accountName: name,
    settings,
    get problem() {
      return 'key' in settings ? settings : holder.problem;
    },
    get isUsed() {
      return holder.isUsed;
    },
    isSandbox: !('key' in settings) && settings.isSandbox,
    member: 'key' in settings ? '' : settings.member,
    connection: () => engines.connectionOf(node.id),
    warnAfterMs: 'key' in settings ? Infinity : settings.warnAfterMs,
    requestLimits: 'key' in settings ? documentedRequestLimits : settings.limits,
  };
}

/** The choice in the account's form is carried out after the deploy, so there is no warning before. */
const warnLeftAfterMs = 3_000;

/** All accounts of the flows, also the disabled ones. */
function namedAccounts(RED: NodeAPI): NamedAccount[] {
  const found: NamedAccount[] = [];
  RED.nodes.eachNode((each) => {
    if (each.type === 'xandr-account') found.push({ id: each.id, name: nameOf(each as AccountDef) });
  });
  return found;
}

function nameOf({ name, environment, member }: AccountDef): string {
  if (typeof name === 'string' && name !== '') return name;
  const where = typeof environment === 'string' ? environment : 'sandbox';
  return typeof member === 'string' && member !== '' ? `${where} ${member}` : where;
}

interface Opening {
  /** Of a shared queue that the account had before this deploy. */
  readonly databaseBefore: DatabaseConnection | null;
  readonly isWanted: () => boolean;
  readonly again: () => void;
}

/** Joins the sandbox where it is meant, and takes hold of the engine. Never rejects. */
async function openHold(
  RED: NodeAPI,
  node: Node,
  name: string,
  settings: AccountSettings,
  { databaseBefore: before, isWanted, again }: Opening,
): Promise<Hold | Problem | null> {
  let leaveSandbox = (): void => undefined;
  const leaving = <T>(result: T): T => {
    leaveSandbox();
    return result;
  };
  try {
    const ofSandbox = sandboxSettingsOf(settings);
    const sandboxUrl = settings.isSandbox ? await joinSandbox(RED, node, ofSandbox) : null;
    if (sandboxUrl !== null) leaveSandbox = () => sandbox.leave(ofSandbox);
    // Another account node of the same id may hold it by now.
    if (!isWanted()) return leaving(null);
    const connection = connectionOf(RED, settings, sandboxUrl);
    if ('key' in connection) return leaving(connection);
    if (settings.encryptIds && queueSecrets(RED).length === 0)
      return leaving({ key: 'error.encrypt_no_secret' });
    const { database } = settings;
    const shared = database === null ? null : databaseConnection(RED, database);
    if (shared !== null && 'key' in shared) return leaving(shared);
    if (shared !== null && isInClear(shared))
      node.warn(withSection(RED._('account.databaseInClear'), 'database', RED));
    const request = requestOf(RED, node, name, settings, connection);
    const ofShared = shared === null ? null : sharedOf(RED, settings, shared);
    // Before it is closed for the new one.
    const hadLeft = rememberLeft(node, settings, ofShared);
    const lease = engines.acquire(ofShared === null ? request : { ...request, shared: ofShared });
    if (hadLeft || orphanedQueuesOf(RED).behind(node.id).length > 0 || before !== null) lease.recordUsers();
    const named = ofShared ?? (before === null ? null : sharedOf(RED, settings, before));
    const warning = setTimeout(() => void warnOfLeft(RED, node, named), warnLeftAfterMs).unref();
    const end = async (maxMs: number): Promise<void> => {
      clearTimeout(warning);
      await lease.release(maxMs);
      leaveSandbox();
    };
    return { lease, end };
  } catch (error) {
    if (error instanceof QueueKindsDiffer) error.whenOver(again);
    return leaving(problemOf(name, error));
  }
}

/** Whether the account had a queue with entries until this deploy; its database is remembered. */
function rememberLeft(node: Node, settings: AccountSettings, shared: SharedRequest | null): boolean {
  const place = { ...settings, database: shared?.queues?.place ?? null };
  const infos = engines
    .list()
    .filter((info) => info.left.includes(node.id) && info.queue !== 'memory' && !isAt(info, place));
  const left = infos.filter((info) => leftBy(node.id, info) > 0);
  for (const { database } of left)
    if (database !== null) leftDatabases.set(database.identity, database.queues);
  return left.length > 0;
}

/** That of the shared queue which the account had before, when its address is still saved. */
function databaseBefore(RED: NodeAPI, saved: Saved): DatabaseConnection | null {
  const named = readSharedQueue(saved);
  const connection = 'key' in named ? null : databaseConnection(RED, named.database);
  return connection === null || 'key' in connection ? null : connection;
}

/** At each deploy and start; `named`: the shared queue by which the account names a database. Never rejects. */
async function warnOfLeft(RED: NodeAPI, node: Node, named: SharedRequest | null): Promise<void> {
  const warned = orphanedQueuesOf(RED).behind(node.id);
  const shared = await leftInDatabases(RED, node, named);
  for (const { origin, member, waiting } of [...warned, ...shared])
    node.warn(
      withSection(
        RED._('account.leftBehind', { origin, member, ...figuresOf({ waiting }, RED) }),
        'orphaned',
        RED,
      ),
    );
}

/** Other queues with entries of the account, in the database that it names and in those that it named before. */
async function leftInDatabases(
  RED: NodeAPI,
  node: Node,
  named: SharedRequest | null,
): Promise<readonly Behind[]> {
  const ways = new Map(leftDatabases);
  if (named?.queues !== undefined) ways.set(named.identity, named.queues);
  const own = instanceName(RED.settings.uiPort);
  const open = engines.list();
  // Two ways may lead to one database.
  const byKey = new Map<string, Behind>();
  for (const [identity, queues] of ways) {
    const { place } = queues;
    if (place === null) continue;
    // The queue's own status says what is wrong with the database.
    for (const found of await queues.list().catch(() => [])) {
      const { schema, usedBy, waiting, accounts } = found;
      if (waiting === 0 || !accounts.includes(node.id)) continue;
      // This Node-RED counts as using a queue for a minute after it was stopped.
      if (usedBy.some((name) => name !== own)) continue;
      if (open.some((info) => isAt(info, { ...found, queue: 'shared', database: place }))) continue;
      leftDatabases.set(identity, queues);
      byKey.set(sharedQueueKey(place, schema), found);
    }
  }
  return [...byKey.values()];
}

function problemOf(account: string, error: unknown): Problem {
  if (error instanceof QueueKindsDiffer) {
    const key = error.onlyEncryption ? 'error.queue_encryption_differs' : 'error.queue_kinds_differ';
    return { key, params: { account, other: error.otherAccountName } };
  }
  return { key: 'error.account_unusable', params: { account, reason: shortenThrown(error) } };
}

async function joinSandbox(RED: NodeAPI, node: Node, settings: SandboxSettings): Promise<string> {
  const { url } = await sandbox.join(settings);
  // For each account, at each start, so that nobody mistakes it for the real service.
  node.log(RED._('account.sandboxRuns', { url }));
  return url;
}

/** The sandbox allows what the account is set to: somebody may have agreed to more, or to less, than is documented. */
function sandboxSettingsOf({ limits, readLimits, sandbox: own }: AccountSettings): SandboxSettings {
  const sandboxLimits = {
    postsPerSecond: limits.postsPerSecond,
    usersPerSecond: limits.usersPerSecond,
    getsPerSecond: readLimits.readsPerSecond,
    segmentReadsPerMinute: readLimits.apiReadsPerMinute,
    concurrent: limits.maxConcurrent,
    usersPerCall: limits.usersPerPost,
    segmentsPerUser: limits.blocksPerUser,
    bodyBytes: limits.maxBodyBytes,
  };
  return { limits: sandboxLimits, ...own };
}

function requestOf(
  RED: NodeAPI,
  node: Node,
  accountName: string,
  settings: AccountSettings,
  connection: ServiceClientOptions,
): LeaseRequest {
  const { origin, member, queue, limits, queueMaxEntries, queueMaxBytes, encryptIds } = settings;
  const { login, authOrigin } = settings;
  return {
    account: node.id,
    accountName,
    origin,
    member,
    queue,
    limits,
    queueMaxEntries,
    queueMaxBytes,
    encrypted: encryptIds,
    login,
    authOrigin,
    // Kept as a digest: it holds keys and passwords of TLS and proxy.
    connection: createHash('sha256').update(JSON.stringify(connection)).digest('hex'),
    connect: () => new ServiceClient(connection),
    openStore: () => openStore(RED, settings),
    log: (level, text) => {
      // In English; the text quotes the service, databases, other instances and entries.
      const line = printable(text, 4_000);
      if (level === 'info') node.log(line);
      else node[level](withSection(line, 'status'));
    },
  };
}

function openStore(RED: NodeAPI, { queue, origin, member, encryptIds }: AccountSettings): QueueStore {
  if (queue === 'memory') return new SqliteStore(':memory:');
  // Even if new entries are not encrypted: queued ones may be.
  const cipher = { isOn: encryptIds, secrets: queueSecrets(RED) };
  return new SqliteStore(queueFile(userDirOf(RED), origin, member), { cipher });
}

function sharedOf(
  RED: NodeAPI,
  { origin, member }: AccountSettings,
  connection: DatabaseConnection,
): SharedRequest {
  return {
    identity: identityOf(connection),
    open: () => new PostgresLog({ ...connection, origin, member }),
    localBuffer: () => new SqliteStore(bufferFile(userDirOf(RED), origin, member)),
    instanceName: instanceName(RED.settings.uiPort),
    queues: queuesOf(connection, outcomesWithout),
  };
}

function userDirOf(RED: NodeAPI): string {
  return RED.settings.userDir ?? '.';
}

// An account's saved properties as the runtime reads them: whole and with defaults, or the first that is wrong.
//
// They come from the form or from a file, with `${ENV}` in them, so any of them may be missing or of another type.

import type { QueueKind } from '../../src/delivery/engines';
import type { Limits } from '../../src/delivery/ledger';
import { documentedRequestLimits, type RequestLimits } from '../../src/delivery/request-limits';
import { DEFAULT_AUTH_URL, DEFAULT_SERVICE_URL } from '../../src/service/client';
import type { Login } from '../../src/service/login';
import {
  checkProperty,
  isFromEnvironment,
  checkedProperties,
  type CheckedProperty,
  type NumberProperty,
  type Problem,
  type Reader,
} from './checks';

/** Properties and credentials as Node-RED hands them over. */
export type Saved = Readonly<Record<string, unknown>>;

/** What is read beside the posts (spec section 5). */
export interface ReadLimits {
  /** From the host of the posts. */
  readonly readsPerSecond: number;
  /** From the host of the login. */
  readonly apiReadsPerMinute: number;
}

/** What the sandbox does where the documents leave it open, or where waiting would take too long to practise. */
export interface SandboxSettings {
  /** How long adds to a new segment have no effect. */
  readonly warmUpMinutes: number;
  /** Of a block without an expiration whose segment has none either; 0 never expires. */
  readonly defaultExpirationMinutes: number;
}

export interface AccountSettings {
  readonly isSandbox: boolean;
  /** Where posts go, in one spelling: by it and the member accounts share an engine and an outbox. */
  readonly origin: string;
  readonly member: string;
  /** Where logins go, in one spelling: by it and the user name logins are counted together. */
  readonly authOrigin: string;
  readonly authUrl: string;
  readonly serviceUrl: string;
  readonly login: Login;
  readonly limits: Limits & RequestLimits;
  readonly readLimits: ReadLimits;
  readonly sandbox: SandboxSettings;
  readonly queue: QueueKind;
  /** Where the queue is shared; else null. */
  readonly database: DatabaseSettings | null;
  readonly queueMaxEntries: number;
  readonly queueMaxBytes: number;
  /** User ids on disk. */
  readonly encryptIds: boolean;
  /** Ids of Node-RED's own `tls-config` and `http proxy` nodes; '' for none. */
  readonly tls: string;
  readonly proxy: string;
}

export type SharedQueueSettings = Pick<AccountSettings, 'origin' | 'member'> & {
  readonly database: DatabaseSettings;
};

export interface DatabaseSettings {
  /** With user name and password in it. */
  readonly url: string;
  /** Id of a `tls-config` node; '' for none. */
  readonly tls: string;
}

/** Design section 3. */
const defaults: Record<NumberProperty, number> = {
  postsPerSecond: 100,
  usersPerSecond: 1000,
  maxConcurrent: 15,
  ...documentedRequestLimits,
  readsPerSecond: 1000,
  apiReadsPerMinute: 100,
  sandboxWarmUpMinutes: 20,
  sandboxDefaultExpirationMinutes: 43_200,
  queueMaxEntries: 5_000_000,
  queueMaxMb: 2_048,
  warnAfterMinutes: 2,
};

/** Takes properties and credentials together. The words of a problem are in `account.json`. */
export function readSettings(saved: Saved): AccountSettings | Problem {
  const problem = problemOf((property) => textOf(saved, property));
  if (problem !== null) return problem;
  const text = (property: string, missing = ''): string => textOf(saved, property) ?? missing;
  const isCustom = text('environment') === 'custom';
  const isSandbox = text('environment', 'sandbox') === 'sandbox';
  const authUrl = isCustom ? text('authUrl', DEFAULT_AUTH_URL) : DEFAULT_AUTH_URL;
  return {
    isSandbox,
    ...placeOf(saved),
    authOrigin: isSandbox ? 'sandbox' : originOf(authUrl),
    authUrl,
    serviceUrl: serviceUrlOf(saved),
    login: isSandbox ? sandboxLogin : loginOf(saved),
    limits: {
      postsPerSecond: readNumber(saved, 'postsPerSecond'),
      usersPerSecond: readNumber(saved, 'usersPerSecond'),
      maxConcurrent: readNumber(saved, 'maxConcurrent'),
      usersPerPost: readNumber(saved, 'usersPerPost'),
      blocksPerUser: readNumber(saved, 'blocksPerUser'),
      maxBodyBytes: readNumber(saved, 'maxBodyBytes'),
    },
    readLimits: {
      readsPerSecond: readNumber(saved, 'readsPerSecond'),
      apiReadsPerMinute: readNumber(saved, 'apiReadsPerMinute'),
    },
    sandbox: {
      warmUpMinutes: readNumber(saved, 'sandboxWarmUpMinutes'),
      defaultExpirationMinutes: readNumber(saved, 'sandboxDefaultExpirationMinutes'),
    },
    queue: queueOf(text('queue')),
    database: text('queue') === 'shared' ? databaseOf(saved) : null,
    queueMaxEntries: readNumber(saved, 'queueMaxEntries'),
    queueMaxBytes: readNumber(saved, 'queueMaxMb') * 1_000_000,
    encryptIds: text('queue') !== 'memory' && text('encryptIds') === 'true',
    tls: text('tls'),
    proxy: text('proxy'),
  };
}

/** What a queue belongs to. */
function placeOf(saved: Saved): Pick<AccountSettings, 'origin' | 'member'> {
  const environment = textOf(saved, 'environment') ?? 'sandbox';
  if (environment === 'sandbox') return { origin: 'sandbox', member: '1' };
  return { origin: originOf(serviceUrlOf(saved)), member: textOf(saved, 'member') ?? '' };
}

function serviceUrlOf(saved: Saved): string {
  const isCustom = textOf(saved, 'environment') === 'custom';
  return isCustom ? (textOf(saved, 'serviceUrl') ?? DEFAULT_SERVICE_URL) : DEFAULT_SERVICE_URL;
}

function queueOf(text: string): QueueKind {
  return text === 'memory' || text === 'shared' ? text : 'disk';
}

function databaseOf(saved: Saved): DatabaseSettings {
  return { url: textOf(saved, 'databaseUrl') ?? '', tls: textOf(saved, 'databaseTls') ?? '' };
}

/** The queue in the database alone, whatever else is wrong with the account: for a test of it. */
export function readSharedQueue(saved: Saved): SharedQueueSettings | Problem {
  const shared: Saved = { ...saved, queue: 'shared' };
  const problem = problemOf((property) => textOf(shared, property), sharedQueueProperties);
  return problem ?? { ...placeOf(saved), database: databaseOf(saved) };
}

const sharedQueueProperties = ['environment', 'serviceUrl', 'member', 'databaseUrl'] as const;

/** The figure as saved; its default when it is missing or none. */
export function readNumber(saved: Saved, property: NumberProperty): number {
  const text = textOf(saved, property);
  return text !== undefined && checkProperty(property, () => text) === null && !isFromEnvironment(text)
    ? Number(text)
    : defaults[property];
}

/** A variable that is not set leaves its `${NAME}` standing, which must not be sent as somebody's password. */
function problemOf(read: Reader, properties: readonly CheckedProperty[] = checkedProperties): Problem | null {
  const isUnset = (property: CheckedProperty): boolean => isFromEnvironment(read(property)?.trim() ?? '');
  const withoutUnset: Reader = (property) => (isUnset(property) ? '' : read(property));
  for (const property of properties) {
    const problem = checkProperty(property, withoutUnset);
    if (problem === null) continue;
    if (!isUnset(property)) return problem;
    const name = read(property)!.trim().slice(2, -1);
    return { key: 'error.variable_unset', params: { property, name } };
  }
  return null;
}

/** The sandbox lets anybody in. */
const sandboxLogin: Login = { method: 'password', username: 'sandbox', password: 'sandbox' };

function loginOf(saved: Saved): Login {
  const username = textOf(saved, 'username') ?? '';
  if (textOf(saved, 'authMethod') === 'jwt') {
    const keyName = textOf(saved, 'keyName') ?? '';
    return { method: 'jwt', username, keyName, privateKey: textOf(saved, 'privateKey') ?? '' };
  }
  return { method: 'password', username, password: textOf(saved, 'password') ?? '' };
}

function originOf(serviceUrl: string): string {
  const url = new URL(serviceUrl);
  return `${url.origin}${url.pathname.replace(/(?<!\/)\/+$/, '')}`;
}

/** Blanks are part of these. */
const asTheyAre: readonly string[] = ['password', 'privateKey'];

/** The one way to read a property. Values of `${ENV}`, which come from files, bring blanks that nobody meant. */
function textOf(saved: Saved, property: string): string | undefined {
  const value = saved[property];
  if (typeof value === 'string') return asTheyAre.includes(property) ? value : value.trim();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

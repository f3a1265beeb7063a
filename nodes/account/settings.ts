// Settings of an account for the runtime: all values with defaults, or the first invalid one.
//
// They come from the form or from a file; `schema.ts` says what they may hold.

import * as z from 'zod/mini';
import type { QueueKind, Limits, RequestLimits } from '../../src/delivery/index';
import { databaseUrlOf } from '../../src/queue-postgres/postgres-url';
import type { SandboxSettings } from '../../src/sandbox/index';
import type { Login } from '../../src/service/index';
import { readSaved, variableUnset, type Reading, type Saved } from '../shared/saved';
import type { Problem } from './account-api';
import { accountSchema, type AccountValues } from './schema';

export interface AccountSettings
  extends QueuePlace, Pick<AccountValues, 'authUrl' | 'serviceUrl' | 'queueMaxEntries' | 'tls' | 'proxy'> {
  readonly isSandbox: boolean;
  /** Where logins go, in one spelling: by it and the user name logins are counted together. */
  readonly authOrigin: string;
  readonly login: Login;
  readonly limits: Limits & RequestLimits;
  readonly readLimits: Pick<AccountValues, 'readsPerSecond' | 'apiReadsPerMinute'>;
  /** The sandbox's behaviour where the documents leave it open, or where the real delays are too long for practice. */
  readonly sandbox: Pick<SandboxSettings, 'warmUpMinutes' | 'defaultExpirationMinutes'>;
  /** Where the queue is shared; else null. */
  readonly database: DatabaseSettings | null;
  readonly queueMaxBytes: number;
  readonly warnAfterMs: number;
}

/** Owner of a queue. */
interface Owner {
  /** Where posts go, in one spelling: by it and the member accounts share an engine and a store. */
  readonly origin: string;
  readonly member: string;
}

interface QueuePlace extends Owner {
  readonly queue: QueueKind;
  readonly encryptIds: boolean;
}

export interface DatabaseSettings {
  /** With user name and password in it. */
  readonly url: string;
  /** Id of a `tls-config` node; '' for none. */
  readonly tls: string;
}

/** Takes properties and credentials together. The words of a problem are in `account.json`. */
export function readSettings(saved: Saved): AccountSettings | Problem {
  const values = valuesOr(readSaved(accountSchema(saved), saved));
  if ('key' in values) return values;
  const isSandbox = values.environment === 'sandbox';
  const { postsPerSecond, usersPerSecond, maxConcurrent, usersPerPost, blocksPerUser, maxBodyBytes } = values;
  const { authUrl, serviceUrl, readsPerSecond, apiReadsPerMinute, queue, tls, proxy } = values;
  return {
    isSandbox,
    ...placeOf(values),
    authOrigin: isSandbox ? 'sandbox' : originOf(authUrl),
    authUrl,
    serviceUrl,
    login: loginOf(values),
    limits: { postsPerSecond, usersPerSecond, maxConcurrent, usersPerPost, blocksPerUser, maxBodyBytes },
    readLimits: { readsPerSecond, apiReadsPerMinute },
    sandbox: {
      warmUpMinutes: values.sandboxWarmUpMinutes,
      defaultExpirationMinutes: values.sandboxDefaultExpirationMinutes,
    },
    queue,
    database: queue === 'shared' ? databaseOf(values) : null,
    queueMaxEntries: values.queueMaxEntries,
    queueMaxBytes: values.queueMaxMb * 1_000_000,
    warnAfterMs: values.warnAfterMinutes * 60_000,
    encryptIds: queue !== 'memory' && values.encryptIds,
    tls,
    proxy,
  };
}

/** The queue in the database alone, whatever else is wrong with the account: for a test of it. */
export function readSharedQueue(saved: Saved): (Owner & { readonly database: DatabaseSettings }) | Problem {
  const shared = { ...saved, queue: 'shared' };
  const values = valuesOr(readSaved(z.pick(accountSchema(shared), queueProperties), shared));
  return 'key' in values ? values : { ...placeOf(values), database: databaseOf(values) };
}

/** The queue, even if other settings are invalid. */
export function readPlace(saved: Saved): QueuePlace | Problem {
  const values = valuesOr(readSaved(z.pick(accountSchema(saved), placeProperties), saved));
  if ('key' in values) return values;
  const { queue, encryptIds } = values;
  return { ...placeOf(values), queue, encryptIds };
}

const ownerProperties = { environment: true, serviceUrl: true, member: true } as const;
const placeProperties = { ...ownerProperties, queue: true, encryptIds: true } as const;
const databaseProperties = {
  databaseBy: true,
  databaseUrl: true,
  databaseHost: true,
  databasePort: true,
  databaseName: true,
  databaseUser: true,
  databasePassword: true,
  databaseTls: true,
} as const;
const queueProperties = { ...ownerProperties, ...databaseProperties } as const;

/** The values, or the first problem. */
function valuesOr<T extends object>(reading: Reading<T>): T | Problem {
  if (reading.ok) return reading.settings;
  const { path, code, params } = reading.problems[0]!;
  const named = code === variableUnset ? { property: path, ...params } : params;
  return Object.keys(named).length === 0 ? { key: `error.${code}` } : { key: `error.${code}`, params: named };
}

function placeOf(values: Pick<AccountValues, keyof typeof ownerProperties>): Owner {
  const { environment, serviceUrl, member } = values;
  return environment === 'sandbox'
    ? { origin: 'sandbox', member: '1' }
    : { origin: originOf(serviceUrl), member };
}

/** Fields are a URL from here on, so that both mean the same everywhere. */
function databaseOf(values: Pick<AccountValues, keyof typeof databaseProperties>): DatabaseSettings {
  const { databaseBy, databaseUrl, databaseTls: tls } = values;
  if (databaseBy === 'url') return { url: databaseUrl, tls };
  const { databaseHost: hosts, databasePort: port, databaseName: database } = values;
  const { databaseUser: user, databasePassword: password } = values;
  return { url: databaseUrlOf({ hosts, port, database, user, password }), tls };
}

/** The sandbox accepts any login. */
function loginOf({ environment, authMethod, username, password, keyName, privateKey }: AccountValues): Login {
  if (environment === 'sandbox') return { method: 'password', username: 'sandbox', password: 'sandbox' };
  return authMethod === 'jwt'
    ? { method: 'jwt', username, keyName, privateKey }
    : { method: 'password', username, password };
}

function originOf(serviceUrl: string): string {
  const url = new URL(serviceUrl);
  return `${url.origin}${url.pathname.replace(/(?<!\/)\/+$/, '')}`;
}

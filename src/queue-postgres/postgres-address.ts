// Address of the shared queue's database, and its login: read from the URL and Node-RED's TLS settings.

import { readFileSync } from 'node:fs';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';

import { QueueError } from '../queue/store';
import { readDatabaseUrl, sslModeOf, type Host } from './postgres-url';

/** Node-RED's `tls-config` in the form of Node's tls module. */
export type TlsSettings = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized' | 'ALPNProtocols'
>;

export interface Address {
  /** One host, or a primary and its standbys, of which one accepts writes at a time. */
  readonly hosts: readonly Host[];
  readonly database: string;
  readonly user: string | undefined;
  /** Null: from the environment or the password file, as in psql. */
  readonly password: string | undefined;
  readonly ssl: false | ConnectionOptions;
  /** Whether to continue without TLS when the server has none, as `sslmode=prefer` says. */
  readonly plainIfRefused: boolean;
  /** For people and errors: without user and password. */
  readonly where: string;
}

const form = 'postgres://user:password@host:5432/database';
const passwordHint =
  ' In a username or password each of /?#@% is percent-encoded: / is written as %2F, @ as %40, % as %25.';

/** Throws a QueueError `unavailable` that shows no part of the URL. */
export function addressOf(url: string, tls: TlsSettings | null): Address {
  const parts = readDatabaseUrl(url);
  if (parts === null || parts.hosts.length === 0) throw malformed(passwordHint);
  const { hosts, query } = parts;
  const [user, password] = loginOf(parts.login);
  const named = decode(parts.database);
  const database = named === '' ? (user ?? 'postgres') : named;
  return {
    hosts,
    database,
    user: query.get('user') ?? user,
    password: query.get('password') ?? password,
    ...sslOf(query, tls),
    where: `${hosts.map(nameOf).join(', ')}, database ${database}`,
  };
}

export function nameOf({ host, port }: Host): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function loginOf(login: string): [user: string | undefined, password: string | undefined] {
  const colon = login.indexOf(':');
  const user = decode(colon < 0 ? login : login.slice(0, colon));
  const password = colon < 0 ? '' : decode(login.slice(colon + 1));
  return [user === '' ? undefined : user, password === '' ? undefined : password];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed(passwordHint);
  }
}

/**
 * `sslmode` as in psql. TLS settings of the account take precedence: with them the connection is always
 * encrypted.
 */
function sslOf(query: URLSearchParams, tls: TlsSettings | null): Pick<Address, 'ssl' | 'plainIfRefused'> {
  if (tls !== null) return { ssl: { ...tls, ...identityOf(tls.servername) }, plainIfRefused: false };
  const mode = sslModeOf(query);
  const files = filesOf(query);
  switch (mode) {
    case 'disable':
    case 'allow':
      return { ssl: false, plainIfRefused: false };
    case 'prefer':
    case 'no-verify':
      return { ssl: { ...files, rejectUnauthorized: false }, plainIfRefused: mode === 'prefer' };
    case 'require':
      if (files.ca === undefined)
        return { ssl: { ...files, rejectUnauthorized: false }, plainIfRefused: false };
      return { ssl: { ...files, checkServerIdentity: () => undefined }, plainIfRefused: false };
    case 'verify-ca':
      return { ssl: { ...files, checkServerIdentity: () => undefined }, plainIfRefused: false };
    case 'verify-full':
      return { ssl: files, plainIfRefused: false };
    default:
      throw malformed(' sslmode is disable, prefer, require, verify-ca or verify-full.');
  }
}

/**
 * `pg` checks the certificate for the host's own name whatever `servername` says; this checks the right name.
 */
function identityOf(servername: string | undefined): Pick<ConnectionOptions, 'checkServerIdentity'> {
  if (servername === undefined || servername === '') return {};
  return { checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate) };
}

function filesOf(query: URLSearchParams): Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> {
  const files: Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> = {};
  for (const [name, parameter] of [
    ['ca', 'sslrootcert'],
    ['cert', 'sslcert'],
    ['key', 'sslkey'],
  ] as const) {
    const path = query.get(parameter);
    // `system` means the certificates that Node.js trusts anyway.
    if (path === null || path === 'system') continue;
    try {
      files[name] = readFileSync(path);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      throw malformed(` The file that ${parameter} names cannot be read (${code}).`);
    }
  }
  return files;
}

function malformed(more: string): QueueError {
  return new QueueError(
    'unavailable',
    `The address of the shared queue's database cannot be used. It has the form ${form}.${more}`,
  );
}

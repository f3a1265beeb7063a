// Whether the database of a shared queue can be used, asked at the database itself, and what stands in the way.

import type { TestResult } from './connection-test';
import type { DatabaseConnection } from './database';

/** What the store finds. `message` is English and for the log; the form has its own sentences by `code`. */
export type DatabaseTest =
  | { readonly kind: 'works'; readonly waiting: number; readonly sender: string | null }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export type TestDatabase = (connection: DatabaseConnection) => Promise<DatabaseTest>;

/** The sentence is `test.database.<…>` of the account's words. Never rejects; neither URL nor password is in it. */
export async function testSharedDatabase(
  connection: DatabaseConnection,
  test: TestDatabase,
): Promise<TestResult> {
  const place = placeOf(connection.url);
  try {
    return resultOf(await test(connection), place);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return resultOf({ kind: 'failed', code: 'failed', message }, place);
  }
}

interface Place {
  /** As people know it: host and port, or the folder of a socket. */
  readonly host: string;
  readonly database: string;
  readonly user: string;
  /** What must not be in an answer. */
  readonly secrets: readonly string[];
}

function placeOf(url: string): Place {
  const { host, pathname, username, password, searchParams } = new URL(url);
  return {
    host: host === '' ? (searchParams.get('host') ?? '') : decoded(host),
    database: decoded(pathname.slice(1)),
    user: decoded(username) || (searchParams.get('user') ?? ''),
    secrets: [url, password, decoded(password), searchParams.get('password') ?? ''],
  };
}

function resultOf(test: DatabaseTest, place: Place): TestResult {
  const { host } = place;
  if (test.kind === 'works') {
    const { waiting, sender } = test;
    return sender === null
      ? { result: 'database.works', level: 'good', params: { host, waiting } }
      : { result: 'database.worksSender', level: 'good', params: { host, waiting, sender } };
  }
  const { code } = test;
  const result = results[code] ?? 'database.failed';
  const params = paramsOf(result, place, withoutSecrets(test.message, place.secrets));
  return { result, level: result === 'database.busy' ? 'warning' : 'bad', params };
}

/** By the store's codes. */
const results: Readonly<Record<string, string>> = {
  dns: 'database.unknownHost',
  unreachable: 'database.unreachable',
  login: 'database.login',
  no_database: 'database.noDatabase',
  rights: 'database.rights',
  tls: 'database.tls',
  standby: 'database.standby',
  newer_version: 'database.newer',
  busy: 'database.busy',
};

function paramsOf(result: string, { host, database, user }: Place, reason: string): TestResult['params'] {
  switch (result) {
    case 'database.noDatabase':
      return { host, database };
    case 'database.rights':
      return { database: quoted(database), user: user === '' ? '…' : quoted(user) };
    case 'database.tls':
    case 'database.failed':
      return { host, reason };
    default:
      return { host };
  }
}

/** As a name in SQL: what needs no quotes is easier to read without. */
function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((left, secret) => left.replaceAll(secret, '…'), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

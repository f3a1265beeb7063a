// Test of the shared queue's database, as a result for the form.

import type { DatabaseTest, TestedDatabase } from '../../../src/queue-postgres/index';
import { resultOf, type TestResult } from './connection-test';

export type TestDatabase = (tested: TestedDatabase) => Promise<DatabaseTest>;

/** The sentence is `test.database.<…>` of the account's words. `isClear`: user ids would travel unencrypted. */
export function databaseResult(test: DatabaseTest, isClear: boolean): TestResult {
  if (test.kind === 'failed') return ofFailure(test);
  const works = ofWorking(test);
  return isClear ? { ...works, level: 'warning', also: 'account.databaseInClear' } : works;
}

function ofWorking({ host, isNew, waiting, sender }: DatabaseTest & { kind: 'works' }): TestResult {
  const good = (result: string, params: TestResult['params']): TestResult => ({
    result,
    level: 'good',
    params: { host, ...params },
  });
  if (isNew) return good('database.worksNew', {});
  return sender === null
    ? good('database.works', { waiting })
    : good('database.worksSender', { waiting, sender });
}

function ofFailure(test: DatabaseTest & { kind: 'failed' }): TestResult {
  const { host } = test;
  if ('user' in test) {
    const [user, database, schema] = [test.user, test.database, test.schema].map(quoted);
    return test.code === 'rights'
      ? resultOf('database.rights', { database: database!, user: user! })
      : resultOf('database.schemaRights', { schema: schema!, user: user! });
  }
  const { code, reason } = test;
  const level = code === 'busy' ? 'warning' : 'bad';
  return resultOf(`database.${failures[code] ?? 'failed'}`, { host, reason }, level);
}

/** Sentences of their own, by the code. */
const failures: Readonly<Record<string, string>> = {
  unknownHost: 'unknownHost',
  unreachable: 'unreachable',
  login: 'login',
  noDatabase: 'noDatabase',
  tls: 'tls',
  standby: 'standby',
  newer_version: 'newer',
  busy: 'busy',
  url: 'url',
};

/** A name in SQL: what needs no quotes is easier to read without. */
function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

// Words of the out node's and the account's runtimes: the same as the English of src/, complete, and all in use.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { i18n } from '@node-red/util';
import { entrySentences, inputSentences, sentence, type Issue } from '../../src/entry/issues';
import type { QueueError } from '../../src/queue/store';
import { issueText } from '../../nodes/shared/words';
import type { segmentKey } from '../../nodes/instant-audience-out/segment-words';
import { accountStatus } from '../../nodes/instant-audience-out/status-line';
import { loginRefusals, loginWait } from '../../nodes/shared/queue-state';
import { wordsOf } from './out-flow';

const nodes = path.join(__dirname, '..', '..', 'nodes');
const sources = (...files: string[]): string =>
  files.map((file) => readFileSync(path.join(nodes, file), 'utf8')).join('\n');
const outSources = sources(
  'instant-audience-out/instant-audience-out.ts',
  'instant-audience-out/reporter.ts',
  'instant-audience-out/status-line.ts',
  'instant-audience-out/segment-words.ts',
  'shared/account-use.ts',
  'shared/queue-state.ts',
);
const words = wordsOf('instant-audience-out');
const namespace = '@instant-audience/node-red-xandr/xandr-instant-audience-out';
const RED = {
  _: (key: string, params?: Record<string, unknown>) => i18n._(`${namespace}:${key}`, params as any),
};

/** Codes that come from elsewhere, so that no source of the node names them. */
const engineCodes = ['closed', 'queue_full', 'too_many_open_messages', 'outbox'];
const queueCodes: QueueError['code'][] = [
  'damaged',
  'readonly',
  'full',
  'locked',
  'newer_version',
  'encrypted',
  'unavailable',
  'closed',
  'failed',
  'fenced',
];
/** Of the warnings that the status shows; `segmentKey` names them. */
const segmentKeys: ReturnType<typeof segmentKey>[] = ['unknown', 'inactive', 'otherCase', 'warmUp', 'held'];
const loginCodes = [
  ...[
    'tls',
    'private_key',
    'login_incomplete',
    'authentication_limit',
    'rate_limited',
    'dns',
    'refused',
    'unreachable',
  ],
  ...[
    'connect_timeout',
    'connect',
    'timeout',
    'reset',
    'proxy',
    'redirect',
    'http_403',
    'http_404',
    'http_405',
    'http_407',
  ],
  ...[
    'http_500',
    'http_408',
    'SYSTEM',
    'SYNTAX',
    'status_not_ok',
    'dead_token_again',
    'times_unreadable',
    'failed',
    'no_account',
  ],
];

function leaves(group: object): string[] {
  return Object.entries(group).flatMap(([, value]: [string, unknown]) =>
    typeof value === 'string' ? [value] : leaves(value as object),
  );
}

describe('the words of the out node', () => {
  before(async () => {
    (i18n as any).init({ lang: 'en-US' });
    await i18n.registerMessageCatalog(
      namespace,
      path.join(nodes, 'instant-audience-out', 'locales'),
      'instant-audience-out.json',
    );
  });

  it('have the English sentence of every issue of an entry and of other input', () => {
    assert.deepEqual(words.out.issue, { ...entrySentences, ...inputSentences });
  });

  it('are found by Node-RED, with the same result as the English of src/', () => {
    for (const [code, text] of Object.entries({ ...entrySentences, ...inputSentences })) {
      const names = [...text.matchAll(/__(\w+?)__/g)].map(([, name]) => [name!, `<${name}>`]);
      const issue: Issue = { code: code as Issue['code'], path: 'here', params: Object.fromEntries(names) };
      assert.equal(issueText(RED, 'out', issue), sentence(issue));
    }
  });

  it('exist for every key that the runtime names', () => {
    for (const [, group, key] of outSources.matchAll(/'(error|status|rejection)\.(\w+)'/g)) {
      // Keys of the account's problems are in the account's words.
      const own = words[group!][key!] ?? wordsOf('account')[group!]?.[key!];
      assert.equal(typeof own, 'string', `${group}.${key}`);
    }
    const statuses = [...outSources.matchAll(/key: '(\w+)'/g)].map(([, key]) => key!);
    assert.ok(statuses.length > 10);
    for (const key of statuses) assert.equal(typeof words.status[key], 'string', key);
  });

  it('exist for everything that the engine, a login, an account or the store may say', () => {
    for (const code of engineCodes) assert.equal(typeof words.error[code], 'string', code);
    for (const code of queueCodes) assert.equal(typeof words.status[`outbox_${code}`], 'string', code);
    for (const key of Object.values(loginRefusals)) assert.equal(typeof words.status[key], 'string', key);
    for (const code of loginCodes) assert.equal(typeof words.status[loginWait(code).key], 'string', code);
    for (const problem of Object.keys(wordsOf('account').error)) {
      assert.equal(typeof words.status[accountStatus(`error.${problem}`)], 'string', problem);
    }
  });

  it('separate temporary problems from those that need an operator', () => {
    assert.deepEqual(loginWait('refused'), { look: 'waiting', key: 'trouble' });
    assert.deepEqual(loginWait('http_500'), { look: 'waiting', key: 'login_failing' });
    assert.deepEqual(loginWait('http_408'), { look: 'waiting', key: 'login_failing' });
    assert.deepEqual(loginWait('http_403'), { look: 'stopped', key: 'configuration' });
    assert.deepEqual(loginWait('http_404'), { look: 'stopped', key: 'wrong_url' });
    assert.deepEqual(loginWait('tls'), { look: 'stopped', key: 'certificate' });
  });

  it('exist for every warning about a segment', () => {
    for (const key of segmentKeys) {
      assert.equal(typeof words.segment[key], 'string', key);
      assert.equal(typeof words.status[`segment_${key}`], 'string', key);
    }
  });

  it('are all in use', () => {
    const known = (group: 'status' | 'error', key: string): boolean =>
      new RegExp(`'(${group}\\.)?${key}'`).test(outSources) ||
      (group === 'error'
        ? engineCodes.includes(key)
        : [
            ...queueCodes.map((code) => `outbox_${code}`),
            ...segmentKeys.map((key) => `segment_${key}`),
          ].includes(key));
    for (const group of ['status', 'error'] as const) {
      const unused = Object.keys(words[group]).filter((key) => !known(group, key));
      assert.deepEqual(unused, [], group);
    }
  });

  it('never ask for a parameter that i18next keeps for itself', () => {
    for (const set of ['instant-audience-out', 'account'] as const) {
      for (const text of leaves(wordsOf(set)))
        assert.doesNotMatch(text, /__(count|context|lng|defaultValue)__/);
    }
  });
});

describe("the words of the account's runtime", () => {
  it('exist for every key that it names', () => {
    const account = wordsOf('account');
    const files = ['account', 'forms/admin', 'connection/connection', 'connection/database', 'settings'].map(
      (file) => `account/${file}.ts`,
    );
    const keys = [...sources(...files).matchAll(/'(error|account)\.(\w+)'/g)];
    assert.ok(keys.length >= 7);
    for (const [, group, key] of keys)
      assert.equal(typeof account[group!][key!], 'string', `${group}.${key}`);
  });
});

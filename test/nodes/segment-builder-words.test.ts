// Words of the builder: the same as the English of src/, found in Node-RED's namespaces, and all in use.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { i18n } from '@node-red/util';
import { builderSentences, entrySentences, sentence, type Issue } from '../../src/entry/issues';
import { builderRejection } from '../../nodes/segment-builder/words';
import { issueText, joinSentences, rejection } from '../../nodes/shared/words';

const folder = path.join(__dirname, '..', '..', 'nodes', 'segment-builder');
const words = JSON.parse(readFileSync(path.join(folder, 'locales', 'en-US', 'segment-builder.json'), 'utf8'));
/** How Node-RED names the words of a set: by module and set; `RED._` puts it before a key without a colon. */
const namespace = '@instant-audience/node-red-xandr/xandr-segment-builder';
const RED = {
  _: (key: string, params?: Record<string, unknown>) => i18n._(`${namespace}:${key}`, params as any),
};

describe('the words of the segment builder', () => {
  before(async () => {
    (i18n as any).init({ lang: 'en-US' });
    await i18n.registerMessageCatalog(namespace, path.join(folder, 'locales'), 'segment-builder.json');
  });

  /** What `shorten` makes of values at their longest, and the longest of those that are not anybody's. */
  const long: Readonly<Record<string, string | number>> = {
    got: `"${'x'.repeat(48)}"… (3000000)`,
    source: 'msg.payload.customer.identifiers.advertising.primary["of the phone"]',
    reason: 'Invalid property expression: unexpected character at position 1234567',
    known: 'idfa, aaid, sha1udid, md5udid, openudid',
    domain: 'sha1udid',
    meant: 'openudid',
    digits: 40,
    min: -2147483648,
    max: 2147483647,
  };
  const paths = ['user_id', 'domain', 'event_time', 'items', 'actionProperty', 'seg_block'];
  const blockPaths = ['seg_block[2].seg_id', 'seg_block[0].expiration'];
  const pathsOf = (code: string): string[] =>
    code in builderSentences ? [...paths, 'segments[11].expiration'] : [...paths, ...blockPaths];

  for (const language of ['en-US', 'de', 'ja']) {
    const file = path.join(folder, 'locales', language, 'segment-builder.json');
    const all = JSON.parse(readFileSync(file, 'utf8'))['segment-builder'];
    const look = (key: string, params: Record<string, unknown> = {}): string => {
      const [, group, name] = key.split('.') as [string, string, string];
      return String(all[group]?.[name] ?? key).replace(/__(\w+?)__/g, (_, each) => String(params[each]));
    };

    it(`start with the label of a field and have at most 80 characters, whatever the values are: ${language}`, () => {
      for (const code of Object.keys(all.issue) as Issue['code'][]) {
        assert.match(all.issue[code], /^__path__: .+(;|。|: ).+/, code);
        for (const issuePath of pathsOf(code)) {
          const names = [...all.issue[code].matchAll(/__(\w+?)__/g)].map(([, name]) => name);
          const params = Object.fromEntries(
            names.filter((name) => name !== 'path').map((name) => [name, long[name]!]),
          );
          const issue: Issue = { code, path: issuePath, params };
          const { message, issues } = builderRejection({ _: look }, 417, null, [issue, issue], true);
          assert.ok(message.length <= 80, `${message.length}: ${message}`);
          assert.ok(!/user_id|seg_|event_time|__|undefined/.test(message), message);
          assert.equal(issues.length, 2, 'the details');
        }
      }
    });
  }

  it('know the codes of every issue of an item', () => {
    const known = Object.keys({ ...entrySentences, ...builderSentences });
    for (const code of Object.keys(words['segment-builder'].issue)) assert.ok(known.includes(code), code);
  });

  it('leave values alone that look like a placeholder or a reference', () => {
    const got = '"__path__ $t(segment-builder.label.name) $& <b>"';
    const issue: Issue = { code: 'text_white_space', path: '__proto__', params: { got } };
    const text = issueText(RED, 'segment-builder', issue);
    assert.ok(text.startsWith(`__proto__: ${got} has`), text);
  });

  it('fall back to English where they are not loaded', () => {
    const issue: Issue = { code: 'user_id_zero', path: 'user_id', params: {} };
    assert.equal(issueText({ _: (key) => key }, 'segment-builder', issue), sentence(issue));
  });

  it('tell the first issues of an entry in one text, and list them all', () => {
    const issues = [1, 2, 3, 4, 5].map((got): Issue => ({
      code: 'block_type',
      path: `field${got}`,
      params: {},
    }));
    const rejected = rejection(RED, 'segment-builder', 7, null, issues);
    assert.equal(rejected.issues.length, 5);
    assert.equal(rejected.index, 7);
    assert.equal(rejected.code, 'block_type');
    assert.match(rejected.message, /field1.*; field2.*; field3.*; … \(\+2\)$/);
    assert.equal(joinSentences(['a', 'b']), 'a; b');
  });

  it('exist for every key that the form and the editor use, and none is unused', () => {
    const sources = [
      readFileSync(path.join(folder, 'form.html'), 'utf8'),
      readFileSync(path.join(folder, 'editor.ts'), 'utf8'),
      ...[
        'admin.ts',
        'segment-builder.ts',
        'delivery.ts',
        'invalid-count.ts',
        'schema.ts',
        'words.ts',
        '../shared/saved.ts',
        '../shared/consent.ts',
        '../shared/editor/consent.ts',
        '../shared/editor/picker.ts',
        '../shared/editor/post.ts',
      ].map((file) => readFileSync(path.join(folder, file), 'utf8')),
      ...readdirSync(path.join(folder, 'editor')).map((file) =>
        readFileSync(path.join(folder, 'editor', file), 'utf8'),
      ),
    ].join('\n');
    const literal = new Set(
      [...sources.matchAll(/(?:segment-builder|\$\{words\})\.([a-z]+\.\w+)/gi)].map(([, key]) => key!),
    );
    const has = (key: string): boolean => {
      const [group, name] = key.split('.') as [string, string];
      return typeof words['segment-builder'][group]?.[name] === 'string';
    };
    assert.deepEqual(
      [...literal].filter((key) => !has(key)),
      [],
    );
    const unused = Object.entries(words['segment-builder'] as Record<string, object | string>)
      // Purposes have numbers.
      .filter(([group]) => group !== 'issue' && group !== 'purpose')
      .flatMap(([group, names]) =>
        typeof names === 'string' ? [] : Object.keys(names).map((name) => [group, name]),
      )
      .filter(
        ([group, name]) => !literal.has(`${group}.${name}`) && !new RegExp(`['"]${name}['"]`).test(sources),
      );
    assert.deepEqual(
      unused.map((each) => each.join('.')),
      [],
    );
  });
});

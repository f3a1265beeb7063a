// The builder's words: the same as the English of src/, found in Node-RED's own namespaces, and all in use.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { i18n } from '@node-red/util';
import {
  builderSentences,
  entrySentences,
  issueSentences,
  sentence,
  type Issue,
} from '../../src/audience/issues';
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

  it('hold the English sentence of every issue of an entry and of a builder', () => {
    assert.deepEqual(words['segment-builder'].issue, { ...entrySentences, ...builderSentences });
  });

  it('are found by Node-RED, with the same result as the English of src/', () => {
    for (const code of Object.keys({ ...entrySentences, ...builderSentences }) as Issue['code'][]) {
      const names = [...issueSentences[code].matchAll(/__(\w+?)__/g)].map(([, name]) => [name!, `<${name}>`]);
      const issue: Issue = { code, path: 'seg_block[0].value', params: Object.fromEntries(names) };
      assert.equal(
        issueText(RED, 'segment-builder', issue),
        sentence({ ...issue, params: { ...issue.params } }),
      );
    }
  });

  it('leave alone what looks like a placeholder or a reference in a value', () => {
    const got = '"__path__ $t(segment-builder.label.name) $& <b>"';
    const issue: Issue = { code: 'text_white_space', path: '__proto__', params: { got } };
    const text = issueText(RED, 'segment-builder', issue);
    assert.equal(text, sentence(issue));
    assert.ok(text.startsWith(`__proto__ ${got} starts`), text);
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
      ...['admin.ts', 'segment-builder.ts', 'schema.ts', 'words.ts', '../shared/saved.ts'].map((file) =>
        readFileSync(path.join(folder, file), 'utf8'),
      ),
      ...readdirSync(path.join(folder, 'editor')).map((file) =>
        readFileSync(path.join(folder, 'editor', file), 'utf8'),
      ),
    ].join('\n');
    const literal = new Set([...sources.matchAll(/segment-builder\.([a-z]+\.\w+)/gi)].map(([, key]) => key!));
    const has = (key: string): boolean => {
      const [group, name] = key.split('.') as [string, string];
      return typeof words['segment-builder'][group]?.[name] === 'string';
    };
    assert.deepEqual(
      [...literal].filter((key) => !has(key)),
      [],
    );
    const unused = Object.entries(words['segment-builder'] as Record<string, object | string>)
      .filter(([group]) => group !== 'issue')
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

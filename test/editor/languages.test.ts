// Words and help in every language: as complete as in English, with the same placeholders, markup and code.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { withSection } from '../../nodes/shared/docs';
import { statusText } from '../../nodes/shared/queue-state';
import { lookUp, read, translate, wordsOf, type Words } from './bundle';

const nodes = ['account', 'instant-audience-out', 'segment-builder', 'audience-usage', 'audience-sync'];
const languages = ['de', 'ja'];
const sources = path.join(__dirname, '..', '..', 'nodes');

function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

/** Every word by its dotted key, in the file's order. */
function flat(words: Words, before = ''): [string, string][] {
  return Object.entries(words).flatMap(([key, value]): [string, string][] => {
    const at = `${before}${key}`;
    if (typeof value === 'object' && value !== null) return flat(value as Words, `${at}.`);
    assert.equal(typeof value, 'string', at);
    return [[at, value as string]];
  });
}

/** Placeholders, tags and variables: what must come through a translation unchanged, in any order. */
function marksOf(text: string): string[] {
  return all(text, /(__\w+?__|<\/?[a-z][^>]*>|\$\{(?=[^}]*\}))/gi).sort();
}

/** A `code` span or block may break its line differently. */
function codesOf(help: string): string[] {
  const blocks = all(help, /```(\w*\n[\s\S]+?)```/g);
  const spans = all(help.replace(/```[\s\S]+?```/g, ''), /`([^`]+)`/g);
  return [...blocks, ...spans.map((span) => span.replace(/\s+/g, ' '))].sort();
}

/** The help's example of a status, as the node shows it. */
function statusExample(words: Words): string | null {
  if (lookUp(words, 'status.working') === undefined) return null;
  return statusText(
    { key: 'working', params: { queued: 1234, left: { seconds: 42 } } },
    { _: translate(words) },
  );
}

const headingsOf = (help: string): string[] => all(help, /^(#+) \S/gm);
/** The picture of a form is one in each language. */
const linksOf = (help: string, language: string): string[] =>
  all(help, /\]\(([^)]+)\)/g).map((link) => link.replace(`-${language}.webp`, '-LANGUAGE.webp'));
const itemsOf = (help: string): string[] => all(help, /^( *(?:-|\d\.) )/gm);

/** The fields that a help file must speak of: those of the form. */
function labelsOf(node: string, words: Words): string[] {
  const keys = all(read(node, 'form.html'), /data-i18n="((?:segment-builder\.)?label\.[^"]+)"/g);
  return keys.map((key) => lookUp(words, key)!);
}

for (const node of nodes) {
  const english = flat(wordsOf(node));
  const englishHelp = read(node, 'help/en-US.md');

  it(`the ${node} node has every language, and no file of another`, () => {
    const expected = ['en-US', ...languages].sort();
    assert.deepEqual(readdirSync(path.join(sources, node, 'locales')).sort(), expected);
    const help = expected.map((language) => `${language}.md`);
    assert.deepEqual(readdirSync(path.join(sources, node, 'help')).sort(), help);
  });

  for (const language of ['en-US', ...languages]) {
    it(`the ${node} node's help in ${language} explains every field by the name that the form gives it`, () => {
      const text = read(node, `help/${language}.md`).replace(/\s+/g, ' ').toLowerCase();
      const labels = labelsOf(node, JSON.parse(read(node, `locales/${language}/${node}.json`)) as Words);
      assert.ok(labels.length > 3);
      for (const label of labels) assert.ok(text.includes(label.toLowerCase()), label);
    });
  }

  for (const language of languages) {
    describe(`the ${node} node in ${language}`, () => {
      const file = `locales/${language}/${node}.json`;
      const words = (): Words => JSON.parse(read(node, file)) as Words;
      const help = (): string => read(node, `help/${language}.md`);

      it('has the keys of the English words, in their order', () => {
        assert.ok(existsSync(path.join(sources, node, file)), file);
        const keys = flat(words()).map(([key]) => key);
        assert.deepEqual(
          keys,
          english.map(([key]) => key),
        );
      });

      it('has a text for every word, with the placeholders and tags of the English one', () => {
        const translated = new Map(flat(words()));
        for (const [key, text] of english) {
          const other = translated.get(key) ?? '';
          assert.notEqual(other.trim(), '', key);
          assert.deepEqual(marksOf(other), marksOf(text), key);
          assert.equal(other, other.trim(), key);
        }
      });

      it('is translated: no sentence is left in English', () => {
        const translated = new Map(flat(words()));
        const sentences = english.filter(([, text]) => /[a-z]+( [a-z]+){3}/.test(text));
        assert.ok(sentences.length > 20);
        for (const [key, text] of sentences) {
          assert.notEqual(translated.get(key), text, key);
        }
      });

      it('has the headings, lists and links of the English help', () => {
        assert.deepEqual(headingsOf(help()), headingsOf(englishHelp));
        assert.deepEqual(itemsOf(help()), itemsOf(englishHelp));
        assert.deepEqual(linksOf(help(), language), linksOf(englishHelp, 'en-US'));
      });

      it('mentions in the help the code and the properties that the English one mentions', () => {
        const example = statusExample(wordsOf(node));
        const expected = codesOf(englishHelp).map((code) =>
          code === example ? statusExample(words())! : code,
        );
        assert.deepEqual(codesOf(help()), expected.sort());
      });

      it('renders the marks of the help, also beside characters that need no spaces', async () => {
        const { marked } = await import('marked');
        const rendered = (await marked(help())).replace(/<(code|pre)[\s\S]*?<\/\1>/g, '');
        assert.doesNotMatch(rendered, /\*\*|`|(^|[\s>])_|_($|[\s<])/);
      });
    });
  }
}

describe('a sentence and the section of the documentation that it names', () => {
  const wordsIn = (language: string): Words =>
    JSON.parse(read('account', `locales/${language}/account.json`)) as Words;
  const serverIn = (language: string) => ({
    _: (key: string, params?: object) =>
      translate(wordsIn(language))(key.split(':').at(-1)!, params as Record<string, string>),
  });
  const see: [language: string, text: string][] = [
    ['en-US', 'Voll. See the documentation: Troubleshooting, Status.'],
    ['de', 'Voll. Siehe Dokumentation: Troubleshooting, Status.'],
    ['ja', 'Voll. ドキュメントの「Troubleshooting, Status」を参照してください。'],
  ];

  for (const [language, text] of see) {
    it(`are in the language of the server, ${language}, for a sentence of the words`, () => {
      assert.equal(withSection('Voll.', 'status', serverIn(language)), text);
    });
  }

  it('are in English for a line of the engine, whatever the language of the server', () => {
    assert.equal(withSection('Full', 'status'), 'Full. See the documentation: Troubleshooting, Status.');
  });
});

// One term, one translation: German and Japanese words and help follow the term bases, and write Japanese as Japanese is written.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { read, type Words } from '../editor/bundle';
import { exceptions, never, terms, type Term } from './terms';

const languages = ['de', 'ja'] as const;
type Language = (typeof languages)[number];
const folder = path.join(__dirname, '..', '..', 'nodes');
const nodes = [
  'account',
  'instant-audience-out',
  'segment-builder',
  'audience-usage',
  'audience-sync',
  'sidebar',
];

interface Pair {
  /** Language, node and key, or place in the help. */
  readonly where: string;
  readonly english: string;
  readonly text: string;
}

function flat(words: Words, before = ''): [string, string][] {
  return Object.entries(words).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[before + key, value]] : flat(value as Words, `${before}${key}.`),
  );
}

const wordsIn = (node: string, language: string): [string, string][] =>
  flat(JSON.parse(read(node, `locales/${language}/${node}.json`)) as Words);

/** Paragraphs, headings and items of a help page, each in one line, without code. */
function blocksOf(help: string): string[] {
  return help
    .replace(/^```[\s\S]+?^```$/gm, '```')
    .split(/\n\s*\n|\n(?= *(?:-|\d\.) )/)
    .map((block) =>
      block
        .replace(/`[^`]+`/g, '`')
        .replace(/\]\([^)]+\)/g, ']')
        .replace(/\s+/g, ' ')
        .trim(),
    );
}

function pairsOf(node: string, language: Language): Pair[] {
  const translated = new Map(wordsIn(node, language));
  const ofWords = wordsIn(node, 'en-US').map(([key, english]) => ({
    where: `${language} ${node} ${key}`,
    english,
    text: translated.get(key)!,
  }));
  if (!existsSync(path.join(folder, node, 'help'))) return ofWords;
  const english = blocksOf(read(node, 'help/en-US.md'));
  const blocks = blocksOf(read(node, `help/${language}.md`));
  assert.equal(blocks.length, english.length, `${language} ${node}: paragraphs and items of the help`);
  const ofHelp = english.map((block, at) => ({
    where: `${language} ${node} help ${/^.{0,23}[\w*\]]*/.exec(block)![0]}`,
    english: block,
    text: blocks[at]!,
  }));
  return [...ofWords, ...ofHelp];
}

/** Without values that come from elsewhere, and without names that stay as they are. */
const plain = (text: string): string =>
  text
    .replace(/__(?!users__|posts__)\w+?__/g, '…')
    .replace(/\w+\.\w+|segment builder|instant audience (account|out)|^- \*\*[a-z]+\*\*|_\([^)]+\)_/g, '…');

function faultOf({ english, de, ja }: Term, language: Language, pair: Pair): string | null {
  if (!english.test(plain(pair.english))) return null;
  const { is, not } = { de, ja }[language];
  const wrong = not?.exec(pair.text);
  if (wrong) return `${pair.where}: ${english.source} as “${wrong[0]}”: ${pair.text}`;
  return is.test(pair.text) ? null : `${pair.where}: ${english.source} without ${is.source}: ${pair.text}`;
}

describe('the term bases', () => {
  for (const language of languages) {
    const pairs = nodes.flatMap((node) => pairsOf(node, language));

    it(`are followed in ${language}: each term has its word, and none that is wrong for it`, () => {
      assert.ok(pairs.length > 900, `${pairs.length} texts`);
      const faults = pairs
        .filter(({ where }) => exceptions[where] === undefined)
        .flatMap((pair) => terms.map((term) => faultOf(term, language, pair)))
        .filter((fault) => fault !== null);
      assert.equal(faults.join('\n'), '');
    });

    it(`are of use in ${language}: every term is in a text`, () => {
      const unused = terms.filter(({ english }) => !pairs.some((pair) => english.test(plain(pair.english))));
      assert.deepEqual(unused, []);
    });

    it(`have words that are never right, which no text in ${language} has`, () => {
      const wrong = pairs
        .filter(({ text }) => never[language].test(text))
        .map(({ where, text }) => `${where}: ${text}`);
      assert.equal(wrong.join('\n'), '');
    });
  }

  it('leave no line break and no space inside a Japanese sentence, which both show as gaps', () => {
    const japanese = '[\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Han}ー、。]';
    const gap = new RegExp(`${japanese}[ \\n]+[\\w\`*_\\p{L}]|[\\w\`*…][ \\n]+${japanese}|[：（）]`, 'u');
    for (const text of ['待機 3 件', 'キュー\nに入る', 'msg.payload を', '名前：値']) assert.match(text, gap);
    for (const node of nodes) {
      const help = existsSync(path.join(folder, node, 'help')) ? read(node, 'help/ja.md') : '';
      const paragraphs = help.replace(/^```[\s\S]+?^```$/gm, '').split(/\n\s*\n|\n(?= *(?:-|\d\.) )/);
      for (const text of [...wordsIn(node, 'ja').map(([, word]) => word), ...paragraphs])
        assert.doesNotMatch(text.replace(/^ *(-|\d\.|#+) /, ''), gap, text);
    }
  });

  it('find a term without its word, and a wrong word', () => {
    const queue = terms.find(({ english }) => english.test('the queue'))!;
    const pair = (text: string): Pair => ({ where: 'x', english: 'The queue is full', text });
    assert.equal(faultOf(queue, 'de', pair('Die Warteschlangen sind voll')), null);
    assert.match(faultOf(queue, 'de', pair('Die Schlange ist voll'))!, /without/);
    assert.match(faultOf(queue, 'de', pair('Die Queue der Warteschlange'))!, /as “Queue”/);
    assert.equal(faultOf(queue, 'de', { where: 'x', english: 'The entry', text: 'Der Eintrag' }), null);
  });

  it('have an exception only where there is a fault, with its reason', () => {
    for (const [where, why] of Object.entries(exceptions)) {
      const language = where.slice(0, 2) as Language;
      const pair = pairsOf(where.split(' ')[1]!, language).find((each) => each.where === where);
      assert.ok(pair !== undefined && why.length > 10, where);
      assert.ok(
        terms.some((term) => faultOf(term, language, pair) !== null),
        `${where} needs no exception`,
      );
    }
  });
});

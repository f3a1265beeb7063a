// Retired words, which .textlintrc.json lists: no identifier and no comment of the code has one.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '..', '..');
const rooms = ['src', 'nodes', 'test'];

/** The list of the check of prose, as patterns. */
const terms = JSON.parse(readFileSync(path.join(root, '.textlintrc.json'), 'utf8')).rules.terminology
  .terms as readonly (readonly [string, string])[];
const retired = new RegExp(`\\b(${terms.map(([pattern]) => pattern).join('|')})\\b`, 'i');

/** In identifiers only: as prose they are good English. */
const retiredNames = /\b(left nothing|send again)\b/;

/** Names that are saved, sent or shown, and words of the language that have no better one. */
const allowed: readonly { readonly text: RegExp; readonly why: string }[] = [
  { text: /\byoung segments\b/, why: 'the saved property youngSegments' },
  {
    text: /\b(than|minutes|small|capital|two|in|of|15) (letters|younger)\b|\bletter of\b/,
    why: 'letters of the alphabet',
  },
  { text: /\bdead letters?\b/, why: 'a term of the glossary' },
  { text: /\byounger than\b/, why: 'an age, which the service documents' },
  { text: /\bmax young generation size mb\b/, why: 'an option of Node.js' },
];

interface Found {
  readonly where: string;
  readonly text: string;
}

/** `youngSegments` and `young_segments` as `young segments`. */
function wordsOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .replace(/_/g, ' ')
    .toLowerCase();
}

function offends(text: string, isName = false): boolean {
  return retired.test(text) || (isName && retiredNames.test(text));
}

/** Without what is allowed, so that the rest of the text is still checked. */
function withoutAllowed(text: string): string {
  return allowed.reduce((rest, each) => rest.replace(new RegExp(each.text, 'g'), ' '), text);
}

/** The lines of a comment are one text. */
function onOneLine(text: string): string {
  return text.replace(/\s*\n\s*(\/\/|\*)?\s*/g, ' ');
}

function retiredIn(file: string): Found[] {
  const code = readFileSync(file, 'utf8');
  // Most files have no such word anywhere, and are not parsed.
  if (!offends(wordsOf(onOneLine(code)), true)) return [];
  const source = ts.createSourceFile(file, code, ts.ScriptTarget.Latest, true);
  const texts = new Map<number, string>();
  const names = new Set<number>();
  const comments = (ranges: readonly ts.CommentRange[] | undefined): void => {
    for (const { pos, end } of ranges ?? []) texts.set(pos, source.text.slice(pos, end));
  };
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) {
      texts.set(node.getStart(), node.text);
      names.add(node.getStart());
    }
    if (node.getChildCount() === 0) {
      comments(ts.getLeadingCommentRanges(source.text, node.pos));
      comments(ts.getTrailingCommentRanges(source.text, node.end));
    }
    node.getChildren().forEach(visit);
  };
  visit(source);
  return [...texts].flatMap(([at, text]) => {
    // Code in a comment counts as words, too.
    const words = wordsOf(onOneLine(text));
    if (!offends(withoutAllowed(words), names.has(at))) return [];
    const line = source.getLineAndCharacterOfPosition(at).line + 1;
    return [{ where: `${path.relative(root, file)}:${line}`, text: words }];
  });
}

describe('retired words', () => {
  it('are in no identifier and no comment', function () {
    this.timeout(60_000);
    const files = rooms.flatMap((room) => globSync(path.join(root, room, '**', '*.ts')));
    assert.ok(files.length > 400, `${files.length} files`);
    // This file lists them.
    const found = files.filter((file) => file !== __filename).flatMap(retiredIn);
    assert.deepEqual(found, []);
  });

  it('are found in names, comments and phrases, and not inside other words', () => {
    for (const text of ['crowd size', 'is given up', 'several node-red share it', 'told apart'])
      assert.ok(offends(withoutAllowed(text)), text);
    assert.ok(offends('send again', true) && !offends('send again'));
    for (const text of ['young segments', 'several node-red instances', 'options', 'dead letters', 'forever'])
      assert.ok(!offends(withoutAllowed(text)), text);
  });

  it('have a reason for each exception', () => {
    for (const { why } of allowed) assert.ok(why.length > 10, why);
  });
});

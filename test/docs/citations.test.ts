// Citations: a comment names a section of docs/internals that exists, and no document that is not in the repository.
import { strict as assert } from 'node:assert';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const pages = new Map(
  globSync('docs/internals/*.md', { cwd: root }).map((file) => [path.basename(file), read(file)] as const),
);
const sources = globSync('{src,nodes,test,bench,scripts}/**/*.{ts,mjs,cjs,py}', { cwd: root })
  .sort()
  .map((file) => [file, read(file)] as const);

interface Cited {
  readonly page: string;
  readonly section: string;
}

/** `service.md 3.2, 3.4 and 6` cites three sections, `promise 7` one of promises.md. */
function citedIn(text: string): Cited[] {
  const citations = text.matchAll(
    /\b([a-z-]+\.md|promises?) (\d(?:\.\d)?(?:(?:, | and | to )\d(?:\.\d)?)*)/gi,
  );
  return [...citations].flatMap(([, name, sections]) => {
    const page = name!.endsWith('.md') ? name! : 'promises.md';
    return sections!.split(/, | and | to /).map((section) => ({ page, section }));
  });
}

/** A comment may break within a citation. */
function inOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*(?:\/\/|\*|#)?\s*/g, ' ');
}

function has({ page, section }: Cited): boolean {
  const headings = pages.get(page)?.matchAll(/^##+ (\d(?:\.\d)?)\b/gm) ?? [];
  return [...headings].some(([, number]) => number === section);
}

describe('citations', () => {
  it('in comments name sections of docs/internals that exist', () => {
    const cited = sources.flatMap(([file, text]) =>
      citedIn(inOneLine(text)).map((one) => ({ file, ...one })),
    );
    assert.ok(cited.length > 50, `${cited.length} citations`);
    assert.deepEqual(
      cited.filter((one) => !has(one)),
      [],
    );
  });

  it('in docs/internals do so, too', () => {
    const cited = [...pages].flatMap(([file, text]) =>
      citedIn(inOneLine(text)).map((one) => ({ file, ...one })),
    );
    assert.deepEqual(
      cited.filter((one) => !has(one)),
      [],
    );
  });

  it('name no document that is not in the repository', () => {
    const elsewhere =
      /\bdesign,? (?:section|promise)|\bspec(?:['’]s)? sections? \d|\bspec['’]s\b|[(]spec\b|\bissue \d/i;
    assert.deepEqual(
      sources.filter(([, text]) => elsewhere.test(inOneLine(text))).map(([file]) => file),
      [],
    );
  });
});

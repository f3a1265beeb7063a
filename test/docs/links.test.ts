// Links between the pages of the repository lead to a file that is there, and to a heading of it.
import { strict as assert } from 'node:assert';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');
const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map((file) => path.join(root, file));

/** As GitHub makes the name of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(page: string): Set<string> {
  const headings = readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm);
  return new Set([...headings].map(([, text]) => anchorOf(text!)));
}

describe('links of the pages', () => {
  it('of sidebar, errors and log lead to the page and heading that their title names', () => {
    const source = readFileSync(path.join(root, 'nodes', 'shared', 'docs.ts'), 'utf8');
    const sections = [...source.matchAll(/docs\/([\w-]+)\.html#([\w-]+)',\s+title: '([^',]+), (.+)'/g)];
    assert.equal(sections.length, source.match(/title:/g)!.length);
    for (const [, page, anchor, title, heading] of sections) {
      const text = readFileSync(path.join(root, 'docs', `${page}.md`), 'utf8');
      assert.ok(text.startsWith(`# ${title}\n`), `${page} is not called ${title}`);
      const found = [...text.matchAll(/^##+ (.+)$/gm)].find(([, name]) => name === heading);
      assert.equal(found && anchorOf(heading!), anchor);
    }
  });

  it('lead somewhere', () => {
    const links = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
        ([, file, anchor]) => ({ page, to: file === '' ? page : path.join(page, '..', file!), anchor }),
      ),
    );
    assert.ok(links.length > 100, `${links.length} links`);
    const broken = links.filter(
      ({ to, anchor }) => !existsSync(to) || (anchor !== undefined && !anchorsOf(to).has(anchor)),
    );
    assert.deepEqual(
      broken.map(({ page, to, anchor }) => [path.relative(root, page), path.relative(root, to), anchor]),
      [],
    );
  });
});

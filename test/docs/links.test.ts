// Links between the pages of the repository lead to a file that is there, and to a heading of it.
import { strict as assert } from 'node:assert';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');
const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map((file) => path.join(root, file));

/** As GitHub makes the name of a heading. */
function anchorsOf(page: string): Set<string> {
  const headings = readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, text]) =>
      text!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('links of the pages', () => {
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

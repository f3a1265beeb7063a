// Renders README.md and docs/*.md into resources/docs. Node-RED serves this folder beside the editor, so help, sidebar and
// log can name a page of the installed version, without the internet. Checks every link of every Markdown file,
// and those of the editor into these pages.
import { existsSync, globSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Marked } from 'marked';
import { root } from './tools.mjs';

const target = path.join(root, 'resources', 'docs');
const style = `
:root { color-scheme: light dark; --line: #8885; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.55 system-ui, sans-serif; }
nav { border-bottom: 1px solid var(--line); padding-bottom: .5rem; }
nav a { margin-right: 1rem; }
h1, h2, h3 { line-height: 1.25; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); }
`;

/** The page of a rendered file, such as docs/nodes.md; null for a file that is not rendered. */
function pageOf(file) {
  if (file === 'README.md') return 'index.html';
  return /^docs\/[\w-]+\.md$/.test(file) ? `${path.basename(file, '.md')}.html` : null;
}

/** The id of a heading, as GitHub makes it. A second heading with the same text gets a number. */
function idOf(text, seen) {
  const id = text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
  const times = seen.get(id) ?? 0;
  seen.set(id, times + 1);
  return times === 0 ? id : `${id}-${times}`;
}

/** Reads a Markdown file: its tokens, with an id at each heading. */
async function read(file) {
  const marked = new Marked();
  const tokens = marked.lexer(await readFile(path.join(root, file), 'utf8'));
  const seen = new Map();
  marked.walkTokens(tokens, (token) => {
    if (token.type === 'heading') token.id = idOf(plain(token.tokens), seen);
  });
  return { file, tokens, ids: new Set(tokens.flatMap(({ id }) => id ?? [])) };
}

function plain(tokens) {
  return tokens.map((token) => (token.tokens ? plain(token.tokens) : (token.text ?? ''))).join('');
}

class Site {
  problems = [];
  images = new Set();

  constructor(files, repository) {
    this.files = files;
    this.repository = repository;
  }

  /** Where a link of a file leads on the site. Notes a link that leads nowhere. */
  link(from, href) {
    if (/^[a-z]+:/i.test(href)) return href;
    const [pathPart, anchor] = href.split('#');
    const file =
      pathPart === '' ? from.file : path.posix.join(path.posix.dirname(from.file), decodeURI(pathPart));
    const exists = existsSync(path.join(root, file));
    if (!exists) this.problems.push(`${from.file}: ${href}: there is no ${file}`);
    const found = this.files.get(file);
    if (anchor !== undefined && found?.ids.has(anchor) !== true)
      this.problems.push(`${from.file}: ${href}: ${file} has no heading for #${anchor}`);
    if (pathPart === '') return href;
    const page = pageOf(file);
    if (page !== null) return anchor === undefined ? page : `${page}#${anchor}`;
    // The pictures of the help.
    if (file.startsWith('resources/')) return path.posix.relative('resources/docs', file);
    if (!file.startsWith('docs/images/'))
      return `${this.repository}/blob/main/${file}${anchor ? `#${anchor}` : ''}`;
    if (exists) this.images.add(file);
    return file.slice('docs/'.length);
  }

  /** The links of help and sidebar into the rendered pages. */
  check(file, text) {
    for (const [href, page, anchor] of text.matchAll(
      /resources\/[@\w/-]+\/docs\/([\w-]+)\.html(?:#([\w-]+))?/g,
    )) {
      const ids = this.files.get(`docs/${page}.md`)?.ids;
      if (ids === undefined || (anchor !== undefined && !ids.has(anchor)))
        this.problems.push(`${file}: ${href} is not in the documentation`);
    }
  }

  html(from) {
    const site = this;
    const { repository } = this;
    const marked = new Marked({
      walkTokens(token) {
        if (token.type === 'link' || token.type === 'image') token.href = site.link(from, token.href);
        if (token.type === 'html')
          token.text = token.text.replaceAll(
            /((?:src|srcset|href)=")([^"]+)"/g,
            (_all, name, href) => `${name}${site.link(from, href)}"`,
          );
      },
      renderer: {
        heading({ tokens, depth, id }) {
          return `<h${depth} id="${id}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
        },
        // A page that is not in the package.
        link({ href, tokens }) {
          const note = href.startsWith(`${repository}/`) ? ' (on GitHub)' : '';
          return `<a href="${href}">${this.parser.parseInline(tokens)}</a>${note}`;
        },
      },
    });
    marked.walkTokens(from.tokens, marked.defaults.walkTokens);
    return marked.parser(from.tokens);
  }
}

function pageAround({ tokens }, body) {
  const title = plain(tokens.find(({ type }) => type === 'heading').tokens);
  return (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8" />` +
    `<meta name="viewport" content="width=device-width" /><title>${title}</title><style>${style}</style></head>\n` +
    `<body><nav><a href="index.html">Contents</a></nav>\n${body}</body></html>\n`
  );
}

/** Writes the pages and their pictures. Throws with every link that leads nowhere. */
export async function writeDocs(repository) {
  // Windows lists them with backslashes; links have slashes.
  const found = globSync(['*.md', 'docs/**/*.md'], { cwd: root });
  const names = found.map((name) => name.replaceAll(path.sep, '/'));
  const files = new Map(await Promise.all(names.map(async (name) => [name, await read(name)])));
  const site = new Site(files, repository);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  for (const file of files.values()) {
    const html = site.html(file);
    const page = pageOf(file.file);
    if (page === null) site.images.clear();
    else await writeFile(path.join(target, page), pageAround(file, html));
    for (const image of site.images)
      await cp(path.join(root, image), path.join(target, image.slice('docs/'.length)));
    site.images.clear();
  }
  for (const file of globSync('nodes/**/*.{md,ts}', { cwd: root }))
    site.check(file, await readFile(path.join(root, file), 'utf8'));
  if (site.problems.length > 0) throw new Error(`Links that lead nowhere:\n${site.problems.join('\n')}`);
}

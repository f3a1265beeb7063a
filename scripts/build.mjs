// npm run build: builds the package into dist/.
//
// tsc emits the runtime. Node-RED reads the editor part of a node from one HTML file beside its .js, so the build
// writes form and bundled editor script into one file. Help and catalogues are in locales/<language>/ beside it, icons
// in icons/. docs.mjs renders the documentation into resources/docs.
import { chmod, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync, globSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { build as bundle, transform } from 'esbuild';
import { marked } from 'marked';
import { keepPublicDeclarations } from './declarations.mjs';
import { writeDocs } from './docs.mjs';
import { must, node, root, seconds, tsc } from './tools.mjs';

const dist = path.join(root, 'dist');
const sources = path.join(root, 'nodes');

/** Nodes (such as `account` of the type `xandr-account`), plugins, commands and entry points from package.json. */
async function readPackage() {
  const {
    'node-red': nodeRed,
    bin,
    exports,
    homepage,
  } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const types = Object.entries(nodeRed.nodes).map(([type, file]) => ({
    type,
    name: path.basename(file, '.js'),
  }));
  const plugins = Object.values(nodeRed.plugins ?? {}).map((file) => path.basename(file, '.js'));
  return { types, plugins, bins: Object.values(bin), exports, repository: homepage.replace(/#.*/, '') };
}

/**
 * Bundles the editor script of a node or plugin, with the licence of the library in it. The package is CommonJS, so the
 * bundler would wrap each module of a script that exports nothing, and keep parts of modules that nobody uses.
 */
async function bundled(name, library, options) {
  const file = path.join(sources, name, 'editor.ts');
  const result = await bundle({
    stdin: {
      contents: `${await readFile(file, 'utf8')}\nexport {};\n`,
      resolveDir: path.dirname(file),
      sourcefile: file,
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2020',
    charset: 'utf8',
    banner: { js: await noticeOf(library) },
    logLevel: 'silent',
    absWorkingDir: root,
    ...options,
  });
  return result.outputFiles[0].text;
}

/** A script element with the code, in which an escaped `<\/script` is equal in strings and regular expressions. */
function scriptElement(code) {
  const inside = code.replaceAll(/<\/script/gi, (tag) => tag.replace('/', '\\/')).trimEnd();
  return `<script type="text/javascript">\n${inside}\n</script>\n`;
}

/**
 * Bundles the editor script of a node. Palette search and the public catalogue find the call that registers the type as
 * text in single quotes, and read the values in it. So the script is minified only in names and blanks, and the
 * bundler's double quotes are replaced, with a check that it worked.
 */
async function editorScript(name, type) {
  // Every form validates with zod.
  const options = { minifyWhitespace: true, minifyIdentifiers: true, legalComments: 'none' };
  const code = (await bundled(name, 'zod', options)).replaceAll(
    /RED\.nodes\.registerType\(\s*"([^"]+)",\s*\{/g,
    "RED.nodes.registerType('$1', {",
  );
  if (!code.includes(`RED.nodes.registerType('${type}', {`)) {
    throw new Error(
      `nodes/${name}/editor.ts does not contain RED.nodes.registerType('${type}', {…}) with literal type and ` +
        `definition, which the palette's search and the public catalogue read.`,
    );
  }
  return scriptElement(code);
}

/** Writes the script of a plugin, fully minified, since no tool reads it as text, with the style of its library. */
async function writePlugin(name) {
  // uPlot makes a number format of the browser's language when it is loaded, which throws if that is no BCP 47 tag:
  // `en-US@posix` of Chromium with LANG=C. The charts use formats of their own.
  const define = { navigator: '{"language":"en-US"}' };
  const script = scriptElement(await bundled(name, 'uplot', { define, minify: true, legalComments: 'eof' }));
  const style = await readFile(path.join(root, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8');
  await copyCatalogues(name);
  await writeFile(
    path.join(dist, 'nodes', name, `${name}.html`),
    `<style>\n${style.trim()}\n</style>\n${script}`,
  );
}

/** Copies the catalogues of a node without indentation. */
async function copyCatalogues(name) {
  const to = path.join(dist, 'nodes', name, 'locales');
  await cp(path.join(sources, name, 'locales'), to, { recursive: true });
  for (const file of globSync('**/*.json', { cwd: to })) {
    const catalogue = JSON.parse(await readFile(path.join(to, file), 'utf8'));
    await writeFile(path.join(to, file), JSON.stringify(catalogue));
  }
}

/** The licence of a bundled library, as a comment. */
async function noticeOf(library) {
  const licence = await readFile(path.join(root, 'node_modules', library, 'LICENSE'), 'utf8');
  return `/*! ${library}\n${licence.trim().replaceAll('*/', '* /')}\n*/`;
}

async function writeTemplate(name, type) {
  const [script, form] = await Promise.all([
    editorScript(name, type),
    readFile(path.join(sources, name, 'form.html'), 'utf8'),
  ]);
  await writeFile(
    path.join(dist, 'nodes', name, `${name}.html`),
    `${script}<script type="text/html" data-template-name="${type}">\n${form.trimEnd()}\n</script>\n`,
  );
}

/** Writes help beside the catalogues, where Node-RED finds it for the language `xx-YY`, then `xx`, then en-US. */
async function writeHelp(name, type) {
  const folder = path.join(sources, name, 'help');
  for (const file of await readdir(folder)) {
    const html = await marked(await readFile(path.join(folder, file), 'utf8'));
    const target = path.join(dist, 'nodes', name, 'locales', path.basename(file, '.md'), `${name}.html`);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(
      target,
      `<script type="text/html" data-help-name="${type}">\n${html.trimEnd()}\n</script>\n`,
    );
  }
}

/**
 * Copies each icon to one folder: that of the first node that names it, or else of the first node. Node-RED finds icons
 * by package, not by node, and its icon picker lists every copy.
 */
async function copyIcons(types) {
  const icons = (await readdir(path.join(root, 'icons'))).filter((file) => file.endsWith('.svg'));
  const editors = await Promise.all(
    types.map(async ({ name }) => ({
      name,
      code: await readFile(path.join(sources, name, 'editor.ts'), 'utf8'),
    })),
  );
  for (const icon of icons) {
    const owner = editors.find(({ code }) => code.includes(icon)) ?? editors[0];
    if (owner) {
      await cp(path.join(root, 'icons', icon), path.join(dist, 'nodes', owner.name, 'icons', icon));
    }
  }
}

async function writeEditorParts(types) {
  await Promise.all(
    types.map(async ({ name, type }) => {
      await copyCatalogues(name);
      await Promise.all([writeTemplate(name, type), writeHelp(name, type)]);
    }),
  );
  await copyIcons(types);
}

/** Removes the comments of the emitted code, a fifth of its size. tsc would remove those of the declarations, too. */
async function removeComments() {
  const files = globSync('**/*.js', { cwd: dist }).map((file) => path.join(dist, file));
  await Promise.all(
    files.map(async (file) => {
      const { code } = await transform(await readFile(file, 'utf8'), {
        charset: 'utf8',
        legalComments: 'none',
        target: 'es2023',
      });
      await writeFile(file, code);
    }),
  );
}

/** Builds everything; fails for type errors in runtime or editor. */
export async function build() {
  const { types, plugins, bins, exports, repository } = await readPackage();
  const withEditor = types.filter(({ name }) => existsSync(path.join(sources, name, 'editor.ts')));
  await rm(dist, { recursive: true, force: true });
  await Promise.all([
    must(node, [tsc, '-p', 'tsconfig.runtime.json']),
    withEditor.length > 0 && must(node, [tsc, '-p', 'tsconfig.editor.json']),
    writeEditorParts(withEditor),
    ...plugins.map(writePlugin),
    writeDocs(repository),
  ]);
  await Promise.all([removeComments(), keepPublicDeclarations(root, dist, exports)]);
  for (const file of bins.filter((bin) => existsSync(path.join(root, bin)))) {
    await chmod(path.join(root, file), 0o755);
  }
  for (const { name, type } of types) {
    for (const file of [`${name}.js`, `${name}.html`]) {
      if (!existsSync(path.join(dist, 'nodes', name, file))) {
        throw new Error(`package.json names ${type}, but the build has no nodes/${name}/${file}.`);
      }
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const started = performance.now();
  try {
    await build();
    console.log(`built dist/ in ${seconds(started)}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

// What a user downloads: the packed tarball's content.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { packedPackage } from '../support/node-red';
import { manifest, plugins, root, types } from './support';

/** What a user needs, by name of the kind. */
const kinds: Readonly<Record<string, RegExp>> = {
  'nodes’ runtime': /^dist\/nodes\/[\w-]+\/([\w-]+\/)?[\w-]+\.js$/,
  'nodes’ editor part': /^dist\/nodes\/([\w-]+)\/\1\.html$/,
  'words and help': /^dist\/nodes\/([\w-]+)\/locales\/[\w-]+\/\1\.(json|html)$/,
  icons: /^dist\/nodes\/[\w-]+\/icons\/[\w-]+\.svg$/,
  'library and sandbox': /^dist\/src\/([\w-]+\/){0,2}[\w-]+\.js$/,
  'its types': /^dist\/src\/([\w-]+\/){0,2}[\w-]+\.d\.ts$/,
  'pictures of the help': /^resources\/[\w-]+\.webp$/,
  documentation: /^resources\/docs\/([\w-]+\.html|images\/[\w-]+\.(webp|svg))$/,
  examples: /^examples\/[^/]+\.json$/,
  'README, licence, manifest': /^(README\.md|LICENSE|package\.json)$/,
};
const mostPackedBytes = 2_000_000;
const mostUnpackedBytes = 3_300_000;

describe('the packed tarball', function () {
  this.timeout(180_000);
  let files: readonly string[];
  let sizes: Readonly<Record<string, number>>;
  let packedBytes: number;
  let installed: string;

  before(async () => {
    const packed = await packedPackage();
    ({ files, sizes, packedBytes } = packed);
    const { template } = packed;
    installed = path.join(template, 'node_modules', manifest.name);
  });

  it('has what a user needs: nodes with their editor part, words, help, icons, example, README and licence', () => {
    for (const file of Object.values(manifest['node-red'].nodes)) {
      const folder = path.posix.dirname(file);
      const name = path.posix.basename(folder);
      for (const needed of [
        file,
        `${folder}/${name}.html`,
        `${folder}/locales/en-US/${name}.json`,
        `${folder}/locales/en-US/${name}.html`,
      ]) {
        assert.ok(files.includes(needed), `${needed} is missing`);
      }
    }
    for (const needed of ['README.md', 'LICENSE', 'package.json', 'examples/quick start.json']) {
      assert.ok(files.includes(needed), `${needed} is missing`);
    }
    assert.ok(files.some((file) => /^dist\/nodes\/[^/]+\/icons\/.+\.svg$/.test(file)));
  });

  it('has nothing else: each file is of a kind that Node-RED, a program or a person opens', () => {
    const strange = files.filter((file) => !Object.values(kinds).some((kind) => kind.test(file)));
    assert.deepEqual(strange, []);
    assert.deepEqual(
      files.filter((file) => /(^|\/)(tests?|bench)\//.test(file)),
      [],
    );
  });

  it('has no source maps, and no file that names one', async () => {
    for (const file of files) {
      assert.doesNotMatch(file, /\.map$/);
      const text = await readFile(path.join(installed, file), 'utf8');
      assert.doesNotMatch(text, /^\/\/[#@] sourceMappingURL=/m, file);
    }
  });

  it('has words and help for the nodes that it has, in the same languages for each', () => {
    const languages = new Map<string, string[]>();
    for (const file of files) {
      const [, node, language, name, end] =
        /^dist\/nodes\/(.+)\/locales\/(.+)\/(.+)\.(\w+)$/.exec(file) ?? [];
      if (node === undefined) continue;
      assert.equal(name, node);
      const key = `${node} ${end!}`;
      languages.set(key, [...(languages.get(key) ?? []), language!].sort());
    }
    // The sidebar's tab is no node, so it has words and no help.
    assert.equal(languages.size, 2 * types.length + plugins.length);
    for (const [key, found] of languages) assert.deepEqual(found, ['de', 'en-US', 'ja'], key);
  });

  it('is small, and says how small', () => {
    const bytes = (kind: RegExp): number =>
      sum(files.filter((file) => kind.test(file)).map((file) => sizes[file]!));
    const parts = Object.entries(kinds).map(([name, kind]) => `${name} ${kilobytes(bytes(kind))}`);
    const unpacked = sum(Object.values(sizes));
    console.log(
      `      ${files.length} files, ${kilobytes(packedBytes)} packed, ${kilobytes(unpacked)} unpacked: ${parts.join(', ')}`,
    );
    // Node-RED itself unpacks to 40 MB; a picture or a bundled dependency in here would be seen.
    assert.ok(packedBytes < mostPackedBytes, `${kilobytes(packedBytes)} packed`);
    assert.ok(unpacked < mostUnpackedBytes, `${kilobytes(unpacked)} unpacked`);
  });

  it('has each icon once, so that the editor’s icon picker does not list it several times', () => {
    const icons = files.filter((file) => file.startsWith('dist/')).filter((file) => file.endsWith('.svg'));
    const names = icons.map((file) => path.posix.basename(file));
    assert.deepEqual([...new Set(names)].sort(), [...names].sort());
  });

  it('says each node’s type as text, where palette search and the catalogue look for it', async () => {
    for (const type of types) {
      const html = await readFile(
        path.join(installed, manifest['node-red'].nodes[type]!.replace(/\.js$/, '.html')),
        'utf8',
      );
      const found = [...html.matchAll(/RED\.nodes\.registerType\(\s*'([^']+)'\s*,\s*\{/g)].map(
        (match) => match[1],
      );
      assert.deepEqual(found, [type]);
      // One script and one template: nothing inside ends either of them early.
      assert.equal(html.match(/<script/gi)?.length, 2);
      assert.equal(html.match(/<\/script/gi)?.length, 2);
    }
  });

  it('would be published for everybody, and npm finds nothing to complain about', async () => {
    const lines = await publishDryRun();
    // As far as it gets without a login.
    const complaints = lines.filter((line) => /^npm (warn|error)/i.test(line));
    assert.deepEqual(
      complaints.filter((line) => !line.includes('requires you to be logged in')),
      [],
    );
    assert.ok(
      lines.some((line) => line.includes('with tag latest and public access')),
      lines.join('\n'),
    );
    assert.ok(lines.includes(`+ ${manifest.name}@${manifest.version}`));
  });

  it('installs its programs so that they can be run', async () => {
    for (const [name, file] of Object.entries(manifest.bin)) {
      await access(path.join(installed, file), constants.X_OK);
      const { stdout } = await promisify(execFile)(process.execPath, [path.join(installed, file), '--help']);
      assert.ok(stdout.includes('--port'), `${name} --help does not speak of --port`);
    }
  });
});

/** What npm prints, without the settings of whoever runs the tests, and without a registry. */
async function publishDryRun(): Promise<string[]> {
  const { npmCommand } = await import('../../scripts/tools.mjs');
  const [command, args] = npmCommand(['publish', '--dry-run', '--ignore-scripts', '--offline']);
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_config_/i.test(key)));
  Object.assign(env, { npm_config_userconfig: path.join(root, '.test', 'no-npmrc') });
  const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: root, env });
  return `${stderr}\n${stdout}`.split('\n').map((line) => line.trim());
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1000).toLocaleString('en')} kB`;
}

// What a user downloads: the packed tarball's content.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { packedPackage } from '../support/node-red';
import { manifest, types } from './support';

describe('the packed tarball', function () {
  this.timeout(180_000);
  let files: readonly string[];
  let installed: string;

  before(async () => {
    const { files: packed, template } = await packedPackage();
    files = packed;
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

  it('has no sources, no tests and none of the repository’s own tools', () => {
    const strange = files.filter(
      (file) =>
        !/^(dist\/(nodes|src)\/|examples\/|icons\/|resources\/|README\.md$|LICENSE$|package\.json$)/.test(
          file,
        ),
    );
    assert.deepEqual(strange, []);
    assert.deepEqual(
      files.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts')),
      [],
    );
    assert.deepEqual(
      files.filter((file) => /(^|\/)(test|tests|bench)\//.test(file)),
      [],
    );
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

  it('installs its programs so that they can be run', async () => {
    for (const [name, file] of Object.entries(manifest.bin)) {
      await access(path.join(installed, file), constants.X_OK);
      const { stdout } = await promisify(execFile)(process.execPath, [path.join(installed, file), '--help']);
      assert.ok(stdout.includes('--port'), `${name} --help does not speak of --port`);
    }
  });
});

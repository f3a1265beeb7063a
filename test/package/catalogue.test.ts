// What Node-RED's public catalogue looks for in a package before it lists it, offline: the scorecard's checks of
// package.json, nodes and dependencies (P01 to P07, N01, N02, D01 to D03 at nodered.org).
import { strict as assert } from 'node:assert';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import semver from 'semver';
import { fetchedVersions } from '../support/node-js';
import { packedPackage } from '../support/node-red';
import { staticDefinitions, type StaticDefinition } from './static-definitions';
import { root } from './support';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly keywords: readonly string[];
  readonly repository: { readonly type: string; readonly url: string };
  readonly bugs: { readonly url: string };
  readonly publishConfig?: { readonly access?: string };
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly 'node-red': { readonly version: string; readonly nodes: Readonly<Record<string, string>> };
}

const mostDependencies = 6;
/** The catalogue's list of packages that break Node-RED, with the versions that do. */
const badPackages: Readonly<Record<string, string>> = { 'agent-base': '<6.0.0' };
/** The lines that Node-RED maintains, as this repository has them. */
const nodeReds = ['node-red', 'node-red-4'];

describe('the catalogue’s checks of the package', function () {
  this.timeout(180_000);
  let folder: string;
  let manifest: Manifest;
  let definitions: readonly StaticDefinition[];
  let examples: ReadonlyMap<string, readonly { type: string }[]>;

  before(async () => {
    const { template } = await packedPackage();
    const { name } = manifestIn(root);
    folder = path.join(template, 'node_modules', name);
    manifest = manifestIn(folder);
    const htmls = Object.values(manifest['node-red'].nodes).map((file) => file.replace(/\.js$/, '.html'));
    definitions = htmls.flatMap((file) => staticDefinitions(readFileSync(path.join(folder, file), 'utf8')));
    examples = new Map(
      globSync('examples/**/*.json', { cwd: folder }).map((file) => [
        file,
        JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as { type: string }[],
      ]),
    );
  });

  // ── package.json ────────────────────────────────────────────────────────────────────────────────────────────

  it('P01: has a licence, and its text', () => {
    assert.equal(manifest.license, 'Apache-2.0');
    assert.match(readFileSync(path.join(folder, 'LICENSE'), 'utf8'), /Apache License\s+Version 2\.0/);
  });

  it('P02, P03: says where it is developed and where to report a fault; that is the package of its name', () => {
    assert.match(manifest.repository.url, /^git\+https:\/\/github\.com\/[\w-]+\/[\w-]+\.git$/);
    const page = manifest.repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
    assert.equal(manifest.bugs.url, `${page}/issues`);
    assert.equal(path.posix.basename(page), manifest.name.split('/')[1]);
    assert.equal(manifestIn(root).name, manifest.name);
  });

  it('P04: has a scoped name, published for everybody', () => {
    assert.match(manifest.name, /^@[a-z\d][\w-.]+\/[a-z\d][\w-.]*$/);
    // npm publishes a scoped package for its owner only unless told otherwise, and the catalogue could not see it.
    assert.equal(manifest.publishConfig?.access, 'public');
  });

  it('P05: has the keyword that the catalogue searches for', () => {
    assert.ok(manifest.keywords.includes('node-red'));
  });

  it('P06: admits every Node-RED that is maintained, and none before the first that is tested', () => {
    const admitted = manifest['node-red'].version;
    for (const nodeRed of nodeReds) {
      const { version } = installed(nodeRed);
      assert.ok(semver.satisfies(version, admitted), `${admitted} does not admit Node-RED ${version}`);
    }
    assert.equal(semver.minVersion(admitted)?.version, '4.1.0');
  });

  it('P07: admits every Node.js that has SQLite without a flag, and those that its tests run on', () => {
    const oldest = '22.13.0';
    assert.equal(semver.minVersion(manifest.engines.node)!.version, oldest);
    for (const nodeRed of nodeReds) assert.ok(semver.satisfies(oldest, installed(nodeRed).engines!.node));
    for (const version of [installed('node').version, ...Object.values(fetchedVersions)])
      assert.ok(semver.satisfies(version, manifest.engines.node), `Node.js ${version} is not admitted`);
    // Nothing that is installed with it wants a newer one.
    for (const { name, engines } of tree(manifest)) {
      const needed = engines?.node;
      assert.ok(
        needed === undefined || semver.satisfies(oldest, needed),
        `${name} needs Node.js ${String(needed)}`,
      );
    }
  });

  // ── Nodes ───────────────────────────────────────────────────────────────────────────────────────────────────

  it('N01: has each type once, read from the HTML without running it, and none that Node-RED has', () => {
    const types = definitions.map(({ type }) => type);
    assert.deepEqual([...types].sort(), Object.keys(manifest['node-red'].nodes).sort());
    assert.equal(new Set(types).size, types.length);
    const taken = typesOfNodeRed();
    assert.ok(taken.size > 40, `only ${taken.size} types of Node-RED found`);
    assert.deepEqual(
      types.filter((type) => taken.has(type)),
      [],
    );
  });

  it('N01: writes out category, colour, icon, ports and properties where they can be read as text', () => {
    for (const { type, literals, defaults } of definitions) {
      assert.ok(defaults !== null && defaults.length > 0, `${type}: the defaults are not written out`);
      const isConfig = literals.category === 'config';
      for (const key of ['category', 'color', 'icon', ...(isConfig ? [] : ['inputs', 'outputs'])])
        assert.notEqual(literals[key], undefined, `${type}: ${key} is not a literal`);
    }
  });

  it('N02: has an example with every node that is not a configuration node', () => {
    const used = new Set([...examples.values()].flat().map(({ type }) => type));
    const shown = definitions.filter(({ literals }) => literals.category !== 'config');
    assert.ok(shown.length > 0);
    assert.deepEqual(
      shown.map(({ type }) => type).filter((type) => !used.has(type)),
      [],
    );
  });

  // ── Dependencies ────────────────────────────────────────────────────────────────────────────────────────────

  it('D01: has at most six dependencies', () => {
    const count = Object.keys(manifest.dependencies).length;
    assert.ok(count <= mostDependencies, `${count} dependencies`);
  });

  it('D02: brings none of the packages that break Node-RED', () => {
    const brought = tree(manifest);
    assert.deepEqual(
      brought
        .filter(({ name, version }) => semver.satisfies(version, badPackages[name] ?? '<0.0.0'))
        .map(({ name }) => name),
      [],
    );
  });

  it('D03: gets of each dependency the version that the lock file has, and no range keeps a newer one of it out', () => {
    const locked = lockedVersions();
    for (const [name, range] of Object.entries(manifest.dependencies)) {
      const version = locked.get(name);
      assert.ok(version !== undefined, `${name} is not in the lock file`);
      assert.ok(semver.satisfies(version, range), `${name} ${version} is not in ${range}`);
      assert.equal(installed(name).version, version, `what is installed of ${name}`);
      // The next minor version and the next patch come without a release of ours.
      for (const next of ['minor', 'patch'] as const)
        assert.ok(semver.satisfies(semver.inc(version, next)!, range), `${range} admits no newer ${name}`);
    }
  });
});

interface Installed {
  readonly name: string;
  readonly version: string;
  readonly engines?: { readonly node: string };
  readonly dependencies?: Readonly<Record<string, string>>;
}

function manifestIn(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;
}

function installed(name: string): Installed {
  const file = path.join(root, 'node_modules', name, 'package.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Installed;
}

/** All that `npm install` of the package brings. */
function tree(manifest: Pick<Manifest, 'dependencies'>): Installed[] {
  const found = new Map<string, Installed>();
  const waiting = Object.keys(manifest.dependencies);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    const one = installed(name);
    found.set(name, one);
    waiting.push(...Object.keys(one.dependencies ?? {}));
  }
  return [...found.values()];
}

function lockedVersions(): Map<string, string> {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string }>;
  };
  const prefix = 'node_modules/';
  return new Map(
    Object.entries(lock.packages)
      .filter(([where]) => where.startsWith(prefix))
      .map(([where, { version }]) => [where.slice(prefix.length), version]),
  );
}

/** The types of Node-RED's own nodes, of both versions, and of the dashboard. */
function typesOfNodeRed(): Set<string> {
  const folders = [
    ...nodeReds.map((nodeRed) =>
      path.join(root, 'node_modules', nodeRed, 'node_modules', '@node-red', 'nodes'),
    ),
    path.join(root, 'node_modules', '@node-red', 'nodes'),
    path.join(root, 'node_modules', '@flowfuse', 'node-red-dashboard', 'nodes'),
  ].filter((folder) => existsSync(folder));
  const htmls = folders.flatMap((folder) =>
    globSync('**/*.html', { cwd: folder, exclude: ['**/locales/**'] }).map((file) =>
      readFileSync(path.join(folder, file), 'utf8'),
    ),
  );
  const calls = /RED\.nodes\.registerType\(\s*['"]([^'"]+)['"]/g;
  return new Set(htmls.flatMap((html) => [...html.matchAll(calls)].map((match) => match[1]!)));
}

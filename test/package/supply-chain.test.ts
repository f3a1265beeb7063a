// What comes with the package, from whom, under which licence, and how it gets to npm.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './support';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly license?: string;
}
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

const text = (...where: string[]): string => readFileSync(path.join(root, ...where), 'utf8');
const manifestOf = (name: string): Manifest =>
  JSON.parse(text('node_modules', name, 'package.json')) as Manifest;
const manifest = JSON.parse(text('package.json')) as Manifest;
const lock = (JSON.parse(text('package-lock.json')) as { packages: Record<string, Locked> }).packages;
const locked = Object.entries(lock).filter(([where]) => where !== '');
/** Those that may be passed on with a package under Apache-2.0 without more than naming them. */
const permissive = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD'];

describe('the supply chain', () => {
  it('is locked: each package by its content, from whatever registry', () => {
    assert.ok(locked.length > 100);
    for (const [where, { integrity, resolved, link, inBundle }] of locked) {
      assert.equal(resolved, undefined, `${where} is tied to an address`);
      if (!link && !inBundle) assert.match(integrity ?? '', /^sha512-/, where);
    }
  });

  it('runs nothing at install: no script of ours, none of what a user installs', () => {
    const atInstall = /^(pre|post)?install$|^(pre|post)?prepare$/;
    assert.deepEqual(
      Object.keys(manifest.scripts).filter((name) => atInstall.test(name)),
      [],
    );
    assert.ok(!existsSync(path.join(root, 'binding.gyp')));
    const withScripts = locked.filter(([, { dev, hasInstallScript }]) => !dev && hasInstallScript);
    assert.deepEqual(withScripts, []);
  });

  it('has every package that a user gets, with its licence, in docs/internals/security.md and the bill of materials', async () => {
    const { billOfMaterials, bundled } = await import('../../scripts/sbom.mjs');
    const expected = [...runtimeClosure(), ...bundled].map((name) => [name, manifestOf(name).license]).sort();
    for (const [name, license] of expected) assert.ok(permissive.includes(license!), `${name}: ${license}`);
    const rows = [
      ...text('docs', 'internals', 'security.md').matchAll(/^\| `([@\w/-]+)` +\| ([\w.-]+) +\| \w.* +\|$/gm),
    ];
    assert.deepEqual(rows.map((row) => [row[1], row[2]]).sort(), expected);
    const bill = await billOfMaterials();
    assert.equal(bill.bomFormat, 'CycloneDX');
    const listed = bill.components.map(({ name, licenses }) => [name, licenses?.[0]?.license.id]);
    assert.deepEqual(listed.sort(), expected);
    const refs = bill.components.map(({ name, version }) => `${name}@${version}`);
    const dependsOn = new Map(bill.dependencies.map((of) => [of.ref, of.dependsOn]));
    const reached = new Set(dependsOn.get(`${manifest.name}@${manifest.version}`));
    for (const ref of reached) for (const on of dependsOn.get(ref)!) reached.add(on);
    assert.deepEqual([...reached].sort(), refs.sort());
  });

  it('knows what the build puts into the editor’s scripts', async () => {
    const { bundled } = await import('../../scripts/sbom.mjs');
    const imported = new Set<string>();
    for (const file of globSync('nodes/**/{editor.ts,editor/**/*.ts}', { cwd: root })) {
      // Types leave nothing behind.
      const code = text(file).replaceAll(/import type [^;]+;/g, '');
      for (const [, name] of code.matchAll(/(?:from|import) '([^'.][^']*)'/g))
        imported.add(/^(@[^/]+\/)?[^/]+/.exec(name!)![0]);
    }
    assert.deepEqual([...imported].sort(), [...bundled]);
  });

  it('ends in a release that a workflow builds from its tag, with provenance and without a stored token', () => {
    const workflow = text('.github', 'workflows', 'publish.yml');
    assert.match(workflow, /^permissions: \{\}$/m);
    assert.match(workflow, /^ +id-token: write/m);
    assert.match(workflow, /npm publish --provenance$/m);
    assert.match(workflow, /needs: test/);
    assert.doesNotMatch(workflow, /secrets\.|NODE_AUTH_TOKEN|_authToken/);
    for (const [, action] of workflow.matchAll(/uses: (\S+)/g)) assert.match(action!, /@[0-9a-f]{40}$/);
    for (const [, script] of workflow.matchAll(/npm run (?:--silent )?(\w+)/g))
      assert.ok(manifest.scripts[script!] !== undefined, script);
    // A value of the event inside a command would be run as a part of it.
    for (const [command] of workflow.matchAll(/run: .*/g)) assert.doesNotMatch(command, /\$\{\{/);
  });
});

/** What npm installs with the package. */
function runtimeClosure(): string[] {
  const found = new Set<string>();
  const visit = ({ dependencies, optionalDependencies }: Manifest): void => {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (found.has(name)) continue;
      found.add(name);
      visit(manifestOf(name));
    }
  };
  visit(manifest);
  return [...found];
}

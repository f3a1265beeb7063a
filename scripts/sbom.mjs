// npm run --silent sbom: the bill of materials of what a user gets, as CycloneDX, on standard output.
//
// `npm sbom` knows the dependencies that are installed beside the package. What the build puts into the package's own
// files is a development dependency to npm, so it is added.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { npmCommand, root } from './tools.mjs';

/** Packages that the editor's scripts import and carry in them. */
export const bundled = ['uplot'];

async function installedBeside() {
  const options = ['--sbom-format=cyclonedx', '--sbom-type=library', '--package-lock-only', '--omit=dev'];
  const [command, args] = npmCommand(['sbom', ...options]);
  const { stdout } = await promisify(execFile)(command, args, { cwd: root });
  return JSON.parse(stdout);
}

/** As npm writes a component. */
function componentOf(name, { version, license, integrity }) {
  const content = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex');
  return {
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    scope: 'required',
    purl: `pkg:npm/${name}@${version}`,
    properties: [{ name: 'cdx:npm:package:bundled', value: 'true' }],
    hashes: [{ alg: 'SHA-512', content }],
    licenses: [{ license: { id: license } }],
  };
}

async function readJson(file) {
  return JSON.parse(await readFile(path.join(root, file), 'utf8'));
}

export async function billOfMaterials() {
  const bill = await installedBeside();
  const { packages } = await readJson('package-lock.json');
  const { name, version } = await readJson('package.json');
  const added = bundled.map((one) => componentOf(one, packages[`node_modules/${one}`]));
  const refs = added.map((component) => component['bom-ref']);
  const dependencies = bill.dependencies.map((of) =>
    of.ref === `${name}@${version}` ? { ...of, dependsOn: [...of.dependsOn, ...refs] } : of,
  );
  return {
    ...bill,
    components: [...bill.components, ...added],
    dependencies: [...dependencies, ...refs.map((ref) => ({ ref, dependsOn: [] }))],
  };
}

if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(await billOfMaterials(), null, 2));

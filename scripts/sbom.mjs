// npm run --silent sbom: prints the bill of materials of the installed package, as CycloneDX.
//
// `npm sbom` lists the dependencies installed with the package. Packages bundled into its own files are development
// dependencies for npm, so this script adds them.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { npmCommand, root } from './tools.mjs';

/** Packages bundled into the editor's scripts. */
export const bundled = ['uplot'];

/**
 * Npm's own bill for the lock file without development dependencies. `--omit=dev` would leave out too much: also
 * packages that are dependencies of both, and their dependencies.
 */
async function installedDependencies(manifest, lock) {
  const temporary = await mkdtemp(path.join(tmpdir(), 'sbom-'));
  // Npm names the subject of the bill after the folder.
  const folder = path.join(temporary, path.posix.basename(manifest.name));
  try {
    await mkdir(folder);
    const forUsers = (of) => ({ ...of, devDependencies: undefined });
    const packages = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true);
    const pruned = {
      ...lock,
      packages: { ...Object.fromEntries(packages), '': forUsers(lock.packages['']) },
    };
    await writeFile(path.join(folder, 'package.json'), JSON.stringify(forUsers(manifest)));
    await writeFile(path.join(folder, 'package-lock.json'), JSON.stringify(pruned));
    const options = ['--sbom-format=cyclonedx', '--sbom-type=library', '--package-lock-only'];
    const [command, args] = npmCommand(['sbom', ...options]);
    const { stdout } = await promisify(execFile)(command, args, { cwd: folder });
    return JSON.parse(stdout);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** A component in npm's own form. */
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
  const lock = await readJson('package-lock.json');
  const manifest = await readJson('package.json');
  const { name, version } = manifest;
  const bill = await installedDependencies(manifest, lock);
  const added = bundled.map((one) => componentOf(one, lock.packages[`node_modules/${one}`]));
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

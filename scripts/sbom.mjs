// npm run --silent sbom: the bill of materials of what a user gets, as CycloneDX, on standard output.
//
// `npm sbom` knows the dependencies that are installed beside the package. What the build puts into the package's own
// files is a development dependency to npm, so it is added.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { npmCommand, root } from './tools.mjs';

/** Packages that the editor's scripts import and carry in them. */
export const bundled = ['uplot'];

/**
 * Npm's own bill of a lock file without what only developers have. Its --omit=dev would leave out too much: also what
 * users and developers both need, and what only that needs.
 */
async function installedBeside(manifest, lock) {
  const temporary = await mkdtemp(path.join(tmpdir(), 'sbom-'));
  // Npm calls what the bill is of by the folder's name.
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
  const lock = await readJson('package-lock.json');
  const manifest = await readJson('package.json');
  const { name, version } = manifest;
  const bill = await installedBeside(manifest, lock);
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

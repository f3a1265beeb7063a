// Workspace of the bench: a copy of the built package and the workers, so that a build meanwhile changes nothing.
//
// It lies below node_modules/, which Git ignores, on the same disk as the repository, and from where the
// package's own copy finds its dependencies.
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { build } from 'esbuild';

export const root = path.join(__dirname, '..', '..');

export interface Workspace {
  readonly folder: string;
  /** Holds package.json and dist/. */
  readonly packageFolder: string;
  readonly workers: string;
}

/** `code`: a folder with a package.json and a dist/ to measure instead of this repository's. */
export async function makeWorkspace(code: string | null): Promise<Workspace> {
  const cache = path.join(root, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  if (code === null) await promisify(execFile)(process.execPath, [path.join(root, 'scripts', 'build.mjs')]);
  const folder = await mkdtemp(path.join(cache, 'bench-'));
  const packageFolder = path.join(folder, 'package');
  const from = code === null ? root : path.resolve(code);
  await mkdir(packageFolder);
  for (const name of ['package.json', 'dist']) {
    if (!existsSync(path.join(from, name))) throw new Error(`There is no ${name} in ${from}.`);
    await cp(path.join(from, name), path.join(packageFolder, name), { recursive: true });
  }
  const workers = path.join(folder, 'workers');
  await build({
    entryPoints: ['service', 'engine', 'raw', 'idle', 'least', 'appends', 'agent', 'shared', 'members'].map(
      (name) => path.join(root, 'bench', 'workers', `${name}.ts`),
    ),
    outdir: workers,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    logLevel: 'silent',
  });
  return { folder, packageFolder, workers };
}

export async function removeWorkspace({ folder }: Workspace): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

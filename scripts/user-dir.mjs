// Makes Node-RED user directories with the package packed and installed by npm.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { must, npmCommand, root, run } from './tools.mjs';

/** Packs the current dist/ with `npm pack`. Equal contents have equal hashes. */
export async function pack(destination) {
  await mkdir(destination, { recursive: true });
  const [command, args] = npmCommand([
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    destination,
  ]);
  const printed = await must(command, args);
  const packed = Object.values(JSON.parse(printed.slice(printed.search(/^[[{]/m))))[0];
  const tarball = path.join(destination, path.basename(packed.filename));
  const hash = createHash('sha256')
    .update(await readFile(tarball))
    .digest('hex')
    .slice(0, 16);
  const sizes = Object.fromEntries(packed.files.map(({ path: file, size }) => [file, size]));
  return { tarball, hash, files: Object.keys(sizes), sizes, packedBytes: packed.size };
}

/**
 * Installs a packed tarball into a user directory with `npm install`. Without a registry, unpacks the tarball there and
 * links its dependencies from this repository; `how` is `npm` or `linked`.
 */
export async function installInto(userDir, tarball) {
  await mkdir(userDir, { recursive: true });
  const manifest = path.join(userDir, 'package.json');
  if (!existsSync(manifest)) {
    const content = {
      name: 'node-red-project',
      description: 'A Node-RED Project',
      version: '0.0.1',
      private: true,
    };
    await writeFile(manifest, `${JSON.stringify(content, null, 2)}\n`);
  }
  const [command, args] = npmCommand(
    'install --prefer-offline --no-audit --no-fund --omit=dev --fetch-retries=1 --fetch-timeout=30000'.split(
      ' ',
    ),
  );
  const { code, output } = await run(command, [...args, path.resolve(tarball)], { cwd: userDir });
  if (code === 0) {
    return { how: 'npm' };
  }
  if (
    !/E(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)|ERR_SOCKET_TIMEOUT/.test(
      output,
    )
  ) {
    throw new Error(`npm install of the packed tarball failed:\n${output}`);
  }
  await unpackInto(userDir, tarball);
  return { how: 'linked', output };
}

async function unpackInto(userDir, tarball) {
  const { name, dependencies } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  const modules = path.join(userDir, 'node_modules');
  const unpacked = path.join(userDir, 'package');
  await must('tar', ['-xzf', path.resolve(tarball), '-C', userDir]);
  await rm(path.join(modules, name), { recursive: true, force: true });
  await mkdir(path.dirname(path.join(modules, name)), { recursive: true });
  await rename(unpacked, path.join(modules, name));
  for (const dependency of Object.keys(dependencies)) {
    const link = path.join(modules, dependency);
    await mkdir(path.dirname(link), { recursive: true });
    await rm(link, { recursive: true, force: true });
    await symlink(path.join(root, 'node_modules', dependency), link, 'junction');
  }
  const manifest = path.join(userDir, 'package.json');
  const content = JSON.parse(await readFile(manifest, 'utf8'));
  content.dependencies = { ...content.dependencies, [name]: `file:${path.resolve(tarball)}` };
  await writeFile(manifest, `${JSON.stringify(content, null, 2)}\n`);
}

/** A user directory to copy from, installed once for each content of the tarball. Renamed when complete. */
export async function installedTemplate(folder, { tarball, hash }) {
  const template = path.join(folder, `user-dir-${hash}`);
  if (!existsSync(template)) {
    const partial = `${template}.${process.pid}`;
    const { how } = await installInto(partial, tarball);
    await rename(partial, template).catch((error) => {
      if (!existsSync(template)) throw error; // Another process was faster.
    });
    await rm(partial, { recursive: true, force: true });
    return { template, how };
  }
  return { template, how: 'kept' };
}

/**
 * Makes a user directory with links to the template's packages. Copying and deleting their 1,500 files would take as
 * long as a start of Node-RED; besides, the cache of compiled code depends on the paths of files.
 */
export async function likeTemplate(template, userDir) {
  for (const file of ['package.json', 'package-lock.json'])
    if (existsSync(path.join(template, file))) await cp(path.join(template, file), path.join(userDir, file));
  const packages = await readdir(path.join(template, 'node_modules'));
  for (const name of packages.filter((one) => !one.startsWith('.'))) {
    const scoped = name.startsWith('@') ? await readdir(path.join(template, 'node_modules', name)) : null;
    for (const one of scoped?.map((each) => path.join(name, each)) ?? [name]) {
      const link = path.join(userDir, 'node_modules', one);
      await mkdir(path.dirname(link), { recursive: true });
      await symlink(await realpath(path.join(template, 'node_modules', one)), link, 'junction');
    }
  }
}

/**
 * Text of a settings file without prompts, tours and telemetry, for a server that only this machine can reach.
 *
 * @param more settings to add or replace; those of `editorTheme` one by one
 */
export function settingsFile({ editorTheme, ...more }) {
  const settings = {
    uiHost: '127.0.0.1',
    flowFile: 'flows.json',
    flowFilePretty: true,
    lang: 'en-US',
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: {
      ...{ tours: false, projects: { enabled: false }, multiplayer: { enabled: false } },
      ...editorTheme,
    },
    diagnostics: { enabled: true, ui: true },
    runtimeState: { enabled: true, ui: false },
    ...more,
  };
  return `// Written at every start; changes here do not last.\nmodule.exports = ${JSON.stringify(settings, null, 2)};\n`;
}

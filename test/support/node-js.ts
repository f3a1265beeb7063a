// Node.js 22 for Node-RED 4.1, fetched from npm once. It cannot be a dev dependency beside `node`: both packages name
// their program `node`, and npm lets `node_modules/.bin/node` be that of whichever it installed last.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

export const node22Version = '22.23.3';
const root = path.join(__dirname, '..', '..');
const folder = path.join(root, '.test', `node-${node22Version}`);
const program = path.join('node_modules', 'node', 'bin', 'node');

let fetching: Promise<string> | undefined;

/** The program. Without a registry it is the Node.js of the tests, visibly; CI has to have one. */
export function node22(): Promise<string> {
  fetching ??= existsSync(path.join(folder, program))
    ? Promise.resolve(path.join(folder, program))
    : fetched();
  return fetching;
}

async function fetched(): Promise<string> {
  const partial = `${folder}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  // npm 11 and later run the script that fetches the program only where the manifest allows it.
  const manifest = { private: true, dependencies: { node: node22Version }, allowScripts: { node: true } };
  await writeFile(path.join(partial, 'package.json'), JSON.stringify(manifest));
  try {
    const { npmCommand } = await import('../../scripts/tools.mjs');
    const options = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
    const [command, args] = npmCommand(['install', ...options]);
    await promisify(execFile)(command, args, { cwd: partial });
    const { stdout } = await promisify(execFile)(path.join(partial, program), ['--version']);
    if (stdout.trim() !== `v${node22Version}`) throw new Error(`npm brought Node.js ${stdout.trim()}`);
    await rename(partial, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // Another process was faster.
    });
    return path.join(folder, program);
  } catch (error) {
    if (process.env.CI !== undefined && process.env.CI !== 'false') throw error;
    console.log(`      no Node.js ${node22Version} from npm: Node-RED 4.1 runs on ${process.version}`);
    return process.execPath;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

// The Node.js that a Node-RED runs on: this repository's, or one of its users, fetched from npm once. That one cannot be a
// dev dependency beside `node`: both packages name their program `node`, and npm lets `node_modules/.bin/node` be that of
// whichever it installed last.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** The oldest line that is admitted, the repository's, and the newest long-term line. */
export type NodeJsLine = 22 | 24 | 26;

/** What npm is asked for. */
export const fetchedVersions = { 22: '22.23.3', 26: '26.10.0' } as const;

const root = path.join(__dirname, '..', '..');
const program = path.join('node_modules', 'node', 'bin', 'node');
const repositoryNode = path.join(root, program);
/** The tests' own node is the repository's when npm runs them; the path is for an editor that runs them itself. */
export const nodeBinary = existsSync(repositoryNode) ? repositoryNode : process.execPath;

const fetching = new Map<NodeJsLine, Promise<string>>();

/** The program. Without a registry it is the Node.js of the tests, visibly; CI has to have one. */
export function nodeJs(line: NodeJsLine): Promise<string> {
  const known =
    fetching.get(line) ?? (line === 24 ? Promise.resolve(nodeBinary) : fetched(fetchedVersions[line]));
  fetching.set(line, known);
  return known;
}

async function fetched(version: string): Promise<string> {
  const folder = path.join(root, '.test', `node-${version}`);
  if (existsSync(path.join(folder, program))) return path.join(folder, program);
  const partial = `${folder}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  // npm 11 and later run the script that fetches the program only where the manifest allows it.
  const manifest = { private: true, dependencies: { node: version }, allowScripts: { node: true } };
  await writeFile(path.join(partial, 'package.json'), JSON.stringify(manifest));
  try {
    const { npmCommand } = await import('../../scripts/tools.mjs');
    const options = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
    const [command, args] = npmCommand(['install', ...options]);
    await promisify(execFile)(command, args, { cwd: partial });
    const { stdout } = await promisify(execFile)(path.join(partial, program), ['--version']);
    if (stdout.trim() !== `v${version}`) throw new Error(`npm brought Node.js ${stdout.trim()}`);
    await rename(partial, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // Another process was faster.
    });
    return path.join(folder, program);
  } catch (error) {
    if (process.env.CI !== undefined && process.env.CI !== 'false') throw error;
    console.log(`      no Node.js ${version} from npm: Node-RED runs on ${process.version}`);
    return process.execPath;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

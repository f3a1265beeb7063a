// Helpers of the repository's scripts: paths, and functions that run the repository's tools.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Node.js 24 of the dev dependency `node`, independent of the machine's own version. */
export const node = [
  path.join(root, 'node_modules', 'node', 'bin', 'node'),
  path.join(root, 'node_modules', 'node', 'bin', 'node.exe'),
  process.execPath,
].find((file) => existsSync(file));

/** Path of the script of an installed tool, to run with `node`. */
export function tool(packageName, script) {
  return path.join(root, 'node_modules', packageName, script);
}

/** The compiler of TypeScript 7, five times as fast as 6, which is installed for its API, used in tests. */
export const tsc = tool('typescript-7', 'bin/tsc');

/** The npm that started this script, or else the one on the path. */
export function npmCommand(args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('.js') ? [node, [cli, ...args]] : ['npm', args];
}

/**
 * Runs a command to its end and collects its output, stdout and stderr in the order of arrival. Resolves whatever the
 * exit code; rejects only if the command cannot be started.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
      env: { ...process.env, ...(process.stdout.isTTY && { FORCE_COLOR: '1' }), ...options.env },
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? 1, signal, output }));
  });
}

/** Runs a command and returns its output; rejects with the output if the command fails. */
export async function must(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) {
    throw new Error(
      `${path.basename(command)} ${args.map((arg) => path.basename(arg)).join(' ')} failed:\n${output}`,
    );
  }
  return output;
}

export const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

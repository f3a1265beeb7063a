// What the repository's scripts share: where things are, and how to run one of the repository's own tools.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Node 24 of the dev dependency `node`, so that it does not matter which Node the machine has. */
export const node = [
  path.join(root, 'node_modules', 'node', 'bin', 'node'),
  path.join(root, 'node_modules', 'node', 'bin', 'node.exe'),
  process.execPath,
].find((file) => existsSync(file));

/** The script of an installed tool, to be run with `node`. */
export function tool(packageName, script) {
  return path.join(root, 'node_modules', packageName, script);
}

/** The compiler of TypeScript 7, five times as fast; the package `typescript` is 6, whose API some tests read sources with. */
export const tsc = tool('typescript-7', 'bin/tsc');

/** The npm that started us; run by hand, the one on the path. */
export function npmCommand(args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('.js') ? [node, [cli, ...args]] : ['npm', args];
}

/**
 * Runs a command to its end and keeps what it prints, stdout and stderr in the order in which they came.
 * Resolves whatever the exit code; rejects only when the command cannot be started.
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

/** Runs a command that has to succeed; what it printed is in the error when it does not. */
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

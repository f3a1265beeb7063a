// npm start: runs Node-RED 5 with the packed and installed package, and the quick-start flow to try.
//
// All files are in .start/: the packed tarball, and a user directory that is never overwritten.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { node, root, seconds, tool } from './tools.mjs';
import { installInto, pack, settingsFile } from './user-dir.mjs';

const host = '127.0.0.1';
const home = path.join(root, '.start');
const userDir = path.join(home, 'user-dir');

/** An error that the user can correct; shown without a stack. */
class Refusal extends Error {}

function chosenPort() {
  let chosen;
  try {
    chosen = parseArgs({ options: { port: { type: 'string' } } }).values.port ?? process.env.PORT ?? '1880';
  } catch (error) {
    throw new Refusal(`${error.message} The only option is the port: npm start -- --port 1881`);
  }
  const port = Number(chosen);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Refusal(`"${chosen}" is not a port. Choose one from 1 to 65535: npm start -- --port 1881`);
  }
  return port;
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect({ port, host, timeout: 2000 });
    const end = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .once('connect', () => end(true))
      .once('timeout', () => end(true))
      .once('error', () => end(false));
  });

const canListen = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.code));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });

async function checkPort(port) {
  const problem = (await answers(port)) ? 'EADDRINUSE' : await canListen(port);
  if (problem === 'EADDRINUSE') {
    const other = port === 65_535 ? 1881 : port + 1;
    throw new Refusal(
      `Port ${port} is in use by another program. Choose another: npm start -- --port ${other}`,
    );
  }
  if (problem) {
    throw new Refusal(`Port ${port} cannot be used (${problem}). Choose another: npm start -- --port 1881`);
  }
}

async function install() {
  const { tarball, hash } = await pack(home);
  const mark = path.join(userDir, '.installed');
  const installed = existsSync(mark) ? await readFile(mark, 'utf8') : '';
  if (installed === hash) {
    return 'unchanged';
  }
  const { how } = await installInto(userDir, tarball);
  await writeFile(mark, hash);
  return how === 'npm' ? 'installed' : 'unpacked, with linked dependencies, since no registry answered';
}

/** A secret generated once and stored, so that the next start can decrypt credentials saved in the editor. */
async function credentialSecret() {
  const file = path.join(home, 'credential-secret');
  if (!existsSync(file)) {
    await writeFile(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  }
  return (await readFile(file, 'utf8')).trim();
}

async function prepare() {
  const started = performance.now();
  console.log('Building the package …');
  await build();
  console.log(`Installing it into ${path.relative(root, userDir)} …`);
  await mkdir(userDir, { recursive: true });
  const how = await install();
  const flows = path.join(userDir, 'flows.json');
  if (!existsSync(flows)) {
    await copyFile(path.join(root, 'examples', 'quick start.json'), flows);
  }
  const settings = path.join(home, 'settings.js');
  await writeFile(settings, settingsFile({ credentialSecret: await credentialSecret() }), { mode: 0o600 });
  console.log(`Ready to start after ${seconds(started)} (package ${how}).`);
  return settings;
}

function greeting(port) {
  return `
Node-RED is running, with the quick start and a sandbox instead of the service.

  Open      http://${host}:${port}/
  Press     "viewed" adds a user to segment 10001, "bought" removes the user at once
  Look      the tab Audience in the sidebar lists the members of the segment

Ctrl-C stops.
`;
}

/** Runs Node-RED to its end, forwards signals, and returns its exit code. */
function runNodeRed(port, settings) {
  const args = [
    tool('node-red', 'red.js'),
    '--settings',
    settings,
    '--userDir',
    userDir,
    '--port',
    `${port}`,
  ];
  const child = spawn(node, args, { cwd: userDir, stdio: ['ignore', 'pipe', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  let log = '';
  child.stdout.on('data', (chunk) => {
    process.stdout.write(chunk);
    if (log === null) return;
    log += chunk;
    if (log.includes('Started flows') && log.includes('now running at')) {
      log = null;
      console.log(greeting(port));
    }
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

try {
  const port = chosenPort();
  await checkPort(port);
  const settings = await prepare();
  process.exitCode = await runNodeRed(port, settings);
} catch (error) {
  console.error(error instanceof Refusal ? error.message : (error.stack ?? error));
  process.exitCode = 1;
}

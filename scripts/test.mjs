// npm test: runs the checks, the build, and every test on Node-RED 5; npm run test:4.1 runs the tests that start
// Node-RED on 4.1; npm run test:long runs the long tests. The last line has the totals.
//
// npm test -- --grep words, or npm test -- test/queue/**/*.test.ts, runs some of the tests, without the checks.
import { spawn } from 'node:child_process';
import { existsSync, globSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { chromiumEnvironment } from './chromium.mjs';
import { must, node, root, run, seconds, tool } from './tools.mjs';
import { installedTemplate, pack } from './user-dir.mjs';

const inCi = Boolean(process.env.CI) && process.env.CI !== 'false';
// Runs mocha's own script without its launcher, so that only one process has to be killed when it hangs.
const mocha = ['--disable-warning=ExperimentalWarning', realpathSync(tool('mocha', 'lib/cli/cli.js'))];
const scratch = path.join(root, '.test');
/** A part of a run is killed after this time, which only a hanging one reaches. */
const hangMs = 6 * 60_000;

/** Describes the tarball and a user directory with it installed, for all test processes. */
const made = path.join(scratch, 'package', 'made.json');
const build = { name: 'build', command: ['scripts/build.mjs'] };
const checks = [
  { name: 'lint and types', command: [tool('oxlint', 'bin/oxlint'), '.'] },
  {
    name: 'imports',
    command: [
      tool('dependency-cruiser', 'bin/dependency-cruiser.mjs'),
      ...['src', 'nodes', 'test', 'bench', 'scripts'],
    ],
  },
  { name: 'unused', command: [tool('knip', 'bin/knip.js')] },
  { name: 'prose', command: ['scripts/prose.mjs'] },
  { name: 'format', command: [tool('oxfmt', 'bin/oxfmt'), '--check', '.'] },
];

/** Returns the name of the check if it failed. */
async function runCheck({ name, command }) {
  const started = performance.now();
  const { code, output } = await run(node, command);
  console.log(`  ${code === 0 ? 'ok' : 'x '}  ${name} (${seconds(started)})`);
  if (code === 0) return [];
  console.log(output);
  return [name];
}

/** Runs the checks one after the other, and returns the names of those that failed. */
async function runChecks() {
  const failed = [];
  for (const check of checks) failed.push(...(await runCheck(check)));
  return failed;
}

/** Packs the build, and installs it with npm into a user directory. */
async function makePackage() {
  const started = performance.now();
  const folder = path.dirname(made);
  await rm(folder, { recursive: true, force: true });
  const packed = await pack(folder);
  const { template, how } = await installedTemplate(folder, packed);
  await writeFile(made, JSON.stringify({ ...packed, template }));
  const where = how === 'linked' ? ', no registry answered: unpacked, with linked dependencies' : '';
  console.log(`  ok  package (${seconds(started)}${where})`);
}

/** Folders in test/ whose tests start Node-RED as a process, and so also run on 4.1. */
const withNodeRed = ['process', 'examples', 'browser'];

/** Number of parts that run at a time. Tests with Node-RED mostly wait, so it may exceed the number of cores. */
const atATime = 5;
/** Folders that take longest in one process, and into how many parts their files are divided. */
const divided = { nodes: 6, queue: 3 };
/** Parts that run in one process, under the name of the first: some share a Node-RED, all load the same modules once. */
const together = [
  ['browser/forms', 'browser/canvas', 'browser/accessibility'],
  ['browser/builder', 'browser/details', 'browser/new-user', 'browser/sync'],
  ['browser/languages', 'browser/package'],
  ['browser/sidebar', 'browser/sidebar-orphaned-shared'],
  ['browser/accounts', 'browser/variables', 'browser/examples'],
  ['examples/quick-start', 'examples/de-target', 'examples/keep', 'examples/rejected'],
  ['examples/scores', 'examples/usage', 'examples/watch', 'examples/files', 'examples/file'],
  ['process/stop', 'process/redeploy', 'process/removal', 'process/metrics'],
  ['process/palette', 'process/two-accounts', 'process/database-vanished'],
  ['entry', 'consent', 'usage', 'sync', 'words'],
];
/** The longest parts, which begin first, so that none of them runs alone at the end. */
const longest = [
  'simulation',
  'nodes 1',
  'nodes 4',
  'examples/alarm',
  'process/shared',
  'examples/keep',
  'browser/forms',
  'browser/builder',
  'browser/languages',
  'browser/accounts',
  'browser/sidebar',
  'delivery',
  'nodes 2',
  'nodes 3',
  'nodes 5',
  'nodes 6',
  'queue 1',
  'queue 2',
  'queue 3',
  'process/secrets',
  'smoke',
  'fuzz',
  'process/permissions',
  'examples/amqp',
];
/** Caches compiled code, which halves the start time of Node-RED; the tests start it dozens of times. */
const compileCache = { NODE_COMPILE_CACHE: path.join(scratch, 'compile-cache') };

/** Splits test files into parts: files that start Node-RED, and each folder of other files, or a share of it. */
function splitIntoParts(files) {
  const seen = {};
  const partOf = (file) => {
    const [, folder, ...below] = file.replace(/\.test\.ts$/, '').split(path.sep);
    const name = [folder, ...below].join('/');
    const whole = withNodeRed.includes(folder) ? name : folder;
    if (divided[folder] === undefined) return together.find((names) => names.includes(whole))?.[0] ?? whole;
    seen[folder] = (seen[folder] ?? 0) + 1;
    return `${folder} ${(seen[folder] % divided[folder]) + 1}`;
  };
  const parts = Map.groupBy(files.toSorted(), partOf);
  const names = [...longest.filter((name) => parts.has(name)), ...[...parts.keys()].sort()];
  return [...new Set(names)].map((name) => ({ name, files: parts.get(name).sort() }));
}

/** Runs one mocha process, and kills it after `endMs`. A process that does not end by itself counts as a failure. */
async function runMocha(args, index, env, endMs = hangMs) {
  // Another run may be under way.
  const totals = path.join(scratch, `totals-${process.pid}-${index}.json`);
  await rm(totals, { force: true });
  const strict = inCi ? ['--forbid-pending', '--forbid-only'] : [];
  const child = spawn(
    node,
    [...mocha, '--reporter', path.join(root, 'scripts', 'mocha-reporter.cjs'), ...strict, ...args],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...compileCache, ...process.env, ...env, MOCHA_TOTALS: totals },
    },
  );
  const killTimer = endMs === null ? undefined : setTimeout(() => child.kill('SIGKILL'), endMs);
  const code = await new Promise((resolve) => child.once('exit', (exit, signal) => resolve(exit ?? signal)));
  clearTimeout(killTimer);
  const saved = existsSync(totals) ? JSON.parse(await readFile(totals, 'utf8')) : null;
  await rm(totals, { force: true });
  if (saved?.running === null && typeof code === 'number') return saved;
  const when = saved?.running == null ? 'with all tests done' : `in “${saved.running}”`;
  const report = `${saved?.report ?? ''}\nA test run ended (${code}) ${saved === null ? 'before its first test' : when}: ${args.join(' ')}`;
  return {
    passed: saved?.passed ?? 0,
    failed: (saved?.failed ?? 0) + 1,
    skipped: saved?.skipped ?? 0,
    report,
  };
}

function sumUp(results) {
  for (const { report } of results) {
    if (report) console.log(report);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

/** Packs the package and runs the test files, several parts at a time. */
async function runFiles(files) {
  await makePackage();
  console.log(`Tests on Node-RED ${process.env.NODE_RED_VERSION}`);
  const waiting = splitIntoParts(files);
  const results = [];
  const worker = async (index) => {
    // Saves the tests from building the package again.
    const env = { PACKAGE_BUILT: '1', PACKAGE_MADE: made, TEST_PART: String(index) };
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      const started = performance.now();
      const ended = await runMocha(part.files, index, env);
      results.push({ ...ended, name: part.name, tookMs: performance.now() - started });
    }
  };
  await Promise.all(Array.from({ length: atATime }, (_, index) => worker(index)));
  console.log('Parts');
  for (const { name, tookMs } of results.sort((a, b) => b.tookMs - a.tookMs))
    console.log(`  ${(tookMs / 1000).toFixed(1).padStart(6)} s  ${name}`);
  return results;
}

/** Builds, then runs the tests; the other checks run meanwhile, so that no core waits for the last of them, or for npm. */
async function runAll() {
  console.log('Checks');
  const checking = runChecks();
  const failedBuild = await runCheck(build);
  const results = failedBuild.length > 0 ? [] : await runFiles(globSync('test/**/*.test.ts', { cwd: root }));
  return { results, failedChecks: [...failedBuild, ...(await checking)] };
}

async function runWithNodeRed() {
  console.log('Build');
  await must(node, ['scripts/build.mjs']);
  return { results: await runFiles(globSync(`test/{${withNodeRed}}/**/*.test.ts`, { cwd: root })) };
}

async function runPart(args, files) {
  const named = args.some((arg) => arg.endsWith('.ts') || arg.startsWith('test'));
  return { results: [await runMocha(named ? args : [...args, files], 0, {})] };
}

async function runLong(args) {
  return { results: [await runMocha([...args, 'test/long/**/*.ts'], 0, {}, null)] };
}

function runChosen(args) {
  if (args[0] === 'long') return runLong(args.slice(1));
  if (args[0] !== '4.1') return args.length > 0 ? runPart(args, 'test/**/*.test.ts') : runAll();
  process.env.NODE_RED_VERSION = '4.1';
  const more = args.slice(1);
  return more.length > 0 ? runPart(more, `test/{${withNodeRed}}/**/*.test.ts`) : runWithNodeRed();
}

await mkdir(scratch, { recursive: true });
process.env.NODE_RED_VERSION ??= '5';
Object.assign(process.env, await chromiumEnvironment());
const started = performance.now();
const { results, failedChecks = [] } = await runChosen(process.argv.slice(2));
const totals = sumUp(results);
if (failedChecks.length > 0) console.log(`Failed checks: ${failedChecks.join(', ')}`);
console.log(`The whole run took ${seconds(started)}.`);
const ran = totals.passed + totals.failed > 0;
if (!ran) console.log('No test ran.');
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = ran && totals.failed === 0 && failedChecks.length === 0 ? 0 : 1;

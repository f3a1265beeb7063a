// npm run test:mutants: breaks the delivery engine on purpose, one way at a time, and fails when its tests stay green.
//
// npm run test:mutants -- words runs only the mutants whose names hold these words. Each mutant is a search and
// replace in a copy of src/ and test/ in a temporary folder; the working tree is never touched.
import { spawn } from 'node:child_process';
import { globSync, realpathSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { mutants } from './mutants-list.mjs';
import { node, root, seconds, tool } from './tools.mjs';

const atATime = 2;
/** A mutant that makes the tests hang is found out too: nobody would take that for green. */
const limitMs = 180_000;
/** Slow, and seldom the first to notice. */
const last = ['test/delivery/backlog.test.ts'];
const mocha = realpathSync(tool('mocha', 'lib/cli/cli.js'));

/** A copy in which mutants live one after the other. */
async function makeCopy() {
  const folder = await mkdtemp(path.join(tmpdir(), 'mutants-'));
  // Those that .mocharc.json names.
  const required = ['property-sizes.ts', 'local-hosts-direct.ts'].map((name) =>
    path.join('test', 'support', name),
  );
  // The shared queue's tests have their log there.
  const tests = ['delivery', 'outbox', 'tsconfig.json'].map((name) => path.join('test', name));
  for (const part of ['src', ...tests, ...required]) {
    await cp(path.join(root, part), path.join(folder, part), { recursive: true });
  }
  for (const file of globSync(['package.json', 'tsconfig*.json', '.mocharc.json'], { cwd: root })) {
    await cp(path.join(root, file), path.join(folder, file));
  }
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  return folder;
}

/** `first`: the file that is the likeliest to notice, if that is known. */
function testFiles(first) {
  const files = globSync('test/delivery/**/*.test.ts', { cwd: root }).map((file) =>
    file.split(path.sep).join('/'),
  );
  const others = files.filter((file) => !last.includes(file) && file !== first).sort();
  return [...(first === undefined ? [] : [first]), ...others, ...last];
}

/** Runs the tests of a copy until the first one fails: `{green, by}`. */
function runTests(folder, first) {
  const args = [
    '--disable-warning=ExperimentalWarning',
    mocha,
    '--bail',
    '--reporter',
    'json',
    ...testFiles(first),
  ];
  const child = spawn(node, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PROPERTY_SHRINK: '0' },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  let ranOut = false;
  const timer = setTimeout(() => {
    ranOut = true;
    child.kill('SIGKILL');
  }, limitMs);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (ranOut) resolve({ green: false, by: `(the tests did not end within ${limitMs / 1000} s)` });
      else resolve(verdict(code, output, errors));
    });
  });
}

function verdict(code, output, errors) {
  const start = output.indexOf('{\n  "stats"');
  if (start < 0)
    return {
      green: false,
      by: `(the tests ended with ${code}: ${errors.trim().split('\n').pop()})`,
      broken: true,
    };
  const { stats, failures } = JSON.parse(output.slice(start));
  if (code === 0 && stats.passes > 0) return { green: true, by: `${stats.passes} tests passed` };
  const [first] = failures;
  return { green: false, by: first === undefined ? `(exit code ${code})` : first.fullTitle };
}

/** The new text of a mutant's file. Throws when its anchor is not there exactly as often as it should be. */
function mutate(mutant, { file, find, replace, times = 1 }, text) {
  const found = text.split(find).length - 1;
  if (found !== times) {
    throw new Error(
      `The mutant "${mutant.name}" looks for this in ${file} and found it ${found} times instead of ${times}; adapt it to the code:\n${find}`,
    );
  }
  return text.split(find).join(replace);
}

/** Every change of a mutant, by file, as the text before and after. */
async function changesOf(mutant) {
  const texts = new Map();
  for (const change of mutant.changes) {
    const before = texts.get(change.file)?.before ?? (await readFile(path.join(root, change.file), 'utf8'));
    const text = texts.get(change.file)?.after ?? before;
    texts.set(change.file, { before, after: mutate(mutant, change, text) });
  }
  return texts;
}

async function runMutant(folder, mutant) {
  const started = performance.now();
  const texts = await changesOf(mutant);
  for (const [file, { after }] of texts) await writeFile(path.join(folder, file), after);
  const result = await runTests(folder, mutant.first);
  for (const [file, { before }] of texts) await writeFile(path.join(folder, file), before);
  return { ...result, name: mutant.name, took: seconds(started) };
}

function say({ green, name, by, took }) {
  console.log(
    `${green ? 'ALIVE ' : 'killed'}  ${took.padStart(8)}  ${name}\n                    ${green ? '' : 'by '}${by}`,
  );
}

const words = process.argv.slice(2).join(' ').toLowerCase();
const chosen = mutants.filter(({ name }) => name.toLowerCase().includes(words));
// All anchors first: a list that has fallen behind the code says so at once.
for (const mutant of chosen) await changesOf(mutant);

const started = performance.now();
const folders = await Promise.all(Array.from({ length: atATime }, makeCopy));
const results = [];
try {
  const untouched = await runTests(folders[0]);
  if (!untouched.green) throw new Error(`The tests fail without any mutant: ${untouched.by}`);
  console.log(`Without a mutant ${untouched.by} (${seconds(started)}). ${chosen.length} mutants:`);
  const waiting = [...chosen];
  await Promise.all(
    folders.map(async (folder) => {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const result = await runMutant(folder, mutant);
        say(result);
        results.push(result);
      }
    }),
  );
} finally {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}

const alive = results.filter(({ green }) => green);
const broken = results.filter(({ broken: isBroken }) => isBroken);
console.log(
  `${results.length - alive.length - broken.length} of ${results.length} mutants killed in ${seconds(started)}.`,
);
if (alive.length > 0) console.log(`Alive: ${alive.map(({ name }) => name).join('; ')}`);
if (broken.length > 0) console.log(`Did not run at all: ${broken.map(({ name }) => name).join('; ')}`);
process.exitCode = alive.length + broken.length === 0 && results.length > 0 ? 0 : 1;

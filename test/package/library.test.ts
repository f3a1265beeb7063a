// The package as a library: its entry points, as a program outside this repository finds them in the packed tarball.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { cleanUps } from '../support/clean-up';
import { packedPackage } from '../support/node-red';
import { manifest } from './support';

const root = path.join(__dirname, '..', '..');
const run = promisify(execFile);
/** Of programs that are not the newest; the other checks need not wait for it. */
const olderTsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const tsc = path.join(root, 'node_modules', 'typescript-7', 'bin', 'tsc');

/** What docs/internals/library.md speaks of, by entry point. */
const documented: Readonly<Record<string, readonly string[]>> = {
  entry: ['checkEntry', 'knownDomains', 'readEntries', 'sentence'],
  service: [
    'DEFAULT_AUTH_URL',
    'DEFAULT_SERVICE_URL',
    'ServiceClient',
    'TokenKeeper',
    'cleanReport',
    'verdicts',
  ],
  delivery: ['QueueKindsDiffer', 'Registry', 'SqliteStore', 'dryRun', 'systemClock'],
  sandbox: ['documentedLimits', 'startSandbox'],
};

/** As a program's own tsconfig.json would have it; the declarations themselves are checked too. */
const compilerOptions = {
  target: 'es2023',
  lib: ['es2023'],
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  types: ['node'],
  typeRoots: [path.join(root, 'node_modules', '@types')],
};

describe('the packed package as a library', function () {
  this.timeout(180_000);
  let program: string;
  const cleanUp = cleanUps();

  before(async () => {
    const { template } = await packedPackage();
    await mkdir(path.join(root, '.test', 'run'), { recursive: true });
    program = await mkdtemp(path.join(root, '.test', 'run', 'library-'));
    cleanUp(() => rm(program, { recursive: true, force: true }));
    // A package of its own: inside this repository's, its name would mean the repository and not the tarball.
    await writeFile(path.join(program, 'package.json'), '{ "name": "program", "private": true }');
    await symlink(path.join(template, 'node_modules'), path.join(program, 'node_modules'), 'junction');
  });

  it('gives every documented name to require', () => {
    const requireFrom = createRequire(path.join(program, 'main.js'));
    for (const [entry, names] of Object.entries(documented)) {
      const exported = requireFrom(`${manifest.name}/${entry}`) as Record<string, unknown>;
      for (const name of names) assert.notEqual(exported[name], undefined, `${entry} has no ${name}`);
    }
  });

  it('is the one that was packed', async () => {
    const { template } = await packedPackage();
    const found = createRequire(path.join(program, 'main.js')).resolve(`${manifest.name}/entry`);
    assert.ok(found.startsWith(await realpath(template)), found);
  });

  it('opens the documented entry points and its package.json, and no other file', () => {
    const requireFrom = createRequire(path.join(program, 'main.js'));
    const { exports } = requireFrom(`${manifest.name}/package.json`) as { exports: Record<string, unknown> };
    const entries = Object.keys(documented).map((entry) => `./${entry}`);
    assert.deepEqual(Object.keys(exports).sort(), [...entries, './package.json'].sort());
    const closed = { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' };
    assert.throws(() => requireFrom(`${manifest.name}/dist/src/delivery/engine.js`), closed);
    assert.throws(() => requireFrom(manifest.name), closed);
  });

  it('has types for every program in docs/internals/library.md', async () => {
    const programs = await documentedPrograms();
    assert.ok(programs.length >= 3, `${programs.length} programs in docs/internals/library.md`);
    const files = programs.map((_, index) => `program-${index}.mts`);
    for (const [index, file] of files.entries()) await writeFile(path.join(program, file), programs[index]!);
    await writeFile(path.join(program, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    assert.deepEqual(await typeErrors(program, olderTsc), []);
  });

  it('brings the declarations that a program’s compiler reads, and no other', async () => {
    const { files } = await packedPackage();
    const imports = Object.keys(documented).map(
      (entry) => `export * as ${entry} from '${manifest.name}/${entry}';`,
    );
    await writeFile(path.join(program, 'all.mts'), imports.join('\n'));
    await writeFile(
      path.join(program, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['all.mts'] }),
    );
    const { stdout } = await run(process.execPath, [tsc, '-p', program, '--listFiles'], { cwd: program });
    const read = stdout
      .split('\n')
      .filter((line) => line.includes(`${manifest.name}/dist/`))
      .map((line) => line.slice(line.indexOf(`${manifest.name}/`) + manifest.name.length + 1));
    assert.deepEqual([...new Set(read)].sort(), files.filter((file) => file.endsWith('.d.ts')).sort());
  });

  it('refuses a program that uses it wrongly, so that its types are there and are strict', async () => {
    const wrong = `import { checkEntry } from '${manifest.name}/entry';\ncheckEntry({}).entry;\n`;
    await writeFile(path.join(program, 'wrong.mts'), wrong);
    await writeFile(
      path.join(program, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...compilerOptions, skipLibCheck: true }, files: ['wrong.mts'] }),
    );
    const [error = '', ...others] = await typeErrors(program);
    assert.match(error, /wrong\.mts.*Property 'entry' does not exist/);
    assert.deepEqual(others, []);
  });

  it('delivers an entry in the whole program of docs/internals/library.md, by import', async () => {
    const [whole = ''] = await documentedPrograms();
    await writeFile(path.join(program, 'whole.mts'), whole);
    const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', 'whole.mts'], {
      cwd: program,
      timeout: 60_000,
    });
    assert.equal(stdout, 'settled members: 1\n');
  });
});

/** The programs of the page, in its order. */
async function documentedPrograms(): Promise<string[]> {
  const page = await readFile(path.join(root, 'docs', 'internals', 'library.md'), 'utf8');
  return [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

/** One line for each error. */
async function typeErrors(folder: string, compiler = tsc): Promise<string[]> {
  try {
    await run(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], { cwd: folder });
    return [];
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined || stdout === '') throw error;
    return stdout.split('\n').filter((line) => /\berror TS\d+/.test(line));
  }
}

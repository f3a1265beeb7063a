// Chromium from npm, for the tests of the editor and for the pictures: a Linux machine then needs none of its own.
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inflate } from '@sparticuz/chromium';
import { root, run } from './tools.mjs';

const source = path.join(root, 'node_modules', '@sparticuz', 'chromium');
/** Chromium brings letters for European languages only. */
const japaneseFont = path.join(root, 'node_modules', '@expo-google-fonts', 'sawarabi-gothic');

/**
 * The environment in which `test/support/browser.ts` finds Chromium: `CHROMIUM_PATH`, `FONTCONFIG_PATH`, and
 * `CHROMIUM_LIBRARIES`, which only the browser gets, as `LD_LIBRARY_PATH`. Empty where the user names a Chromium, and
 * where npm has none for this platform. Where the one from npm does not start, only `NO_CHROMIUM`: why.
 */
export async function chromiumEnvironment() {
  if (process.env.CHROMIUM_PATH) return {};
  if (process.platform !== 'linux' || process.arch !== 'x64') return {};
  const folder = await unpack();
  const file = path.join(folder, 'chromium');
  const libraries = path.join(folder, 'al2023', 'lib');
  const problem = await startProblem(file, libraries);
  if (problem !== null) return { NO_CHROMIUM: `the Chromium from npm ${problem}` };
  const fonts = path.join(folder, 'fonts');
  await writeFontsConf(fonts);
  return {
    CHROMIUM_PATH: file,
    FONTCONFIG_PATH: fonts,
    CHROMIUM_LIBRARIES: libraries,
  };
}

/** Unpacks each version once, and removes older ones. The folder appears when it is complete: two `npm test` may do it at once. */
async function unpack() {
  const { version } = JSON.parse(await readFile(path.join(source, 'package.json'), 'utf8'));
  const folder = path.join(root, '.test', 'chromium', version);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  // `inflate` unpacks into the folder for temporary files, and takes what it finds there for complete.
  const before = process.env.TMPDIR;
  process.env.TMPDIR = partial;
  try {
    const names = ['chromium.br', 'al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br'];
    await Promise.all(names.map((name) => inflate(path.join(source, 'bin', name))));
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  await rename(partial, folder).catch((error) => {
    if (!existsSync(folder)) throw error;
  });
  const isOther = (name) => name === path.basename(partial) || !name.startsWith(version);
  const others = (await readdir(path.dirname(folder))).filter(isOther);
  await Promise.all(
    others.map((name) => rm(path.join(folder, '..', name), { recursive: true, force: true })),
  );
  return folder;
}

/**
 * Its own fonts, the Japanese one, and what the machine has. Without a folder that exists no text has a width; so this is
 * written each time, for a clone may have moved.
 */
async function writeFontsConf(folder) {
  const conf = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${path.join(folder, 'fonts')}</dir>
  <dir>${japaneseFont}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${path.join(folder, 'cache')}</cachedir>
</fontconfig>
`;
  const draft = path.join(folder, `fonts.conf.${process.pid}`);
  await writeFile(draft, conf);
  await rename(draft, path.join(folder, 'fonts.conf'));
}

/**
 * Why it does not start here, such as a library that is missing; null when it does. Pages over https need libsqlite3.so.0
 * as well, which Debian's smallest installation does not have; no test opens one.
 */
async function startProblem(file, libraries) {
  const { code, output } = await run(file, ['--version'], { env: { LD_LIBRARY_PATH: libraries } }).catch(
    (error) => ({ code: 1, output: error.message }),
  );
  if (code === 0) return null;
  const [, library] = /loading shared libraries: (\S+):/.exec(output) ?? [];
  return library === undefined ? `does not start (${output.trim()})` : `needs the library ${library}`;
}
